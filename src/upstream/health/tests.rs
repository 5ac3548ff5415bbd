//! Rows, ejections and returns, with made-up times.

use super::*;
use crate::model::{Addressing, Host, Policy, Protocol, Security, UpstreamKey, UpstreamSpec};
use crate::upstream::tls::TlsContext;

const OK: Event = Event::Answer(200);
const ERROR: Event = Event::Answer(500);
const GATEWAY: Event = Event::Answer(502);

#[test]
fn rows_are_counted_by_kind_and_ended_by_a_good_answer() {
    let all = Outliers {
        errors: Some(3),
        gateway_errors: Some(2),
        local_errors: Some(2),
        ..Outliers::default()
    };
    let only = |errors| Outliers { errors, ..Outliers::default() };
    let lost = Event::Lost;
    let codes = Outliers { statuses: vec![429, 503], ..all.clone() };
    let limited = Event::Answer(429);
    for (rule, events, expected) in [
        (&all, &[ERROR, ERROR][..], None),
        (&all, &[ERROR, ERROR, ERROR], Some(Ejection::Errors)),
        (&all, &[ERROR, ERROR, OK, ERROR], None),
        (&all, &[ERROR, ERROR, Event::Answer(404), ERROR], None),
        (&all, &[GATEWAY, GATEWAY], Some(Ejection::GatewayErrors)),
        (&all, &[GATEWAY, ERROR, GATEWAY], Some(Ejection::Errors)),
        (&all, &[lost, ERROR, lost], None),
        (&all, &[lost, lost], Some(Ejection::LocalErrors)),
        (&all, &[lost, OK, lost], None),
        (&only(Some(2)), &[lost, ERROR], Some(Ejection::Errors)),
        (&only(None), &[ERROR; 50], None),
        // Statuses that are listed count, others don't; gateway errors are so by their own number.
        (&codes, &[limited, limited, limited], Some(Ejection::Errors)),
        (&codes, &[limited, ERROR, limited, limited], None),
        (&codes, &[GATEWAY; 9], None),
        (&codes, &[Event::Answer(503), Event::Answer(503)], Some(Ejection::GatewayErrors)),
        (&codes, &[Event::Answer(503), limited, Event::Answer(503)], Some(Ejection::Errors)),
        (&codes, &[lost, lost], Some(Ejection::LocalErrors)),
    ] {
        let health = Health::default();
        let reasons: Vec<_> = events.iter().map(|event| health.count(*event, rule)).collect();
        let (last, before) = reasons.split_last().expect("events");
        assert_eq!(*last, expected, "{events:?}");
        assert!(before.iter().all(Option::is_none), "{events:?}");
    }
}

#[test]
fn each_ejection_is_longer_and_good_times_forgive() {
    let rule = Outliers::default();
    let health = Health::default();
    let mut now = 0;
    for (wait, expected) in [(0, 30), (1, 60), (1, 90), (10, 90), (45, 30), (1, 60)] {
        now += wait * 1_000;
        let time = health.eject(&rule, now);
        assert_eq!(time.as_secs(), expected, "at {now}");
        assert!(health.is_out(now) && health.is_out(now + expected * 1_000 - 1));
        now += expected * 1_000;
        assert!(!health.is_out(now));
        assert!(health.comes_back(now) && !health.comes_back(now), "told once");
    }
    let times = (0..20).map(|_| health.eject(&rule, now)).max();
    assert_eq!(times, Some(EJECTION_MAX));
    let long = Outliers { ejection: Duration::from_secs(1_000), ..rule };
    assert_eq!(health.eject(&long, now), Duration::from_secs(1_000));
}

fn spec(count: u16, outliers: Option<Outliers>) -> UpstreamSpec {
    UpstreamSpec {
        key: UpstreamKey {
            name: "outbound|80||origin.test".to_owned(),
            host: Host::parse("origin.test").expect("valid"),
            port: 80,
            security: Security::Plain,
            protocol: Protocol::Http1,
            proxy_protocol: None,
        }
        .into(),
        policy: Policy { outliers: outliers.map(Box::new), ..Policy::default() }.into(),
        addressing: addressing(1, count).into(),
    }
}

fn addressing(first: u16, count: u16) -> Addressing {
    Addressing::Static((first..first + count).map(|port| ([127, 0, 0, 1], port).into()).collect())
}

fn upstream(count: u16, rule: Outliers) -> Arc<Upstream> {
    Upstream::new(&spec(count, Some(rule)), &TlsContext::new(&[]).expect("no files"))
}

fn endpoints(upstream: &Upstream) -> Arc<Endpoints> {
    match &**upstream.endpoints.load() {
        Known::Ready(endpoints) => Arc::clone(endpoints),
        other => panic!("{other:?}"),
    }
}

/// Ports that requests may go to; `None`: it is 503.
fn ports(upstream: &Upstream, now: Instant) -> Option<Vec<u16>> {
    let all = endpoints(upstream);
    let some = upstream.without_ejected(&all, now).ok()?.unwrap_or(all);
    Some(some.list.iter().map(|endpoint| endpoint.address.port()).collect())
}

/// A rule by which one error is enough.
fn strict(ejected_max_percent: u32) -> Outliers {
    Outliers { errors: Some(1), ejected_max_percent, ..Outliers::default() }
}

fn fail(upstream: &Upstream, port: u16, now: Instant) -> Option<Ejection> {
    let endpoints = endpoints(upstream);
    let endpoint = endpoints.list.iter().find(|one| one.address.port() == port).expect("there");
    upstream.note(endpoint, ERROR, now)
}

#[test]
fn no_more_than_the_percentage_is_ejected_but_one_always() {
    let now = Instant::now();
    for (count, percent, expected) in
        [(1, 10, 1), (4, 10, 1), (4, 25, 1), (4, 26, 2), (4, 100, 4), (4, 0, 0), (20, 10, 2)]
    {
        let upstream = upstream(count, strict(percent));
        let ejected = (1..=count).filter(|port| fail(&upstream, *port, now).is_some()).count();
        assert_eq!(ejected, expected, "{count} endpoints, {percent} %");
        let left = ports(&upstream, now).map(|ports| ports.len());
        assert_eq!(left, Some(usize::from(count) - ejected).filter(|left| *left > 0));
    }
}

#[test]
fn an_ejected_endpoint_comes_back_when_its_time_is_over() {
    let now = Instant::now();
    let upstream = upstream(3, strict(50));
    assert_eq!(fail(&upstream, 2, now), Some(Ejection::Errors));
    assert_eq!(fail(&upstream, 2, now), None, "what is under way says nothing new");
    let seconds = |count| now + Duration::from_secs(count);
    assert_eq!(ports(&upstream, seconds(29)), Some(vec![1, 3]));
    assert_eq!(ports(&upstream, seconds(31)), Some(vec![1, 2, 3]));
    assert!(
        !upstream.endpoints.some_out.load(Ordering::Relaxed),
        "nothing costs anything any more"
    );
}

#[test]
fn with_too_few_left_all_are_used_again() {
    let now = Instant::now();
    let upstream = upstream(4, Outliers { healthy_min_percent: 60, ..strict(100) });
    fail(&upstream, 1, now);
    assert_eq!(ports(&upstream, now), Some(vec![2, 3, 4]));
    fail(&upstream, 2, now);
    assert_eq!(ports(&upstream, now), Some(vec![1, 2, 3, 4]));
}

#[test]
fn an_ejection_outlives_new_addresses_failed_lookups_and_reloads() {
    let now = Instant::now();
    let upstream = upstream(3, strict(50));
    fail(&upstream, 2, now);
    let with = |first, count, rule| UpstreamSpec {
        addressing: addressing(first, count).into(),
        ..spec(count, rule)
    };
    upstream.adopt(&with(2, 3, Some(strict(50))));
    assert_eq!(ports(&upstream, now), Some(vec![3, 4]), "its neighbours are others now");
    upstream.adopt(&with(3, 2, Some(strict(50))));
    assert_eq!(ports(&upstream, now), Some(vec![3, 4]), "it is not named any more");
    upstream.endpoints.publish_failure(Failure::Unresolved("no answer".to_owned()));
    upstream.adopt(&with(1, 3, Some(strict(50))));
    assert_eq!(ports(&upstream, now), Some(vec![1, 3]), "it is named again");
    upstream.adopt(&with(1, 3, None));
    assert_eq!(ports(&upstream, now), Some(vec![1, 2, 3]), "nobody asks for it any more");
    assert!(!upstream.is_watched());
}
