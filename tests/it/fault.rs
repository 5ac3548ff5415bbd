//! Faults that a route puts in the way of its requests on purpose.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::article::Egress;
use crate::harness::client::h2_request;
use crate::harness::{Gateway, H2Client, Origin, Setup, egret};

const HOST: &str = "api.example.com";

fn start(lines: &str, origin: &Origin) -> Gateway {
    Setup::new(&Egress::plain(HOST).rule(lines).yaml()).origin(HOST, 80, origin).start()
}

#[test]
fn an_abort_answers_in_place_of_the_origin() {
    for (abort, status) in [
        ("httpStatus: 555", 555),
        ("httpStatus: 404", 404),
        ("grpcStatus: UNAVAILABLE", 503),
        ("grpcStatus: '5'", 404),
    ] {
        let origin = Origin::plain();
        let lines = format!("fault: {{abort: {{{abort}, percentage: {{value: 100}}}}}}");
        let gateway = start(&lines, &origin);
        let response = gateway.get(HOST, "/x");
        assert_eq!((response.status, response.text().as_str()), (status, "fault filter abort"));
        assert_eq!(response.token(), "proxy_internal_response");
        let line = gateway.access("/x");
        assert_eq!(line["response_flags"], "FI");
        assert_eq!(line["response_code_details"], "fault_filter_abort");
        assert_eq!(origin.connections(), 0);
    }
}

#[test]
fn a_grpc_client_is_told_in_its_own_words() {
    for (abort, grpc) in [("httpStatus: 503", "14"), ("grpcStatus: NOT_FOUND", "5")] {
        let origin = Origin::plain();
        let lines = format!("fault: {{abort: {{{abort}, percentage: {{value: 100}}}}}}");
        let gateway = start(&lines, &origin);
        let fields = [("content-type", "application/grpc")];
        let request = h2_request("POST", HOST, "/s.S/M", &fields);
        let response = H2Client::connect(gateway.port(443)).request(request, "");
        assert_eq!(response.status, 200);
        assert_eq!(response.fields.get("grpc-status").map(|v| v.as_bytes()), Some(grpc.as_bytes()));
    }
}

#[test]
fn a_delay_comes_first_and_then_all_is_as_ever() {
    let origin = Origin::plain();
    let gateway = start("fault: {delay: {fixedDelay: 0.3s, percentage: {value: 100}}}", &origin);
    let began = Instant::now();
    assert_eq!(gateway.client().post(HOST, "/slow", "body").status, 200);
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(gateway.access("/slow")["response_flags"], "DI");
    assert_eq!(origin.requests()[0].body, b"body");
}

#[test]
fn a_client_that_leaves_while_it_is_delayed_is_no_longer_served() {
    let origin = Origin::plain();
    let gateway = start("fault: {delay: {fixedDelay: 1h, percent: 100}}", &origin);
    let mut client = gateway.client();
    client.send("GET /gone HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    drop(client);
    assert_eq!(gateway.access("/gone")["response_flags"], "DI,DC");
    assert_eq!(origin.connections(), 0);
}

#[test]
fn a_fault_without_percentage_is_for_nobody_and_that_is_said() {
    let origin = Origin::plain();
    let gateway = start("fault: {abort: {httpStatus: 500}, delay: {fixedDelay: 1h}}", &origin);
    assert_eq!(gateway.get(HOST, "/").status, 200);
    gateway.wait_for_log("meant for no request");
}

#[test]
fn faults_meet_redirects_too_and_only_their_own_rule() {
    let origin = Origin::plain();
    let rules = "- match: [{uri: {prefix: /old}}]\n    redirect: {uri: /new}\n    fault: {abort: {httpStatus: 418, percentage: {value: 100}}}\n  - route:";
    let config = Egress::plain(HOST).yaml().replacen("- route:", rules, 1);
    let gateway = Setup::new(&config).origin(HOST, 80, &origin).start();
    assert_eq!(gateway.get(HOST, "/old").status, 418);
    assert_eq!(gateway.get(HOST, "/").status, 200);
}

#[test]
fn faults_and_mirrors_are_shown_as_istiod_writes_them() {
    let lines = "fault: {delay: {fixedDelay: 1.5s, percentage: {value: 0.1}}, abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}}\n\
        mirrors: [{destination: {host: api.example.com, port: {number: 80}}}, {destination: {host: api.example.com, port: {number: 80}}, percentage: {value: 12.5}}]";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("egret.yaml");
    std::fs::write(&file, Egress::plain(HOST).rule(lines).yaml()).expect("written");
    let file = file.to_str().expect("UTF-8");
    let shown = egret(&["show", "routes", "-o", "json", "-c", file]);
    let shown: Value = serde_json::from_str(&shown.out).expect("JSON");
    let route = &shown[0]["virtualHosts"][0]["routes"][0];
    // pilot/pkg/networking/core/route/route.go: TranslateFault, TranslateRequestMirrorPolicy.
    assert_eq!(
        route["typedPerFilterConfig"]["envoy.filters.http.fault"],
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
            "delay": { "fixedDelay": "1.500s", "percentage": { "numerator": 1000, "denominator": "MILLION" } },
            "abort": { "grpcStatus": 14, "percentage": { "numerator": 1_000_000, "denominator": "MILLION" } },
        })
    );
    let cluster = "outbound|80||api.example.com";
    assert_eq!(
        route["route"]["requestMirrorPolicies"],
        json!([
            { "cluster": cluster, "runtimeFraction": { "defaultValue": { "numerator": 100 } } },
            { "cluster": cluster, "runtimeFraction": { "defaultValue": { "numerator": 125_000, "denominator": "MILLION" } } },
        ])
    );
    let explained = egret(&["explain", "http://api.example.com/", "-c", file]).out;
    for line in [
        "fault: 0.1 % of the requests wait 1s500ms first",
        "fault: 100 % of the requests are answered 503 here",
        "mirror: outbound|80||api.example.com gets a copy of 12.5 % of the requests",
    ] {
        assert!(explained.contains(line), "{line} is missing in {explained}");
    }
}
