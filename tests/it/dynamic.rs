//! Wildcard hosts whose destination is the request's own host.

use std::net::IpAddr;

use crate::harness::article::Egress;
use crate::harness::{Answer, Dns, Gateway, Origin, Setup};

const HERE: [&str; 2] = ["--guard-allow", "127.0.0.1"];

/// `*.example.com` over TLS on port 443.
fn wildcard() -> Egress {
    Egress::tls("*.example.com").protocol("TLS").service("resolution: DYNAMIC_DNS")
}

/// The same in plain text, on the origin's own port.
fn plain(origin: &Origin) -> Egress {
    let egress = Egress::plain("*.example.com").service("resolution: DYNAMIC_DNS");
    Egress { port: origin.port(), ..egress }
}

fn expect_failure(gateway: &Gateway, host: &str, status: u16, token: &str) {
    let response = gateway.get(host, "/refused");
    assert_eq!((response.status, response.token()), (status, token), "{host}");
}

#[test]
fn each_name_has_its_own_destination_server_name_and_certificate() {
    let names = ["a.example.com", "b.example.com", "c.example.com"];
    let origins = names.map(|name| Origin::tls(&[name]));
    let native = "routes: [{hosts: ['*.example.com'], to: 'https://*.example.com'}]\n";
    for config in [wildcard().yaml(), native.to_owned()] {
        let setup = names
            .iter()
            .zip(&origins)
            .fold(Setup::new(&config), |setup, (name, origin)| setup.origin(name, 443, origin));
        // A name whose origin shows another's certificate.
        let gateway = setup.origin("d.example.com", 443, &origins[0]).flags(&HERE).start();
        for name in names {
            for _ in 0..2 {
                assert_eq!(gateway.get(name, "/").status, 200, "{name}");
            }
        }
        expect_failure(&gateway, "d.example.com", 503, "tls_certificate_error");
    }
    for (name, origin) in names.iter().zip(&origins).skip(1) {
        let seen = origin.seen(|seen| seen.names.clone());
        assert!(seen.iter().all(|sni| sni.as_deref() == Some(*name)), "{name}: {seen:?}");
        assert!(seen.len() <= 4, "connections are kept: {}", seen.len());
    }
}

#[test]
fn connections_are_never_shared_between_names() {
    let origin = Origin::plain();
    let gateway = Setup::new(&plain(&origin).yaml()).flags(&HERE).start();
    let mut client = gateway.client();
    for host in ["a.example.com", "b.example.com", "a.example.com", "b.example.com"] {
        assert_eq!(client.get(host, "/").status, 200);
    }
    let connections: Vec<usize> = origin.requests().iter().map(|one| one.connection).collect();
    assert_eq!(connections, [1, 2, 1, 2]);
}

#[test]
fn however_a_name_is_written_it_is_one_name_and_its_port_is_the_services() {
    let origin = Origin::plain();
    let dns = Dns::start(&[]);
    let gateway = Setup::new(&plain(&origin).yaml()).dns(&dns).flags(&HERE).start();
    let mut client = gateway.client();
    for host in [
        "a.example.com",
        "A.Example.COM",
        "a.example.com.",
        "a.example.com:0443",
        "a.example.com:1",
    ] {
        assert_eq!(client.get(host, "/").status, 200, "{host}");
    }
    assert_eq!(origin.connections(), 1);
    assert!(dns.questions().iter().all(|name| name == "a.example.com"), "{:?}", dns.questions());
    assert!(dns.asked("a.example.com") <= 2, "one A and one AAAA question");
}

#[test]
fn a_rewritten_host_is_the_destination() {
    let origin = Origin::tls(&["b.example.com"]);
    let config = wildcard().rule("rewrite: {authority: b.example.com}").yaml();
    let gateway = Setup::new(&config).origin("b.example.com", 443, &origin).flags(&HERE).start();
    assert_eq!(gateway.get("a.example.com", "/").status, 200);
    assert_eq!(origin.seen(|seen| seen.names.clone()), [Some("b.example.com".to_owned())]);
}

#[test]
fn hosts_beyond_the_pattern_and_addresses_in_any_spelling_are_refused() {
    let origin = Origin::plain();
    let config = plain(&origin).yaml().replacen(
        "hosts: ['*.example.com']\n  gateways",
        "hosts: ['*']\n  gateways",
        1,
    );
    let dns = Dns::start(&[]);
    let gateway = Setup::new(&config).dns(&dns).flags(&HERE).start();
    assert_eq!(gateway.get("a.example.com", "/").status, 200);
    for host in [
        "example.com",
        "a.example.com.evil.test",
        "aexample.com",
        "localhost",
        "localhost.",
        "LocalHost",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]:80",
        "[64:ff9b::7f00:1]",
        "127.0.0.1.",
        "169.254.169.254",
    ] {
        expect_failure(&gateway, host, 403, "destination_ip_prohibited");
    }
    assert!(dns.questions().iter().all(|name| name == "a.example.com"), "nothing was looked up");
}

#[test]
fn names_that_do_not_resolve_fail_as_envoys_dynamic_forward_proxy() {
    let dns = Dns::start(&[
        ("none.example.com", Answer::NoSuchName),
        ("failing.example.com", Answer::ServerFailure),
        ("silent.example.com", Answer::Silence),
    ]);
    let gateway = Setup::new(&wildcard().yaml()).dns(&dns).flags(&HERE).start();
    for (host, token, told) in [
        ("none.example.com", "dns_error", "NXDOMAIN"),
        ("failing.example.com", "dns_error", "SERVFAIL"),
        ("silent.example.com", "dns_timeout", "no_answer"),
    ] {
        let path = format!("/{host}");
        let response = gateway.get(host, &path);
        assert_eq!((response.status, response.token()), (503, token), "{host}");
        assert_eq!(response.text(), "DNS resolution failure");
        let line = gateway.access(&path);
        assert_eq!(line["response_flags"], "DF");
        assert_eq!(line["response_code_details"], "dns_resolution_failure");
        let reason = line["upstream_transport_failure_reason"].as_str().unwrap_or_default();
        assert!(reason.contains(told), "{host}: {reason}");
    }
}

#[test]
fn a_reload_between_a_name_and_a_wildcard_keeps_nothing_of_the_other() {
    let origin = Origin::plain();
    let named = format!(
        "resolution: STATIC\nendpoints: [{{address: 127.0.0.1, ports: {{main: {}}}}}]",
        origin.port()
    );
    let fixed = plain(&origin).service(&named).yaml();
    let gateway = Setup::new(&fixed).start();
    assert_eq!(gateway.get("a.example.com", "/").status, 200);
    gateway.reconfigure(&plain(&origin).yaml());
    expect_failure(&gateway, "a.example.com", 403, "destination_ip_prohibited");
    gateway.reconfigure(&fixed);
    assert_eq!(gateway.get("a.example.com", "/").status, 200);
}

#[test]
fn a_name_is_looked_up_again_after_its_ttl() {
    let origins = Origin::plain_group(2);
    let loopback = |last| vec![IpAddr::from([127, 0, 0, last])];
    let dns = Dns::start(&[("a.example.com", Answer::Addresses(loopback(1), 1))]);
    let allow = ["--guard-allow", "127.0.0.0/8"];
    let gateway = Setup::new(&plain(&origins[0]).yaml()).dns(&dns).flags(&allow).start();
    assert_eq!(gateway.get("a.example.com", "/").status, 200);
    dns.say("a.example.com", Answer::Addresses(loopback(2), 1));
    crate::harness::until("the second origin to be asked", || {
        assert_eq!(gateway.get("a.example.com", "/").status, 200, "never an error in between");
        (!origins[1].requests().is_empty()).then_some(())
    });
}
