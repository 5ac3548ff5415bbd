//! What a line looks like, byte for byte.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Entry, Format, Timestamp, write_line};
use crate::model::{Failure, Flag};
use crate::observe::{Noted, Record, RequestFacts, Reuse, Version};

/// 2018-11-28T10:19:56.123Z and the 15 ms the request took.
const ENDED_UNIX_MS: u64 = 1_543_400_396_138;

fn line(format: Format, record: &Record<'_>, noted: &Noted) -> String {
    let mut out = Vec::new();
    let ended = record.started + Duration::from_millis(15);
    let entry = Entry::ended(record, noted, ended, ENDED_UNIX_MS);
    write_line(&mut out, format, &entry, &mut Timestamp::default());
    String::from_utf8(out).unwrap()
}

fn object(record: &Record<'_>, noted: &Noted) -> Value {
    serde_json::from_str(&line(Format::Json, record, noted)).unwrap()
}

fn begun() -> Record<'static> {
    let client = "10.0.0.7:40000".parse().unwrap();
    Record::begin(Instant::now(), client, "10.0.0.1:443".parse().unwrap())
}

fn served() -> Record<'static> {
    Record {
        version: Some(Version::Http11),
        route: Some("edition.cnn.com"),
        rule: Some("politics"),
        upstream: Some("outbound|443||edition.cnn.com"),
        upstream_address: Some("151.101.3.5:443".parse().unwrap()),
        upstream_local: Some("[2001:db8::1]:50000".parse().unwrap()),
        attempts: 2,
        reused: Reuse::Reused,
        status: 200,
        bytes_in: 3,
        bytes_out: 1024,
        first_byte_ms: Some(13),
        service_ms: Some(12),
        ..begun()
    }
}

fn noted() -> Noted {
    let facts = RequestFacts {
        method: b"GET",
        path: b"/politics?a=b",
        authority: Some(b"edition.cnn.com"),
        user_agent: Some(b"curl/8.5.0"),
        request_id: Some(b"7f-1"),
        forwarded_for: Some(b"10.0.0.7"),
    };
    Noted::take(Vec::new(), facts)
}

#[test]
fn text_is_istios_line() {
    assert_eq!(
        line(Format::Text, &served(), &noted()),
        "[2018-11-28T10:19:56.123Z] \"GET /politics?a=b HTTP/1.1\" 200 - via_upstream - \"-\" \
         3 1024 15 12 \"10.0.0.7\" \"curl/8.5.0\" \"7f-1\" \"edition.cnn.com\" \
         \"151.101.3.5:443\" outbound|443||edition.cnn.com [2001:db8::1]:50000 10.0.0.1:443 \
         10.0.0.7:40000 - politics\n"
    );
}

#[test]
fn text_of_a_head_that_could_not_be_read_is_all_dashes() {
    assert_eq!(
        line(Format::Text, &begun(), &Noted::default()),
        "[2018-11-28T10:19:56.123Z] \"- - -\" 0 - via_upstream - \"-\" 0 0 15 - \"-\" \"-\" \
         \"-\" \"-\" \"-\" - - 10.0.0.1:443 10.0.0.7:40000 - -\n"
    );
}

#[test]
fn a_failure_shows_its_reason_in_the_details_and_beside_them() {
    let mut record = begun();
    record.failed(&Failure::Connect("delayed connect error: Connection refused".into()));
    record.status = 503;
    let why = "delayed_connect_error:_Connection_refused";
    let text = line(Format::Text, &record, &Noted::default());
    let expected = format!(
        " 503 UF upstream_reset_before_response_started{{remote_connection_failure|{why}}} - \"{why}\" "
    );
    assert!(text.contains(&expected), "{text}");

    let object = object(&record, &Noted::default());
    assert_eq!(object["upstream_transport_failure_reason"], why);
    assert_eq!(object["error"], "connection_refused");
}

#[test]
fn flags_are_joined_in_the_order_in_which_they_come_to_be() {
    let cases = [
        (false, false, Flag::None, "-"),
        (false, false, Flag::NoRoute, "NR"),
        (false, true, Flag::None, "URX"),
        (false, true, Flag::UpstreamConnect, "URX,UF"),
        (true, false, Flag::None, "DI"),
        (true, false, Flag::FaultInjected, "DI,FI"),
        (true, true, Flag::UpstreamConnect, "DI,URX,UF"),
    ];
    for (delayed, retries_exhausted, flag, expected) in cases {
        let record = Record { delayed, retries_exhausted, flag, status: 503, ..begun() };
        let text = line(Format::Text, &record, &Noted::default());
        assert!(text.contains(&format!("\" 503 {expected} via_upstream ")), "{text}");
        assert_eq!(object(&record, &Noted::default())["response_flags"], expected);
    }
}

#[test]
fn json_has_istios_keys_and_then_ours() {
    let record = Record {
        dns_ms: Some(1),
        connect_ms: Some(2),
        tls_ms: Some(3),
        reused: Reuse::Opened,
        ..served()
    };
    assert_eq!(
        object(&record, &noted()),
        json!({
            "start_time": "2018-11-28T10:19:56.123Z",
            "method": "GET",
            "path": "/politics?a=b",
            "protocol": "HTTP/1.1",
            "authority": "edition.cnn.com",
            "user_agent": "curl/8.5.0",
            "request_id": "7f-1",
            "x_forwarded_for": "10.0.0.7",
            "response_code": 200,
            "response_flags": "-",
            "response_code_details": "via_upstream",
            "connection_termination_details": null,
            "upstream_transport_failure_reason": null,
            "bytes_received": 3,
            "bytes_sent": 1024,
            "duration": 15,
            "upstream_service_time": "12",
            "upstream_cluster": "outbound|443||edition.cnn.com",
            "upstream_host": "151.101.3.5:443",
            "upstream_local_address": "[2001:db8::1]:50000",
            "downstream_local_address": "10.0.0.1:443",
            "downstream_remote_address": "10.0.0.7:40000",
            "requested_server_name": null,
            "route_name": "politics",
            "host_pattern": "edition.cnn.com",
            "dns_ms": 1,
            "connect_ms": 2,
            "tls_ms": 3,
            "ttfb_ms": 13,
            "retry_attempts": 1,
            "pool_reused": false,
        })
    );
}

#[test]
fn json_of_a_head_that_could_not_be_read_has_istios_keys_all_the_same() {
    let full = object(&served(), &noted());
    let empty = object(&begun(), &Noted::default());
    let ours = ["host_pattern", "ttfb_ms", "retry_attempts", "pool_reused"];
    for key in full.as_object().unwrap().keys().filter(|key| !ours.contains(&key.as_str())) {
        assert!(empty.get(key).is_some(), "{key} is missing");
    }
    assert_eq!(empty["upstream_host"], Value::Null);
    assert_eq!(empty["upstream_service_time"], Value::Null);
}

#[test]
fn a_line_cannot_be_forged() {
    let evil = b"x\" 200 -\n[2018-11-28T10:19:56.123Z] \"GET / HTTP/1.1\" \xff\x1b[2J\\";
    let facts = RequestFacts {
        method: evil,
        path: evil,
        authority: Some(evil),
        user_agent: Some(evil),
        request_id: Some(evil),
        forwarded_for: Some(evil),
    };
    let noted = Noted::take(Vec::new(), facts);
    let mut record = begun();
    record.failed(&Failure::Certificate(String::from_utf8_lossy(evil).into_owned()));
    let evil_rule = String::from_utf8_lossy(evil);
    record.rule = Some(&evil_rule);

    let plain = line(Format::Text, &begun(), &Noted::default());
    let text = line(Format::Text, &record, &noted);
    assert_eq!(text.matches('\n').count(), 1);
    assert_eq!(text.matches('"').count(), plain.matches('"').count());
    assert!(text.trim_end().bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{text}");

    let json = line(Format::Json, &record, &noted);
    assert_eq!(json.matches('\n').count(), 1);
    let object: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(object["path"], *String::from_utf8_lossy(evil));
    assert_eq!(object["response_code"], 0);
}
