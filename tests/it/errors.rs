//! What clients are told when something goes wrong, and what people are told about a mistake in a file.

use crate::harness::article::Egress;
use crate::harness::{Origin, Setup, egret};

const HOST: &str = "api.example.com";

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

#[test]
fn local_replies_are_plain_text_with_length_date_and_proxy_status() {
    let origin = Origin::plain();
    let gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    let response = gateway.get(HOST, "/close");
    assert_eq!(response.field("content-type"), Some("text/plain"));
    assert_eq!(response.field("content-length"), Some(response.body.len().to_string().as_str()));
    assert!(response.field("date").is_some_and(|date| date.ends_with(" GMT")), "{}", response.head);
    assert!(
        response.field("proxy-status").is_some_and(|status| status.starts_with("egret; error=")),
        "{}",
        response.head
    );
    assert_eq!(
        gateway.get(HOST, "/politics").field("proxy-status"),
        None,
        "not on what the origin answered"
    );
}

#[test]
fn json_is_answered_to_those_who_accept_it_except_for_404() {
    let origin = Origin::plain();
    let gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    let mut client = gateway.client();
    client.send("GET /close HTTP/1.1\r\nHost: api.example.com\r\nAccept: application/json\r\n\r\n");
    let response = client.response();
    let body: serde_json::Value = serde_json::from_slice(&response.body).expect("a JSON body");
    assert_eq!((response.status, &body["error"]), (503, &"connection_terminated".into()));
    assert!(
        response.field("content-type").is_some_and(|kind| kind.starts_with("application/json"))
    );
    client.send("GET / HTTP/1.1\r\nHost: unknown.example\r\nAccept: application/json\r\n\r\n");
    let response = client.response();
    assert_eq!(
        (response.status, response.field("content-length"), response.body.len()),
        (404, Some("0"), 0)
    );
}

#[test]
fn a_grpc_request_over_http1_gets_200_with_its_status() {
    let gateway = Setup::new(&Egress::plain(HOST).yaml()).start();
    let mut client = gateway.client();
    client.send("POST /s/m HTTP/1.1\r\nHost: unknown.example\r\nContent-Type: application/grpc+proto\r\nContent-Length: 0\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.field("grpc-status")), (200, Some("12")));
    assert_eq!(response.token(), "destination_not_found");
}

#[test]
fn head_requests_get_errors_without_a_body() {
    let origin = Origin::plain();
    let gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    let mut client = gateway.client();
    client.send("HEAD /close HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    assert_eq!(client.head().status, 503);
    assert_eq!(
        client.get(HOST, "/politics").text(),
        "politics",
        "no byte of an error body before it"
    );
}

/// A broken object, the place and words its problem must bear.
const MISTAKES: [(&str, &str, &[&str]); 4] = [
    (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: typo}\nspec:\n  host: typo.example.com\n  trafficPolicy:\n    portLevelSetting:\n    - port: {number: 443}\n",
        ":7:5: ",
        &["DestinationRule/typo", "spec.trafficPolicy.portLevelSetting", "portLevelSettings"],
    ),
    (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: number}\nspec:\n  hosts: [number.example.com]\n  gateways: [egress]\n  http:\n  - route:\n    - destination:\n        host: number.example.com\n        port:\n          number: abc\n",
        ":12:19: ",
        &["VirtualService/number", "spec.http[0].route[0].destination.port.number"],
    ),
    (
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: resolution}\nspec:\n  hosts: [r.example.com]\n  ports: [{number: 80, name: http, protocol: HTTP}]\n  resolution: DSN\n",
        ":7:15: ",
        &["ServiceEntry/resolution", "spec.resolution", "DSN"],
    ),
    (
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: broken\nspec: [\n",
        ":",
        &["broken.yaml"],
    ),
];

#[test]
fn a_mistake_is_named_with_its_place_and_the_other_objects_serve() {
    for (broken, place, words) in MISTAKES {
        let origin = Origin::plain();
        let setup = Setup::new(&Egress::plain(HOST).yaml()).config("broken.yaml", broken);
        let checked = egret(&["check", "-c", &setup.config_dir().display().to_string()]);
        assert_eq!(checked.code, 1, "{checked:?}");
        let mark = format!("broken.yaml{place}");
        let line = checked
            .out
            .lines()
            .find(|line| line.contains(&mark) && words.iter().all(|word| line.contains(word)));
        assert!(line.is_some(), "no line has {mark} and {words:?}:\n{}", checked.out);
        let gateway = setup.origin(HOST, 80, &origin).start();
        assert_eq!(gateway.get(HOST, "/").status, 200, "the other objects serve");
        gateway.wait_for_log(&mark);
    }
}

#[test]
fn a_broken_document_does_not_take_its_neighbours_down() {
    let origin = Origin::plain();
    let config = format!(
        "kind: Gateway\napiVersion: networking.istio.io/v1\nspec: {{servers: [}}\n---\n{}",
        Egress::plain(HOST).yaml()
    );
    let gateway = Setup::new(&config).origin(HOST, 80, &origin).start();
    assert_eq!(gateway.get(HOST, "/").status, 200);
}

#[test]
fn a_field_not_supported_yet_is_reported_by_name_and_place() {
    let config = Egress::plain(HOST).rule("mirror: {host: api.example.com}").yaml();
    let setup = Setup::new(&config);
    let checked = egret(&["check", "-c", &setup.config_dir().display().to_string()]);
    assert!(
        checked.out.contains("spec.http[0].mirror") && checked.out.contains("egress.yaml:"),
        "{}",
        checked.out
    );
}
