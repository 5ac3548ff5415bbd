//! Pages of other sites, as browsers ask about them: the rows here were tried with a real Envoy.

use crate::harness::article::Egress;
use crate::harness::client::h2_request;
use crate::harness::{Gateway, H2Client, Origin, Setup};

const HOST: &str = "api.example.com";
const POLICY: &str = "allowOrigins: [{exact: 'https://a.example'}, {prefix: 'https://b.'}, {regex: 'https://c[0-9]\\.example'}], \
                      allowMethods: [GET, PUT], allowHeaders: [x-a, x-b], exposeHeaders: [x-e], maxAge: 24h, allowCredentials: true";

fn gateway(policy: &str) -> (Gateway, Origin) {
    let origin = Origin::plain();
    let edits = "headers: {request: {remove: [origin]}, response: {set: {access-control-allow-origin: edited}}}";
    let egress = Egress::plain(HOST).rule(&format!("corsPolicy: {{{policy}}}\n{edits}"));
    (Setup::new(&egress.yaml()).origin(HOST, 80, &origin).start(), origin)
}

/// The answer's status and its lines for browsers, in the order of their names.
fn ask(gateway: &Gateway, request: &str) -> (u16, Vec<String>) {
    let (line, fields) = request.split_once('|').unwrap_or((request, ""));
    let fields: String = fields.split('|').map(|field| format!("{}\r\n", field.trim())).collect();
    let fields = if fields.trim().is_empty() { "" } else { &fields };
    let mut client = gateway.client();
    client.send(format!("{} HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n", line.trim()));
    let response = client.response();
    let mut lines: Vec<String> = response
        .head
        .split("\r\n")
        .filter_map(|line| line.strip_prefix("access-control-"))
        .map(str::to_owned)
        .collect();
    lines.sort();
    (response.status, lines)
}

const READ: [&str; 3] =
    ["allow-credentials: true", "allow-origin: https://a.example", "expose-headers: x-e"];
const ASK: &str = "Access-Control-Request-Method: PUT";

#[test]
fn an_answer_says_which_page_may_read_it() {
    let (gateway, origin) = gateway(POLICY);
    let edited = || vec!["allow-origin: edited".to_owned()];
    let read = |by: &str| -> Vec<String> {
        READ.iter().map(|line| line.replace("https://a.example", by)).collect()
    };
    for (request, expected) in [
        ("GET /x", edited()),
        ("GET /x | Origin: https://a.example", read("https://a.example")),
        ("GET /x | Origin: https://b.zzz", read("https://b.zzz")),
        ("GET /x | Origin: https://c1.example", read("https://c1.example")),
        ("GET /x | Origin: https://c1.example.org", edited()),
        ("GET /x | Origin: HTTPS://A.example", edited()),
        ("GET /x | Origin: https://evil", edited()),
        ("GET /x | Origin: https://a.example | Origin: https://evil", edited()),
        ("GET /x | Origin: https://evil | Origin: https://a.example", edited()),
        ("OPTIONS /x | Origin: https://a.example", read("https://a.example")),
        (
            "OPTIONS /x | Origin: https://a.example | Access-Control-Request-Method:",
            read("https://a.example"),
        ),
        ("OPTIONS /x | Origin: https://evil | Access-Control-Request-Method: PUT", edited()),
        ("OPTIONS /x | Origin: | Access-Control-Request-Method: PUT", edited()),
    ] {
        let before = origin.requests().len();
        assert_eq!(ask(&gateway, request), (200, expected), "{request}");
        assert_eq!(origin.requests().len(), before + 1, "{request}: the origin is asked");
    }
}

#[test]
fn a_browsers_question_is_answered_here() {
    let (gateway, origin) = gateway(POLICY);
    let question = format!(
        "OPTIONS /q | Origin: https://a.example | {ASK} | Access-Control-Request-Headers: x-z"
    );
    let (status, lines) = ask(&gateway, &question);
    let allowed = [
        "allow-credentials: true",
        "allow-headers: x-a,x-b",
        "allow-methods: GET,PUT",
        "allow-origin: https://a.example",
        "expose-headers: x-e",
        "max-age: 86400",
    ];
    assert_eq!((status, lines), (200, allowed.map(str::to_owned).to_vec()));
    let logged = gateway.access("/q");
    assert_eq!(
        (&logged["response_code_details"], &logged["response_code"]),
        (&"cors_response".into(), &200.into())
    );
    let client = H2Client::connect(gateway.port(443));
    let fields = [("origin", "https://b.x"), ("access-control-request-method", "PUT")];
    let response = client.request(h2_request("OPTIONS", HOST, "/q", &fields), "");
    assert_eq!(response.fields["access-control-allow-origin"], "https://b.x");
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn questions_for_others_are_answered_here_where_they_are_not_to_be_forwarded() {
    let (gateway, origin) = gateway(&format!("{POLICY}, unmatchedPreflights: IGNORE"));
    let lines = [
        "allow-credentials: true",
        "allow-headers: x-a,x-b",
        "allow-methods: GET,PUT",
        "max-age: 86400",
    ];
    let question = format!("OPTIONS /x | Origin: https://evil | {ASK}");
    assert_eq!(ask(&gateway, &question), (200, lines.map(str::to_owned).to_vec()));
    assert_eq!(origin.requests().len(), 0);
    assert_eq!(ask(&gateway, "OPTIONS /x | Origin: https://evil").1, ["allow-origin: edited"]);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn an_asterisk_is_every_origin_and_nothing_is_said_that_is_not_written() {
    let (gateway, _) = gateway("allowOrigins: [{exact: '*'}], maxAge: 0s");
    assert_eq!(ask(&gateway, "GET /x | Origin: null").1, ["allow-origin: null"]);
    let question = format!("OPTIONS /x | Origin: null | {ASK}");
    assert_eq!(ask(&gateway, &question).1, ["allow-origin: null", "max-age: 0"]);
}

#[test]
fn a_web_socket_says_so_too() {
    let (gateway, origin) = gateway(POLICY);
    origin.raw(
        "/ws",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    let mut client = gateway.client();
    client.send(format!(
        "GET /ws HTTP/1.1\r\nHost: {HOST}\r\nOrigin: https://a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    ));
    let answer = client.head();
    assert_eq!(answer.status, 101);
    assert_eq!(answer.field("access-control-allow-origin"), Some("https://a.example"));
}

#[test]
fn a_failure_can_be_read_by_the_page_too() {
    let missing = "routes:\n- hosts: [api.example.com]\n  to: nowhere\n  cors: { origins: [{ exact: https://a.example }], credentials: true, exposed: [x-e] }\n";
    let gateway = Setup::new(missing).start();
    let (status, lines) = ask(&gateway, "GET /x | Origin: https://a.example");
    assert_eq!((status, lines), (503, READ.map(str::to_owned).to_vec()));
}
