//! A line of the access log: one line, plain ASCII as text, an object with the very fields as JSON.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use egret::observe::access_log::{Entry, Format, Timestamp, write_line};
use egret::observe::noted::FIELD_BYTES_MAX;
use egret::observe::{Noted, Record, RequestFacts};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Between two fields: a byte that UTF-8 never has.
const SEPARATOR: u8 = 0xfe;

const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000);

fuzz_target!(|input: &[u8]| {
    let mut parts = input.split(|byte| *byte == SEPARATOR);
    let mut part = || parts.next();
    let facts = RequestFacts {
        method: part().unwrap_or_default(),
        path: part().unwrap_or_default(),
        authority: part(),
        user_agent: part(),
        request_id: part(),
        forwarded_for: part(),
    };
    let started = tokio::time::Instant::now();
    let mut record = Record::begin(started, CLIENT, CLIENT);
    let reason = part().map(|reason| String::from_utf8_lossy(reason).into_owned());
    record.details = "upstream_reset_before_response_started{connection_failure}";
    record.reason = reason.as_deref().map(Into::into);
    let noted = Noted::take(Vec::new(), facts);
    let entry = Entry {
        record: &record,
        noted: &noted,
        duration_ms: input.len() as u64,
        started_unix_ms: input
            .iter()
            .fold(0, |sum: u64, byte| sum.rotate_left(9) ^ u64::from(*byte)),
    };
    let (mut stamp, mut again) = (Timestamp::default(), Timestamp::default());
    again.write(&mut Vec::new(), entry.started_unix_ms.wrapping_add(1000));
    for format in [Format::Text, Format::Json] {
        let mut out = b"the line before\n".to_vec();
        write_line(&mut out, format, &entry, &mut stamp);
        let mut other = b"the line before\n".to_vec();
        write_line(&mut other, format, &entry, &mut again);
        assert_eq!(out, other, "what a stamp was used for before does not show");
        let line = out.strip_prefix(b"the line before\n").expect("lines are appended");
        let line = line.strip_suffix(b"\n").expect("it ends");
        assert!(!line.iter().any(u8::is_ascii_control), "{}", line.escape_ascii());
        match format {
            Format::Text => assert!(line.is_ascii()),
            Format::Json => is_told(line, &facts, reason.as_deref()),
        }
    }
});

fn is_told(line: &[u8], facts: &RequestFacts<'_>, reason: Option<&str>) {
    let value: Value = serde_json::from_slice(line).expect("valid JSON");
    for (key, field) in [
        ("method", Some(facts.method)),
        ("path", Some(facts.path)),
        ("authority", facts.authority),
        ("user_agent", facts.user_agent),
        ("request_id", facts.request_id),
        ("x_forwarded_for", facts.forwarded_for),
    ] {
        match field.filter(|field| !field.is_empty()) {
            Some(field) if field.len() <= FIELD_BYTES_MAX => {
                assert_eq!(value[key], String::from_utf8_lossy(field).as_ref(), "{key}");
            }
            Some(_) => assert!(value[key].as_str().is_some_and(|text| text.ends_with("..."))),
            None => assert!(value[key].is_null(), "{key}"),
        }
    }
    if let Some(reason) = reason {
        assert_eq!(value["upstream_transport_failure_reason"], reason.replace(' ', "_"));
    }
    assert_eq!(value["downstream_remote_address"], CLIENT.to_string());
}
