//! The first bytes of a connection: what they are taken for does not depend on how they arrive.
#![no_main]

use egret::downstream::sniff::{Speaks, sniff};
use libfuzzer_sys::fuzz_target;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fuzz_target!(|bytes: &[u8]| {
    let mut decided: Option<Speaks> = None;
    for end in 0..=bytes.len().min(600) {
        let speaks = sniff(&bytes[..end]);
        assert_eq!(speaks == Speaks::Http2, bytes[..end].starts_with(PREFACE));
        match (&decided, &speaks) {
            (Some(before), now) => assert!(agree(before, now), "{before:?}, then {now:?}"),
            (None, Speaks::Unknown) => assert!(end < PREFACE.len(), "undecided after {end} bytes"),
            (None, _) => decided = Some(speaks.clone()),
        }
        if let Speaks::Tls { server_name: Some(name) } = &speaks {
            assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "it is logged: {name:?}");
            decided = Some(speaks);
        }
    }
});

/// More bytes may bring the name that a hello bears, and nothing else.
fn agree(before: &Speaks, now: &Speaks) -> bool {
    match (before, now) {
        (Speaks::Tls { server_name: None }, Speaks::Tls { .. }) => true,
        _ => before == now,
    }
}
