//! Routes that are said in another VirtualService: what is handed down, and what is said of each object.

use crate::harness::article::{ANY_HOST, Egress};
use crate::harness::command::Finished;
use crate::harness::{Origin, Setup, egret};

const HOST: &str = "api.example.com";

/// The Gateway, the host's service, and these VirtualServices: name, namespace, and lines of the spec.
fn config(objects: &[(&str, &str, &str)]) -> String {
    let egress = Egress::plain(HOST).objects();
    let service = egress.split("---\n").next().expect("the first object");
    let mut config = format!("{ANY_HOST}---\n{service}");
    for (name, namespace, spec) in objects {
        let spec: String = spec.lines().map(|line| format!("  {line}\n")).collect();
        config += &format!(
            "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n{spec}"
        );
    }
    config
}

const TO: &str = "route: [{destination: {host: api.example.com, port: {number: 80}}}]";
const ROOT: &str = "hosts: [api.example.com]\ngateways: [default/egress]\nhttp:\n";

fn check(config: &str) -> Finished {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("egret.yaml");
    std::fs::write(&file, config).expect("written");
    egret(&["check", "-c", file.to_str().expect("UTF-8")])
}

#[test]
fn a_delegates_routes_are_narrowed_to_what_is_delegated() {
    let origin = Origin::plain();
    let root = format!(
        "{ROOT}- name: shop\n  match: [{{uri: {{prefix: /shop}}, headers: {{x-tier: {{exact: gold}}}}}}]\n  delegate: {{name: shop, namespace: team}}\n  rewrite: {{authority: rewritten.example.com}}\n\
         - match: [{{uri: {{prefix: /all}}}}]\n  delegate: {{name: all}}\n- directResponse: {{status: 418}}\n"
    );
    let shop = format!(
        "http:\n- match: [{{uri: {{prefix: /shop/v2}}}}]\n  name: v2\n  {TO}\n- match: [{{uri: {{exact: /shop/gone}}}}]\n  directResponse: {{status: 410}}\n- match: [{{uri: {{prefix: /elsewhere}}}}]\n  directResponse: {{status: 500}}\n"
    );
    let all = format!("http:\n- {TO}\n");
    let config =
        config(&[("root", "default", &root), ("shop", "team", &shop), ("all", "default", &all)]);
    let gateway = Setup::new(&config).origin(HOST, 80, &origin).start();
    let mut client = gateway.client();
    for (path, tier, status) in [
        ("/shop/v2/x", "gold", 200),
        ("/shop/v2/x", "tin", 418),
        ("/shop/gone", "gold", 410),
        ("/shop/other", "gold", 418),
        ("/elsewhere", "gold", 418),
        ("/all/x", "tin", 200),
    ] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nx-tier: {tier}\r\n\r\n"));
        assert_eq!(client.response().status, status, "{path} {tier}");
    }
    let heads = origin.requests();
    assert!(heads[0].head.to_lowercase().contains("host: rewritten.example.com\r\n"));
    assert!(heads[1].head.to_lowercase().contains("host: api.example.com\r\n"));
    assert_eq!(gateway.access("/shop/v2/x")["route_name"], "shop-v2");
}

#[test]
fn what_is_wrong_with_a_delegation_is_said_of_the_object_that_is_wrong() {
    let leaf = format!("http:\n- {TO}\n");
    let to_leaf = format!("{ROOT}- delegate: {{name: leaf, namespace: team}}\n- {TO}\n");
    let hidden = format!("exportTo: [other]\n{leaf}");
    let narrow = format!(
        "{ROOT}- match: [{{uri: {{prefix: /a}}}}]\n  delegate: {{name: leaf, namespace: team}}\n"
    );
    let wide = format!("http:\n- match: [{{uri: {{prefix: /b}}}}]\n  {TO}\n");
    let nested = "http:\n- delegate: {name: other}\n";
    let bound = format!("gateways: [default/egress]\n{leaf}");
    for (root, delegate, words) in [
        (
            &to_leaf,
            hidden.as_str(),
            ["EG095", "exportTo of team/leaf hides it from namespace default"],
        ),
        (&to_leaf, "hosts: [x.example.com]\n", ["EG095", "there is no delegate team/leaf"]),
        (
            &narrow,
            &wide,
            ["EG096", "spec.http[0]: match[0] is no part of what is delegated: uri conflicts"],
        ),
        (&to_leaf, nested, ["EG073", "a delegate cannot delegate"]),
        (
            &to_leaf.replace("default/egress", "mesh"),
            &leaf,
            ["EG013", "only objects that do not apply here delegate to it"],
        ),
        (&to_leaf, &bound, ["EG073", "is bound to no gateway"]),
        (&format!("{ROOT}- {TO}\n"), &leaf, ["EG082", "no route delegates to it"]),
        (
            &format!("{ROOT}- {TO}\n  delegate: {{name: leaf, namespace: team}}\n"),
            &leaf,
            ["EG073", "delegate stands beside it"],
        ),
    ] {
        let told = check(&config(&[("root", "default", root), ("leaf", "team", delegate)]));
        let all = format!("{}{}", told.out, told.err);
        for word in words {
            assert!(all.contains(word), "{word:?} is missing in {all}");
        }
    }
}

#[test]
fn a_delegate_that_is_used_is_applied_and_its_rules_name_both() {
    let root = format!("{ROOT}- delegate: {{name: leaf, namespace: team}}\n");
    let leaf = format!("http:\n- match: [{{uri: {{prefix: /x}}}}]\n  {TO}\n");
    let config = config(&[("root", "default", &root), ("leaf", "team", &leaf)]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("egret.yaml");
    std::fs::write(&file, &config).expect("written");
    let file = file.to_str().expect("UTF-8");
    let explained = egret(&["explain", "http://api.example.com/x", "-c", file]);
    assert!(
        explained.out.contains("VirtualService/leaf in team spec.http[0].match[0]"),
        "{}",
        explained.out
    );
    let shown = egret(&["show", "routes", "-o", "json", "-c", file]);
    assert!(shown.out.contains("/namespaces/default/virtual-service/root"), "{}", shown.out);
}

#[test]
fn objects_that_delegate_come_after_those_that_do_not() {
    let origin = Origin::plain();
    let root = format!(
        "{ROOT}- match: [{{uri: {{prefix: /}}, headers: {{a: {{exact: b}}}}}}]\n  delegate: {{name: leaf}}\n"
    );
    let leaf = "http:\n- directResponse: {status: 418}\n";
    let plain = format!("{ROOT}- match: [{{headers: {{a: {{exact: b}}}}}}]\n  {TO}\n");
    let config = config(&[
        ("root", "default", &root),
        ("leaf", "default", leaf),
        ("plain", "default", &plain),
    ]);
    let gateway = Setup::new(&config).origin(HOST, 80, &origin).start();
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: api.example.com\r\na: b\r\n\r\n");
    assert_eq!(client.response().status, 200, "though it is written last");
}
