//! An origin's connection with one answer: read the same however it is cut, read as hyper reads it, and
//! passed on in such a way that the client finds the same message.
//!
//! The first steering byte chooses the method of the request that is answered.
#![no_main]

use egret::wire::fields::CONNECTION_OPTIONS_MAX;
use egret::wire::{Framing, HeadLimits, Name, Version};
use egret_fuzz::ours::{self, End, LIMITS, Message, ONE_HOP};
use egret_fuzz::{Line, normalised, steered, theirs};
use libfuzzer_sys::fuzz_target;

const METHODS: [&[u8]; 3] = [b"GET", b"HEAD", b"POST"];

fuzz_target!(|input: &[u8]| {
    let Some((steer, wire)) = steered(input) else { return };
    let method = METHODS[usize::from(steer[0]) % METHODS.len()];
    let (whole, end) = ours::response(wire, &[], method, LIMITS);
    let (cut, cut_end) = ours::response(wire, steer, method, LIMITS);
    same_however_cut(whole.as_ref(), end, cut.as_ref(), cut_end, wire.len());
    let theirs = theirs::response(wire, steer, method);
    same_as_hyper(whole.as_ref(), end, theirs.as_ref().ok());
    if let Some(message) = whole
        && message.is_whole()
    {
        arrives(&message, method);
    }
});

fn same_however_cut(
    whole: Option<&Message>,
    end: End,
    cut: Option<&Message>,
    cut_end: End,
    length: usize,
) {
    match (end, cut_end) {
        // Beyond the limits, what is found first depends on what is looked at first.
        (End::Refused(_), End::Refused(_)) if length > LIMITS.bytes => {}
        // Which words the log has for it may depend on what came behind it; what is answered may not.
        (End::Refused(one), End::Refused(other)) => assert_eq!(one.refused(), other.refused()),
        _ => assert_eq!(end, cut_end),
    }
    match (whole, cut) {
        (Some(a), Some(b)) if a.is_whole() || b.is_whole() => {
            assert_eq!((&a.body, a.left), (&b.body, b.left));
        }
        (Some(a), Some(b)) => {
            assert_eq!((a.status, &a.lines), (b.status, &b.lines));
            assert!(a.body.starts_with(&b.body) || b.body.starts_with(&a.body));
        }
        (a, b) => assert!(a.is_none() && b.is_none()),
    }
}

fn same_as_hyper(ours: Option<&Message>, end: End, theirs: Option<&theirs::Message>) {
    match (ours, theirs) {
        (Some(mine), Some(other)) => {
            assert_eq!(mine.status, other.status);
            assert_eq!(mine.version == Version::Http10, other.version == http::Version::HTTP_10);
            assert_eq!(normalised(&mine.lines), normalised(&other.lines));
            if mine.is_whole() && other.is_whole {
                assert_eq!(mine.body, other.body);
                return;
            }
            assert!(mine.body.starts_with(&other.body) || other.body.starts_with(&mine.body));
            let refused = matches!(end, End::Refused(_));
            assert!(!other.is_whole || refused, "hyper finds an end that we do not");
            assert!(!mine.is_whole(), "we find an end that hyper does not: {mine:?}");
        }
        (None, Some(other)) => assert!(end != End::Stream, "hyper finds {other:?}"),
        (Some(mine), None) => assert!(hyper_is_stricter(mine), "hyper refuses {mine:?}"),
        (None, None) => {}
    }
}

/// Everything that hyper refuses and we do not.
fn hyper_is_stricter(message: &Message) -> bool {
    // hyper keeps the two largest lengths for its own use.
    matches!(message.framing, Framing::Length(length) if length > u64::MAX - 2)
}

/// What is passed on is one message for hyper and for us, with everything that is not for one hop.
fn arrives(sent: &Message, method: &[u8]) {
    let (again, end) = ours::response(&sent.forwarded, &[], method, HeadLimits::default());
    let again = again.unwrap_or_else(|| panic!("nothing, {end:?}"));
    assert!(again.is_whole() && again.left == 0);
    assert_eq!((again.status, &again.body), (sent.status, &sent.body));
    assert_eq!(end_to_end(&again.lines), end_to_end_of(sent));
    for (name, value) in again.lines.iter().filter(|(name, _)| is_one_hop(name)) {
        let is_ours = Name::of(name) == Name::TransferEncoding && value == b"chunked";
        let is_trailers = Name::of(name) == Name::Te && value == b"trailers";
        assert!(is_ours || is_trailers, "{}: {}", name.escape_ascii(), value.escape_ascii());
    }
    let theirs = theirs::response(&sent.forwarded, &[], method);
    match theirs {
        Ok(one) => assert_eq!((&one.body, one.is_whole), (&sent.body, true)),
        Err(error) => assert!(hyper_is_stricter(sent), "hyper refuses: {error}"),
    }
}

fn is_one_hop(name: &[u8]) -> bool {
    ONE_HOP.contains(&Name::of(name))
}

fn end_to_end(lines: &[Line]) -> Vec<&Line> {
    lines.iter().filter(|(name, _)| !is_one_hop(name)).collect()
}

/// Without what Connection names, as far as that is looked at; an answer cannot name what is essential.
fn end_to_end_of(message: &Message) -> Vec<&Line> {
    const ESSENTIAL: [Name; 6] = [
        Name::Host,
        Name::ContentLength,
        Name::XForwardedFor,
        Name::XForwardedHost,
        Name::XForwardedProto,
        Name::XForwardedClientCert,
    ];
    let options: Vec<Vec<u8>> = message
        .values(Name::Connection)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(|option| option.trim_ascii().to_ascii_lowercase())
        .filter(|option| !option.is_empty())
        .take(CONNECTION_OPTIONS_MAX)
        .collect();
    let mut lines = end_to_end(&message.lines);
    lines.retain(|(name, _)| {
        ESSENTIAL.contains(&Name::of(name)) || !options.contains(&name.to_ascii_lowercase())
    });
    lines
}
