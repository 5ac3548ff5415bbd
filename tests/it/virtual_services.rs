//! Several VirtualServices for one host: whose rules come first, and which of them apply here at all.

use crate::harness::article::{ANY_HOST, Egress};
use crate::harness::{Setup, egret, get};

const HOST: &str = "api.example.com";

/// The Gateway and these VirtualServices: metadata, and lines of the spec after hosts and gateways. Each
/// answers with a status of its own.
fn config(objects: &[(&str, &str)]) -> String {
    let mut config = ANY_HOST.to_owned();
    for (metadata, spec) in objects {
        let spec: String = spec.lines().map(|line| format!("  {line}\n")).collect();
        config += &format!(
            "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{{metadata}}}\nspec:\n  hosts: [{HOST}]\n  gateways: [default/egress]\n{spec}"
        );
    }
    config
}

fn answers(status: u16) -> String {
    format!("http: [{{directResponse: {{status: {status}}}}}]")
}

fn answers_to(path: &str, status: u16) -> String {
    format!(
        "http: [{{match: [{{uri: {{prefix: {path}}}}}], directResponse: {{status: {status}}}}}]"
    )
}

#[test]
fn rules_of_several_objects_are_joined_in_istios_order() {
    let old = "creationTimestamp: '2020-01-01T00:00:00Z'";
    let new = "creationTimestamp: '2021-01-01T00:00:00Z'";
    let in_istio = "namespace: istio-system";
    for (first, second, status) in [
        // The older one, wherever it stands in the file.
        (
            (format!("name: z, {new}"), answers_to("/a", 201)),
            (format!("name: y, {old}"), answers_to("/a", 202)),
            202,
        ),
        // Of two equally old ones, by name; then by namespace.
        (
            (format!("name: z, {old}"), answers_to("/a", 201)),
            (format!("name: y, {old}"), answers_to("/a", 202)),
            202,
        ),
        (
            (format!("name: y, namespace: b, {old}"), answers_to("/a", 201)),
            (format!("name: y, namespace: a, {old}"), answers_to("/a", 202)),
            202,
        ),
        // Those of files, which have no age, as they are written.
        (("name: z".into(), answers_to("/a", 201)), ("name: y".into(), answers_to("/a", 202)), 201),
        // A rule for every request comes last.
        (("name: z".into(), answers(201)), ("name: y".into(), answers_to("/a", 202)), 202),
        // What is the gateway's own namespace's alone comes first, then what is exported to it by name.
        (
            ("name: z".into(), answers_to("/a", 201)),
            (format!("name: y, {in_istio}"), format!("exportTo: ['.']\n{}", answers_to("/a", 202))),
            202,
        ),
        (
            ("name: z".into(), answers_to("/a", 201)),
            ("name: y".into(), format!("exportTo: [istio-system]\n{}", answers_to("/a", 202))),
            202,
        ),
        // What is hidden does not count.
        (
            ("name: z".into(), format!("exportTo: ['.']\n{}", answers_to("/a", 201))),
            ("name: y".into(), answers_to("/a", 202)),
            202,
        ),
    ] {
        let config = config(&[(&first.0, &first.1), (&second.0, &second.1)]);
        let gateway = Setup::new(&config).start();
        assert_eq!(gateway.get(HOST, "/a").status, status, "{first:?} {second:?}");
    }
}

#[test]
fn conditions_on_gateway_port_and_workload_decide_where_a_rule_applies() {
    for (condition, applies) in [
        ("port: 443", true),
        ("port: 80", false),
        ("gateways: [default/egress]", true),
        ("gateways: [mesh]", false),
        ("gateways: [default/other]", false),
        ("sourceLabels: {istio: egressgateway}", true),
        ("sourceLabels: {app: client}", false),
        ("sourceNamespace: istio-system", true),
        ("sourceNamespace: default", false),
        // As Istio: the workload is only asked about where no gateway is named.
        ("gateways: [default/egress], sourceLabels: {app: client}, sourceNamespace: x", true),
    ] {
        let spec = format!(
            "http:\n- match: [{{uri: {{prefix: /}}, {condition}}}]\n  directResponse: {{status: 201}}\n- directResponse: {{status: 202}}"
        );
        let gateway = Setup::new(&config(&[("name: one", &spec)])).start();
        let status = if applies { 201 } else { 202 };
        assert_eq!(gateway.get(HOST, "/").status, status, "{condition}");
    }
}

#[test]
fn requests_are_counted_by_the_stat_prefix_of_the_match_that_took_them() {
    let of = |prefix: &str| {
        let counted = format!("{{uri: {{prefix: /b}}, statPrefix: {prefix}}}");
        let spec = format!(
            "http:\n- match: [{{uri: {{prefix: /a}}, statPrefix: first}}, {counted}]\n  directResponse: {{status: 201}}\n- directResponse: {{status: 202}}"
        );
        config(&[("name: one", &spec)])
    };
    let gateway = Setup::new(&of("second")).start();
    for path in ["/a", "/b", "/b", "/c"] {
        gateway.get(HOST, path);
    }
    gateway.wait_for_access("/c");
    let counted = |labels: &[&str]| gateway.metric("egret_route_requests_total", labels);
    assert_eq!(counted(&["stat_prefix=\"first\"", "code=\"201\"", "flag=\"-\""]), 1.0);
    assert_eq!(counted(&["stat_prefix=\"second\""]), 2.0);
    assert_eq!(counted(&[]), 3.0, "a rule without one is not among them");
    // The counters of before stay, as those of every scrape must.
    gateway.reconfigure(&of("third"));
    gateway.get(HOST, "/b");
    gateway.get(HOST, "/a");
    assert_eq!(counted(&["stat_prefix=\"second\""]), 2.0);
    assert_eq!(counted(&["stat_prefix=\"third\""]), 1.0);
    assert_eq!(counted(&["stat_prefix=\"first\""]), 2.0);
}

#[test]
fn what_is_never_reached_is_named() {
    let spec = "http:\n- directResponse: {status: 201}\n- match: [{uri: {prefix: /a}}]\n  directResponse: {status: 202}\n";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("egret.yaml");
    std::fs::write(&file, config(&[("name: one", spec)])).expect("written");
    let told = egret(&["check", "-c", file.to_str().expect("UTF-8")]);
    assert!(told.out.contains("EG070") && told.out.contains("spec.http[1].match[0]"), "{told:?}");
}

#[test]
fn routes_for_connections_are_told_field_by_field() {
    let spec = "http: [{directResponse: {status: 201}}]\ntls:\n- match: [{port: 443, sniHosts: [a.example.com]}]\n  route: [{destination: {host: a.example.com, prot: 1}, weight: 100}]\ntcp:\n- match: [{destinationSubnets: [10.0.0.0/8]}]\n  route: [{destination: {host: b.example.com}}]\n";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("egret.yaml");
    std::fs::write(&file, config(&[("name: one", spec)])).expect("written");
    let told = egret(&["check", "-c", file.to_str().expect("UTF-8")]);
    for field in [
        "spec.tls: ",
        "spec.tls[0].match[0].sniHosts",
        "spec.tls[0].route[0].destination.host",
        "spec.tls[0].route[0].destination.prot",
        "spec.tls[0].route[0].weight",
        "spec.tcp[0].match[0].destinationSubnets",
        "spec.tcp[0].route[0].destination.host",
    ] {
        assert!(told.out.contains(field), "{field} is missing: {}", told.out);
    }
}

#[test]
fn a_value_with_a_command_that_is_not_known_is_never_sent_half_evaluated() {
    let origin = crate::harness::Origin::plain();
    let lines =
        "headers: {request: {set: {x-whole: '100%%', x-command: 'a %CEL(x)%', x-alone: '5%'}}}";
    let gateway =
        Setup::new(&Egress::plain(HOST).rule(lines).yaml()).origin(HOST, 80, &origin).start();
    assert_eq!(get(gateway.port(443), HOST, "/").status, 200);
    let head = origin.last_head();
    assert!(head.contains("x-whole: 100%\r\n"), "{head}");
    assert!(!head.contains("x-command") && !head.contains("x-alone"), "{head}");
    gateway.wait_for_log("spec.http[0].headers.request.set.x-command");
    gateway.wait_for_log("spec.http[0].headers.request.set.x-alone");
}

#[test]
fn a_host_is_asked_about_its_own_rules_alone_however_many_objects_there_are() {
    let mut config = ANY_HOST.to_owned();
    for number in 0..1000 {
        let rules: String = (0..10)
            .map(|rule| {
                let condition = match rule {
                    9 => "{regex: '/v[0-9]+/x'}".to_owned(),
                    _ => format!("{{prefix: /{rule}/}}"),
                };
                format!(
                    "  - {{match: [{{uri: {condition}}}], directResponse: {{status: {}}}}}\n",
                    200 + number % 300
                )
            })
            .collect();
        config += &format!(
            "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v{number}}}\nspec:\n  hosts: [h{number}.example.com]\n  gateways: [egress]\n  http:\n{rules}"
        );
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("egret.yaml");
    std::fs::write(&file, &config).expect("written");
    let file = file.to_str().expect("UTF-8");
    let explained = egret(&["explain", "http://h999.example.com/v7/x", "-c", file]).out;
    assert!(explained.contains("10 of 10: "), "{explained}");
    assert!(explained.contains("VirtualService/v999 spec.http[9].match[0]"), "{explained}");
}
