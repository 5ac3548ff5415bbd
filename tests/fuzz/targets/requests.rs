//! A client's connection full of requests: read the same however it is cut, read as hyper reads it, and
//! sent on in such a way that the next hop finds the same messages.
#![no_main]

use egret::wire::{Framing, HeadLimits, Name, Version};
use egret_fuzz::ours::{self, End, LIMITS, Message, ONE_HOP};
use egret_fuzz::{Line, normalised, steered, theirs};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((steer, wire)) = steered(input) else { return };
    let (whole, end) = ours::requests(wire, &[], LIMITS);
    let (cut, cut_end) = ours::requests(wire, steer, LIMITS);
    same_however_cut(&whole, end, &cut, cut_end, wire.len());
    same_as_hyper(&whole, end, &theirs::requests(wire, steer).0);
    for message in whole.iter().filter(|message| message.is_whole()) {
        arrives(message);
    }
});

fn same_however_cut(whole: &[Message], end: End, cut: &[Message], cut_end: End, length: usize) {
    match (end, cut_end) {
        // Beyond the limits, what is found first depends on what is looked at first.
        (End::Refused(_), End::Refused(_)) if length > LIMITS.bytes => {}
        // Which words the log has for it may depend on what came behind it; what is answered may not.
        (End::Refused(one), End::Refused(other)) => assert_eq!(one.refused(), other.refused()),
        _ => assert_eq!(end, cut_end),
    }
    assert_eq!(whole.len(), cut.len());
    for (a, b) in whole.iter().zip(cut) {
        if a.is_whole() || b.is_whole() {
            assert_eq!(a, b);
        } else {
            // The payload before a fault may have gone on its way before the fault came.
            assert_eq!((&a.method, &a.target, &a.lines), (&b.method, &b.target, &b.lines));
            assert!(a.body.starts_with(&b.body) || b.body.starts_with(&a.body));
        }
    }
}

fn same_as_hyper(ours: &[Message], end: End, theirs: &[theirs::Message]) {
    for (mine, other) in ours.iter().zip(theirs) {
        let target = String::from_utf8_lossy(&mine.target);
        assert_eq!(
            (&mine.method, mine.version == Version::Http10),
            (&other.method, other.version == http::Version::HTTP_10)
        );
        assert!(same_target(&mine.target, &other.target), "{target}");
        assert_eq!(normalised(&mine.lines), normalised(&other.lines));
        if mine.is_whole() && other.is_whole {
            assert_eq!(mine.body, other.body);
        } else {
            assert!(mine.body.starts_with(&other.body) || other.body.starts_with(&mine.body));
            let refused = matches!(end, End::Refused(_));
            assert!(!other.is_whole || refused, "hyper finds an end that we do not");
            assert!(!mine.is_whole() || hyper_is_stricter(mine), "{mine:?}");
        }
    }
    if let Some(more) = theirs.get(ours.len()) {
        assert!(end != End::Stream, "hyper finds a request that we do not: {more:?}");
    }
    if let Some(more) = ours.get(theirs.len()) {
        let closed = theirs.len().checked_sub(1).is_some_and(|last| hyper_closes(&ours[last]));
        assert!(closed || hyper_is_stricter(more), "hyper refuses {more:?}");
    }
}

/// hyper shows the target as the URI it makes of it: a fragment is cut off, an empty path is a slash.
fn same_target(mine: &[u8], other: &[u8]) -> bool {
    let uri = http::Uri::try_from(mine).map(|uri| uri.to_string());
    uri.is_ok_and(|uri| uri.as_bytes() == other)
}

/// Everything that hyper refuses and we do not.
fn hyper_is_stricter(message: &Message) -> bool {
    // What is no URI is refused later, or goes to the origin as it is: signed paths must survive.
    http::Uri::try_from(message.target.as_slice()).is_err()
        // hyper keeps the two largest lengths for its own use.
        || matches!(message.framing, Framing::Length(length) if length > u64::MAX - 2)
}

/// hyper believes the last line of several Connection lines, and none that is not ASCII.
fn hyper_closes(message: &Message) -> bool {
    let mut options = message.values(Name::Connection);
    let is_plain = |value: &[u8]| value.is_ascii();
    message.values(Name::Connection).count() > 1 || !options.all(is_plain)
}

/// What is sent on is one message for hyper and for us, with everything that is not for one hop.
fn arrives(sent: &Message) {
    let (again, end) = ours::requests(&sent.forwarded, &[], HeadLimits::default());
    let [again] = again.as_slice() else { panic!("{} messages, {end:?}", again.len()) };
    assert!(again.is_whole() && again.left == 0);
    assert_eq!(
        (&again.method, &again.target, &again.body),
        (&sent.method, &sent.target, &sent.body)
    );
    assert_eq!(again.framing, sent.framing);
    assert_eq!(again.trailers, sent.trailers);
    assert_eq!(end_to_end(&again.lines), end_to_end_of(sent));
    let one_hop: Vec<&Line> = again.lines.iter().filter(|(name, _)| is_one_hop(name)).collect();
    for (name, value) in one_hop {
        let expected: &[&[u8]] = match Name::of(name) {
            Name::Te => &[b"trailers"],
            Name::TransferEncoding if sent.framing == Framing::Chunked => &[b"chunked"],
            Name::Upgrade => &[b"websocket"],
            Name::Connection => &[b"upgrade"],
            _ => &[],
        };
        assert!(expected.contains(&value.as_slice()), "{}", value.escape_ascii());
    }
    let next = b"GET /next HTTP/1.1\r\nHost: next.test\r\n\r\n";
    let (theirs, _) = theirs::requests(&[&sent.forwarded, &next[..]].concat(), &[]);
    match theirs.as_slice() {
        [one, next] => {
            assert_eq!((&one.body, one.is_whole), (&sent.body, true));
            assert_eq!(next.target, b"/next");
        }
        [] => assert!(hyper_is_stricter(sent)),
        _ => panic!("hyper finds {} messages", theirs.len()),
    }
}

fn is_one_hop(name: &[u8]) -> bool {
    ONE_HOP.contains(&Name::of(name))
}

fn end_to_end(lines: &[Line]) -> Vec<&Line> {
    lines.iter().filter(|(name, _)| !is_one_hop(name)).collect()
}

/// Without what Connection names, and what says something about the inside of a cluster.
fn end_to_end_of(message: &Message) -> Vec<&Line> {
    let options: Vec<Vec<u8>> = message
        .values(Name::Connection)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(|option| option.trim_ascii().to_ascii_lowercase())
        .collect();
    let inside = [Name::XEnvoy, Name::XForwardedFor, Name::XForwardedClientCert, Name::Forwarded];
    let mut lines = end_to_end(&message.lines);
    let is_old = message.version == Version::Http10; // and has nothing to expect
    lines.retain(|(name, _)| {
        let known = Name::of(name);
        let is_inside = inside.contains(&known) || (is_old && known == Name::Expect);
        !is_inside && !options.contains(&name.to_ascii_lowercase())
    });
    lines
}
