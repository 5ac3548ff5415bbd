//! Endpoints that keep failing are left out for a while, and everybody can see it.

use crate::harness::article::Egress;
use crate::harness::origin::Scripted::{End, Status};
use crate::harness::{Gateway, Origin, Setup, egret, until};

const HOST: &str = "api.example.com";

/// A gateway before origins at addresses of their own, with this outlier detection.
fn group(size: u8, outliers: &str) -> (Gateway, Vec<Origin>) {
    let origins = Origin::plain_group(size);
    (Setup::new(&egress(&origins, outliers).yaml()).start(), origins)
}

fn egress(origins: &[Origin], outliers: &str) -> Egress {
    let endpoint = |origin: &Origin| format!("- {{address: {}}}\n", origin.address.ip());
    let endpoints: String = origins.iter().map(endpoint).collect();
    Egress { port: origins[0].port(), ..Egress::plain(HOST) }
        .service(&format!("resolution: STATIC\nendpoints:\n{endpoints}"))
        .policy(&format!("loadBalancer: {{simple: ROUND_ROBIN}}\noutlierDetection: {{{outliers}}}"))
        .rule("retries: {attempts: 0}")
}

/// Requests until one has failed for each of these.
fn failures(gateway: &Gateway, count: usize) {
    let mut failed = 0;
    while failed < count {
        failed += usize::from(gateway.get(HOST, "/down").status >= 500);
    }
}

fn shown(gateway: &Gateway) -> String {
    egret(&["show", "endpoints", "--admin", &format!("http://{}", gateway.admin())]).out
}

#[test]
fn five_errors_in_a_row_eject_an_endpoint_and_all_can_see_it() {
    let (gateway, origins) = group(3, "baseEjectionTime: 1h, maxEjectionPercent: 50");
    origins[1].script("/down", &vec![Status(500, "", ""); 9]);
    failures(&gateway, 5);
    let address = origins[1].address;
    gateway.wait_for_log(&format!("{address} of outbound|"));
    gateway.wait_for_log("is ejected for 1h: too many answers from 500");
    let before = origins[1].requests().len();
    for _ in 0..12 {
        assert_eq!(gateway.get(HOST, "/down").status, 200);
    }
    assert_eq!(origins[1].requests().len(), before, "it is left out");
    assert_eq!(gateway.metric("egret_ejections_total", &["reason=\"errors\""]), 1.0);
    assert_eq!(gateway.metric("egret_endpoints_ejected", &[]), 1.0);
}

#[test]
fn the_statuses_that_are_listed_count_and_no_others() {
    let (gateway, origins) = group(
        2,
        "consecutive5xxErrors: 2, outlierDetectionHttpErrorCodes: [429, 503], baseEjectionTime: 1h, maxEjectionPercent: 50",
    );
    let mut answers = vec![Status(500, "", ""); 6];
    answers.extend(vec![Status(429, "", ""); 9]);
    origins[0].script("/down", &answers);
    let asked = until("an endpoint is ejected", || {
        gateway.get(HOST, "/down");
        let ejected = gateway.metric("egret_ejections_total", &["reason=\"errors\""]) == 1.0;
        ejected.then(|| origins[0].count("/down"))
    });
    assert_eq!(asked, 8, "six answers 500 did not count, two answers 429 did");
    gateway.wait_for_log("is ejected for 1h: too many answers that count as errors");
}

#[test]
fn an_endpoint_comes_back_when_its_time_is_over() {
    let (gateway, origins) =
        group(2, "consecutive5xxErrors: 2, baseEjectionTime: 0.2s, maxEjectionPercent: 50");
    origins[0].script("/down", &[Status(500, "", ""), Status(500, "", "")]);
    failures(&gateway, 2);
    let before = origins[0].requests().len();
    until("the endpoint is asked again", || {
        assert_eq!(gateway.get(HOST, "/").status, 200);
        (origins[0].requests().len() > before).then_some(())
    });
    gateway.wait_for_log(&format!("{} of outbound|", origins[0].address));
    gateway.wait_for_log("is no longer ejected");
}

#[test]
fn broken_connections_count_as_errors_do() {
    let (gateway, origins) =
        group(2, "consecutive5xxErrors: 0, consecutiveGatewayErrors: 3, baseEjectionTime: 1h");
    origins[0].script("/down", &vec![End; 9]);
    failures(&gateway, 3);
    for _ in 0..8 {
        assert_eq!(gateway.get(HOST, "/down").status, 200);
    }
    assert_eq!(gateway.metric("egret_ejections_total", &["reason=\"gateway_errors\""]), 1.0);
}

#[test]
fn connections_that_are_refused_count_even_where_another_endpoint_answers() {
    let (gateway, mut origins) = group(
        2,
        "splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2, baseEjectionTime: 1h",
    );
    drop(origins.remove(0));
    until("the dead endpoint is ejected", || {
        assert_eq!(gateway.get(HOST, "/close-after").status, 200, "the other one answers");
        (gateway.metric("egret_ejections_total", &["reason=\"local_errors\""]) == 1.0).then_some(())
    });
}

#[test]
fn when_all_are_ejected_there_is_no_healthy_upstream() {
    let (gateway, origins) =
        group(2, "consecutive5xxErrors: 1, baseEjectionTime: 1h, maxEjectionPercent: 100");
    origins.iter().for_each(|origin| origin.script("/down", &[Status(503, "", "")]));
    failures(&gateway, 2);
    let response = gateway.get(HOST, "/after");
    assert_eq!((response.status, response.text().as_str()), (503, "no healthy upstream"));
    let line = gateway.access("/after");
    assert_eq!(
        (&line["response_flags"], &line["response_code_details"]),
        (&"UH".into(), &"no_healthy_upstream".into())
    );
}

#[test]
fn with_too_few_left_all_are_asked_again() {
    let (gateway, origins) = group(
        2,
        "consecutive5xxErrors: 1, baseEjectionTime: 1h, maxEjectionPercent: 100, minHealthPercent: 60",
    );
    origins[0].script("/down", &[Status(503, "", "")]);
    failures(&gateway, 1);
    let before = origins[0].requests().len();
    (0..4).for_each(|_| assert_eq!(gateway.get(HOST, "/").status, 200));
    assert!(origins[0].requests().len() > before);
}

#[test]
fn an_ejection_outlives_a_reload() {
    let outliers = "consecutive5xxErrors: 1, baseEjectionTime: 1h, maxEjectionPercent: 50";
    let (gateway, origins) = group(2, outliers);
    origins[0].script("/down", &[Status(500, "", "")]);
    failures(&gateway, 1);
    let (before, other) = (origins[0].requests().len(), egress(&origins, outliers));
    let other = other.rule("retries: {attempts: 0}\nheaders: {request: {set: {x-new: '1'}}}");
    gateway.reconfigure(&other.yaml());
    (0..6).for_each(|_| assert_eq!(gateway.get(HOST, "/").status, 200));
    assert!(origins[1].last_head().contains("x-new"), "the new configuration is in force");
    assert_eq!(origins[0].requests().len(), before, "and the endpoint is still out");
    let shown = shown(&gateway);
    assert!(shown.contains("ejected for 3"), "{shown}");
}
