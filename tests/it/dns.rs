//! Names and addresses: the name server, all its addresses, overrides, and what ServiceEntries say.

use std::net::IpAddr;

use crate::harness::article::Egress;
use crate::harness::{Answer, Dns, Gateway, Origin, Setup, until};

const HOST: &str = "api.example.com";

fn loopback(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

fn dns_with(answer: Answer) -> Dns {
    Dns::start(&[(HOST, answer)])
}

/// The host on the origin's own port, so that nothing but the address has to be found out.
fn on_port_of(origin: &Origin) -> Egress {
    Egress { port: origin.port(), ..Egress::plain(HOST) }
}

fn expect_dns_failure(gateway: &Gateway, token: &str, reason: &str) {
    let response = gateway.get(HOST, "/unresolved");
    assert_eq!((response.status, response.text().as_str()), (503, "no healthy upstream"));
    assert_eq!(response.token(), token);
    let line = gateway.access("/unresolved");
    assert_eq!(
        (&line["response_flags"], &line["response_code_details"]),
        (&"UH".into(), &"no_healthy_upstream".into())
    );
    let told = line["upstream_transport_failure_reason"].as_str().unwrap_or_default().to_owned();
    for word in [&format!("{HOST} does not resolve: {reason}"), "asked 127.0.0.1:"] {
        assert!(told.contains(&word.replace(' ', "_")), "{word} is not in the reason: {told}");
        assert!(!response.head.contains(word), "{}", response.head);
    }
}

#[test]
fn all_addresses_of_a_name_are_used() {
    let origins = Origin::plain_group(3);
    let dns = dns_with(Answer::Addresses((1..=3).map(loopback).collect(), 60));
    let egress = on_port_of(&origins[0]).policy("loadBalancer: {simple: ROUND_ROBIN}");
    let gateway = Setup::new(&egress.yaml()).dns(&dns).start();
    let mut client = gateway.client();
    for _ in 0..12 {
        assert_eq!(client.get(HOST, "/").status, 200);
    }
    let counts: Vec<usize> = origins.iter().map(|origin| origin.requests().len()).collect();
    assert_eq!(counts, [4, 4, 4]);
    assert!(origins.iter().all(|origin| origin.connections() == 1), "one connection each, kept");
}

#[test]
fn the_search_list_is_not_tried_for_external_names() {
    let origin = Origin::plain();
    let dns = dns_with(Answer::Addresses(vec![loopback(1)], 60));
    let gateway = Setup::new(&on_port_of(&origin).yaml()).dns(&dns).start();
    assert_eq!(gateway.get(HOST, "/").status, 200);
    assert!(dns.questions().iter().all(|name| name == HOST), "{:?}", dns.questions());
}

#[test]
fn names_are_not_looked_up_for_each_request() {
    let origin = Origin::plain();
    let dns = dns_with(Answer::Addresses(vec![loopback(1)], 60));
    let gateway = Setup::new(&on_port_of(&origin).yaml()).dns(&dns).start();
    for _ in 0..10 {
        assert_eq!(gateway.get(HOST, "/").status, 200);
    }
    assert!(dns.asked(HOST) <= 2, "one A and one AAAA question at most, not {}", dns.asked(HOST));
}

#[test]
fn an_address_that_refuses_is_raced_past() {
    let mut origins = Origin::plain_group(2);
    let origin = origins.pop().expect("two origins");
    let egress = on_port_of(&origin).policy("loadBalancer: {simple: ROUND_ROBIN}");
    drop(origins); // nothing listens on 127.0.0.1 any more
    let dns = dns_with(Answer::Addresses(vec![loopback(1), loopback(2)], 60));
    let gateway = Setup::new(&egress.yaml()).dns(&dns).start();
    for _ in 0..6 {
        assert_eq!(gateway.get(HOST, "/").status, 200);
    }
    assert_eq!(origin.requests().len(), 6);
}

#[test]
fn a_dead_ipv6_address_does_not_matter() {
    let origin = Origin::plain();
    let dns =
        dns_with(Answer::Addresses(vec![IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]), loopback(1)], 60));
    let gateway = Setup::new(&on_port_of(&origin).yaml()).dns(&dns).start();
    for _ in 0..4 {
        assert_eq!(gateway.get(HOST, "/").status, 200);
    }
}

#[test]
fn a_changed_address_is_followed_when_the_ttl_has_passed() {
    let origins = Origin::plain_group(2);
    let dns = dns_with(Answer::Addresses(vec![loopback(1)], 1));
    let gateway = Setup::new(&on_port_of(&origins[0]).yaml()).dns(&dns).start();
    assert_eq!(gateway.get(HOST, "/").status, 200);
    assert_eq!(origins[0].requests().len(), 1);
    dns.say(HOST, Answer::Addresses(vec![loopback(2)], 1));
    until("the second origin to be asked", || {
        assert_eq!(gateway.get(HOST, "/").status, 200, "never an error in between");
        (!origins[1].requests().is_empty()).then_some(())
    });
}

#[test]
fn each_way_not_to_resolve_is_uh_with_a_reason_of_its_own() {
    for (answer, token, reason) in [
        (Answer::NoSuchName, "dns_error", "no such name (NXDOMAIN)"),
        (Answer::Addresses(Vec::new(), 60), "dns_error", "no address at that name"),
        (Answer::ServerFailure, "dns_error", "the DNS server failed (SERVFAIL)"),
        (Answer::Silence, "dns_timeout", "no answer in time"),
        (Answer::Garbage, "dns_timeout", "no answer in time"), // no message at all, so no answer either
    ] {
        let origin = Origin::plain();
        let gateway = Setup::new(&on_port_of(&origin).yaml()).dns(&dns_with(answer)).start();
        expect_dns_failure(&gateway, token, reason);
    }
}

#[test]
fn a_silent_name_does_not_hold_up_the_others() {
    let origin = Origin::plain();
    let other = Egress { port: origin.port(), ..Egress::plain("silent.example.com") };
    let dns = Dns::start(&[("silent.example.com", Answer::Silence)]);
    let config = format!("{}---\n{}", on_port_of(&origin).yaml(), other.objects());
    let gateway = Setup::new(&config).dns(&dns).start_unready();
    dns.wait_asked("silent.example.com", 1);
    assert_eq!(gateway.get(HOST, "/").status, 200);
    assert_ne!(
        gateway.health("/healthz/ready").status,
        200,
        "it still waits for the silent name's first answer"
    );
}

#[test]
fn the_access_log_tells_how_long_a_request_waited_for_the_name() {
    let origin = Origin::plain();
    let dns = dns_with(Answer::Silence);
    let egress = on_port_of(&origin).policy("connectionPool: {tcp: {connectTimeout: 0.2s}}");
    let gateway = Setup::new(&egress.yaml()).dns(&dns).start_unready();
    assert_eq!(gateway.get(HOST, "/waits").status, 503);
    let line = gateway.access("/waits");
    assert!(line["dns_ms"].as_u64().is_some_and(|waited| waited >= 200), "{line}");
    assert!(line.get("connect_ms").is_none(), "{line}");
}

#[test]
fn a_name_that_comes_to_exist_is_found() {
    let origin = Origin::plain();
    let dns = dns_with(Answer::NoSuchName);
    let gateway = Setup::new(&on_port_of(&origin).yaml()).dns(&dns).start();
    expect_dns_failure(&gateway, "dns_error", "");
    dns.say(HOST, Answer::Addresses(vec![loopback(1)], 60));
    until("the name to resolve", || (gateway.get(HOST, "/").status == 200).then_some(()));
}

#[test]
fn resolve_overrides_the_name_server() {
    let origin = Origin::plain();
    let dns = dns_with(Answer::NoSuchName);
    let entry = format!("{HOST}:{}:127.0.0.1", origin.port());
    let gateway =
        Setup::new(&on_port_of(&origin).yaml()).dns(&dns).flags(&["--resolve", &entry]).start();
    assert_eq!(gateway.get(HOST, "/").status, 200);
    assert_eq!(dns.asked(HOST), 0);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn connect_to_changes_where_but_not_for_whom() {
    let origin = Origin::tls(&[HOST]);
    let dns = Dns::start(&[
        (HOST, Answer::NoSuchName),
        ("elsewhere.example.net", Answer::Addresses(vec![loopback(1)], 60)),
    ]);
    let to = format!("{HOST}:443:elsewhere.example.net:{}", origin.port());
    let gateway =
        Setup::new(&Egress::tls(HOST).yaml()).dns(&dns).flags(&["--connect-to", &to]).start();
    assert_eq!(gateway.get(HOST, "/").status, 200);
    assert_eq!(
        origin.seen(|seen| seen.names[0].clone()),
        Some(HOST.to_owned()),
        "SNI and check stay"
    );
}

#[test]
fn static_endpoints_need_no_name_server() {
    let origin = Origin::plain();
    let dns = dns_with(Answer::Silence);
    let service = format!(
        "resolution: STATIC\nendpoints: [{{address: 127.0.0.1, ports: {{main: {}}}}}]",
        origin.port()
    );
    let gateway = Setup::new(&Egress::plain(HOST).service(&service).yaml()).dns(&dns).start();
    assert_eq!(gateway.get(HOST, "/").status, 200);
    assert_eq!(dns.asked(HOST), 0);
}

#[test]
fn target_port_and_endpoint_names_are_dialled() {
    let origin = Origin::plain();
    let target = format!("name: main, protocol: HTTP, targetPort: {}}}", origin.port());
    for service in [
        "resolution: DNS",
        "resolution: DNS_ROUND_ROBIN",
        "resolution: DNS\nendpoints: [{address: elsewhere.example.net}]",
    ] {
        let dns = Dns::start(&[]);
        let config = Egress::plain(HOST).service(service).yaml().replacen(
            "name: main, protocol: HTTP}",
            &target,
            1,
        );
        let gateway = Setup::new(&config).dns(&dns).start();
        assert_eq!(gateway.get(HOST, "/").status, 200, "{service}");
        let asked = if service.contains("elsewhere") { "elsewhere.example.net" } else { HOST };
        assert!(dns.questions().iter().all(|name| name == asked), "{:?}", dns.questions());
    }
}

#[test]
fn resolution_none_has_no_endpoint() {
    let gateway = Setup::new(&Egress::plain(HOST).service("resolution: NONE").yaml()).start();
    let response = gateway.get(HOST, "/");
    assert_eq!((response.status, response.token()), (503, "destination_unavailable"));
    gateway.wait_for_log("EG050");
}

#[test]
fn the_gateway_never_dials_itself() {
    let at = |port: u16| {
        format!("resolution: STATIC\nendpoints: [{{address: 127.0.0.1, ports: {{main: {port}}}}}]")
    };
    let gateway = Setup::new(&Egress::plain(HOST).service(&at(1)).yaml()).start();
    for ours in [gateway.port(443), gateway.admin()] {
        gateway.reconfigure(&Egress::plain(HOST).service(&at(ours.port())).yaml());
        let response = gateway.get(HOST, "/");
        assert_eq!((response.status, response.token()), (503, "proxy_loop_detected"), "{ours}");
    }
}
