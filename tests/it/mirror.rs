//! Mirrors: who gets a copy, what it looks like, and that nobody ever waits for one.

use crate::harness::article::Egress;
use crate::harness::{Gateway, H2Client, Origin, Setup, until};

const HOST: &str = "api.example.com";
const MIRROR: &str = "copies.example.net";

/// The host on port 80, mirrored as these lines of the rule say, and the mirror's own service.
fn mirrored(lines: &str, mirror: &Egress) -> String {
    format!("{}---\n{}", Egress::plain(HOST).rule(lines).yaml(), mirror.objects())
}

fn start(lines: &str, origin: &Origin, mirror: &Origin) -> Gateway {
    Setup::new(&mirrored(lines, &Egress::plain(MIRROR)))
        .origin(HOST, 80, origin)
        .origin(MIRROR, 80, mirror)
        .start()
}

const ALL: &str = "mirror: {host: copies.example.net, port: {number: 80}}";

/// Waits until so many copies came to this end.
fn wait_for(gateway: &Gateway, outcome: &str, count: f64) {
    until(outcome, || {
        let now = gateway.metric("egret_mirrored_total", &[&format!("outcome=\"{outcome}\"")]);
        assert!(now <= count, "{now} copies are {outcome}");
        (now == count).then_some(())
    });
}

#[test]
fn a_mirror_gets_the_request_as_it_is_sent_and_is_told_that_it_is_a_copy() {
    let (origin, mirror) = (Origin::plain(), Origin::plain());
    let lines = format!(
        "{ALL}\nrewrite: {{uri: /v2}}\nheaders: {{request: {{set: {{x-set: new}}}}, response: {{set: {{x-own: 'yes'}}}}}}"
    );
    let gateway = start(&lines, &origin, &mirror);
    let mut client = gateway.client();
    let response = client.post(HOST, "/a?q", "some words");
    assert_eq!((response.status, response.field("x-own")), (200, Some("yes")));
    wait_for(&gateway, "answered", 1.0);
    assert_eq!(client.get(HOST, "/b").status, 200, "its connection goes on");
    wait_for(&gateway, "answered", 2.0);
    let copies = mirror.requests();
    let posted = copies.iter().find(|copy| copy.head.starts_with("POST ")).expect("a copy");
    let head = posted.head.to_lowercase();
    assert!(head.starts_with("post /v2a?q http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nhost: api.example.com-shadow\r\n"), "{head}");
    assert!(head.contains("\r\nx-set: new\r\n"), "{head}");
    assert_eq!(posted.body, b"some words");
    let sent = origin.requests();
    assert_eq!((sent.len(), sent[0].body.as_slice()), (2, &b"some words"[..]));
    assert!(!sent[0].head.contains("-shadow"), "{}", sent[0].head);
    assert_eq!(mirror.connections(), 1, "the connection to the mirror is used again");
}

#[test]
fn nobody_waits_for_a_mirror() {
    for (path, outcome) in
        [("/silent", "failed"), ("/close", "failed"), ("/status/500", "answered")]
    {
        let (origin, mirror) = (Origin::plain(), Origin::plain());
        let lines = format!(
            "{ALL}\nrewrite: {{uri: {path}}}\ntimeout: 1s\nmatch: [{{uri: {{exact: /x}}}}]"
        );
        // The origin answers the same path at once.
        origin.raw(path, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
        let gateway = start(&lines, &origin, &mirror);
        assert_eq!(gateway.get(HOST, "/x").text(), "hi", "{path}");
        wait_for(&gateway, outcome, 1.0);
    }
}

#[test]
fn a_mirror_that_cannot_be_reached_harms_nobody() {
    let origin = Origin::plain();
    for (lines, failed) in [
        (ALL, 1.0),
        ("mirrors: [{destination: {host: nowhere.example.net, port: {number: 80}}}]", 1.0),
        (
            "mirror: {host: copies.example.net, port: {number: 80}}\nmirrorPercentage: {value: 0}",
            0.0,
        ),
    ] {
        let config = mirrored(lines, &Egress::plain(MIRROR).service("resolution: NONE"));
        let gateway = Setup::new(&config).origin(HOST, 80, &origin).start();
        assert_eq!(gateway.client().post(HOST, "/", "x").status, 200, "{lines}");
        wait_for(&gateway, "failed", failed);
    }
}

#[test]
fn a_body_is_copied_up_to_64_kib_and_whole_or_not_at_all() {
    let (origin, mirror) = (Origin::plain(), Origin::plain());
    let gateway = start(ALL, &origin, &mirror);
    let fits = "x".repeat(64 * 1024);
    assert_eq!(gateway.client().post(HOST, "/fits", &fits).status, 200);
    wait_for(&gateway, "answered", 1.0);
    assert_eq!(mirror.requests()[0].body, fits.as_bytes());

    assert_eq!(gateway.client().post(HOST, "/large", &format!("{fits}y")).status, 200);
    wait_for(&gateway, "too-large", 1.0);
    assert_eq!(origin.requests()[1].body.len(), fits.len() + 1);

    let mut client = gateway.client();
    client.send("POST /cut HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 9\r\n\r\nfour");
    origin.wait("the first half", |seen| {
        seen.requests.iter().find(|one| one.body == b"four").map(drop)
    });
    drop(client);
    wait_for(&gateway, "incomplete", 1.0);
    assert_eq!(mirror.requests().len(), 1, "no half of a request is copied");
}

#[test]
fn a_chunked_body_and_one_over_http2_are_copied_with_their_length() {
    let (origin, mirror) = (Origin::plain(), Origin::plain());
    let gateway = start(ALL, &origin, &mirror);
    let mut client = gateway.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n0\r\n\r\n",
    );
    assert_eq!(client.response().status, 200);
    wait_for(&gateway, "answered", 1.0); // copies wait for nothing, and so not for each other
    let request = crate::harness::client::h2_request("POST", HOST, "/", &[]);
    assert_eq!(H2Client::connect(gateway.port(443)).request(request, "more").status, 200);
    wait_for(&gateway, "answered", 2.0);
    for (copy, body) in mirror.requests().iter().zip(["some", "more"]) {
        assert!(copy.head.to_lowercase().contains("content-length: 4\r\n"), "{}", copy.head);
        assert_eq!(copy.body, body.as_bytes());
    }
}

#[test]
fn a_mirror_is_called_as_its_own_policy_says() {
    let (origin, mirror) = (Origin::plain(), Origin::tls(&[MIRROR]));
    let lines = "mirrors: [{destination: {host: copies.example.net, port: {number: 443}}, percentage: {value: 100}}]";
    let gateway = Setup::new(&mirrored(lines, &Egress::tls(MIRROR)))
        .origin(HOST, 80, &origin)
        .origin(MIRROR, 443, &mirror)
        .start();
    assert_eq!(gateway.get(HOST, "/").status, 200);
    wait_for(&gateway, "answered", 1.0);
    let names = mirror.seen(|seen| seen.names.clone());
    assert_eq!(
        names,
        [Some(MIRROR.to_owned())],
        "SNI is the mirror's own name, not the copy's Host"
    );
}

#[test]
fn a_percentage_of_the_requests_is_mirrored() {
    let (origin, mirror) = (Origin::plain(), Origin::plain());
    let gateway = start(&format!("{ALL}\nmirrorPercentage: {{value: 50}}"), &origin, &mirror);
    let mut client = gateway.client();
    for _ in 0..200 {
        assert_eq!(client.get(HOST, "/").status, 200);
    }
    let copies = until("copies", || {
        let now = gateway.metric("egret_mirrored_total", &["outcome=\"answered\""]);
        (now >= 50.0).then_some(now)
    });
    assert!(copies <= 150.0, "{copies} of 200 are no half");
}
