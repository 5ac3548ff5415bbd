//! A request's or a response's head: incomplete until it is whole, the same however much comes behind it,
//! and the same again when it was written and read once more.
//!
//! The second half of a head's rules, the questions asked of its fields, must answer or refuse.
#![no_main]

use egret::model::headers::{ForwardedProto, Xff};
use egret::model::{HeaderPolicy, Security};
use egret::proxy::headers::loops;
use egret::upstream::endpoints::Endpoint;
use egret::wire::upgrade::Upgrade;
use egret::wire::{
    Framing, Head, HeadLimits, HeadMemory, Name, Parsed, Refusal, Version, fields, framing, parse,
};
use egret_fuzz::{ours, owned, steered};
use libfuzzer_sys::fuzz_target;

const LIMITS: HeadLimits = HeadLimits { bytes: 1024, lines: 24 };

type Parse = fn(&[u8], &HeadLimits, &mut HeadMemory) -> Result<Parsed, Refusal>;

fuzz_target!(|input: &[u8]| {
    let Some((steer, wire)) = steered(input) else { return };
    for parse in [parse::request as Parse, parse::response] {
        if let Some((head, consumed)) = read(parse, wire) {
            assert!(consumed <= LIMITS.bytes && head.lines().count() <= LIMITS.lines);
            for cut in steer {
                let part = &wire[..usize::from(*cut) * consumed / 256];
                assert!(matches!(parse(part, &LIMITS, &mut memory()), Ok(Parsed::Partial)));
            }
            let (same, length) = read(parse, &wire[..consumed]).expect("nothing is missing");
            assert_eq!((written(&same), length), (written(&head), consumed));
            is_well_formed(&head);
            survives(parse, &head);
            if head.is_request() {
                is_marked(read(parse, &wire[..consumed]).expect("it was read before").0);
            }
            survives(parse, &questioned(head));
        }
    }
});

fn memory() -> HeadMemory {
    // Whatever it was used for before must not show.
    let mut head = Head::request(HeadMemory::default(), Version::Http10, b"OLD", b"/old");
    head.append(b"content-length", b"5");
    head.into_memory()
}

fn read(parse: Parse, bytes: &[u8]) -> Option<(Head, usize)> {
    match parse(bytes, &LIMITS, &mut memory()) {
        Ok(Parsed::Complete { head, consumed }) => Some((head, consumed)),
        Ok(Parsed::Partial) | Err(_) => None,
    }
}

fn written(head: &Head) -> Vec<u8> {
    let mut out = Vec::new();
    match head.is_request() {
        true => head.write_request(&mut out),
        false => head.write_response(&mut out),
    }
    out
}

fn is_well_formed(head: &Head) {
    let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    for (name, value) in head.lines() {
        assert!(!name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic()));
        assert!(!name.contains(&b':') && value.iter().all(is_text));
        assert_eq!(value, value.trim_ascii(), "blanks around a value are not part of it");
    }
    if head.is_request() {
        assert!(!head.method().is_empty() && !head.target().is_empty());
        assert!(head.target().iter().all(|byte| *byte > b' ' && *byte != 0x7f));
    } else {
        assert!((100..=999).contains(&head.status()) && head.reason().iter().all(is_text));
    }
}

/// What we write is read, by us and by httparse, as what we meant.
fn survives(parse: Parse, head: &Head) {
    let text = written(head);
    let mut again = memory();
    let roomy = HeadLimits { bytes: text.len(), lines: 2 * LIMITS.lines };
    let Ok(Parsed::Complete { head: again, consumed }) = parse(&text, &roomy, &mut again) else {
        panic!("{}", text.escape_ascii());
    };
    assert_eq!(consumed, text.len());
    assert_eq!(owned(again.lines()), owned(head.lines()));
    assert_eq!((again.method(), again.target()), (head.method(), head.target()));
    assert_eq!((again.status(), again.reason()), (head.status(), head.reason()));
    let mut lines = [httparse::EMPTY_HEADER; 2 * LIMITS.lines];
    let read = match head.is_request() {
        true => httparse::Request::new(&mut lines).parse(&text),
        false => httparse::Response::new(&mut lines).parse(&text),
    };
    assert_eq!(read, Ok(httparse::Status::Complete(text.len())));
}

/// The whole header policy, and the mark by which a request that comes around is known.
fn is_marked(mut head: Head) {
    let policy = HeaderPolicy {
        xff: Xff::Append,
        forwarded_proto: ForwardedProto::Downstream,
        via: Some("edge".to_owned()),
        loop_mark: "egret-0123456789abcdef".to_owned(),
        ..HeaderPolicy::default()
    };
    let is_new = !loops::has_come_around(&head, &policy);
    if ours::outbound(&mut head, &policy, Upgrade::None).is_err() {
        return;
    }
    let [forwarded] = head.all(Name::XForwardedFor).collect::<Vec<_>>()[..] else {
        panic!("one line of X-Forwarded-For");
    };
    let last = forwarded.rsplit(|byte| *byte == b',').next().map(<[u8]>::trim_ascii);
    assert_eq!(last, Some(ours::CLIENT.to_string().as_bytes()));
    assert!(loops::has_come_around(&head, &policy), "Via names us");
    let alone = HeaderPolicy { via: None, ..policy };
    let before = owned(head.lines());
    let endpoint = |address: [u8; 4]| Endpoint::new((address, 443).into());
    loops::mark(&mut head, &alone, &Security::Plain, &endpoint([93, 184, 216, 34]));
    assert!(loops::has_come_around(&head, &alone), "CDN-Loop bears our mark");
    survives(parse::request, &head);
    if is_new {
        let far = Security::Broken(String::new()); // anything but plain text
        loops::mark(&mut head, &alone, &far, &endpoint([93, 184, 216, 34]));
        assert!(!loops::has_come_around(&head, &alone), "the mark is taken off again");
        assert!(head.lines().count() <= before.len());
    }
}

/// Asks all there is to ask, then takes out what is for one hop: once is as good as twice.
fn questioned(mut head: Head) -> Head {
    for method in [&b"GET"[..], b"HEAD", b"CONNECT"] {
        let framing = match head.is_request() {
            true => framing::request(&head),
            false => framing::response(&head, method),
        };
        assert!(framing != Ok(Framing::Length(0)) || !head.is_request());
    }
    let _ = (fields::keep_alive(&head), fields::keep_alive_timeout(&head), fields::upgrade(&head));
    if fields::strip_hop_by_hop(&mut head).is_ok() {
        let stripped = written(&head);
        assert_eq!(fields::strip_hop_by_hop(&mut head), Ok(()));
        assert_eq!(written(&head), stripped);
        assert_eq!(fields::upgrade(&head), None);
        assert!(head.recognised().all(|(name, _, _)| !fields::is_hop_by_hop(name)));
    }
    head
}
