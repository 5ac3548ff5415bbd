//! Which addresses are refused, and what kind each is of, in every spelling.

use super::*;

#[test]
fn only_our_own_listeners_are_refused() {
    // what we listen on, what would be dialled, whether that is a loop
    for (listening, address, refused) in [
        ("0.0.0.0:443", "127.0.0.1:443", true),
        ("0.0.0.0:443", "0.0.0.0:443", true),
        ("0.0.0.0:443", "[::ffff:127.0.0.1]:443", true),
        ("[::]:443", "127.0.0.1:443", true),
        ("[::]:443", "[::1]:443", true),
        ("127.0.0.1:443", "127.0.0.1:443", true),
        ("127.0.0.1:443", "0.0.0.0:443", true),
        ("127.0.0.1:443", "127.0.0.2:443", false),
        ("0.0.0.0:443", "127.0.0.1:8443", false),
        ("0.0.0.0:443", "[::1]:443", false),
        ("0.0.0.0:443", "192.0.2.1:443", false), // not an address of this machine
    ] {
        let guard = Guard::default();
        guard.set_listening(vec![listening.parse().expect("an address")]);
        let verdict = guard.check(address.parse().expect("an address"), Chosen::ByConfiguration);
        assert_eq!(verdict.is_err(), refused, "{listening} {address}");
        assert!(matches!(verdict, Ok(()) | Err(Failure::Loop(_))));
    }
}

/// An address, what kind of network it is of.
const KINDS: [(&str, Class); 92] = [
    ("93.184.216.34", Class::Public),
    ("172.15.255.255", Class::Public),
    ("172.32.0.1", Class::Public),
    ("169.253.0.1", Class::Public),
    ("100.63.0.1", Class::Public),
    ("100.128.0.1", Class::Public),
    ("192.0.1.1", Class::Public),
    ("198.17.0.1", Class::Public),
    ("198.20.0.1", Class::Public),
    ("223.255.255.1", Class::Public),
    ("9.9.9.9", Class::Public),
    ("11.0.0.1", Class::Public),
    ("126.0.0.1", Class::Public),
    ("128.0.0.1", Class::Public),
    ("192.167.1.1", Class::Public),
    ("192.169.1.1", Class::Public),
    ("10.0.0.0", Class::Private),
    ("10.255.255.255", Class::Private),
    ("172.16.0.1", Class::Private),
    ("172.31.255.255", Class::Private),
    ("192.168.0.1", Class::Private),
    ("192.168.255.255", Class::Private),
    ("127.0.0.1", Class::Loopback),
    ("127.255.255.255", Class::Loopback),
    ("::1", Class::Loopback),
    ("0.0.0.0", Class::Unspecified),
    ("0.255.255.255", Class::Unspecified),
    ("::", Class::Unspecified),
    ("169.254.0.1", Class::LinkLocal),
    ("169.254.255.255", Class::LinkLocal),
    ("fe80::1", Class::LinkLocal),
    ("febf::1", Class::LinkLocal),
    ("169.254.169.254", Class::Metadata),
    ("169.254.170.2", Class::Metadata),
    ("169.254.170.23", Class::Metadata),
    ("100.100.100.200", Class::Metadata),
    ("192.0.0.192", Class::Metadata),
    ("168.63.129.16", Class::Metadata),
    ("fd00:ec2::254", Class::Metadata),
    ("fd00:ec2::23", Class::Metadata),
    ("fd20:ce::254", Class::Metadata),
    ("100.64.0.1", Class::Shared),
    ("100.127.255.255", Class::Shared),
    ("fc00::1", Class::UniqueLocal),
    ("fd12::1", Class::UniqueLocal),
    ("fec0::1", Class::UniqueLocal),
    ("224.0.0.1", Class::Multicast),
    ("239.255.255.255", Class::Multicast),
    ("255.255.255.255", Class::Multicast),
    ("ff02::1", Class::Multicast),
    ("ff0e::1", Class::Multicast),
    ("192.0.0.8", Class::Reserved),
    ("192.0.2.1", Class::Reserved),
    ("192.88.99.1", Class::Reserved),
    ("198.18.0.1", Class::Reserved),
    ("198.19.255.255", Class::Reserved),
    ("198.51.100.1", Class::Reserved),
    ("203.0.113.1", Class::Reserved),
    ("240.0.0.1", Class::Reserved),
    ("255.255.255.254", Class::Reserved),
    ("2001:db8::1", Class::Reserved),
    ("3fff:fff::1", Class::Reserved),
    ("100::1", Class::Reserved),
    ("2001:2::1", Class::Reserved),
    ("2001:10::1", Class::Reserved),
    ("2001:20::1", Class::Reserved),
    ("5f00::1", Class::Reserved),
    ("4000::1", Class::Reserved),
    ("2606:2800:220:1::", Class::Public),
    ("2001:4860:4860::8888", Class::Public),
    ("2a00:1450::1", Class::Public),
    ("::ffff:10.0.0.1", Class::Private),
    ("::ffff:127.0.0.1", Class::Loopback),
    ("::ffff:a9fe:a9fe", Class::Metadata),
    ("::ffff:93.184.216.34", Class::Public),
    ("::10.0.0.1", Class::Private),
    ("::7f00:1", Class::Loopback),
    ("::93.184.216.34", Class::Reserved),
    ("::ffff:0:10.0.0.1", Class::Private),
    ("::ffff:0:93.184.216.34", Class::Reserved),
    ("64:ff9b::a9fe:a9fe", Class::Metadata),
    ("64:ff9b::10.0.0.1", Class::Private),
    ("64:ff9b::5db8:d822", Class::Public),
    ("64:ff9b:1::a00:1", Class::Private),
    ("64:ff9b:1::5db8:d822", Class::Reserved),
    ("2002:7f00:1::", Class::Loopback),
    ("2002:a9fe:a9fe::1", Class::Metadata),
    ("2002:5db8:d822::1", Class::Public),
    ("2001:0:4136:e378:8000:63bf:f5ff:fffe", Class::Private),
    ("2001:0:4136:e378:8000:63bf:a247:27dd", Class::Reserved),
    ("2606:2800::5efe:10.0.0.1", Class::Private),
    ("2606:2800::200:5efe:127.0.0.1", Class::Loopback),
];

#[test]
fn every_way_to_write_an_inside_address_is_known() {
    for (text, class) in KINDS {
        assert_eq!(classify(text.parse().expect("an address")), class, "{text}");
    }
}

#[test]
fn where_the_request_chooses_nothing_inside_is_dialled_and_where_the_configuration_does_it_says() {
    let enforcing = Guard::new(GuardPolicy { mode: GuardMode::Enforce, ..GuardPolicy::default() });
    for (text, class) in KINDS {
        let address = SocketAddr::new(text.parse().expect("an address"), 443);
        let inside = class != Class::Public;
        let guard = Guard::default();
        for (verdict, refused) in [
            (guard.check(address, Chosen::ByRequest), inside),
            (guard.check(address, Chosen::ByConfiguration), false),
            (enforcing.check(address, Chosen::ByConfiguration), inside),
        ] {
            assert_eq!(verdict.is_err(), refused, "{text}");
            assert!(matches!(verdict, Ok(()) | Err(Failure::Prohibited(_))), "{text}");
        }
        assert_eq!(guard.concern(address.ip()), inside.then_some(class), "{text}");
    }
}

#[test]
fn denied_ranges_beat_allowed_ones_and_both_beat_the_kind() {
    let ranges = |texts: &[&str]| {
        texts.iter().map(|text| Network::parse(text).expect("a range")).collect::<Vec<_>>()
    };
    let policy = |mode| GuardPolicy {
        mode,
        allow: ranges(&["10.0.0.0/8", "127.0.0.1", "fd00::/8", "203.0.113.0/24"]),
        deny: ranges(&["10.1.0.0/16", "93.184.216.34", "fd00:1::/32"]),
    };
    // the address, and whether it is dialled for a request, by the configuration, under `enforce`
    for (text, by_request, by_configuration, enforced) in [
        ("10.2.0.1", true, true, true),
        ("10.1.0.1", false, false, false),
        ("::ffff:10.2.0.1", true, true, true),
        ("::ffff:10.1.0.1", false, false, false),
        ("64:ff9b::a01:1", false, false, false),
        ("64:ff9b::a02:1", false, true, false), // the range of the IPv4 address does not open a translator
        ("127.0.0.1", true, true, true),
        ("127.0.0.2", false, true, false),
        ("fd00:2::1", true, true, true),
        ("fd00:1::1", false, false, false),
        ("203.0.113.9", true, true, true),
        ("93.184.216.34", false, false, false),
        ("93.184.216.35", true, true, true),
    ] {
        let address = SocketAddr::new(text.parse().expect("an address"), 443);
        for (mode, chosen, dialled) in [
            (GuardMode::Warn, Chosen::ByRequest, by_request),
            (GuardMode::Off, Chosen::ByRequest, by_request),
            (GuardMode::Warn, Chosen::ByConfiguration, by_configuration),
            (GuardMode::Off, Chosen::ByConfiguration, by_configuration),
            (GuardMode::Enforce, Chosen::ByConfiguration, enforced),
        ] {
            let verdict = Guard::new(policy(mode)).check(address, chosen);
            assert_eq!(verdict.is_ok(), dialled, "{text} {mode:?} {chosen:?}: {verdict:?}");
        }
    }
}

#[test]
fn what_is_allowed_or_not_judged_is_no_concern() {
    let allow = vec![Network::parse("10.0.0.0/8").expect("a range")];
    let guard = Guard::new(GuardPolicy { allow, ..GuardPolicy::default() });
    let off = Guard::new(GuardPolicy { mode: GuardMode::Off, ..GuardPolicy::default() });
    let ip = |text: &str| text.parse().expect("an address");
    assert_eq!(guard.concern(ip("10.0.0.1")), None);
    assert_eq!(guard.concern(ip("192.168.0.1")), Some(Class::Private));
    assert_eq!(off.concern(ip("192.168.0.1")), None);
}
