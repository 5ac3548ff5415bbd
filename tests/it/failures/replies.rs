//! What a row cannot say of replies: that they tried again, what they received, HEAD, and who gets none.

use super::origins::refusing;
use super::{Failing, HOST, plain};
use crate::harness::article::Egress;
use crate::harness::{Origin, Setup};

fn serving() -> (crate::harness::Gateway, Origin) {
    let origin = Origin::plain();
    let gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    (gateway, origin)
}

#[test]
fn after_retries_body_and_flag_say_so() {
    let failing: Failing = refusing(Egress::plain(HOST));
    assert_eq!(
        failing.gateway.get(HOST, "/").text(),
        "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection failure"
    );
    let line = failing.gateway.access("\"/\"");
    assert_eq!(line["response_flags"], "URX,UF");
    let details = line["response_code_details"].as_str().unwrap_or_default();
    assert!(
        details.starts_with(
            "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused|remote_address:127.0.0."
        ),
        "{details}"
    );
}

#[test]
fn a_status_that_is_not_passed_on_is_told_as_received() {
    let (gateway, origin) = serving();
    for (path, bytes, received) in [
        ("/coded", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Some("200")),
        (
            "/switch",
            "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            Some("101"),
        ),
        ("/garbage", "garbage\r\n\r\n", None),
    ] {
        origin.raw(path, bytes.as_bytes());
        let response = gateway.get(HOST, path);
        assert_eq!((response.status, response.token()), (502, "http_protocol_error"));
        let status = response.field("proxy-status").unwrap_or_default();
        let told = status.split("; ").find_map(|part| part.strip_prefix("received-status="));
        assert_eq!(told, received, "{path}: {status}");
    }
}

#[test]
fn what_an_origin_answers_bears_no_proxy_status_of_ours() {
    let (gateway, _origin) = serving();
    for path in ["/politics", "/status/503", "/status/404"] {
        assert_eq!(gateway.get(HOST, path).field("proxy-status"), None, "{path}");
    }
}

#[test]
fn head_requests_get_errors_without_a_body() {
    let (gateway, _origin) = serving();
    let mut client = gateway.client();
    client.send("HEAD /close HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    let head = client.head();
    assert_eq!((head.status, head.field("content-length")), (503, Some("95")), "{}", head.head);
    assert_eq!(
        client.get(HOST, "/politics").text(),
        "politics",
        "no byte of an error body before it"
    );
}

#[test]
fn a_reply_in_json_names_the_rule_that_matched_or_else_the_host() {
    let origin = Origin::plain();
    let named = plain().yaml().replacen("  - route:", "  - name: the-rule\n    route:", 1);
    for (config, route) in [(named, "the-rule"), (plain().yaml(), HOST)] {
        let gateway = Setup::new(&config).origin(HOST, 80, &origin).start();
        let mut client = gateway.client();
        client.send(
            "GET /close HTTP/1.1\r\nHost: API.example.com:443\r\nAccept: text/html, application/json;q=0.5\r\n\r\n",
        );
        let body = client.response().text();
        let expected = format!(
            "{{\"error\":\"connection_terminated\",\"host\":\"{HOST}\",\"route\":\"{route}\",\"request_id\":null}}"
        );
        assert_eq!(body, expected);
    }
}

#[test]
fn a_refused_request_says_in_the_log_which_rule_it_broke() {
    let (gateway, _origin) = serving();
    for (request, status, body, flag, details, token) in [
        ("GET /a HTTP/1.1\r\n\r\n", 400, "", "DPE", "missing_host_header", "http_request_error"),
        (
            "GET /b HTTP/1.1\r\nHost: api.example.com\r\nConnection: upgrade\r\nUpgrade: tls\r\n\r\n",
            403,
            "",
            "-",
            "upgrade_failed",
            "http_request_denied",
        ),
        (
            "POST /c HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: gzip\r\n\r\n",
            501,
            "Not Implemented",
            "DPE",
            "http1.invalid_transfer_encoding",
            "http_request_error",
        ),
    ] {
        let mut client = gateway.client();
        client.send(request);
        let response = client.response();
        assert_eq!((response.status, response.token()), (status, token), "{request}");
        assert_eq!(response.text(), body, "{request}");
        assert!(client.is_closed(), "nothing after it is read as a request");
        let line = gateway.access(&format!("\"{details}\""));
        assert_eq!(
            (&line["response_code"], &line["response_flags"]),
            (&status.into(), &flag.into())
        );
    }
}

#[test]
fn malformed_answers_of_the_origin_are_502_upe() {
    let cases: [&[u8]; 8] = [
        b"this is not HTTP\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
    ];
    let origin = Origin::plain();
    let gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    for (number, bytes) in cases.into_iter().enumerate() {
        let path = format!("/malformed-{number}");
        origin.raw(&path, bytes);
        let response = gateway.get(HOST, &path);
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!((response.status, response.token()), (502, "http_protocol_error"), "{shown}");
        assert_eq!(gateway.access(&path)["response_flags"], "UPE", "{shown}");
    }
}
