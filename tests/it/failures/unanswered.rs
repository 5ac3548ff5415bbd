//! Requests that get no whole answer: cut after the head, left by the client, cut off at the end of a drain.

use super::origins::{blackhole, mute};
use super::{Failing, HOST};
use crate::harness::article::Egress;
use crate::harness::client::h2_request;
use crate::harness::{H2Client, Origin, Setup};

/// As long as a test is patient, and longer.
fn patient(egress: Egress) -> Egress {
    egress.policy("connectionPool: {tcp: {connectTimeout: 60s}}")
}

#[test]
fn a_failure_after_the_head_keeps_the_status_and_says_after() {
    let origin = Origin::plain();
    let gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    let mut client = gateway.client();
    client.send("GET /truncated HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    assert_eq!(client.head().status, 200);
    let line = gateway.access("/truncated");
    assert_eq!((&line["response_code"], &line["response_flags"]), (&200.into(), &"UC".into()));
    assert_eq!(
        line["response_code_details"],
        "upstream_reset_after_response_started{connection_termination}"
    );
}

#[test]
fn a_client_that_leaves_while_we_connect_is_noticed_at_once() {
    let tcp: fn() -> Failing = || blackhole(&patient(Egress::plain(HOST)));
    let tls: fn() -> Failing = || mute(&patient(Egress::tls(HOST)));
    let get = "GET /left HTTP/1.1\r\nHost: api.example.com\r\n\r\n";
    let post = "POST /left HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 4\r\n\r\nbody";
    for (failing, request) in [(tcp, get), (tls, get), (tls, post)] {
        let failing = failing();
        let mut client = failing.gateway.client();
        client.send(request);
        client.finish_sending(); // that alone is leaving, as for Envoy
        let line = failing.gateway.access("/left");
        assert_eq!((&line["response_code"], &line["response_flags"]), (&0.into(), &"DC".into()));
        assert_eq!(line["response_code_details"], "downstream_remote_disconnect");
        assert!(client.is_closed());
    }
}

#[test]
fn a_stream_that_is_reset_while_we_connect_is_noticed_at_once() {
    let failing = mute(&patient(Egress::tls(HOST)));
    let client = H2Client::connect(failing.gateway.port(443));
    let mut stream = client.open(h2_request("GET", HOST, "/left", &[]));
    stream.send.send_data(bytes::Bytes::new(), true).expect("an open stream");
    // A reset before the gateway has the request would leave nothing to log.
    crate::harness::until("the request to be under way", || {
        (failing.gateway.metric("egret_requests_active", &[]) > 0.0).then_some(())
    });
    stream.send.send_reset(h2::Reason::CANCEL);
    assert_eq!(failing.gateway.access("/left")["response_flags"], "DC");
}

#[test]
fn what_the_end_of_a_drain_cuts_off_is_in_the_access_log() {
    for (path, status) in [("/hold", 0), ("/hold-body", 200)] {
        let origin = Origin::plain();
        let mut gateway = Setup::new(&Egress::plain(HOST).yaml())
            .origin(HOST, 80, &origin)
            .flags(&["--drain", "1s"])
            .start();
        let mut client = gateway.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: api.example.com\r\n\r\n"));
        if status == 200 {
            assert_eq!(client.head().status, 200);
        }
        origin.wait("the request", |seen| (!seen.requests.is_empty()).then_some(()));
        gateway.signal("TERM");
        assert_eq!(gateway.wait_exit(), 0);
        let line = gateway.access(path);
        assert_eq!(
            (&line["response_code"], &line["response_flags"]),
            (&status.into(), &"DC".into()),
            "{line}"
        );
        assert_eq!(line["response_code_details"], "downstream_local_disconnect");
        assert_eq!(line["error"], "proxy_internal_error");
    }
}
