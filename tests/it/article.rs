//! The article, step by step, with the very objects it prints.

use std::path::Path;

use crate::harness::article::{
    DESTINATION_RULE_GATEWAY, DESTINATION_RULE_TLS, GATEWAY, SERVICE_ENTRY, VIRTUAL_SERVICE,
    before_tls, everything,
};
use crate::harness::http1::field;
use crate::harness::{Client, Gateway, Origin, Setup, curl, egret, get};

const HOST: &str = "edition.cnn.com";

/// The gateway with all five objects, before an origin with a good certificate.
fn complete() -> (Gateway, Origin) {
    let origin = Origin::tls(&[HOST]);
    (Setup::new(&everything()).origin(HOST, 443, &origin).start(), origin)
}

#[test]
fn the_example_in_config_is_the_article_unchanged() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/article");
    let files = std::fs::read_dir(&folder)
        .expect("config/article")
        .map(|entry| entry.expect("an entry").path());
    let all: String =
        files.map(|file| std::fs::read_to_string(file).expect("a text") + "\n").collect();
    for object in
        [SERVICE_ENTRY, GATEWAY, DESTINATION_RULE_GATEWAY, VIRTUAL_SERVICE, DESTINATION_RULE_TLS]
    {
        assert!(
            all.contains(object.trim_end()),
            "config/article lacks this object, as the article prints it:\n{object}"
        );
    }
}

#[test]
fn gateway_alone_answers_404_with_an_empty_body() {
    for config in [GATEWAY.to_owned(), [SERVICE_ENTRY, GATEWAY].join("---\n")] {
        let gateway = Setup::new(&config).start();
        for host in [HOST, "cnn.com", "anything.example"] {
            let response = gateway.get(host, "/politics");
            assert_eq!((response.status, response.body.len()), (404, 0), "{host}");
            assert_eq!(response.field("content-length"), Some("0"));
            assert_eq!(response.field("content-type"), None, "there is no content");
            assert_eq!(response.token(), "destination_not_found");
        }
        assert_eq!(gateway.access("anything.example")["response_flags"], "NR");
    }
}

#[test]
fn without_a_tls_rule_the_origin_is_spoken_to_in_plain_text_and_the_log_says_so() {
    let origin = Origin::tls(&[HOST]);
    let gateway = Setup::new(&before_tls()).origin(HOST, 443, &origin).start();
    let response = gateway.get(HOST, "/politics");
    assert_eq!(response.status, 400, "the origin's own answer comes through");
    assert!(response.text().contains("plain HTTP request was sent to HTTPS port"));
    assert_eq!(origin.seen(|seen| (seen.plain_text, seen.full)), (1, 0));
    let said = gateway.wait_for_log("WITHOUT TLS");
    assert!(said.contains("edition.cnn.com:443"), "{said}");
    let said = gateway.wait_for_log("expects TLS");
    assert!(said.contains("edition.cnn.com") && said.contains("443"), "{said}");
    gateway.get(HOST, "/politics");
    assert_eq!(gateway.log_count("expects TLS"), 1, "once is enough");
}

#[test]
fn an_origin_that_hangs_up_on_plain_text_on_443_is_understood_too() {
    for answer in [b"".as_slice(), b"\x15\x03\x01\x00\x02\x02\x46"] {
        let origin = Origin::plain();
        origin.raw("/politics", answer);
        let gateway = Setup::new(&before_tls()).origin(HOST, 443, &origin).start();
        assert!(gateway.get(HOST, "/politics").status >= 502);
        gateway.wait_for_log("expects TLS");
    }
}

#[test]
fn an_origin_that_answers_in_plain_text_is_not_suspected() {
    let origin = Origin::plain();
    let gateway = Setup::new(&before_tls()).origin(HOST, 443, &origin).start();
    assert_eq!(gateway.get(HOST, "/politics").status, 200);
    assert!(!gateway.log_contains("expects TLS"));
}

#[test]
fn check_names_the_plain_text_mistake_and_what_to_add() {
    let setup = Setup::new(&before_tls());
    let config = setup.config_dir().display().to_string();
    let checked = egret(&["check", "-c", &config]);
    assert_eq!(checked.code, 1, "{checked:?}");
    for part in [
        "EG003",
        "edition.cnn.com:443",
        "WITHOUT TLS",
        "DestinationRule",
        "mode: SIMPLE",
        "egress.yaml:",
    ] {
        assert!(checked.out.contains(part), "{part} is missing in {}", checked.out);
    }
    let complete = Setup::new(&everything());
    let checked = egret(&["check", "-c", &complete.config_dir().display().to_string()]);
    assert_eq!(checked.code, 0, "the article is right in the end: {checked:?}");
}

#[test]
fn with_everything_curl_gets_the_page_over_tls() {
    let (gateway, origin) = complete();
    let url = format!("http://{}/politics", gateway.port(443));
    if let Some(page) = curl(&["-D", "-", "-H", "Host: edition.cnn.com", &url]) {
        assert_eq!(page.code, 0, "{}", page.err);
        assert!(
            page.out.starts_with("HTTP/1.1 200 OK\r\n") && page.out.ends_with("\r\n\r\npolitics"),
            "{}",
            page.out
        );
        assert!(
            page.out.contains("server: origin\r\n"),
            "the origin's own server field: {}",
            page.out
        );
    }
    let response = gateway.get(HOST, "/politics");
    assert_eq!((response.status, response.text().as_str()), (200, "politics"));
    assert_eq!(
        origin.seen(|seen| (seen.plain_text, seen.names[0].as_deref() == Some(HOST))),
        (0, true)
    );
}

#[test]
fn every_spelling_of_the_host_reaches_the_origin() {
    let (gateway, origin) = complete();
    for host in
        [HOST, "edition.cnn.com:80", "edition.cnn.com:443", "EDITION.CNN.COM", "edition.cnn.com."]
    {
        assert_eq!(gateway.get(host, "/politics").status, 200, "{host}");
        let head = origin.last_head();
        let sent = field(&head, "host").unwrap_or_default();
        assert!(!sent.contains(':'), "the default port is not sent to the origin: {head}");
        assert!(sent.trim_end_matches('.').eq_ignore_ascii_case(HOST), "{head}");
    }
    assert!(
        origin.seen(|seen| seen.names.iter().all(|name| name.as_deref() == Some(HOST))),
        "one name in SNI"
    );
}

#[test]
fn absolute_form_replaces_the_host_and_goes_out_in_origin_form() {
    let (gateway, origin) = complete();
    for target in [
        "http://edition.cnn.com/politics?a=b",
        "http://EDITION.cnn.com:80/politics?a=b",
        "https://edition.cnn.com/politics?a=b",
    ] {
        assert_eq!(gateway.get("ignored.example", target).status, 200, "{target}");
        let head = origin.last_head();
        assert!(
            head.starts_with("GET /politics?a=b HTTP/1.1\r\n") && !head.contains("ignored"),
            "{head}"
        );
    }
    assert_eq!(
        gateway.get(HOST, "http://cnn.com/politics").status,
        404,
        "the target decides, not the Host"
    );
    assert_eq!(
        origin.seen(|seen| seen.plain_text),
        0,
        "https in absolute form never goes out plain"
    );
}

#[test]
fn clients_with_http_proxy_reach_it() {
    let (gateway, _origin) = complete();
    let proxy = format!("http://{}", gateway.port(443));
    let Some(page) = curl(&["--proxy", &proxy, "http://edition.cnn.com/politics"]) else { return };
    assert_eq!((page.code, page.out.as_str()), (0, "politics"), "{}", page.err);
    let Some(refused) = curl(&["--proxy", &proxy, "https://edition.cnn.com/politics"]) else {
        return;
    };
    assert_eq!(refused.code, 56, "CONNECT is not allowed: {}", refused.err);
    assert!(refused.err.contains("404"), "{}", refused.err);
}

#[test]
fn another_host_gets_404() {
    let (gateway, origin) = complete();
    for host in
        ["cnn.com", "www.edition.cnn.com", "edition.cnn.com.evil.example", "127.0.0.1", "[::1]"]
    {
        assert_eq!(gateway.get(host, "/politics").status, 404, "{host}");
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn without_origination_the_redirect_of_port_80_comes_through_untouched() {
    let origin = Origin::plain();
    let moved = "HTTP/1.1 301 Moved Permanently\r\nLocation: https://edition.cnn.com/politics\r\nX-Odd: As  Is\r\nContent-Length: 0\r\n\r\n";
    origin.raw("/politics", moved.as_bytes());
    let config = everything().replacen(
        "        host: edition.cnn.com\n        port:\n          number: 443",
        "        host: edition.cnn.com\n        port:\n          number: 80",
        1,
    );
    let gateway = Setup::new(&config).origin(HOST, 80, &origin).start();
    let response = gateway.get(HOST, "/politics");
    assert_eq!(response.status, 301);
    assert!(
        response.head.contains("Location: https://edition.cnn.com/politics\r\n"),
        "{}",
        response.head
    );
    assert!(response.head.contains("X-Odd: As  Is\r\n"), "{}", response.head);
}

#[test]
fn removing_the_objects_brings_the_404_back_without_a_restart() {
    let (gateway, _origin) = complete();
    assert_eq!(gateway.get(HOST, "/politics").status, 200);
    gateway.reconfigure(GATEWAY);
    assert_eq!(gateway.get(HOST, "/politics").status, 404);
    gateway.reconfigure(&everything());
    assert_eq!(gateway.get(HOST, "/politics").status, 200);
}

#[test]
fn tls_on_the_plain_listener_is_named_in_the_log_with_its_server_name() {
    let (gateway, _origin) = complete();
    let at = gateway.port(443);
    let Some(failed) = curl(&[
        "-k",
        "--connect-to",
        &format!("edition.cnn.com:443:{at}"),
        "https://edition.cnn.com/politics",
    ]) else {
        return;
    };
    assert_eq!(failed.code, 35, "{}", failed.err);
    let said = gateway.wait_for_log("TLS ClientHello");
    assert!(said.contains(HOST), "the SNI is named: {said}");
    assert!(said.contains("http://"), "and the way out: {said}");
    assert_eq!(gateway.get(HOST, "/politics").status, 200, "others are served on");
}

#[test]
fn a_hello_without_name_and_in_pieces_is_recognised_too() {
    let (gateway, _origin) = complete();
    let mut client = Client::connect(gateway.port(443));
    client.send(b"\x16");
    client.send(b"\x03\x01\x00\x05\x01\x00\x00\x01\x00");
    gateway.wait_for_log("TLS ClientHello");
    assert_eq!(get(gateway.port(443), HOST, "/").status, 200);
}
