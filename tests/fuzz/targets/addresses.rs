//! Which network an address is of: one answer for every way to write it, as the standard library has it.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use egret::model::{Failure, GuardPolicy, Network};
use egret::upstream::guard::{Chosen, Class, Guard, classify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: ([u8; 16], u8)| {
    let (octets, prefix) = input;
    let v6 = Ipv6Addr::from(octets);
    let last = [octets[12], octets[13], octets[14], octets[15]];
    let v4 = Ipv4Addr::from(last);
    v4_holds(v4);
    v6_holds(v6);
    for inside in ways_to_write(v4, prefix) {
        no_better(inside, v4);
    }
    guard_holds(v4.into(), u16::from_be_bytes([octets[0], octets[1]]).max(1));
    guard_holds(v6.into(), 443);
    denial_holds(v4, prefix);
});

fn v4_holds(ip: Ipv4Addr) {
    let class = classify(ip.into());
    let metadata = class == Class::Metadata;
    assert_eq!(class == Class::Loopback, ip.is_loopback());
    assert_eq!(class == Class::Private, ip.is_private());
    assert!(!ip.is_link_local() || class == Class::LinkLocal || metadata);
    assert_eq!(class == Class::Multicast, ip.is_multicast() || ip.is_broadcast());
    assert_eq!(class == Class::Unspecified, ip.octets()[0] == 0);
    assert!(!ip.is_documentation() || class == Class::Reserved);
    assert!(!class.to_string().is_empty());
}

fn v6_holds(ip: Ipv6Addr) {
    let class = classify(ip.into());
    match ip.to_ipv4() {
        Some(v4) if !ip.is_loopback() && !ip.is_unspecified() => return no_better(ip, v4),
        _ => assert_eq!(classify(ip.to_canonical()), class),
    }
    assert!(!ip.is_loopback() || class == Class::Loopback);
    assert!(!ip.is_unspecified() || class == Class::Unspecified);
    let is_inside = ip.is_multicast() || ip.is_unicast_link_local() || ip.is_unique_local();
    assert!(!is_inside || class != Class::Public, "{ip}");
}

/// An address that leads to another is of its network; to a public one it may lead through one that is not.
fn no_better(written: Ipv6Addr, v4: Ipv4Addr) {
    match (classify(v4.into()), classify(written.into())) {
        (Class::Public, class) => {
            assert!(class == Class::Public || written.to_ipv4_mapped().is_none(), "{written}");
        }
        (inside, class) => assert_eq!(class, inside, "{written} is {v4}"),
    }
}

/// Mapped, NAT64 with the well-known and a local prefix, 6to4, Teredo, ISATAP and translated (RFC 4291, 6052,
/// 8215, 3056, 4380, 5214, 2765).
fn ways_to_write(ip: Ipv4Addr, prefix: u8) -> [Ipv6Addr; 7] {
    let [a, b, c, d] = ip.octets().map(u16::from);
    let (high, low, any) = (a << 8 | b, c << 8 | d, u16::from(prefix));
    [
        ip.to_ipv6_mapped(),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 1, any, any, any, high, low),
        Ipv6Addr::new(0x2002, high, low, any, any, any, any, any),
        Ipv6Addr::new(0x2001, 0, any, any, any, any, !high, !low),
        Ipv6Addr::new(0x2600, any, any, any, 0x0200, 0x5efe, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
    ]
}

/// A listener on every address is never dialled through loopback, however that is written; and whom a
/// request names is on the public internet, or is not called.
fn guard_holds(ip: IpAddr, port: u16) {
    let guard = Guard::default();
    guard.set_listening(vec![SocketAddr::from(([0, 0, 0, 0], port))]);
    let other = SocketAddr::new(ip, port.wrapping_add(1));
    assert!(guard.check(other, Chosen::ByConfiguration).is_ok(), "another port");
    if matches!(ip.to_canonical(), IpAddr::V4(v4) if v4.is_loopback()) {
        let verdict = guard.check(SocketAddr::new(ip, port), Chosen::ByConfiguration);
        assert!(verdict.is_err(), "{ip}");
    }
    if classify(ip) != Class::Public {
        assert!(guard.check(other, Chosen::ByRequest).is_err(), "{ip}");
    }
}

/// What is denied is denied however it is written and whoever asks for it, and its neighbours are not.
fn denial_holds(ip: Ipv4Addr, bits: u8) {
    let bits = bits % 32 + 1;
    let first = Ipv4Addr::from_bits(ip.to_bits() & u32::MAX << (32 - bits));
    let range = Network::parse(&format!("{first}/{bits}")).expect("a range");
    assert_eq!(Network::parse(&range.to_string()).as_ref(), Ok(&range));
    let beyond = Ipv4Addr::from_bits(ip.to_bits() ^ 1 << (32 - bits));
    assert!(range.contains(ip.into()) && !range.contains(beyond.into()), "{range} {beyond}");
    let guard = Guard::new(GuardPolicy { deny: vec![range], ..GuardPolicy::default() });
    for written in ways_to_write(ip, bits).map(IpAddr::from).into_iter().chain([ip.into()]) {
        for chosen in [Chosen::ByConfiguration, Chosen::ByRequest] {
            let verdict = guard.check(SocketAddr::new(written, 443), chosen);
            assert!(matches!(verdict, Err(Failure::Prohibited(_))), "{written} is {ip}");
        }
    }
    let verdict = guard.check(SocketAddr::new(beyond.into(), 443), Chosen::ByConfiguration);
    assert!(verdict.is_ok(), "{beyond}");
}
