//! Requests that would come back: our own addresses are never dialled, and what comes back through others
//! is known by its mark.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::harness::{Client, Gateway, Origin, Setup};

const HOST: &str = "api.example.com";
/// The mark of a gateway with the default namespace and labels.
const MARK: &str = "egret-2c28717bb7d734e1";

/// Everything for the host goes to this address, in plain text.
fn to(address: SocketAddr) -> String {
    format!("routes:\n- hosts: [api.example.com]\n  to: http://{address}\n")
}

#[test]
fn a_request_with_our_own_mark_is_refused_whatever_its_route() {
    let (plain, tls) = (Origin::plain(), Origin::tls(&["tls.example.com"]));
    let config = "routes:\n- hosts: [api.example.com]\n  to: http://api.example.com\n\
                  - hosts: [tls.example.com]\n  to: https://tls.example.com\n\
                  - hosts: [nowhere.example.com]\n  to: http://nowhere.example.com\n";
    let gateway = Setup::new(config)
        .flags(&["--via", "edge-1"])
        .origin(HOST, 80, &plain)
        .origin("tls.example.com", 443, &tls)
        .start();
    let mut client = gateway.client();
    for host in [HOST, "tls.example.com", "nowhere.example.com"] {
        for mark in [
            format!("CDN-Loop: {MARK}"),
            format!("cdn-loop: a.example;v=1\r\nCDN-LOOP: b,{MARK};x=y, c"),
            "Via: 1.0 fred, 1.1 edge-1".to_owned(),
        ] {
            client.send(format!("GET /looped HTTP/1.1\r\nHost: {host}\r\n{mark}\r\n\r\n"));
            let response = client.response();
            assert_eq!((response.status, response.body.len()), (508, 0), "{host} {mark}");
            assert_eq!(response.token(), "proxy_loop_detected");
        }
    }
    let logged = gateway.access("/looped");
    assert_eq!(logged["response_code_details"], "cdn_loop_detected");
    assert!(gateway.wait_for_log("has come back to this gateway").contains(MARK));
    assert_eq!((plain.connections(), tls.connections()), (0, 0));
    let others = "CDN-Loop: egret-0000000000000000, a; v=\"1\"\r\nVia: 1.1 edge-2";
    client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{others}\r\n\r\n"));
    assert_eq!(client.response().status, 200);
    let expected = format!("\r\nCDN-Loop: egret-0000000000000000, a; v=\"1\", {MARK}\r\n");
    assert!(
        plain.last_head().to_lowercase().contains(&expected.to_lowercase()),
        "{}",
        plain.last_head()
    );
}

#[test]
fn replicas_share_a_mark_and_gateways_do_not() {
    let mark = |flags: &[&str]| {
        let origin = Origin::plain();
        let gateway = Setup::new(&to(([127, 0, 0, 1], origin.port()).into())).flags(flags).start();
        assert_eq!(gateway.get(HOST, "/").status, 200);
        let head = origin.last_head();
        let mark = head.lines().find_map(|line| line.strip_prefix("cdn-loop: "));
        mark.expect("plain origins see one").to_owned()
    };
    assert_eq!(mark(&[]), MARK);
    assert_eq!(mark(&["--workers", "1", "--xff", "append"]), MARK);
    let other = mark(&["--labels", "istio=other"]);
    assert!(other != MARK && !other.contains("other"), "{other}");
    assert_ne!(mark(&["--namespace", "other"]), MARK);
}

/// Two gateways that lead to each other, with these flags of their own.
fn circle(flags: [&[&str]; 2]) -> [Gateway; 2] {
    let nobody: SocketAddr = ([127, 0, 0, 1], 9).into();
    let first = Setup::new(&to(nobody)).flags(flags[0]).start();
    let second = Setup::new(&to(first.port(443))).flags(flags[1]).start();
    first.reconfigure(&to(second.port(443)));
    [first, second]
}

#[test]
fn two_gateways_that_lead_to_each_other_end_the_circle() {
    // the second's flags; how many requests each of the two sees
    for (flags, seen) in [(&[][..], [1.0, 1.0]), (&["--labels", "istio=other"], [2.0, 1.0])] {
        let gateways = circle([&[], flags]);
        let response = gateways[0].get(HOST, "/around");
        assert_eq!(response.status, 508, "{flags:?}");
        assert_eq!(response.token(), "proxy_loop_detected");
        for (gateway, seen) in gateways.iter().zip(seen) {
            gateway.wait_for_access("/around");
            assert_eq!(gateway.metric("egret_requests_total", &[]), seen, "{flags:?}");
        }
    }
}

/// An address of this machine besides loopback, if it has any: the one it would send from.
fn of_an_interface(far: &str) -> Option<IpAddr> {
    let far: SocketAddr = far.parse().expect("an address");
    let any = if far.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(far).ok()?; // sends nothing
    socket.local_addr().ok().map(|local| local.ip())
}

#[test]
fn our_own_addresses_are_never_dialled() {
    let ip = |text: &str| text.parse::<IpAddr>().ok();
    let (v4, v6) = (of_an_interface("198.51.100.1:9"), of_an_interface("[2001:db8::1]:9"));
    // the bind address, and an address of ours by which it is reached; what this machine has not is left out
    let cases = [
        ("127.0.0.1", ip("127.0.0.1")),
        ("127.0.0.1", ip("::ffff:127.0.0.1")),
        ("0.0.0.0", ip("127.0.0.1")),
        ("0.0.0.0", ip("127.0.0.9")),
        ("0.0.0.0", ip("0.0.0.0")),
        ("0.0.0.0", v4),
        ("::1", ip("::1")),
        ("::", ip("::1")),
        ("::", ip("127.0.0.1")),
        ("::", v4),
        ("::", v6),
    ];
    for (bind, address) in cases {
        let Some(address) = address else { continue };
        if UdpSocket::bind((bind, 0)).is_err() {
            continue; // no IPv6 here
        }
        let beside = if bind.contains(':') { "[::1]:0" } else { "127.0.0.1:0" };
        let listeners = "listeners:\n- port: 443\n- port: 80\n";
        let gateway = Setup::new(listeners)
            .ports(&[443, 80])
            .flags(&["--bind", bind, "--admin", beside, "--health", beside])
            .start();
        let own = [
            SocketAddr::new(address, gateway.port(443).port()),
            SocketAddr::new(address, gateway.port(80).port()),
            gateway.admin(),
            gateway.health_address(),
        ];
        let route = |(at, own)| format!("- hosts: [own{at}.example.com]\n  to: http://{own}\n");
        let routes: String = own.iter().enumerate().map(route).collect();
        gateway.reconfigure(&format!("{listeners}routes:\n{routes}"));
        own.iter().enumerate().for_each(|(at, own)| refuses(&gateway, at, *own));
        (0..own.len()).for_each(|at| {
            assert_eq!(
                gateway.access(&format!("/own/{at}"))["response_flags"],
                "UF",
                "{bind} {at}"
            );
        });
    }
}

/// Asks for the host that leads there and expects the refusal to dial.
fn refuses(gateway: &Gateway, at: usize, own: SocketAddr) {
    let listener = gateway.port(443);
    let ip = match listener.ip() {
        ip if ip.is_unspecified() => [127, 0, 0, 1].into(),
        ip => ip,
    };
    let mut client = Client::connect((ip, listener.port()).into());
    let response = client.get(&format!("own{at}.example.com"), &format!("/own/{at}"));
    let what = format!("{own} of a gateway at {listener}");
    assert_eq!(response.status, 503, "{what}");
    assert_eq!(response.token(), "proxy_loop_detected", "{what}");
    assert!(!response.text().contains(&own.port().to_string()), "{what}: {}", response.text());
}
