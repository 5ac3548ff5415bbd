//! One row for each way to fail, each in every form.

use super::origins::{
    answer_hello, blackhole, mute, read_hello, refusing, reset, scripted, unroutable,
};
use super::{Failing, HOST, Row, expect, hasty, plain, tls};
use crate::harness::article::Egress;
use crate::harness::dns::Answer;
use crate::harness::{Dns, Origin, Setup, Tls, certs};

const UNREACHABLE: &str = "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure";
const TOO_SLOW: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: connection timeout";
const CLOSED: &str = "upstream connect error or disconnect/reset before headers. reset reason: connection termination";
const RESET: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: remote reset";
const NOT_HTTP: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: protocol error";
const NO_ENDPOINT: &str = "no healthy upstream";

/// Tests of rows: what fails, then status, flag, what stands in the details, token, body, and words of the
/// reason.
macro_rules! rows {
    ($($name:ident: $failing:expr => $status:literal $flag:literal $details:literal $token:literal, $body:expr, [$($word:expr),*];)*) => {$(
        #[test]
        fn $name() {
            let row = Row {
                status: $status, flag: $flag, details: $details, token: $token, body: $body, reason: &[$($word),*],
            };
            expect(&$failing, &row);
        }
    )*};
}

rows! {
    no_route: Failing::with(&plain(), &[], vec![]).host("unknown.example.com")
        => 404 "NR" "route_not_found" "destination_not_found", "", [];
    no_cluster: Failing::started(Setup::new(&without_cluster()), vec![])
        => 503 "NC" "cluster_not_found" "proxy_configuration_error", "", [];
    no_such_name: resolving(Answer::NoSuchName)
        => 503 "UH" "no_healthy_upstream" "dns_error", NO_ENDPOINT, ["api.example.com does not resolve: no such name (NXDOMAIN)"];
    name_without_address: resolving(Answer::Addresses(vec![], 60))
        => 503 "UH" "no_healthy_upstream" "dns_error", NO_ENDPOINT, ["no address at that name"];
    name_server_that_fails: resolving(Answer::ServerFailure)
        => 503 "UH" "no_healthy_upstream" "dns_error", NO_ENDPOINT, ["SERVFAIL", "asked 127.0.0.1:"];
    name_server_that_is_silent: resolving(Answer::Silence)
        => 503 "UH" "no_healthy_upstream" "dns_timeout", NO_ENDPOINT, ["no answer"];
    no_endpoint: Failing::with(&plain().service("resolution: NONE"), &[], vec![])
        => 503 "UH" "no_healthy_upstream" "destination_unavailable", NO_ENDPOINT, ["resolution NONE"];
    unusable_tls_policy: Failing::with(&tls().tls_only("mode: MUTUAL"), &[], vec![])
        => 503 "UF" "upstream_reset_before_response_started{remote_connection_failure}" "proxy_configuration_error", UNREACHABLE, ["clientCertificate"];
    our_own_listener: to_itself()
        => 503 "UF" "upstream_reset_before_response_started{remote_connection_failure}" "proxy_loop_detected", UNREACHABLE, ["is our own listener"];

    refused: refusing(plain())
        => 503 "UF" "upstream_reset_before_response_started{remote_connection_failure}" "connection_refused", UNREACHABLE,
        ["delayed connect error: Connection refused|remote_address:127.0.0.1:", "delayed connect error: Connection refused|remote_address:127.0.0.2:"];
    unroutable_address: unroutable(&plain())
        => 503 "UF" "upstream_reset_before_response_started{remote_connection_failure}" "destination_ip_unroutable", UNREACHABLE,
        ["immediate connect error: Network is unreachable|remote_address:127.255.255.255:80"];
    no_answer_to_tcp: blackhole(&hasty(plain()))
        => 503 "UF" "upstream_reset_before_response_started{connection_timeout}" "connection_timeout", TOO_SLOW, ["no TCP connection after 200ms|remote_address:127.0.0.1:"];
    no_answer_to_tls: mute(&hasty(tls()))
        => 503 "UF" "upstream_reset_before_response_started{connection_timeout}" "connection_timeout", TOO_SLOW, ["TLS handshake not done after 200ms|remote_address:127.0.0.1:"];

    expired: showing(certs::trusted().issue_expired(&[HOST]))
        => 503 "UF" "upstream_reset_before_response_started{remote_connection_failure}" "tls_certificate_error", UNREACHABLE,
        ["TLS error: CERTIFICATE_VERIFY_FAILED: certificate has expired on 2020-01-02|remote_address:127.0.0.1:"];
    for_other_names: showing(certs::trusted().issue(&["a.example.net", "b.example.net"]))
        => 503 "UF" "upstream_reset_before_response_started{remote_connection_failure}" "tls_certificate_error", UNREACHABLE,
        ["CERTIFICATE_VERIFY_FAILED", "verify cert failed: verify SAN list, expected SANs: [api.example.com], certificate SANs: [a.example.net, b.example.net]"];
    of_an_unknown_issuer: showing(certs::stranger().issue(&[HOST]))
        => 503 "UF" "upstream_reset_before_response_started{remote_connection_failure}" "tls_certificate_error", UNREACHABLE,
        ["CERTIFICATE_VERIFY_FAILED: unknown issuer \"Unknown authority\""];
    plain_http_on_a_tls_port: of_plain(&tls())
        => 503 "UF" "upstream_reset_before_response_started{remote_connection_failure}" "tls_protocol_error", UNREACHABLE,
        ["TLS error: WRONG_VERSION_NUMBER: the origin answered plain HTTP on a TLS port"];
    closed_in_the_handshake: scripted(&tls(), |mut stream| read_hello(&mut stream))
        => 503 "UF" "upstream_reset_before_response_started{remote_connection_failure}" "tls_protocol_error", UNREACHABLE, ["closed the connection during the TLS handshake"];
    reset_in_the_handshake: scripted(&tls(), reset)
        => 503 "UF" "upstream_reset_before_response_started{remote_connection_failure}" "tls_protocol_error", UNREACHABLE, ["Connection reset by peer during the TLS handshake"];
    handshake_failure: scripted(&tls(), |stream| answer_hello(stream, b"\x15\x03\x03\x00\x02\x02\x28"))
        => 503 "UF" "upstream_reset_before_response_started{remote_connection_failure}" "tls_protocol_error", UNREACHABLE, ["TLSV1_ALERT_HANDSHAKE_FAILURE", "handshake failure"];
    tls_too_old: scripted(&tls(), |stream| answer_hello(stream, b"\x15\x03\x01\x00\x02\x02\x46"))
        => 503 "UF" "upstream_reset_before_response_started{remote_connection_failure}" "tls_protocol_error", UNREACHABLE, ["TLSV1_ALERT_PROTOCOL_VERSION", "neither TLS 1.2 nor 1.3", "EG041"];
    no_http_version_in_common: of(&tls().protocol("HTTP2"), Origin::tls(&[HOST]))
        => 503 "UF" "upstream_reset_before_response_started{remote_connection_failure}" "tls_protocol_error", UNREACHABLE, ["TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "ALPN mismatch"];

    closed_before_the_answer: of_plain(&plain()).path("/close")
        => 503 "UC" "upstream_reset_before_response_started{connection_termination}" "connection_terminated", CLOSED, [];
    broken_off_before_the_answer: scripted(&plain(), reset)
        => 503 "UC" "upstream_reset_before_response_started{connection_termination}" "connection_terminated", CLOSED, ["Connection reset by peer"];
    stream_reset_before_the_answer: of(&tls(), Origin::with(Tls { alpn: &["h2"], ..Tls::new(&[HOST]) })).path("/reset")
        => 503 "UR" "upstream_reset_before_response_started{remote_reset}" "connection_terminated", RESET, ["INTERNAL_ERROR"];
    not_http: answering(b"this is not HTTP\r\n\r\n")
        => 502 "UPE" "upstream_reset_before_response_started{protocol_error}" "http_protocol_error", NOT_HTTP, ["status line is malformed"];
    ambiguous_framing: answering(b"HTTP/1.1 201 Made\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        => 502 "UPE" "upstream_reset_before_response_started{protocol_error}" "http_protocol_error", NOT_HTTP, ["both Content-Length and Transfer-Encoding"];
    no_answer_in_time: of_plain(&plain().rule("timeout: 200ms")).path("/silent")
        => 504 "UT" "response_timeout" "http_response_timeout", "upstream request timeout", [];
}

/// In front of this origin.
fn of(egress: &Egress, origin: Origin) -> Failing {
    let setup = Setup::new(&egress.yaml()).origin(HOST, egress.port, &origin);
    Failing::started(setup, vec![Box::new(origin)])
}

/// In front of an origin without TLS.
fn of_plain(egress: &Egress) -> Failing {
    of(egress, Origin::plain())
}

/// In front of an origin that shows this certificate.
fn showing(certificate: certs::Issued) -> Failing {
    of(&tls(), Origin::with(Tls::showing(certificate)))
}

/// In front of an origin that answers with these bytes.
fn answering(bytes: &[u8]) -> Failing {
    let origin = Origin::plain();
    origin.raw("/raw", bytes);
    of(&plain(), origin).path("/raw")
}

/// Where the name server says this of the host.
fn resolving(answer: Answer) -> Failing {
    let dns = Dns::start(&[(HOST, answer)]);
    let setup = Setup::new(&plain().yaml()).dns(&dns);
    Failing::started(setup, vec![Box::new(dns)])
}

/// A route to a host that no ServiceEntry has.
fn without_cluster() -> String {
    plain().yaml().replacen(
        "destination: {host: 'api.example.com'",
        "destination: {host: 'gone.example.com'",
        1,
    )
}

/// Where the origin's address is the gateway's own.
fn to_itself() -> Failing {
    let at = |port: u16| {
        plain().service(&format!(
            "resolution: STATIC\nendpoints: [{{address: 127.0.0.1, ports: {{main: {port}}}}}]"
        ))
    };
    let failing = Failing::with(&at(1), &[], vec![]);
    failing.gateway.reconfigure(&at(failing.gateway.port(443).port()).yaml());
    failing
}
