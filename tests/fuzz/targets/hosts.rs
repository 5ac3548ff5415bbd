//! Authorities, hosts and patterns: read once, they are the same when read again, and they agree with one
//! another and with `http::uri::Authority`.
#![no_main]

use egret::model::{Authority, Host, HostPattern};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let authority = Authority::parse(input);
    if let Some(authority) = &authority {
        authority_holds(authority, input);
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(host) = Host::parse(text) {
        host_holds(&host, text);
    }
    if let Some((one, other)) = text.split_once('\n') {
        patterns_hold(one, other);
    }
});

fn authority_holds(authority: &Authority, input: &[u8]) {
    let host = authority.host();
    assert!(!host.is_empty() && authority.port != Some(0));
    assert!(host.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
    let configured = Host::parse(host).expect("what is routed by can be configured");
    // An IPv4 address with a zero in front, say, is a name for both and an address for neither.
    assert_eq!(configured.as_str(), host);
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let again = match authority.port {
        Some(port) => format!("{bracketed}:{port}"),
        None => bracketed,
    };
    assert_eq!(Authority::parse(again.as_bytes()).as_ref(), Some(authority));
    let theirs = http::uri::Authority::try_from(input).expect("http refuses what we take");
    assert_eq!(theirs.port_u16(), authority.port);
    let name = theirs.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    match host.contains(':') {
        true => assert_eq!(name.parse(), Ok(configured.ip().expect("an address"))),
        false => assert_eq!(name.strip_suffix('.').unwrap_or(&name), host),
    }
}

fn host_holds(host: &Host, text: &str) {
    assert_eq!(Host::parse(host.as_str()).as_ref(), Ok(host));
    assert_eq!(host.ip().is_some(), host.as_str().parse::<std::net::IpAddr>().is_ok());
    let written = match host.ip() {
        Some(std::net::IpAddr::V6(ip)) => format!("[{ip}]"),
        _ => host.to_string(),
    };
    let asked = Authority::parse(written.as_bytes()).unwrap_or_else(|| panic!("{text}"));
    assert_eq!(
        (asked.host(), asked.port),
        (host.as_str(), None),
        "what is configured can be asked for"
    );
}

fn patterns_hold(one: &str, other: &str) {
    let (Ok(one), Ok(other)) = (HostPattern::parse(one), HostPattern::parse(other)) else { return };
    for pattern in [&one, &other] {
        assert_eq!(HostPattern::parse(&pattern.to_string()).as_ref(), Ok(pattern));
        assert!(pattern.covers(pattern) && HostPattern::Any.covers(pattern));
    }
    if one.covers(&other) && other.covers(&one) {
        assert_eq!(one, other);
    }
    for host in [sample(&one), sample(&other)] {
        if one.covers(&other) && other.matches(&host) {
            assert!(one.matches(&host), "{one} covers {other}, but not {host}");
        }
    }
}

/// A host that the pattern covers.
fn sample(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Exact(host) => host.to_string(),
        HostPattern::Suffix(host) => format!("a.{host}"),
        HostPattern::Any => "any.test".to_owned(),
    }
}
