//! The JSON format: Istio's keys (`EnvoyJSONLogFormatIstio`), always all of them, then our own.
//!
//! What is missing is `null` under Istio's keys, as Envoy prints it; ours are left out instead.

use super::{Entry, Timestamp, address, details, escape, flags, number, without_blanks};
use crate::observe::{Record, Reuse};

/// Appends an object without a line end.
pub(super) fn write(out: &mut Vec<u8>, entry: &Entry<'_>, stamp: &mut Timestamp) {
    out.extend_from_slice(b"{\"start_time\":\"");
    stamp.write(out, entry.started_unix_ms);
    out.push(b'"');
    request(out, entry);
    response(out, entry);
    addresses(out, entry.record);
    additions(out, entry.record);
    out.push(b'}');
}

fn request(out: &mut Vec<u8>, entry: &Entry<'_>) {
    let noted = entry.noted;
    string_or_null(out, "method", noted.method());
    string_or_null(out, "path", noted.path());
    string_or_null(
        out,
        "protocol",
        entry.record.version.map(|version| version.as_str().as_bytes()),
    );
    string_or_null(out, "authority", noted.authority());
    string_or_null(out, "user_agent", noted.user_agent());
    string_or_null(out, "request_id", noted.request_id());
    string_or_null(out, "x_forwarded_for", noted.forwarded_for());
}

fn response(out: &mut Vec<u8>, entry: &Entry<'_>) {
    let record = entry.record;
    amount(out, "response_code", record.status);
    quoted(out, "response_flags", |out| flags(out, record));
    quoted(out, "response_code_details", |out| details(out, record, escape::json));
    key(out, "connection_termination_details");
    out.extend_from_slice(b"null");
    match record.reason.as_deref() {
        Some(reason) => quoted(out, "upstream_transport_failure_reason", |out| {
            without_blanks(out, reason, escape::json);
        }),
        None => string_or_null(out, "upstream_transport_failure_reason", None),
    }
    amount(out, "bytes_received", record.bytes_in);
    amount(out, "bytes_sent", record.bytes_out);
    amount(out, "duration", entry.duration_ms);
    match record.service_ms {
        // A string, since Envoy takes it from a header.
        Some(ms) => quoted(out, "upstream_service_time", |out| number(out, ms)),
        None => string_or_null(out, "upstream_service_time", None),
    }
}

fn addresses(out: &mut Vec<u8>, record: &Record<'_>) {
    string_or_null(out, "upstream_cluster", record.upstream.map(str::as_bytes));
    for (name, value) in [
        ("upstream_host", &record.upstream_address),
        ("upstream_local_address", &record.upstream_local),
    ] {
        match value {
            Some(value) => quoted(out, name, |out| address::write(out, value)),
            None => string_or_null(out, name, None),
        }
    }
    quoted(out, "downstream_local_address", |out| address::write(out, &record.local));
    quoted(out, "downstream_remote_address", |out| address::write(out, &record.client));
    string_or_null(out, "requested_server_name", None);
    string_or_null(out, "route_name", record.rule.map(str::as_bytes));
}

/// What Envoy has no key for.
fn additions(out: &mut Vec<u8>, record: &Record<'_>) {
    string(out, "host_pattern", record.route.unwrap_or(""));
    string(out, "error", record.token.unwrap_or(""));
    let times = [
        ("dns_ms", record.dns_ms),
        ("connect_ms", record.connect_ms),
        ("tls_ms", record.tls_ms),
        ("ttfb_ms", record.first_byte_ms),
    ];
    for (name, ms) in times {
        if let Some(ms) = ms {
            amount(out, name, ms);
        }
    }
    if record.attempts > 1 {
        amount(out, "retry_attempts", record.attempts - 1);
    }
    match record.reused {
        Reuse::None => {}
        Reuse::Opened => literal(out, "pool_reused", "false"),
        Reuse::Reused => literal(out, "pool_reused", "true"),
    }
}

/// One of our own strings; left out when empty.
fn string(out: &mut Vec<u8>, name: &str, value: &str) {
    if !value.is_empty() {
        string_or_null(out, name, Some(value.as_bytes()));
    }
}

fn string_or_null(out: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    match value {
        Some(value) => quoted(out, name, |out| escape::json(out, value)),
        None => literal(out, name, "null"),
    }
}

fn quoted(out: &mut Vec<u8>, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
    key(out, name);
    out.push(b'"');
    value(out);
    out.push(b'"');
}

fn amount(out: &mut Vec<u8>, name: &str, value: impl itoa::Integer) {
    key(out, name);
    number(out, value);
}

fn literal(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    out.extend_from_slice(value.as_bytes());
}

/// Every key but the first, which `write` begins with, follows a comma.
fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}
