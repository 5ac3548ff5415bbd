//! The life of an endpoint set, with a made-up resolver and a paused clock.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use super::*;
use crate::model::{Policy, Protocol, Security, UpstreamKey, UpstreamSpec};
use crate::upstream::dns::Resolving;
use crate::upstream::tls::TlsContext;

/// Answers what it was told last, after a second, and counts the questions.
#[derive(Default)]
struct Told {
    answers: Mutex<HashMap<String, Result<Answer, ResolveError>>>,
    asked: AtomicU32,
}

impl Told {
    fn tell(&self, name: &str, answer: Result<Answer, ResolveError>) {
        self.answers.lock().expect("not poisoned").insert(name.to_owned(), answer);
    }
}

impl Resolve for Told {
    fn resolve<'a>(&'a self, name: &'a Host) -> Resolving<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            seconds(1).await;
            let answers = self.answers.lock().expect("not poisoned");
            answers.get(name.as_str()).cloned().unwrap_or_else(|| failed("not told"))
        })
    }
}

fn answer(addresses: &[&str], ttl: u64) -> Result<Answer, ResolveError> {
    let addresses = addresses.iter().map(|ip| ip.parse().expect("an address")).collect();
    Ok(Answer { addresses, ttl: Duration::from_secs(ttl), partial: false })
}

fn failed(why: &str) -> Result<Answer, ResolveError> {
    Err(ResolveError::Failed(why.to_owned()))
}

fn denied(why: &str) -> Result<Answer, ResolveError> {
    Err(ResolveError::Denied(why.to_owned()))
}

/// Endpoints of these addresses, for tests of what is done with them.
pub(in crate::upstream) fn of_addresses(addresses: &[SocketAddr]) -> Endpoints {
    let list = addresses.iter().map(|address| Arc::new(Endpoint::new(*address))).collect();
    Endpoints { list, logical: false, weights: Vec::new() }
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

fn target(host: &str) -> Target {
    Target { host: Host::parse(host).expect("a host"), port: 443 }
}

fn spec(addressing: Addressing) -> UpstreamSpec {
    UpstreamSpec {
        key: UpstreamKey {
            name: "outbound|443||a.test".to_owned(),
            host: Host::parse("a.test").expect("a host"),
            port: 443,
            security: Security::Plain,
            protocol: Protocol::Http1,
            proxy_protocol: None,
        }
        .into(),
        policy: Policy::default().into(),
        addressing: addressing.into(),
    }
}

fn upstream(addressing: Addressing) -> Arc<Upstream> {
    Upstream::new(&spec(addressing), &TlsContext::new(&[]).expect("no files"))
}

/// Starts to keep it fresh, with overrides.
fn keep(
    upstream: &Arc<Upstream>,
    told: &Arc<Told>,
    resolve: &[&str],
) -> tokio::task::JoinHandle<()> {
    let rules = resolve.iter().map(|rule| {
        let mut parts = rule.splitn(3, ':');
        let mut part = || parts.next().expect("HOST:PORT:ADDR");
        crate::settings::Resolve {
            host: Host::parse(part()).expect("a host"),
            port: part().parse().expect("a port"),
            addresses: part().split(',').map(|ip| ip.parse().expect("an address")).collect(),
        }
    });
    let overrides = Overrides::new(&rules.collect::<Vec<_>>(), &[]);
    let (resolver, overrides, guard) = (told.clone(), Arc::new(overrides), Arc::default());
    let lookups = Lookups::new(resolver, overrides, guard);
    tokio::spawn(keep_fresh(Arc::downgrade(upstream), Arc::new(lookups)))
}

/// What is known, as text.
fn known(upstream: &Upstream) -> String {
    match &**upstream.endpoints.load() {
        Known::Pending => "pending".to_owned(),
        Known::Failed(failure) => failure.reason().to_owned(),
        Known::Ready(endpoints) => {
            let ips = endpoints.list.iter().map(|endpoint| endpoint.address.ip().to_string());
            ips.collect::<Vec<_>>().join(" ")
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_used_until_its_ttl_and_then_asked_for_again() {
    let told = Arc::new(Told::default());
    told.tell("a.test", answer(&["1.1.1.2", "1.1.1.1"], 60));
    let upstream = upstream(Addressing::Dns(vec![target("a.test")]));
    assert_eq!(known(&upstream), "pending");
    keep(&upstream, &told, &[]);

    let endpoints = upstream.endpoints.ready().await.expect("an answer");
    assert_eq!(known(&upstream), "1.1.1.1 1.1.1.2");
    endpoints.list[0].active.store(7, Ordering::Relaxed);

    told.tell("a.test", answer(&["1.1.1.3", "1.1.1.1"], 60));
    seconds(59).await;
    assert_eq!(
        (known(&upstream).as_str(), told.asked.load(Ordering::Relaxed)),
        ("1.1.1.1 1.1.1.2", 1)
    );
    seconds(9).await; // the TTL, a tenth of it at most, and the lookup itself
    assert_eq!(
        (known(&upstream).as_str(), told.asked.load(Ordering::Relaxed)),
        ("1.1.1.1 1.1.1.3", 2)
    );
    let after = upstream.endpoints.ready().await.expect("an answer");
    assert!(
        Arc::ptr_eq(&endpoints.list[0], &after.list[0]),
        "an address that stays keeps its counters"
    );
    assert_eq!(after.list[0].active.load(Ordering::Relaxed), 7);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_the_first_answer_all_get_it() {
    for (outcome, expected) in [
        (answer(&["1.1.1.1"], 60), Ok(1)),
        (failed("no server"), Err(Failure::Unresolved("no server".to_owned()))),
    ] {
        let told = Arc::new(Told::default());
        told.tell("a.test", outcome);
        let upstream = upstream(Addressing::Dns(vec![target("a.test")]));
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let upstream = upstream.clone();
                tokio::spawn(async move { upstream.endpoints.ready().await })
            })
            .collect();
        keep(&upstream, &told, &[]);
        for waiter in waiting {
            let got = waiter.await.expect("no panic").map(|endpoints| endpoints.list.len());
            assert_eq!(got, expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_good_answer_outlives_failures_for_an_hour_and_denials_for_three() {
    let told = Arc::new(Told::default());
    told.tell("a.test", answer(&["1.1.1.1"], 60));
    let upstream = upstream(Addressing::Dns(vec![target("a.test")]));
    keep(&upstream, &told, &[]);
    seconds(2).await;

    told.tell("a.test", failed("no server"));
    seconds(3_500).await;
    assert_eq!(known(&upstream), "1.1.1.1");
    let asked = told.asked.load(Ordering::Relaxed);
    assert!((100..130).contains(&asked), "backs off to every 30 s or so: {asked}");
    seconds(200).await;
    assert_eq!(known(&upstream), "no server");

    told.tell("a.test", answer(&["1.1.1.2"], 60));
    let told_at = Instant::now();
    while known(&upstream) == "no server" {
        seconds(1).await;
    }
    assert!(told_at.elapsed() < Duration::from_secs(36), "{:?}", told_at.elapsed());
    assert_eq!(known(&upstream), "1.1.1.2");
    told.tell("a.test", denied("no such name"));
    seconds(70).await; // 60 to 66 s until the first denial
    assert_eq!(known(&upstream), "1.1.1.2");
    seconds(20).await;
    assert_eq!(known(&upstream), "no such name");
}

#[tokio::test(start_paused = true)]
async fn one_name_that_does_not_answer_takes_nothing_from_another() {
    let told = Arc::new(Told::default());
    told.tell("good.test", answer(&["1.1.1.1"], 60));
    told.tell("bad.test", failed("no server"));
    let upstream = upstream(Addressing::Dns(vec![target("bad.test"), target("good.test")]));
    keep(&upstream, &told, &[]);
    upstream.endpoints.ready().await.expect("one is known");
    assert_eq!(known(&upstream), "1.1.1.1");
    told.tell("bad.test", answer(&["2.2.2.2"], 60));
    seconds(10).await;
    assert_eq!(known(&upstream), "1.1.1.1 2.2.2.2");
}

#[tokio::test(start_paused = true)]
async fn literals_and_overrides_never_ask() {
    let told = Arc::new(Told::default());
    let targets = ["10.0.0.1", "::1", "a.test"].map(target).to_vec();
    let upstream = upstream(Addressing::Dns(targets));
    keep(&upstream, &told, &["a.test:443:127.0.0.1"]);
    upstream.endpoints.ready().await.expect("all are known");
    assert_eq!(known(&upstream), "10.0.0.1 127.0.0.1 ::1");
    seconds(10_000).await;
    assert_eq!(known(&upstream), "10.0.0.1 127.0.0.1 ::1");
    assert_eq!(told.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_logical_name_keeps_the_order_of_the_answer() {
    let told = Arc::new(Told::default());
    told.tell("a.test", answer(&["1.1.1.2", "1.1.1.1"], 5));
    let upstream = upstream(Addressing::LogicalDns(target("a.test")));
    keep(&upstream, &told, &[]);
    assert!(upstream.endpoints.ready().await.expect("an answer").logical);
    assert_eq!(known(&upstream), "1.1.1.2 1.1.1.1");
}

#[tokio::test(start_paused = true)]
async fn a_changed_addressing_is_followed_and_the_old_one_serves_until_its_answer() {
    let told = Arc::new(Told::default());
    told.tell("a.test", answer(&["1.1.1.1"], 300));
    told.tell("b.test", answer(&["2.2.2.2"], 300));
    let upstream = upstream(Addressing::Dns(vec![target("a.test")]));
    keep(&upstream, &told, &[]);
    upstream.endpoints.ready().await.expect("an answer");

    upstream.adopt(&spec(Addressing::Dns(vec![target("b.test")])));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(known(&upstream), "1.1.1.1", "the lookup takes a second");
    seconds(1).await;
    assert_eq!(known(&upstream), "2.2.2.2");

    upstream.adopt(&spec(Addressing::Static(vec![SocketAddr::from(([3, 3, 3, 3], 1))])));
    assert_eq!(known(&upstream), "3.3.3.3", "needs no lookup");
    seconds(1_000).await;
    assert_eq!((known(&upstream).as_str(), told.asked.load(Ordering::Relaxed)), ("3.3.3.3", 2));

    upstream.adopt(&spec(Addressing::Nowhere("nothing selected".to_owned())));
    assert_eq!(known(&upstream), "outbound|443||a.test has no endpoint: nothing selected");
    upstream.adopt(&spec(Addressing::Dns(vec![target("a.test")])));
    seconds(2).await;
    assert_eq!(known(&upstream), "1.1.1.1");
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_upstream() {
    for addressing in [Addressing::Dns(vec![target("a.test")]), Addressing::Static(Vec::new())] {
        let told = Arc::new(Told::default());
        told.tell("a.test", answer(&["1.1.1.1"], 300));
        let upstream = upstream(addressing);
        let task = keep(&upstream, &told, &[]);
        seconds(2).await;
        assert!(!task.is_finished());
        drop(upstream);
        task.await.expect("ends by itself");
    }
}

#[test]
fn an_address_is_listed_once() {
    let set = EndpointSet::pending();
    let address = |last: u16| SocketAddr::new(IpAddr::from([127, 0, 0, 1]), last);
    set.publish(&[address(1), address(2), address(1)]);
    let Known::Ready(endpoints) = &**set.load() else { panic!("published") };
    let ports: Vec<u16> = endpoints.list.iter().map(|e| e.address.port()).collect();
    assert_eq!(ports, [1, 2]);
}
