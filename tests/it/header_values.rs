//! Formats in header values, answered as Envoy answers them: the rows here were tried with a real one.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::article::Egress;
use crate::harness::client::h2_request;
use crate::harness::{Gateway, H2Client, Origin, Response, Setup, egret};

const HOST: &str = "api.example.com";

/// Lines of a rule that set these, one after the other, on one side of the exchange.
fn set(side: &str, formats: &[&str]) -> String {
    let line = |(index, format): (usize, &&str)| format!("    x-f{index}: '{format}'\n");
    let lines: String = formats.iter().enumerate().map(line).collect();
    format!("  {side}:\n   set:\n{lines}")
}

/// A gateway with these header edits in its rule, before an origin.
fn gateway(headers: &str) -> (Gateway, Origin) {
    let origin = Origin::plain();
    let answer = "HTTP/1.1 201 Created\r\nX-Origin: here\r\nX-Two: a\r\nX-Two: b\r\ncontent-length: 0\r\n\r\n";
    origin.raw("/v2/a", answer.as_bytes());
    let rule = format!(
        "name: some-rule\nmatch: [{{uri: {{prefix: /v1/}}}}]\nrewrite: {{uri: /v2/, authority: other.example.com}}\nheaders:\n{headers}"
    );
    let egress = Egress::plain(HOST).rule(&rule);
    (Setup::new(&egress.yaml()).origin(HOST, 80, &origin).start(), origin)
}

fn ask(gateway: &Gateway) -> Response {
    let mut client = gateway.client();
    client.send(format!(
        "GET /v1/a?q=1 HTTP/1.1\r\nHost: {HOST}\r\nX-A: one\r\nX-Long: abcdefghij\r\nX-Dup: 1\r\nX-Dup: 2\r\n\
         X-Empty:\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
    ));
    client.response()
}

/// The value of a line; `None`: there is no such line.
fn value<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn commands_are_answered_on_the_way_out_and_on_the_way_back() {
    // The format, what it becomes in the request, and in the response; nothing: no line is written.
    type Row = (&'static str, Option<&'static str>, Option<&'static str>);
    #[rustfmt::skip] // a table reads best as one
    let rows: [Row; 35] = [
        ("%DOWNSTREAM_REMOTE_ADDRESS%", Some("CLIENT"), Some("CLIENT")),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", Some("127.0.0.1"), Some("127.0.0.1")),
        ("%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%", Some("CLIENT"), Some("CLIENT")),
        ("%DOWNSTREAM_LOCAL_ADDRESS%", Some("LISTENER"), Some("LISTENER")),
        ("127.0.0.1:%DOWNSTREAM_LOCAL_PORT%", Some("LISTENER"), Some("LISTENER")),
        ("%PROTOCOL%", Some("HTTP/1.1"), Some("HTTP/1.1")),
        ("%REQ(X-A)%", Some("one"), Some("one")),
        ("%REQ(x-absent)%", None, None),
        ("%REQ(x-absent?x-a)%", Some("one"), Some("one")),
        ("%REQ(?x-a)%", Some("one"), Some("one")),
        ("%REQ(x-long):4%", Some("abcd"), Some("abcd")),
        ("%REQ(x-long):0%", None, None),
        ("%REQ(x-dup)%", Some("1"), Some("1")),
        ("%REQ(x-empty)%", None, None),
        // Before path and Host are rewritten, and after.
        ("%REQ(:path)%", Some("/v1/a?q=1"), Some("/v2/a?q=1")),
        ("%REQ(:authority)%", Some(HOST), Some("other.example.com")),
        ("%REQ(host)%", Some(HOST), Some("other.example.com")),
        ("%REQ(:method)% %REQ(:scheme)%", Some("GET http"), Some("GET http")),
        // What goes no further by itself can still be said on purpose.
        ("%REQ(x-forwarded-for)%", Some("192.0.2.1"), None),
        // Another line of the rule is not there yet.
        ("%REQ(x-f5)%", None, Some("HTTP/1.1")),
        ("%RESP(x-origin)%", None, Some("here")),
        ("%RESP(x-two)%", None, Some("a")),
        ("%RESP(x-absent?:status)%", None, Some("201")),
        ("%RESPONSE_CODE%%RESPONSE_FLAGS%", Some("0-"), Some("201-")),
        ("%RESPONSE_CODE_DETAILS%", None, Some("via_upstream")),
        ("%UPSTREAM_HOST%", None, Some("ORIGIN")),
        ("%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", None, Some("127.0.0.1")),
        ("127.0.0.1:%UPSTREAM_REMOTE_PORT%", Some("127.0.0.1:"), Some("ORIGIN")),
        ("%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", None, Some("127.0.0.1")),
        ("%UPSTREAM_CLUSTER%", Some("outbound|80||api.example.com"), Some("outbound|80||api.example.com")),
        ("%ROUTE_NAME%", Some("some-rule"), Some("some-rule")),
        ("%REQUESTED_SERVER_NAME%", None, None),
        ("a %REQ(x-absent)% b", Some("a  b"), Some("a  b")),
        ("%REQ(x-absent)%%REQ(x-a)% 50%%", Some("one 50%"), Some("one 50%")),
        ("%%", Some("%"), Some("%")),
    ];
    let formats = rows.map(|(format, ..)| format);
    let (gateway, origin) = gateway(&(set("request", &formats) + &set("response", &formats)));
    let (received, sent) = (ask(&gateway).head, origin.last_head());
    let logged = gateway.access("/v1/a?q=1");
    let client = logged["downstream_remote_address"].as_str().expect("an address");
    let real = |text: &str| {
        text.replace("CLIENT", client)
            .replace("LISTENER", &gateway.port(443).to_string())
            .replace("ORIGIN", &origin.address.to_string())
    };
    for (index, (format, request, response)) in rows.into_iter().enumerate() {
        let name = format!("x-f{index}");
        for (head, expected) in [(&sent, request), (&received, response)] {
            assert_eq!(value(head, &name), expected.map(real).as_deref(), "{format}: {head}");
        }
    }
}

#[test]
fn lines_are_removed_first_and_an_empty_value_changes_nothing() {
    let (gateway, origin) = gateway(
        "  request:\n   remove: [x-a]\n   set: {x-new: '%REQ(x-a)%', x-dup: '%REQ(x-none)%', x-long: '%REQ(x-long):2%!'}\n   add: {x-empty: '%REQ(x-long):1%'}\n  \
         response:\n   remove: [x-origin]\n   set: {x-new: '%RESP(x-origin)%', x-two: '%RESP(x-two)%c'}\n",
    );
    let received = ask(&gateway).head.to_ascii_lowercase();
    let sent = origin.last_head().to_ascii_lowercase();
    assert!(!sent.contains("x-a:") && !sent.contains("x-new"), "{sent}");
    assert!(sent.contains("\r\nx-dup: 1\r\nx-dup: 2\r\n"), "{sent}");
    assert!(sent.contains("\r\nx-long: ab!\r\n") && sent.contains("\r\nx-empty: a\r\n"), "{sent}");
    assert!(!received.contains("x-origin") && !received.contains("x-new"), "{received}");
    assert_eq!(received.matches("x-two").count(), 1, "{received}");
    assert_eq!(value(&received, "x-two"), Some("ac"));
}

#[test]
fn what_the_gateway_answers_itself_has_them_too() {
    let line = "headers: {response: {set: {x-told: '%REQ(x-a)% %PROTOCOL% %RESPONSE_CODE% %RESP(:status)% %RESPONSE_CODE_DETAILS%'}}}";
    let config = |action: &str| {
        let egress = Egress::plain(HOST).yaml();
        let whole = egress.split("  - route:").next().expect("a head").to_owned();
        let objects: Vec<&str> = whole.split("---\n").collect();
        format!("{}\n  - {action}\n    {line}\n", objects.join("---\n").trim_end())
    };
    for (action, told) in [
        ("directResponse: {status: 203}", "one HTTP/1.1 0 203 direct_response"),
        ("redirect: {authority: other.example.com}", "one HTTP/1.1 0 301 direct_response"),
    ] {
        let gateway = Setup::new(&config(action)).start();
        assert_eq!(ask(&gateway).field("x-told"), Some(told), "{action}");
    }
}

#[test]
fn the_time_is_that_of_the_requests_beginning() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let formats = ["%START_TIME%", "%START_TIME(%s%3f)%", "%START_TIME(%Y-%m-%dT%H:%M:%S %F %T)%"];
    let (gateway, origin) = gateway(&set("request", &formats));
    let before = now();
    ask(&gateway);
    let (after, sent) = (now(), origin.last_head());
    let millis: u128 = value(&sent, "x-f1").expect("a time").parse().expect("digits");
    assert!((before..=after).contains(&millis), "{before} {millis} {after}");
    let iso = value(&sent, "x-f0").expect("a time");
    let seconds = iso.split('.').next().expect("before the point");
    let (date, time) = seconds.split_once('T').expect("date and time");
    assert_eq!(iso.len(), "2018-11-28T10:19:56.123Z".len());
    assert_eq!(value(&sent, "x-f2"), Some(format!("{seconds} {date} {time}").as_str()));
}

#[test]
fn each_destination_has_its_own_and_the_own_form_writes_them_as_formats() {
    let origin = Origin::plain();
    let config = "routes:\n- hosts: [api.example.com]\n  split:\n  - to: http://api.example.com\n    weight: 1\n    \
                  headers: { request: { set: { x-text: '%PROTOCOL%', x-by: { format: '%REQ(:path)% %PROTOCOL%' } } } }\n  \
                  headers: { response: { add: { x-by: { format: '%UPSTREAM_CLUSTER%' } } } }\n";
    let gateway = Setup::new(config).origin(HOST, 80, &origin).start();
    let client = H2Client::connect(gateway.port(443));
    let response = client.request(h2_request("GET", HOST, "/x", &[]), "");
    assert_eq!(response.fields["x-by"], "outbound|80||api.example.com");
    let sent = origin.last_head();
    assert_eq!(value(&sent, "x-text"), Some("%PROTOCOL%"), "a text is sent as it is");
    assert_eq!(value(&sent, "x-by"), Some("/x HTTP/2"));
}

#[test]
fn a_command_that_cannot_be_answered_is_named_with_its_place() {
    let rule = "headers:\n  request:\n    set:\n      x-tls: '%DOWNSTREAM_TLS_VERSION%'\n      x-typo: '%DOWNSTREAM_REMOTE_ADRESS%'\n      \
                x-late: '%UPSTREAM_HOST%'\n      x-none: ''\n  response: {add: {x-wrong: '%REQ%', x-late: '%UPSTREAM_HOST%'}}\n";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("egret.yaml");
    std::fs::write(&file, Egress::plain(HOST).rule(rule).yaml()).expect("written");
    let told = egret(&["check", "-c", file.to_str().expect("UTF-8")]).out;
    for line in [
        "error EG083: VirtualService/vapi-example-com: spec.http[0].headers.request.set.x-tls: not implemented; %DOWNSTREAM_TLS_VERSION%",
        "error EG083: VirtualService/vapi-example-com: spec.http[0].headers.request.set.x-typo: not implemented",
        "did you mean \"DOWNSTREAM_REMOTE_ADDRESS\"?",
        "warning EG073: VirtualService/vapi-example-com: spec.http[0].headers.request.set.x-late: %UPSTREAM_HOST% is known when the answer is here",
        "warning EG073: VirtualService/vapi-example-com: spec.http[0].headers.request.set.x-none: an empty value",
        "error EG081: VirtualService/vapi-example-com: spec.http[0].headers.response.add.x-wrong: %REQ%: the name of a header is missing",
    ] {
        assert!(told.contains(line), "{line} is not in:\n{told}");
    }
    assert!(!told.contains("response.add.x-late"), "{told}");
}
