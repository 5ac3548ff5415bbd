//! Any plan, rendered and read again, is the same plan.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::model::resilience::{
    HashBy, HashCookie, HashTable, Hashed, Keepalive, Outliers, Pings, RetryBudget, UpstreamLimits,
    Warmup,
};
use crate::model::retry::{Resend, RetryHosts, RetryOn, RetryOnSet};
use crate::model::{
    Abort, Aborted, Action, Balance, Condition, Cors, Delay, EditLists, Fault, Field, FieldMatch,
    Forward, Fraction, HeaderEdit, HeaderEdits, HeaderValue, Host, HostPattern, Listener, Mirror,
    PathMatch, PathRewrite, Pattern, Policy, Protocol, ProxyProtocol, QueryMatch, Redirect,
    Respond, Retry, Route, Rule, Share, Substitution, Target, TextMatch, TlsSpec, UpstreamKey,
};

fn host() -> impl Strategy<Value = Host> {
    let name = prop_oneof![
        "[a-z][a-z0-9-]{0,6}(\\.[a-z0-9_]{1,4}){0,2}",
        Just("10.1.2.3".to_owned()),
        Just("fd00::1".to_owned())
    ];
    name.prop_map(|name| Host::parse(&name).expect("made to be valid"))
}

fn pattern() -> impl Strategy<Value = HostPattern> {
    prop_oneof![
        6 => host().prop_map(HostPattern::Exact),
        2 => "[a-z]{1,5}\\.com".prop_map(|name| HostPattern::parse(&format!("*.{name}")).expect("made to be valid")),
        1 => Just(HostPattern::Any),
    ]
}

/// Text that YAML readers like to misunderstand.
fn awkward() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "no",
        "null",
        "~",
        "1e3",
        "0x1f",
        "2024-01-01",
        "- a",
        "a: b",
        "#c",
        "'",
        "\"",
        "\\",
        "{",
        "é",
        "\u{85}",
        "on",
    ]);
    prop_oneof![word.prop_map(str::to_owned), "[ -~]{0,12}"]
}

fn duration() -> impl Strategy<Value = Duration> {
    (1u64..1_000_000).prop_map(Duration::from_millis)
}

fn target() -> impl Strategy<Value = Target> {
    (host(), 1u16..).prop_map(|(host, port)| Target { host, port })
}

fn names() -> impl Strategy<Value = Vec<String>> {
    vec("[a-z]{1,6}\\.com", 0..3)
}

fn tls() -> impl Strategy<Value = TlsSpec> {
    let roots = prop_oneof![
        Just(Roots::Web),
        Just(Roots::System),
        Just(Roots::Pem { path: "/ca.pem".to_owned(), pem: PEM.into() })
    ];
    let identity = option::of(Just(ClientIdentity {
        certificate_path: "/client.pem".to_owned(),
        certificate: PEM.into(),
        key_path: "/client.key".to_owned(),
        key: PEM.into(),
    }));
    let revoked = option::of(Just(RevocationList { path: "/crl.pem".to_owned(), pem: CRL.into() }));
    let skip_verify = prop::bool::weighted(0.2);
    (option::of(host()), names(), names(), roots, revoked, identity, skip_verify).prop_map(
        |(sni, subject_alt_names, service_alt_names, roots, revoked, identity, skip_verify)| {
            match skip_verify {
                true => TlsSpec {
                    sni,
                    subject_alt_names: vec![],
                    service_alt_names: vec![],
                    roots: Roots::Web,
                    revoked: None,
                    identity,
                    skip_verify,
                },
                false => TlsSpec {
                    sni,
                    subject_alt_names,
                    service_alt_names,
                    roots,
                    revoked,
                    identity,
                    skip_verify,
                },
            }
        },
    )
}

fn security() -> impl Strategy<Value = Security> {
    prop_oneof![
        2 => Just(Security::Plain),
        4 => tls().prop_map(|tls| Security::Tls(Arc::new(tls))),
        1 => awkward().prop_map(Security::Broken),
    ]
}

fn addressing() -> impl Strategy<Value = Option<Addressing>> {
    let address = any::<SocketAddr>()
        .prop_map(|address| SocketAddr::new(address.ip(), address.port().max(1)));
    let other = prop_oneof![
        vec(target(), 1..3).prop_map(Addressing::Dns),
        target().prop_map(Addressing::LogicalDns),
        vec(address, 1..3).prop_map(Addressing::Static),
        (1u16..).prop_map(Addressing::Dynamic),
        awkward().prop_map(Addressing::Nowhere),
    ];
    prop_oneof![2 => Just(None), 1 => other.prop_map(Some)]
}

fn balance() -> impl Strategy<Value = Balance> {
    let name = || "[a-z][a-z0-9-]{0,5}";
    let path = prop_oneof![Just(String::new()), "/[a-z]{0,3}"];
    let attributes = vec(("[A-Za-z-]{1,5}", "([ -:<-~]{0,5}[!-:<-~])?"), 0..3);
    let ttl = option::of((0u64..9_999).prop_map(Duration::from_secs));
    let cookie = (name(), path, ttl, attributes)
        .prop_map(|(name, path, ttl, attributes)| HashCookie { name, path, ttl, attributes });
    let by = prop_oneof![
        name().prop_map(HashBy::Header),
        name().prop_map(HashBy::Query),
        Just(HashBy::SourceIp),
        cookie.prop_map(HashBy::Cookie),
    ];
    let table = prop_oneof![
        Just(HashTable::default()),
        (1u32..).prop_map(|size_min| HashTable::Ring { size_min }),
        (1u32..).prop_map(|size| HashTable::Maglev { size }),
    ];
    prop_oneof![
        Just(Balance::LeastRequest),
        Just(Balance::RoundRobin),
        Just(Balance::Random),
        (by, table).prop_map(|(by, table)| Balance::Hashed(Box::new(Hashed { by, table }))),
    ]
}

fn limits() -> impl Strategy<Value = UpstreamLimits> {
    let limit = || option::of(1u32..);
    (limit(), limit(), limit(), limit(), limit()).prop_map(
        |(connections, pending, requests, retries, streams)| UpstreamLimits {
            connections,
            pending,
            requests,
            retries,
            streams,
        },
    )
}

fn outliers() -> impl Strategy<Value = Outliers> {
    let count = || option::of(1u32..99);
    let statuses = vec(100u16..600, 0..3);
    let counts = (count(), count(), count());
    (statuses, counts, duration(), duration(), 0u32..101, 0u32..101).prop_map(
        |(statuses, counts, interval, ejection, ejected, healthy)| Outliers {
            statuses,
            errors: counts.0,
            gateway_errors: counts.1,
            local_errors: counts.2,
            interval,
            ejection,
            ejected_max_percent: ejected,
            healthy_min_percent: healthy,
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    let seconds = || option::of((1u64..99_999).prop_map(Duration::from_secs));
    let keepalive = (seconds(), seconds(), option::of(1u32..99))
        .prop_map(|(time, interval, probes)| Keepalive { time, interval, probes });
    let pings =
        (duration(), duration()).prop_map(|(interval, timeout)| Pings { interval, timeout });
    let budget = (0u32..101, 0u32..9).prop_map(|(percent, min)| RetryBudget { percent, min });
    let times = (duration(), duration(), option::of(duration()), option::of(1u32..));
    let probes = (keepalive, option::of(pings), option::of(budget));
    let weights = vec((target(), 1u32..), 0..3);
    let warmup = (duration(), option::of(1_000u32..9_999), option::of(0u32..=100_000)).prop_map(
        |(duration, aggression_thousandths, minimum_percent_thousandths)| Warmup {
            duration,
            aggression_thousandths,
            minimum_percent_thousandths,
        },
    );
    let balance = (balance(), option::of(warmup));
    let policy = (balance, weights, times, limits(), probes, option::of(outliers())).prop_map(
        |(
            (balance, warmup),
            weights,
            times,
            limits,
            (keepalive, pings, retry_budget),
            outliers,
        )| {
            let (connect_timeout, idle_timeout, connection_age_max, requests_per_connection_max) =
                times;
            let mut policy = Policy {
                balance,
                warmup,
                weights,
                connect_timeout,
                idle_timeout,
                requests_per_connection_max,
                connection_age_max,
                keepalive,
                pings,
                limits,
                retry_budget,
                outliers: outliers.map(Box::new),
            };
            policy.sort_weights();
            policy
        },
    );
    prop_oneof![2 => Just(Policy::default()), 1 => policy]
}

fn upstream() -> impl Strategy<Value = UpstreamSpec> {
    let protocol = prop::sample::select(
        &[Protocol::Negotiate, Protocol::Http1, Protocol::Http2, Protocol::Client][..],
    );
    let variant = prop_oneof![3 => Just(String::new()), 1 => "[a-z]{1,3}"];
    let proxy_protocol =
        prop::sample::select(&[None, None, Some(ProxyProtocol::V1), Some(ProxyProtocol::V2)][..]);
    let spoken = (protocol, proxy_protocol);
    (target(), variant, security(), spoken, policy(), addressing()).prop_map(
        |(target, variant, security, (protocol, proxy_protocol), policy, addressing)| {
            let own = match target.host.ip() {
                Some(ip) => Addressing::Static(vec![SocketAddr::new(ip, target.port)]),
                None => Addressing::Dns(vec![target.clone()]),
            };
            // An address has nothing under it.
            let addressing = addressing.filter(|addressing| {
                !matches!(addressing, Addressing::Dynamic(_)) || target.host.ip().is_none()
            });
            let wildcard =
                if matches!(addressing, Some(Addressing::Dynamic(_))) { "*." } else { "" };
            let name = format!("outbound|{}|{variant}|{wildcard}{}", target.port, target.host);
            let key = UpstreamKey {
                name,
                host: target.host,
                port: target.port,
                security,
                protocol,
                proxy_protocol,
            };
            UpstreamSpec {
                key: key.into(),
                policy: policy.into(),
                addressing: addressing.unwrap_or(own).into(),
            }
        },
    )
}

fn edits() -> impl Strategy<Value = HeaderEdits> {
    const FORMATS: [&str; 4] =
        ["%REQ(x-a?:path):7%", "5%% %PROTOCOL%", "%START_TIME(%s.%3f)%", "%RESP(x-b)%%HOSTNAME%"];
    let value = || {
        let format = prop::sample::select(&FORMATS[..]);
        prop_oneof![
            3 => "[!-~]([ -~]{0,6}[!-~])?|".prop_map(HeaderValue::Text),
            1 => format.prop_map(|format| HeaderValue::parse(format).expect("a format")),
        ]
    };
    let lines = || {
        btree_map("[a-z][a-z0-9_-]{1,5}", value(), 0..3).prop_map(|lines| {
            lines
                .into_iter()
                .map(|(name, value)| HeaderEdit { name: format!("x-{name}"), value })
                .collect()
        })
    };
    (vec("x-[a-z]{1,4}", 0..2), lines(), lines())
        .prop_map(|(remove, set, add)| EditLists { remove, set, add }.into())
}

fn pattern_text() -> impl Strategy<Value = Pattern> {
    const TEXTS: [&str; 4] = [".*", "/v[0-9]+/.*", "(?i)a|b", r"\d{2,3}: 'x' #"];
    prop::sample::select(&TEXTS[..]).prop_map(|text| Pattern::parse(text).expect("valid"))
}

fn text_match() -> impl Strategy<Value = TextMatch> {
    prop_oneof![
        Just(TextMatch::Present),
        awkward().prop_map(TextMatch::Exact),
        "[ -~]{0,8}".prop_map(TextMatch::Prefix),
        pattern_text().prop_map(TextMatch::Regex),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let path = prop_oneof![
        Just(PathMatch::Prefix("/".to_owned())),
        "/[ -~]{0,8}".prop_map(PathMatch::Prefix),
        "/[ -~]{0,8}".prop_map(PathMatch::Exact),
        "/[ -~]{0,8}".prop_map(PathMatch::PrefixAnyCase),
        "/[ -~]{0,8}".prop_map(PathMatch::ExactAnyCase),
        pattern_text().prop_map(PathMatch::Regex),
    ];
    let names = prop::sample::select(&["x-a", "Host", ":scheme", ":method", ":path"][..]);
    let field = (names, text_match(), prop::bool::ANY).prop_map(|(name, text, inverted)| {
        FieldMatch { field: Field::named(name).expect("a name"), text, inverted }
    });
    let query = (awkward(), text_match()).prop_map(|(name, text)| QueryMatch { name, text });
    (path, vec("[A-Z]{1,6}", 0..3), vec(field, 0..3), vec(query, 0..3))
        .prop_map(|(path, methods, fields, query)| Condition { path, methods, fields, query })
}

fn host_sent() -> impl Strategy<Value = Option<String>> {
    option::of(prop_oneof![Just("api.example.com".to_owned()), Just("[::1]:8443".to_owned())])
}

fn forward(upstreams: usize) -> impl Strategy<Value = Action> {
    let destination = prop_oneof![
        8 => (0..upstreams).prop_map(Destination::Upstream),
        1 => "missing-[a-z]{1,4}".prop_map(Destination::Missing),
    ];
    let mirrored = destination.clone();
    let share = (destination.clone(), 1u32..100, host_sent(), edits(), edits()).prop_map(
        |(to, weight, rewrite_host, request, response)| Share {
            to,
            weight,
            rewrite_host,
            request,
            response,
        },
    );
    let to = prop_oneof![
        3 => destination.prop_map(|destination| vec![Share::whole(destination)]),
        1 => vec(share, 1..3),
    ];
    let rewrite = prop_oneof![
        Just(None),
        "/[!-~]{0,8}".prop_map(|with| Some(PathRewrite::Matched(with))),
        Just(Some(PathRewrite::Regex(Substitution::parse("^/(a)/", r"/\1$").expect("valid")))),
    ];
    let mirror = (mirrored, fraction()).prop_map(|(to, fraction)| Mirror { to, fraction });
    let edits = (edits(), edits());
    let others = (vec(mirror, 0..2), option::of(cors().prop_map(Box::new)));
    (to, option::of(duration()), retry(), host_sent(), rewrite, edits, others).prop_map(
        |(to, timeout, retry, rewrite_host, rewrite_path, (request, response), (mirrors, cors))| {
            Action::Forward(Forward {
                to,
                timeout,
                retry,
                rewrite_host,
                rewrite_path: rewrite_path.map(Box::new),
                request,
                response,
                mirrors,
                cors,
            })
        },
    )
}

fn cors() -> impl Strategy<Value = Cors> {
    let origin = prop_oneof![
        awkward().prop_map(TextMatch::Exact),
        awkward().prop_map(TextMatch::Prefix),
        Just(TextMatch::Regex(Pattern::parse("https://[a-z]+").expect("valid"))),
    ];
    let names = || vec("[a-zA-Z*-]{1,5}", 0..3);
    (
        vec(origin, 1..3),
        any::<bool>(),
        names(),
        names(),
        names(),
        option::of(0u64..1_000_000),
        any::<bool>(),
    )
        .prop_map(|(origins, credentials, methods, headers, exposed, max_age, answers_all)| {
            Cors { origins, credentials, methods, headers, exposed, max_age, answers_all }
        })
}

fn answer() -> impl Strategy<Value = Action> {
    let redirect = (
        prop::sample::select(&[301u16, 302, 303, 307, 308][..]),
        option::of(Just("https".to_owned())),
        host_sent(),
        option::of(1u16..),
        option::of("/[!-~]{0,8}"),
        edits(),
    )
        .prop_map(|(status, scheme, authority, port, path, response)| {
            Action::Redirect(Redirect { status, scheme, authority, port, path, response })
        });
    let body = prop_oneof![awkward().prop_map(String::into_bytes), vec(any::<u8>(), 0..8)];
    let respond = (205u16..304u16, body, edits())
        .prop_map(|(status, body, response)| Action::Respond(Respond { status, body, response }));
    prop_oneof![redirect, respond]
}

fn rule(upstreams: usize) -> impl Strategy<Value = Rule> {
    let name = prop_oneof![Just(String::new()), awkward()];
    let action = prop_oneof![4 => forward(upstreams), 1 => answer()];
    let stat_prefix = prop_oneof![2 => Just(String::new()), 1 => awkward()];
    (name, stat_prefix, condition(), option::of(fault()), action).prop_map(
        |(name, stat_prefix, condition, fault, action)| Rule {
            name,
            stat_prefix,
            condition,
            fault,
            action,
        },
    )
}

fn fraction() -> impl Strategy<Value = Fraction> {
    (1u32..=1_000_000).prop_map(|millionths| Fraction::percent(f64::from(millionths) / 10_000.0))
}

fn fault() -> impl Strategy<Value = Fault> {
    let answer =
        prop_oneof![(200u16..600).prop_map(Aborted::Http), (0u8..17).prop_map(Aborted::Grpc)];
    let delay = || (duration(), fraction()).prop_map(|(time, fraction)| Delay { time, fraction });
    let abort = (answer, fraction()).prop_map(|(answer, fraction)| Abort { answer, fraction });
    prop_oneof![
        delay().prop_map(|delay| Fault { delay: Some(delay), abort: None }),
        (option::of(delay()), abort).prop_map(|(delay, abort)| Fault { delay, abort: Some(abort) }),
    ]
}

fn retry() -> impl Strategy<Value = Retry> {
    let conditions = prop_oneof![
        Just(RetryOnSet::DEFAULT),
        vec(prop::sample::select(&RetryOn::ALL[..]), 0..4).prop_map(|list| RetryOnSet::of(&list)),
    ];
    let hosts = prop_oneof![Just(RetryHosts::Others), Just(RetryHosts::Any)];
    let resend = prop_oneof![Just(Resend::Idempotent), Just(Resend::Everything)];
    let time = || (1u64..100_000).prop_map(Duration::from_millis);
    (0u32..5, conditions, vec(100u16..600, 0..3), option::of(time()), time(), hosts, resend)
        .prop_map(|(attempts, mut on, statuses, attempt_timeout, backoff, hosts, resend)| {
            if !statuses.is_empty() {
                on.insert(RetryOn::Statuses);
            }
            Retry { attempts, on, statuses, attempt_timeout, backoff, hosts, resend }
        })
}

fn listeners() -> impl Strategy<Value = Vec<Listener>> {
    let listener = (1u16.., option::of(1024u16..), prop::bool::ANY, option::of("[a-z]{1,5}"))
        .prop_map(|(port, mapped, is_local, name)| {
            let ip = if is_local { [127, 0, 0, 1] } else { [0, 0, 0, 0] };
            Listener {
                name: name.unwrap_or_else(|| format!("0.0.0.0_{port}")),
                route_table: format!("http.{port}"),
                port,
                bind: SocketAddr::from((ip, mapped.unwrap_or(port))),
            }
        });
    vec(listener, 1..4).prop_map(|listeners| {
        let (mut names, mut binds) = (BTreeSet::new(), BTreeSet::new());
        let is_new = |listener: &Listener| {
            names.insert(listener.name.clone()) && binds.insert(listener.bind)
        };
        listeners.into_iter().filter(is_new).collect()
    })
}

fn any_plan() -> impl Strategy<Value = Plan> {
    (listeners(), vec(upstream(), 1..5)).prop_flat_map(|(listeners, upstreams)| {
        let mut names = BTreeSet::new();
        let upstreams: Vec<UpstreamSpec> =
            upstreams.into_iter().filter(|spec| names.insert(spec.key.name.clone())).collect();
        let count = listeners.len();
        let served_on = vec(0..count, 1..=count).prop_map(|mut served_on| {
            served_on.sort();
            served_on.dedup();
            served_on
        });
        let name = option::of(awkward());
        let route = (name, served_on, vec(pattern(), 1..4), vec(rule(upstreams.len()), 0..4));
        (Just(listeners), Just(upstreams), vec(route, 0..4)).prop_map(
            |(listeners, upstreams, routes)| {
                let mut taken = BTreeSet::new();
                let mut plan = Plan { listeners, routes: Vec::new(), upstreams };
                for (name, served_on, mut hosts, rules) in routes {
                    hosts.retain(|host| taken.insert(host.clone()));
                    if let Some(first) = hosts.first() {
                        let name = name.unwrap_or_else(|| {
                            format!("{first}:{}", plan.listeners[served_on[0]].port)
                        });
                        let rules = rules.into_iter().map(Arc::new).collect();
                        plan.routes.push(Route { name, listeners: served_on, hosts, rules });
                    }
                }
                plan
            },
        )
    })
}

/// The plan with its upstreams in the order of their names.
pub(super) fn sorted(mut plan: Plan) -> Plan {
    let mut order: Vec<usize> = (0..plan.upstreams.len()).collect();
    order.sort_by_key(|index| plan.upstreams[*index].key.name.clone());
    for rule in plan.routes.iter_mut().flat_map(|route| &mut route.rules) {
        let Action::Forward(forward) = &mut Arc::make_mut(rule).action else { continue };
        let shares = forward.to.iter_mut().map(|share| &mut share.to);
        for destination in shares.chain(forward.mirrors.iter_mut().map(|mirror| &mut mirror.to)) {
            if let Destination::Upstream(index) = destination {
                *index =
                    order.iter().position(|old| old == index).expect("every index is in the order");
            }
        }
    }
    plan.upstreams.sort_by_key(|spec| spec.key.name.clone());
    plan
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_rendered_plan_is_read_as_the_same_plan(plan in any_plan()) {
        let text = render(&plan);
        let (documents, problems) = parse("rendered", &text);
        prop_assert_eq!(problems, vec![], "{}", text);
        let compiled = compile(&documents, &materials(), &Identity::default());
        prop_assert_eq!(sorted(compiled.plan), sorted(plan), "{}\n{:#?}", text, compiled.problems);
    }
}

#[test]
fn a_rendered_plan_reads_well() {
    let text = "\
listeners:
- port: 443
upstreams:
- name: canary
  to: https://canary.example.com
routes:
- hosts: [edition.cnn.com]
  to: https://edition.cnn.com
- hosts: [\"*.api.example.com\"]
  rules:
  - match: { path: { prefix: /v2/ }, methods: [GET] }
    to: https://v2.api.example.com:8443
    tls: { ca: /ca.pem, certificate: /client.pem, key: /client.key }
    timeout: \"5s\"
    headers: { request: { set: { x-a: b }, remove: [x-c] } }
  - split:
    - to: canary
      weight: 10
    - to: missing
      weight: 90
";
    assert_eq!(render(&compiled(text).plan), text);
}
