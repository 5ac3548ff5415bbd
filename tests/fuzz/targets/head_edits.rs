//! Edits of a head against a list of lines that is edited the plain way.
#![no_main]

use egret::wire::{Head, HeadMemory, Name, Version};
use egret_fuzz::{Line, owned};
use libfuzzer_sys::fuzz_target;

/// Names that are recognised, names that are not, and pairs that differ in case alone.
const NAMES: [&str; 16] = [
    "Host",
    "host",
    "Content-Length",
    "te",
    "TE",
    "Connection",
    "X-Envoy-A",
    "x-envoy-a",
    "x-envoy-b",
    "X-A",
    "x-a",
    "x-b",
    "A",
    "Set-Cookie",
    "set-cookie",
    "Transfer-Encoding",
];

fuzz_target!(|input: &[u8]| {
    let mut head = Head::request(HeadMemory::default(), Version::Http11, b"GET", b"/");
    let (mut target, mut lines) = (b"/".to_vec(), Vec::<Line>::new());
    let mut rest = input;
    while let [step, choice, after @ ..] = rest {
        let (value, after) = after.split_at(usize::from(choice >> 4).min(after.len()));
        let value: Vec<u8> = value.iter().copied().filter(u8::is_ascii_graphic).collect();
        let name = NAMES[usize::from(choice % 16)].as_bytes();
        rest = after;
        let is_it = |line: &Line| line.0.eq_ignore_ascii_case(name);
        match step % 6 {
            0 => {
                head.append(name, &value);
                lines.push((name.to_vec(), value));
            }
            1 => {
                head.set(name, &value);
                let first = lines.iter().position(is_it).unwrap_or(lines.len());
                lines.retain(|line| !is_it(line));
                lines.insert(first, (name.to_vec(), value));
            }
            2 => {
                head.remove(name);
                lines.retain(|line| !is_it(line));
            }
            3 => {
                head.set_target(&value);
                target = value;
            }
            4 => {
                let known = Name::of(name);
                head.retain(|other, _, _| other != known);
                lines.retain(|line| Name::of(&line.0) != known);
            }
            // As a head that was read: its lines stand in a buffer of their own order.
            _ => head = again(&head),
        }
        same(&head, &target, &lines);
    }
});

fn again(head: &Head) -> Head {
    let mut text = Vec::new();
    head.write_request(&mut text);
    let limits =
        egret::wire::HeadLimits { bytes: text.len(), lines: egret::wire::parse::LINES_MAX };
    match egret::wire::parse::request(&text, &limits, &mut HeadMemory::default()) {
        Ok(egret::wire::Parsed::Complete { head, .. }) => head,
        // An empty target, or too many lines, is written by nobody.
        _ => copy(head),
    }
}

fn copy(head: &Head) -> Head {
    let mut copy = Head::request(HeadMemory::default(), Version::Http11, b"GET", head.target());
    head.lines().for_each(|(name, value)| copy.append(name, value));
    copy
}

fn same(head: &Head, target: &[u8], lines: &[Line]) {
    assert_eq!(owned(head.lines()), lines);
    let mut expected = [b"GET ", target, b" HTTP/1.1\r\n"].concat();
    for (name, value) in lines {
        expected.extend([name, &b": "[..], value, b"\r\n"].concat());
    }
    expected.extend(b"\r\n");
    let mut written = Vec::new();
    head.write_request(&mut written);
    assert_eq!(written, expected, "{}", written.escape_ascii());
    for name in NAMES {
        let known = Name::of(name.as_bytes());
        let of_kind = lines.iter().filter(|line| Name::of(&line.0) == known);
        let values: Vec<&[u8]> = of_kind.map(|line| line.1.as_slice()).collect();
        assert_eq!(head.all(known).collect::<Vec<_>>(), values);
        let first = lines.iter().find(|line| line.0.eq_ignore_ascii_case(name.as_bytes()));
        let first = first.map(|line| line.1.as_slice());
        assert_eq!(head.find_named(name.as_bytes()), first);
    }
}
