//! Istio's text format, byte for byte (`EnvoyTextLogFormat` of `telemetry_logging.go`, Istio 1.9 on).
//!
//! What is missing is `-`. Fields we know and Istio does not are in the JSON format only.

use super::{Entry, Timestamp, address, details, escape, flags, number, without_blanks};

/// Appends a line without its line end.
pub(super) fn write(out: &mut Vec<u8>, entry: &Entry<'_>, stamp: &mut Timestamp) {
    let Entry { record, noted, .. } = *entry;
    out.push(b'[');
    stamp.write(out, entry.started_unix_ms);
    out.extend_from_slice(b"] \"");
    field(out, noted.method());
    out.push(b' ');
    field(out, noted.path());
    out.push(b' ');
    out.extend_from_slice(record.version.map_or("-", |version| version.as_str()).as_bytes());
    out.extend_from_slice(b"\" ");
    number(out, record.status);
    out.push(b' ');
    flags(out, record);
    out.push(b' ');
    details(out, record, escape::text);
    out.extend_from_slice(b" - \""); // connection termination details: we have none
    match record.reason.as_deref() {
        Some(reason) => without_blanks(out, reason, escape::text),
        None => out.push(b'-'),
    }
    out.extend_from_slice(b"\" ");
    for amount in [record.bytes_in, record.bytes_out, entry.duration_ms] {
        number(out, amount);
        out.push(b' ');
    }
    match record.service_ms {
        Some(ms) => number(out, ms),
        None => out.push(b'-'),
    }
    for value in [noted.forwarded_for(), noted.user_agent(), noted.request_id(), noted.authority()]
    {
        out.extend_from_slice(b" \"");
        field(out, value);
        out.push(b'"');
    }
    out.extend_from_slice(b" \"");
    match &record.upstream_address {
        Some(upstream) => address::write(out, upstream),
        None => out.push(b'-'),
    }
    out.extend_from_slice(b"\" ");
    field(out, record.upstream.map(str::as_bytes));
    out.push(b' ');
    match &record.upstream_local {
        Some(local) => address::write(out, local),
        None => out.push(b'-'),
    }
    out.push(b' ');
    address::write(out, &record.local);
    out.push(b' ');
    address::write(out, &record.client);
    out.extend_from_slice(b" - "); // requested server name: clients speak plain HTTP
    field(out, record.rule.map(str::as_bytes));
}

fn field(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => escape::text(out, value),
        None => out.push(b'-'),
    }
}
