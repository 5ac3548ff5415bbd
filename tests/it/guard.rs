//! The address guard: what may be dialled, for whom, and what is said of the rest.

use std::net::IpAddr;

use crate::harness::article::Egress;
use crate::harness::{Answer, Dns, Gateway, Origin, Setup, get, until};

const HOST: &str = "a.example.com";

fn loopback(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

/// `*.example.com` in plain text, on the origin's own port.
fn wildcard(origin: &Origin) -> String {
    let egress = Egress::plain("*.example.com").service("resolution: DYNAMIC_DNS");
    Egress { port: origin.port(), ..egress }.yaml()
}

/// The host by its name, likewise.
fn named(origin: &Origin) -> String {
    Egress { port: origin.port(), ..Egress::plain(HOST) }.yaml()
}

fn is_refused(gateway: &Gateway) -> bool {
    let response = gateway.get(HOST, "/");
    match response.status {
        200 => false,
        403 => {
            assert_eq!(
                (response.token(), response.text()),
                ("destination_ip_prohibited", String::new())
            );
            true
        }
        other => panic!("neither refused nor answered: {other}"),
    }
}

#[test]
fn a_request_cannot_choose_an_address_inside() {
    let origin = Origin::plain();
    let gateway = Setup::new(&wildcard(&origin)).start();
    assert!(is_refused(&gateway));
    assert_eq!(origin.connections(), 0, "it was not even dialled");
    let line = gateway.wait_for_log("EG053");
    assert!(line.contains("a.example.com: 127.0.0.1:") && line.contains("loopback"), "{line}");
}

#[test]
fn a_name_that_turns_to_an_address_inside_is_refused_from_then_on() {
    let origins = Origin::plain_group(2);
    // What is allowed stands for the public internet.
    let dns = Dns::start(&[(HOST, Answer::Addresses(vec![loopback(2)], 1))]);
    let setup = Setup::new(&wildcard(&origins[0])).dns(&dns).flags(&["--guard-allow", "127.0.0.2"]);
    let gateway = setup.start();
    assert!(!is_refused(&gateway));
    dns.say(HOST, Answer::Addresses(vec![loopback(1)], 1));
    until("the new address to be known", || is_refused(&gateway).then_some(()));
    assert_eq!(origins[0].connections(), 0);
    dns.say(HOST, Answer::Addresses(vec![loopback(2)], 1));
    until("the old address to be known again", || (!is_refused(&gateway)).then_some(()));
}

#[test]
fn of_several_addresses_those_inside_are_left_out() {
    let origins = Origin::plain_group(3);
    let dns = Dns::start(&[(HOST, Answer::Addresses((1..=3).map(loopback).collect(), 60))]);
    let setup = Setup::new(&wildcard(&origins[0])).dns(&dns).flags(&["--guard-allow", "127.0.0.2"]);
    let gateway = setup.start();
    for _ in 0..6 {
        assert!(!is_refused(&gateway));
    }
    let counts: Vec<usize> = origins.iter().map(|origin| origin.requests().len()).collect();
    assert_eq!(counts, [0, 6, 0]);
}

#[test]
fn an_alias_is_judged_by_where_it_leads() {
    let origin = Origin::plain();
    let alias = Answer::Alias("metadata.internal", vec![loopback(1)], 60);
    for (flags, refused) in [(&[][..], true), (&["--guard-allow", "127.0.0.1"], false)] {
        let dns = Dns::start(&[(HOST, alias.clone())]);
        let gateway = Setup::new(&wildcard(&origin)).dns(&dns).flags(flags).start();
        assert_eq!(is_refused(&gateway), refused, "{flags:?}");
    }
}

#[test]
fn the_settings_open_and_close_ranges_and_deny_wins() {
    let origin = Origin::plain();
    // for a wildcard, for a host that is named
    for (flags, wildcard_refused, named_refused) in [
        (&[][..], true, false),
        (&["--guard", "off"], true, false),
        (&["--guard", "enforce"], true, true),
        (&["--guard-allow", "127.0.0.0/8"], false, false),
        (&["--guard", "enforce", "--guard-allow", "127.0.0.0/8,::1"], false, false),
        (&["--guard-deny", "127.0.0.1"], true, true),
        (&["--guard", "off", "--guard-deny", "127.0.0.0/8"], true, true),
        (&["--guard-allow", "127.0.0.1", "--guard-deny", "127.0.0.0/8"], true, true),
        (&["--guard-allow", "10.0.0.0/8"], true, false),
    ] {
        for (config, refused) in
            [(wildcard(&origin), wildcard_refused), (named(&origin), named_refused)]
        {
            let gateway = Setup::new(&config).flags(flags).start();
            assert_eq!(is_refused(&gateway), refused, "{flags:?}\n{config}");
        }
    }
}

#[test]
fn a_named_host_inside_is_warned_about_once() {
    let origin = Origin::plain();
    let dns = Dns::start(&[(HOST, Answer::Addresses(vec![loopback(1)], 60))]);
    let gateway = Setup::new(&named(&origin)).dns(&dns).start();
    let line = gateway.wait_for_log("EG053");
    assert!(
        line.contains("a.example.com resolves to 127.0.0.1") && line.contains("loopback"),
        "{line}"
    );
    assert!(!is_refused(&gateway));
    let problems = get(gateway.admin(), "localhost", "/problems").text();
    assert!(problems.contains("warning EG053: ServiceEntry/"), "{problems}");
    assert_eq!(gateway.log_count("EG053"), 1);
    let quiet = Setup::new(&named(&origin)).dns(&dns).flags(&["--guard", "off"]).start();
    assert!(!is_refused(&quiet));
    assert!(!quiet.log_contains("EG053"));
}
