//! `check`, `explain` and `show` as processes: exit codes, and what each says of the article's objects,
//! whole, step by step and broken.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use serde_json::Value;

use crate::harness::command::{Finished, egret};

const SERVICE: &str = include_str!("../../config/article/service-entry.yaml");
const GATEWAY: &str = include_str!("../../config/article/gateway.yaml");
const MESH_POLICY: &str = include_str!("../../config/article/destination-rule-gateway.yaml");
const ROUTES: &str = include_str!("../../config/article/virtual-service.yaml");
const TLS_POLICY: &str = include_str!("../../config/article/destination-rule-tls.yaml");

const ARTICLE: [&str; 5] = [SERVICE, GATEWAY, MESH_POLICY, ROUTES, TLS_POLICY];
const POLITICS: &str = "http://edition.cnn.com/politics";

/// Runs a command on these documents, as one file.
fn on(documents: &[&str], command: &str, arguments: &[&str]) -> Finished {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("egret.yaml");
    std::fs::write(&file, documents.join("\n---\n")).expect("written");
    let path = file.to_str().expect("UTF-8");
    egret(&[&[command][..], arguments, &["-c", path]].concat())
}

/// Every line that stands in some of these texts is in what was printed.
fn assert_tells(finished: &Finished, words: &[&str]) {
    for word in words {
        assert!(finished.out.contains(word), "{word} is missing: {finished:?}");
    }
}

#[test]
fn the_article_is_told_at_each_step() {
    let gateway_alone = [SERVICE, GATEWAY];
    let plain = [SERVICE, GATEWAY, MESH_POLICY, ROUTES];
    for (documents, check, explain, words) in [
        (&gateway_alone[..], 0, 1, &["404 NR", "blackhole:443", "spec.servers[0]"][..]),
        (&plain, 1, 0, &["WITHOUT TLS", "EG003", "match.port 80", "egressgateway-for-cnn"]),
        (
            &ARTICLE,
            0,
            0,
            &[
                "egret.yaml:",
                "spec.http[1].match[0]",
                "policy        DestinationRule/originate-tls-for-edition-cnn-com spec.trafficPolicy",
                "ROUND_ROBIN is not in force",
                "SNI: edition.cnn.com",
                "forwarded to outbound|443||edition.cnn.com",
            ],
        ),
    ] {
        let checked = on(documents, "check", &[]);
        assert_eq!(checked.code, check, "{checked:?}");
        let explained = on(documents, "explain", &[POLITICS]);
        assert_eq!(explained.code, explain, "{explained:?}");
        assert_tells(&explained, words);
    }
    assert_eq!(on(&ARTICLE, "check", &["--strict"]).code, 1);
}

/// One mistake in the article's objects.
struct Mistake {
    /// The object it is in.
    object: &'static str,
    /// What is written there, and what is written in its place.
    from: &'static str,
    to: &'static str,
    /// The exit code.
    code: i32,
    /// What becomes of the request, and the field to blame.
    words: [&'static str; 2],
}

const fn mistake(
    object: &'static str,
    from: &'static str,
    to: &'static str,
    code: i32,
    words: [&'static str; 2],
) -> Mistake {
    Mistake { object, from, to, code, words }
}

const REFUSED: &str = "the connection is refused";
const WITHOUT_TLS: &str = "WITHOUT TLS";
const NO_ROUTE: &str = "404 NR route_not_found (destination_not_found)";
const NO_CLUSTER: &str = "503 NC cluster_not_found (proxy_configuration_error)";
const NO_ENDPOINT: &str = "503 UH no_healthy_upstream (destination_unavailable)";
const UNUSABLE: &str = "(proxy_configuration_error): DestinationRule";

const OUR_PORT: &str = "      - istio-egressgateway\n      port: 443";
const DESTINATION: &str = "host: edition.cnn.com\n        port:\n          number: 443";

#[rustfmt::skip] // a table reads best as one
const MISTAKES: &[Mistake] = &[
    mistake(GATEWAY, "istio: egressgateway", "istio: ingressgateway", 1, [REFUSED, "spec.selector"]),
    mistake(GATEWAY, "protocol: HTTP", "protocol: HTTPS", 1, [REFUSED, "spec.servers[0].port.protocol"]),
    mistake(GATEWAY, "- edition.cnn.com", "- cnn.com", 1, [NO_ROUTE, "spec.hosts[0]"]),
    mistake(GATEWAY, "number: 443", "number: 80", 1, [NO_ROUTE, "spec.http[1].match[0].port"]),
    mistake(GATEWAY, "name: istio-egressgateway", "name: egress", 1, [NO_ROUTE, "spec.gateways[0]"]),
    mistake(ROUTES, "  gateways:\n  - istio-egressgateway\n  - mesh\n", "", 1, [NO_ROUTE, "spec.gateways"]),
    mistake(ROUTES, "- istio-egressgateway\n  - mesh", "- istio-egress\n  - mesh", 1, [NO_ROUTE, "spec.gateways[0]"]),
    mistake(ROUTES, OUR_PORT, "      - istio-egress\n      port: 443", 1, [NO_ROUTE, "spec.http[1].match[0].gateways[0]"]),
    mistake(ROUTES, OUR_PORT, "      - istio-egressgateway\n      port: 8443", 1, [NO_ROUTE, "spec.http[1].match[0].port"]),
    mistake(ROUTES, "- edition.cnn.com", "- www.cnn.com", 1, [NO_ROUTE, "spec.hosts[0]"]),
    mistake(ROUTES, "spec:\n", "spec:\n  exportTo: [\".\"]\n", 1, [NO_ROUTE, "spec.exportTo"]),
    mistake(ROUTES, "port: 443\n    route", "port: 443\n      headers: {x-a: {exact: b}}\n    route", 1, [NO_ROUTE, "spec.http[1].match[0]"]),
    mistake(ROUTES, DESTINATION, "host: edition.cnn.com\n        port:\n          number: 8443", 1, [NO_CLUSTER, "spec.http[1].route[0].destination.port.number"]),
    mistake(ROUTES, DESTINATION, "host: edition.cnn.com\n        port:\n          number: 80", 0, [WITHOUT_TLS, "spec.trafficPolicy.portLevelSettings[0].port.number"]),
    mistake(ROUTES, DESTINATION, "host: edition.cnn.org\n        port:\n          number: 443", 1, [NO_CLUSTER, "spec.http[1].route[0].destination.host"]),
    mistake(ROUTES, DESTINATION, "host: edition.cnn.com\n        subset: tls\n        port:\n          number: 443", 1, [NO_CLUSTER, "spec.http[1].route[0].destination.subset"]),
    mistake(TLS_POLICY, "host: edition.cnn.com", "host: www.cnn.com", 0, [WITHOUT_TLS, "spec.host www.cnn.com is another host"]),
    mistake(TLS_POLICY, "metadata:\n", "metadata:\n  namespace: other\n", 0, [WITHOUT_TLS, "metadata.namespace"]),
    mistake(TLS_POLICY, "number: 443", "number: 80", 0, [WITHOUT_TLS, "spec.trafficPolicy.portLevelSettings[0].port.number"]),
    mistake(TLS_POLICY, "mode: SIMPLE", "mode: DISABLE", 0, [WITHOUT_TLS, "spec.trafficPolicy.portLevelSettings[0].tls"]),
    mistake(TLS_POLICY, "portLevelSettings", "portLevelSetting", 1, [UNUSABLE, "did you mean \"portLevelSettings\""]),
    mistake(TLS_POLICY, "mode: SIMPLE", "mode: simple", 1, [UNUSABLE, "tls.mode"]),
    mistake(TLS_POLICY, "mode: SIMPLE", "mode: MUTUAL", 1, [UNUSABLE, "clientCertificate"]),
    mistake(TLS_POLICY, "mode: SIMPLE", "mode: SIMPLE\n        caCertificates: /nowhere/ca.pem", 1, [UNUSABLE, "tls.caCertificates: /nowhere/ca.pem"]),
    mistake(SERVICE, "resolution: DNS", "location: MESH_EXTERNAL", 1, [NO_ENDPOINT, "resolution omitted"]),
    mistake(SERVICE, "resolution: DNS", "resolution: STATIC", 1, [NO_ENDPOINT, "spec.endpoints"]),
    mistake(SERVICE, "- edition.cnn.com", "- www.cnn.com", 1, [NO_CLUSTER, "spec.http[1].route[0].destination.host"]),
];

#[test]
fn explain_names_the_field_that_is_to_blame() {
    for mistake in MISTAKES {
        assert!(mistake.object.contains(mistake.from), "{} is not in the article", mistake.from);
        let documents = ARTICLE.map(|document| match document == mistake.object {
            true => document.replacen(mistake.from, mistake.to, 1),
            false => document.to_owned(),
        });
        let explained = on(&documents.each_ref().map(String::as_str), "explain", &[POLITICS]);
        let change = format!("{} -> {}: {explained:?}", mistake.from, mistake.to);
        assert_eq!(explained.code, mistake.code, "{change}");
        for word in mistake.words {
            assert!(explained.out.contains(word), "{word} is missing: {change}");
        }
    }
}

/// The same walk for programs: what decided is in fields of its own, each with its place.
#[test]
fn explain_prints_json_for_programs() {
    let explained = on(&ARTICLE, "explain", &[POLITICS, "-o", "json"]);
    assert_eq!(explained.code, 0, "{explained:?}");
    let value: Value = serde_json::from_str(&explained.out).expect("JSON");
    assert_eq!(value["ending"], "forwarded");
    let step = |title: &str| {
        let mut steps = value["steps"].as_array().expect("steps").iter();
        steps.find(|step| step["title"] == title).cloned().unwrap_or_else(|| panic!("no {title}"))
    };
    for (title, pointer, expected) in [
        ("listener", "/name", "0.0.0.0_443"),
        ("listener", "/routeTable", "http.443"),
        ("listener", "/from/0/field", "spec.servers[0]"),
        ("virtual host", "/name", "edition.cnn.com:443"),
        ("rule", "/from/field", "spec.http[1].match[0]"),
        ("destination", "/cluster", "outbound|443||edition.cnn.com"),
        ("destination", "/from/object", "ServiceEntry/cnn"),
        ("policy", "/from/object", "DestinationRule/originate-tls-for-edition-cnn-com"),
        ("policy", "/candidates/0/verdict", "chosen"),
        ("TLS", "/sni", "edition.cnn.com"),
        ("TLS", "/names/0", "edition.cnn.com"),
        ("forwarding", "/sent/0/target", "/politics"),
        ("not taken", "/objects/0/field", "spec.http[0].match[0].port"),
        ("problems", "/problems/1/code", "EG001"),
    ] {
        let found = step(title);
        assert_eq!(found.pointer(pointer), Some(&Value::from(expected)), "{title}: {found:#}");
    }
    let place = step("rule");
    assert!(place["from"]["line"].as_u64().is_some_and(|line| line > 1), "{place:#}");
    let refused = on(&ARTICLE, "explain", &["http://nowhere.example.com:443/", "-o", "json"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let value: Value = serde_json::from_str(&refused.out).expect("JSON");
    let steps = value["steps"].as_array().expect("steps").iter();
    let outcome = steps.rev().find(|step| step["title"] == "outcome").expect("an end");
    assert_eq!((&outcome["status"], &outcome["flag"]), (&404.into(), &"NR".into()));
}

#[test]
fn a_client_of_a_proxy_is_explained_by_its_whole_url() {
    for (url, host) in [
        ("http://edition.cnn.com/politics", "Host stays edition.cnn.com"),
        ("https://edition.cnn.com/politics", "Host stays edition.cnn.com"),
        ("https://edition.cnn.com:443/politics", "Host becomes edition.cnn.com: a default port"),
    ] {
        let explained = on(&ARTICLE, "explain", &[url, "--proxy", "--port", "443"]);
        assert_eq!(explained.code, 0, "{explained:?}");
        assert_tells(&explained, &[host, "forwarded to outbound|443||edition.cnn.com"]);
    }
    let plain = [SERVICE, GATEWAY, MESH_POLICY, ROUTES];
    let https = ["https://edition.cnn.com/politics", "--proxy", "--port", "443"];
    let refused = on(&plain, "explain", &https);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert_tells(&refused, &["GET https://edition.cnn.com/politics", "the upstream is plain text"]);
}

#[test]
fn a_missing_destination_is_shown_by_its_name_alone() {
    let wrong = ROUTES.replacen(
        DESTINATION,
        "host: edition.cnn.com\n        port:\n          number: 8443",
        1,
    );
    let shown = on(&[SERVICE, GATEWAY, &wrong], "show", &["routes", "-o", "json"]);
    let value: Value = serde_json::from_str(&shown.out).expect("JSON");
    let cluster = value.pointer("/0/virtualHosts/0/routes/0/route/cluster");
    assert_eq!(cluster, Some(&Value::from("outbound|8443||edition.cnn.com")), "{value:#}");
}

#[test]
fn explain_needs_a_clear_question() {
    let two = GATEWAY.replace(
        "  servers:\n",
        "  servers:\n  - {port: {number: 8080, name: a, protocol: HTTP}, hosts: [\"*\"]}\n",
    );
    let documents = [SERVICE, &two, MESH_POLICY, ROUTES, TLS_POLICY];
    let unclear = on(&documents, "explain", &[POLITICS]);
    assert_eq!(unclear.code, 2, "{unclear:?}");
    assert!(unclear.err.contains("443, 8080") && unclear.err.contains("--port"), "{unclear:?}");
    assert_eq!(on(&documents, "explain", &[POLITICS, "--port", "443"]).code, 0);
    let https = on(&ARTICLE, "explain", &["https://edition.cnn.com/politics"]);
    assert_eq!(https.code, 1, "{https:?}");
    assert_tells(&https, &["plain HTTP", "http://edition.cnn.com/politics"]);
    let other_host = on(&ARTICLE, "explain", &[POLITICS, "-H", "Host: cnn.com"]);
    assert_eq!(other_host.code, 1, "{other_host:?}");
}

#[test]
fn check_prints_json_for_programs() {
    let checked = on(&ARTICLE, "check", &["-o", "json"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let value: Value = serde_json::from_str(&checked.out).expect("JSON");
    let of = |list: &str, field: &str| -> Vec<String> {
        let entries = value[list].as_array().expect("a list").iter();
        entries.map(|entry| entry[field].as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(of("problems", "code"), ["EG004", "EG013", "EG013", "EG054", "EG001"]);
    assert_eq!(of("objects", "outcome"), ["applied", "applied", "ignored", "applied", "applied"]);
    assert_eq!(value["problems"][4]["severity"], "warning");
    assert_eq!(value["problems"][4]["field"], "spec.trafficPolicy.loadBalancer");
    assert!(value["problems"][4]["line"].as_u64().is_some_and(|line| line > 1), "{value}");
}

#[test]
fn what_cannot_be_read_is_said_with_the_fix() {
    for command in [&["check"][..], &["explain", POLITICS], &["show", "routes"]] {
        let absent = egret(&[command, &["-c", "/nowhere/at/all"]].concat());
        assert_eq!(absent.code, 2, "{absent:?}");
        assert!(
            absent.err.contains("/nowhere/at/all") && absent.err.contains("-c PATH"),
            "{absent:?}"
        );
        if !Path::new("/etc/egret").exists() {
            let nothing = egret(command);
            assert_eq!(nothing.code, 2, "{nothing:?}");
            assert!(nothing.err.contains("-c PATH"), "{nothing:?}");
        }
    }
}

/// Asks an admin port that gives this answer, and yields what it was asked, too.
fn shown_by(answer: &'static str) -> (Finished, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut asked = Vec::new();
        let mut byte = [0];
        while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
            asked.push(byte[0]);
        }
        stream.write_all(answer.as_bytes()).expect("sent");
        String::from_utf8(asked).expect("UTF-8")
    });
    let finished =
        egret(&["show", "routes", "--admin", &format!("http://{address}"), "-o", "json"]);
    (finished, server.join().expect("the server ends"))
}

#[test]
fn show_prints_the_whole_page_of_a_running_gateway_or_nothing() {
    let (whole, asked) = shown_by("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n[]\n");
    assert_eq!((whole.code, whole.out.as_str()), (0, "[]\n"), "{whole:?}");
    assert!(asked.starts_with("GET /routes?format=json HTTP/1.1\r\nHost: 127.0.0.1:"), "{asked}");
    for (answer, words) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n[]\n", "cut off"),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nnone\n", "answered 404"),
        ("SSH-2.0-x\r\n\r\n", "not an HTTP response"),
        ("", "not an HTTP response"),
    ] {
        let (failed, _) = shown_by(answer);
        assert_eq!(failed.code, 1, "{failed:?}");
        assert!(failed.out.is_empty() && failed.err.contains(words), "{failed:?}");
    }
}

#[test]
fn every_part_is_shown_in_every_form() {
    for what in ["listeners", "routes", "clusters", "endpoints", "config", "problems"] {
        for form in ["table", "json", "yaml"] {
            let shown = on(&ARTICLE, "show", &[what, "-o", form]);
            assert_eq!(shown.code, 0, "{what} {form}: {shown:?}");
            if form == "json" {
                serde_json::from_str::<Value>(&shown.out).expect(what);
            }
            assert!(shown.out.ends_with('\n') && shown.out.len() > 10, "{what} {form}: {shown:?}");
        }
    }
}
