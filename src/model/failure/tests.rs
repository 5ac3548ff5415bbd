//! The table against its promises, and the README's against the table.

use super::*;

/// Each failure once. Whoever adds one adds it here, where every promise of the table is held against it.
fn each() -> Vec<Failure> {
    let why = || "10.0.0.7:443: a secret".to_owned();
    let refused = |status, details| Failure::Refused(Refused { status, details });
    vec![
        refused(400, "http1.codec_error"),
        refused(403, "upgrade_failed"),
        refused(408, "request_header_timeout"),
        refused(414, "http1.target_too_long"),
        refused(431, "http1.headers_too_large"),
        refused(501, "http1.invalid_transfer_encoding"),
        Failure::NoRoute,
        Failure::NoCluster,
        Failure::Unresolved(why()),
        Failure::ResolveTimeout(why()),
        Failure::DynamicUnresolved(why()),
        Failure::DynamicResolveTimeout(why()),
        Failure::NamesOverflow(why()),
        Failure::NoEndpoint(why()),
        Failure::Misconfigured(why()),
        Failure::Prohibited(why()),
        Failure::Loop(why()),
        Failure::Connect(why()),
        Failure::Unroutable(why()),
        Failure::ConnectTimeout(why()),
        Failure::Certificate(why()),
        Failure::Handshake(why()),
        Failure::Closed,
        Failure::Aborted(why()),
        Failure::Reset(why()),
        Failure::Malformed(why()),
        Failure::Misframed { status: 200, reason: why() },
        Failure::RefusedStream(why()),
        Failure::Overloaded(why()),
        Failure::Timeout,
        Failure::AttemptTimeout,
        Failure::Idle,
        Failure::RequestIdle,
        Failure::TooLong,
        Failure::RequestTooLong,
        Failure::BodyTooLarge,
        Failure::ReplayTooLarge,
        Failure::Injected(Aborted::Http(503)),
        Failure::Injected(Aborted::Grpc(14)),
        Failure::Looped,
        Failure::ClientGone,
        Failure::Stopped,
    ]
}

/// The error types of RFC 9209, section 2.3, that may stand in `Proxy-Status`.
const TOKENS: [&str; 21] = [
    "dns_timeout",
    "dns_error",
    "destination_not_found",
    "destination_unavailable",
    "destination_ip_prohibited",
    "destination_ip_unroutable",
    "connection_refused",
    "connection_terminated",
    "connection_timeout",
    "connection_limit_reached",
    "tls_protocol_error",
    "tls_certificate_error",
    "http_request_error",
    "http_request_denied",
    "http_response_timeout",
    "http_protocol_error",
    "http_response_incomplete",
    "proxy_internal_error",
    "proxy_internal_response",
    "proxy_configuration_error",
    "proxy_loop_detected",
];

#[test]
fn what_clients_are_told_discloses_nothing_and_needs_no_escaping() {
    for failure in each() {
        let row = failure.row();
        assert!(TOKENS.contains(&row.token), "{failure:?}");
        for told in [row.body, row.details, row.details_midway(), &row.message(2)] {
            assert!(!told.contains("secret") && !told.contains("10.0.0.7"), "{failure:?}: {told}");
            // It stands in a header (RFC 9651, section 3.3.3), in JSON and in grpc-message as it is.
            let fits = |byte: u8| matches!(byte, 0x20..0x7f) && !b"\"\\%".contains(&byte);
            assert!(told.bytes().all(fits), "{failure:?}: {told}");
        }
    }
}

#[test]
fn resets_have_braces_for_their_reason_and_nothing_else_has() {
    for failure in each() {
        let details = failure.row().details;
        let resets = details.starts_with("upstream_reset_before_response_started{");
        assert_eq!(resets, details.ends_with('}'), "{failure:?}");
    }
}

#[test]
fn a_reset_that_was_retried_says_so_and_nothing_else_does() {
    let reset = "upstream connect error or disconnect/reset before headers. ";
    let row = Failure::Closed.row();
    for (attempts, expected) in [
        (1, format!("{reset}reset reason: connection termination")),
        (2, format!("{reset}retried and the latest reset reason: connection termination")),
    ] {
        assert_eq!(row.message(attempts), expected);
    }
    assert_eq!(Failure::Timeout.row().message(3), "upstream request timeout");
}

#[test]
fn a_refused_request_gets_the_body_that_envoy_gives() {
    for (status, details, body) in [
        (400, "http1.codec_error", "Bad Request"),
        (400, "missing_host_header", ""),
        (403, "upgrade_failed", ""),
        (408, "request_header_timeout", "request header timeout"),
        (431, "http1.headers_too_large", "Request Header Fields Too Large"),
        (501, "http1.invalid_transfer_encoding", "Not Implemented"),
    ] {
        assert_eq!(Failure::Refused(Refused { status, details }).row().body, body, "{details}");
    }
}

#[test]
fn after_the_response_head_the_details_say_so() {
    for (failure, expected) in [
        (Failure::Closed, "upstream_reset_after_response_started{connection_termination}"),
        (Failure::Reset(String::new()), "upstream_reset_after_response_started{remote_reset}"),
        (
            Failure::Malformed(String::new()),
            "upstream_reset_after_response_started{protocol_error}",
        ),
        (Failure::ClientGone, "downstream_remote_disconnect"),
        (Failure::Timeout, "response_timeout"),
    ] {
        assert_eq!(failure.row().details_midway(), expected);
    }
}

/// The README's table has a line for each status, flag and token there is, and for no other.
#[test]
fn the_readmes_table_is_this_one() {
    let readme = include_str!("../../../README.md");
    let table = readme.split("| status | flag | token |").nth(1).expect("the table is there");
    let mut written: Vec<(String, String, String)> = Vec::new();
    for line in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        for status in cells[1].split(", ") {
            written.push((status.to_owned(), cells[2].to_owned(), cells[3].to_owned()));
        }
    }
    let mut rows: Vec<_> = each()
        .iter()
        .map(Failure::row)
        .map(|row| (row.status.to_string(), row.flag.as_str().to_owned(), row.token.to_owned()))
        .collect();
    for list in [&mut written, &mut rows] {
        list.sort();
        list.dedup();
    }
    assert_eq!(written, rows);
}
