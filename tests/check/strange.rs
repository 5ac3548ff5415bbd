//! Objects as people publish them: for sidecars, for other workloads, for older versions of Istio, or
//! refused by it. Each is told of, and as no worse than it is for a gateway.

use egret::config::Severity::{self, Error, Info, Warning};

use crate::compile;

const GATEWAY: &str = "apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress}
spec: {servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ['*']}]}
---
";

/// Everything that is said of the object but hints of what could be better, as code, severity and field.
fn told(kind: &str, spec: &str) -> (Vec<(&'static str, Severity, String)>, String) {
    let head = "apiVersion: networking.istio.io/v1beta1";
    let text = format!("{GATEWAY}{head}\nkind: {kind}\nmetadata: {{name: one}}\nspec: {spec}\n");
    let compiled = compile(&text);
    let object = format!("{kind}/one");
    let problems = compiled.problems.iter().filter(|problem| *problem.object.name == *object);
    let lines = problems
        .filter(|problem| !matches!(problem.code, "EG011" | "EG054" | "EG072"))
        .map(|problem| (problem.code, problem.severity, problem.field.clone()))
        .collect();
    let mut verdicts = compiled.provenance.verdicts.iter();
    let verdict = verdicts.find(|verdict| *verdict.object.name == *object);
    (lines, format!("{:?}", verdict.expect("a verdict").outcome))
}

#[track_caller]
fn is_told(kind: &str, spec: &str, expected: &[(&'static str, Severity, &str)], outcome: &str) {
    let (lines, verdict) = told(kind, spec);
    let expected: Vec<(&str, Severity, String)> = expected
        .iter()
        .map(|(code, severity, field)| (*code, *severity, (*field).into()))
        .collect();
    assert_eq!((lines, verdict.as_str()), (expected, outcome), "{kind} {spec}");
}

const TLS: &str =
    "tls: [{match: [{sniHosts: [a.example]}], route: [{destination: {host: a.example}}]}]";

#[test]
fn routes_for_connections_are_no_error_where_they_are_for_sidecars_alone() {
    let kind = "VirtualService";
    let spec = |gateways: &str| format!("{{hosts: [a.example], {gateways} {TLS}}}");
    is_told(kind, &spec(""), &[("EG008", Warning, "spec.gateways")], "Ignored");
    let mesh = spec("gateways: [mesh],");
    is_told(kind, &mesh, &[("EG013", Info, "spec.gateways")], "Ignored");
    let (lines, verdict) = told(kind, &spec("gateways: [egress],"));
    assert!(lines.contains(&("EG083", Error, "spec.tls".to_owned())), "{lines:?}");
    assert_eq!(verdict, "Ignored");
}

#[test]
fn a_condition_for_other_workloads_is_told() {
    let spec = |condition: &str| {
        let rest = "hosts: [a.example], gateways: [egress]";
        let rule = format!("{{match: [{{{condition}}}], directResponse: {{status: 204}}}}");
        format!("{{{rest}, http: [{rule}, {{directResponse: {{status: 200}}}}]}}")
    };
    for (condition, field) in [
        ("sourceLabels: {app: client}", Some("sourceLabels")),
        ("source_labels: {app: client}", Some("sourceLabels")),
        ("sourceNamespace: clients", Some("sourceNamespace")),
        ("sourceLabels: {istio: egressgateway}", None),
        ("sourceNamespace: istio-system, uri: {prefix: /a/}", None),
        ("gateways: [egress], sourceLabels: {app: client}, uri: {prefix: /a/}", None),
    ] {
        let field = field.map(|field| format!("spec.http[0].match[0].{field}"));
        let (lines, verdict) = told("VirtualService", &spec(condition));
        let said: Vec<_> = lines.into_iter().filter(|(code, ..)| *code == "EG013").collect();
        assert_eq!(said, field.map(|field| ("EG013", Info, field)).into_iter().collect::<Vec<_>>());
        assert_eq!(verdict, "Applied", "{condition}");
    }
}

#[test]
fn a_condition_on_a_token_takes_its_rule_out() {
    let claims = "'@request.auth.claims.group': {exact: admin}";
    let condition = format!("match: [{{headers: {{{claims}}}}}]");
    let rule = format!("{{{condition}, directResponse: {{status: 200}}}}");
    let spec = format!("{{hosts: [a.example], gateways: [egress], http: [{rule}]}}");
    let field = "spec.http[0].match[0].headers.@request.auth.claims.group";
    is_told("VirtualService", &spec, &[("EG083", Error, field)], "PartlyApplied");
}

#[test]
fn a_policy_for_browsers_is_told_where_it_is_wrong() {
    let spec = |policy: &str, rest: &str| {
        let rule = format!("{{corsPolicy: {{{policy}}}, {rest}}}");
        format!("{{hosts: [a.example], gateways: [egress], http: [{rule}]}}")
    };
    let field = "spec.http[0].corsPolicy";
    for (policy, code, severity, part) in [
        ("allowOrigins: [{prefix: 'https://a.'}], maxAge: 24h", "", Info, ""),
        ("allowOrigin: [https://a.example]", "EG074", Warning, ".allowOrigin"),
        ("allowOrigins: [{exact: a}], allowOrigin: [b]", "EG074", Warning, ".allowOrigin"),
        ("allowMethods: [GET]", "EG082", Warning, ""),
        ("allowOrigins: [{exact: a}, {}]", "EG081", Error, ".allowOrigins[1]"),
        ("allowOrigins: [{exact: a}, {regex: '('}]", "EG081", Error, ".allowOrigins[1]"),
        (
            "allowOrigins: [{exact: a}], allowMethods: [GET, ALL]",
            "EG089",
            Warning,
            ".allowMethods[1]",
        ),
        ("allowOrigins: [{exact: a}], exposeHeaders: ['a b']", "EG081", Error, ".exposeHeaders[0]"),
        ("allowOrigins: [{exact: a}], maxAge: 1.5s", "EG089", Warning, ".maxAge"),
        ("allowOrigins: [{exact: a}], maxAge: 60", "EG081", Error, ".maxAge"),
        (
            "allowOrigins: [{exact: a}], unmatchedPreflights: DROP",
            "EG081",
            Error,
            ".unmatchedPreflights",
        ),
    ] {
        let (lines, _) = told("VirtualService", &spec(policy, "route: [{destination: {host: a}}]"));
        let expected =
            Some((code, severity, format!("{field}{part}"))).filter(|_| !code.is_empty());
        assert_eq!(lines, expected.into_iter().collect::<Vec<_>>(), "{policy}");
    }
    let beside = spec("allowOrigins: [{exact: a}]", "directResponse: {status: 204}");
    is_told("VirtualService", &beside, &[("EG073", Warning, field)], "PartlyApplied");
}

#[test]
fn endpoints_that_nobody_asks_for_are_told() {
    let kind = "ServiceEntry";
    let spec = |rest: &str| {
        let ports = "ports: [{number: 80, name: http, protocol: HTTP}]";
        format!("{{hosts: [a.example], {ports}, endpoints: [{{address: 192.0.2.1}}], {rest}}}")
    };
    for rest in ["", "resolution: NONE"] {
        is_told(kind, &spec(rest), &[("EG052", Error, "spec.endpoints")], "PartlyApplied");
    }
    let both = spec("resolution: STATIC, workloadSelector: {labels: {app: a}}");
    let field = "spec.workloadSelector";
    is_told(kind, &both, &[("EG083", Error, field), ("EG089", Warning, field)], "PartlyApplied");
}

#[test]
fn a_field_beside_the_spec_is_told_and_the_rest_applies() {
    let text = format!(
        "{GATEWAY}apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: one}}\n"
    ) + "spec:\n  hosts: [a.example]\n  resolution: DNS\n"
        + "ports: [{number: 80, name: http, protocol: HTTP}]\nstats: {}\nstatus: {conditions: []}\n";
    let compiled = compile(&text);
    let told: Vec<String> = compiled
        .problems
        .iter()
        .filter(|problem| problem.code == "EG075")
        .map(|problem| {
            format!(
                "{}:{} {}: {}",
                problem.place.line, problem.place.column, problem.field, problem.fix
            )
        })
        .collect();
    assert_eq!(
        told,
        ["12:1 ports: indent it under spec, or remove it", "13:1 stats: did you mean \"status\"?",]
    );
}
