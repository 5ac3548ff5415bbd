use std::sync::Arc;

use super::*;
use crate::config::compile;
use crate::config::document::parse;
use crate::model::upstream::{ClientIdentity, RevocationList, Roots};
use crate::model::{Addressing, Destination, Forward, Security, UpstreamSpec};

mod retries;
mod round_trip;

const PEM: &[u8] =
    b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n";

const CRL: &[u8] = b"-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----\n";

fn materials() -> Materials {
    let pem = |path: &str| (path.to_owned(), Ok(Arc::from(PEM)));
    let mut materials: Materials =
        ["/ca.pem", "/client.pem", "/client.key"].into_iter().map(pem).collect();
    materials.insert("/crl.pem".to_owned(), Ok(Arc::from(CRL)));
    materials.insert("/text".to_owned(), Ok(Arc::from(b"hello".as_slice())));
    materials.insert("/absent".to_owned(), Err("No such file".to_owned()));
    materials
}

fn compiled(text: &str) -> Compiled {
    let (documents, problems) = parse("egress.yaml", text);
    assert_eq!(problems, [], "{text}");
    compile(&documents, &materials(), &Identity::default())
}

fn plan(text: &str) -> Plan {
    let Compiled { plan, problems, .. } = compiled(text);
    assert_eq!(problems, [], "{text}");
    plan
}

fn told(text: &str) -> Vec<String> {
    compiled(text).problems.iter().map(|problem| format!("{} {problem}", problem.code)).collect()
}

fn only_upstream(text: &str) -> UpstreamSpec {
    let mut upstreams = plan(text).upstreams;
    assert_eq!(upstreams.len(), 1, "{text}");
    upstreams.remove(0)
}

fn forward(plan: &Plan, route: usize, rule: usize) -> &Forward {
    let action = &plan.routes[route].rules[rule].action;
    action.forward().expect("a rule that forwards")
}

#[test]
fn two_lines_carry_a_host_over_verified_tls() {
    let plan = plan("routes:\n- hosts: [edition.cnn.com]\n  to: https://edition.cnn.com\n");
    let listener = &plan.listeners[0];
    assert_eq!(
        (listener.name.as_str(), listener.route_table.as_str()),
        ("0.0.0.0_443", "http.443")
    );
    assert_eq!(listener.bind.to_string(), "0.0.0.0:443");
    assert_eq!(plan.routes[0].name, "edition.cnn.com:443");
    assert_eq!(forward(&plan, 0, 0), &Forward::new(Destination::Upstream(0)));
    let spec = &plan.upstreams[0];
    assert_eq!(spec.key.name, "outbound|443||edition.cnn.com");
    let Security::Tls(tls) = &spec.key.security else { panic!("{:?}", spec.key.security) };
    assert_eq!(tls.sni.as_ref().map(ToString::to_string).as_deref(), Some("edition.cnn.com"));
    assert_eq!((&tls.roots, tls.skip_verify), (&Roots::Web, false));
}

#[test]
fn the_example_of_the_design_compiles() {
    let plan = plan(
        "settings: { admin: 127.0.0.1:15000, drain: 25s }
listeners:
- port: 443
routes:
- hosts: [edition.cnn.com]
  to: https://edition.cnn.com
- hosts: ['*.api.example.com']
  rules:
  - match: { path: { prefix: /v2/ }, methods: [GET] }
    to: https://v2.api.example.com:8443
    timeout: 5s
    tls: { ca: /ca.pem, certificate: /client.pem, key: /client.key }
",
    );
    let rule = &plan.routes[1].rules[0];
    assert_eq!(
        (&rule.condition.path, rule.condition.methods.as_slice()),
        (&crate::model::PathMatch::Prefix("/v2/".to_owned()), &["GET".to_owned()][..])
    );
    assert_eq!(forward(&plan, 1, 0).timeout, Some(std::time::Duration::from_secs(5)));
    let Security::Tls(tls) = &plan.upstreams[1].key.security else { panic!("not TLS") };
    assert_eq!(tls.roots, Roots::Pem { path: "/ca.pem".to_owned(), pem: PEM.into() });
    let identity = ClientIdentity {
        certificate_path: "/client.pem".to_owned(),
        certificate: PEM.into(),
        key_path: "/client.key".to_owned(),
        key: PEM.into(),
    };
    assert_eq!(tls.identity.as_ref(), Some(&identity));
}

#[test]
fn what_stands_beside_rules_holds_for_each_and_for_the_rest() {
    let plan = plan(
        "routes:
- hosts: [a.com]
  timeout: 1s
  to: https://a.com
  rules:
  - match: { path: { exact: /slow } }
    timeout: 1m
  - match: { path: { prefix: /b } }
    to: https://b.com
",
    );
    let seconds: Vec<_> = (0..3)
        .map(|rule| forward(&plan, 0, rule).timeout.map(|timeout| timeout.as_secs()))
        .collect();
    assert_eq!(seconds, [Some(60), Some(1), Some(1)]);
    let to: Vec<_> = (0..3).map(|rule| forward(&plan, 0, rule).to.clone()).collect();
    assert_eq!(to[0], to[2]);
    assert_ne!(to[0], to[1]);
    assert_eq!(plan.upstreams.len(), 2, "a.com is shared");
}

#[test]
fn equal_destinations_are_one_upstream_and_others_have_names_of_their_own() {
    let plan = plan(
        "routes:
- { hosts: [a.com], to: 'https://o.com' }
- { hosts: [b.com], to: 'https://O.com:443/' }
- { hosts: [c.com], to: 'https://o.com', tls: { sni: x.com } }
- { hosts: [d.com], to: 'https://o.com', tls: { sni: x.com } }
- { hosts: [e.com], to: 'https://o.com', connectTimeout: 1s }
- { hosts: [f.com], to: 'http://o.com' }
",
    );
    let names: Vec<&str> = plan.upstreams.iter().map(|spec| spec.key.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "outbound|443||o.com",
            "outbound|443|2|o.com",
            "outbound|443|3|o.com",
            "outbound|80||o.com"
        ]
    );
    let used: Vec<_> = (0..6).map(|route| forward(&plan, route, 0).to[0].to.clone()).collect();
    assert_eq!(used, [0, 0, 1, 1, 2, 3].map(Destination::Upstream));
}

#[test]
fn endpoints_say_where_to_connect() {
    let endpoint = |host: &str, port| crate::model::Target {
        host: crate::model::Host::parse(host).expect("valid"),
        port,
    };
    for (written, expected) in [
        ("to: https://a.com", Addressing::Dns(vec![endpoint("a.com", 443)])),
        ("to: https://10.0.0.1", Addressing::Static(vec!["10.0.0.1:443".parse().expect("valid")])),
        (
            "to: 'https://[::1]:8443'",
            Addressing::Static(vec!["[::1]:8443".parse().expect("valid")]),
        ),
        (
            "to: https://a.com\n  endpoints: [10.0.0.1, '10.0.0.2:8443', '::1']",
            Addressing::Static(
                ["10.0.0.1:443", "10.0.0.2:8443", "[::1]:443"]
                    .map(|address| address.parse().expect("valid"))
                    .to_vec(),
            ),
        ),
        (
            "to: https://a.com\n  endpoints: [b.com, 10.0.0.1]",
            Addressing::Dns(vec![endpoint("b.com", 443), endpoint("10.0.0.1", 443)]),
        ),
        (
            "to: https://a.com\n  resolution: logicalDns",
            Addressing::LogicalDns(endpoint("a.com", 443)),
        ),
        ("to: https://a.com\n  noEndpoints: closed", Addressing::Nowhere("closed".to_owned())),
        ("to: 'https://*.a.com'", Addressing::Dynamic(443)),
        ("to: 'http://*.a.com:8080'", Addressing::Dynamic(8080)),
        ("to: 'https://*.a.com:80'\n  endpoints: ['*.a.com:443']", Addressing::Dynamic(443)),
        ("to: 'https://*.a.com'\n  noEndpoints: closed", Addressing::Nowhere("closed".to_owned())),
    ] {
        assert_eq!(
            *only_upstream(&format!("routes:\n- hosts: [a.com]\n  {written}\n")).addressing,
            expected,
            "{written}"
        );
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn every_mistake_is_told_at_its_place_with_the_fix() {
    let route = |fields: &str| {
        format!("routes:\n- hosts: [a.com]\n  to: https://a.com\n- hosts: [b.com]\n  {fields}\n")
    };
    for (text, expected) in [
        (
            route("to: b.com"),
            "EG093 egress.yaml:5:7: file: routes[1].to: no upstream is called \"b.com\"; requests get 503: write https://b.com, or http://b.com for plain text",
        ),
        (
            route("to: ftp://b.com"),
            "EG093 egress.yaml:5:7: file: routes[1].to: \"ftp\" is not a scheme to call an origin with; write https:// or http://; requests get 503",
        ),
        (
            route("to: 'https://*.b.com'\n  resolution: dns"),
            "EG052 egress.yaml:6:15: file: routes[1].resolution: *.b.com leads to the host of each request; requests get 503: remove resolution, or name a host in to",
        ),
        (
            route("to: 'https://*.b.com'\n  endpoints: [b.com]"),
            "EG052 egress.yaml:6:14: file: routes[1].endpoints: *.b.com leads to the host of each request; requests get 503: remove them, or write [\"*.b.com:443\"] for another port",
        ),
        (
            route("to: 'https://*.10.0.0.1'"),
            "EG093 egress.yaml:5:7: file: routes[1].to: \"*.10.0.0.1\" is a wildcard of an address; write e.g. https://*.example.com; requests get 503",
        ),
        (
            route("to: https://b.com/v1"),
            "EG093 egress.yaml:5:7: file: routes[1].to: \"https://b.com/v1\" has a path, but the client's path is kept; write https://b.com; requests get 503",
        ),
        (
            route("to: https://b.com\n  tiemout: 5s"),
            "EG075 egress.yaml:6:3: file: routes[1].tiemout: unknown field, ignored: did you mean \"timeout\"?",
        ),
        (
            route("to: https://b.com\n  tls: {certificat: /a.pem}"),
            "EG075 egress.yaml:6:9: file: routes[1].tls.certificat: unknown field; requests fail with 503, never in plain text: did you mean \"certificate\"?",
        ),
        (
            route("to: https://b.com\n  timeout: 5"),
            "EG081 egress.yaml:6:12: file: routes[1].timeout: the number 5 where a duration belongs; it is left out: write 5s",
        ),
        (
            route("to: https://b.com\n  timeout: 5x"),
            "EG081 egress.yaml:6:12: file: routes[1].timeout: \"5x\" is not a duration; write a number and a unit, as in 25s, 500ms or 1m30s; there is no timeout",
        ),
        (
            route("to: https://b.com\n  host: 'x y'"),
            "EG081 egress.yaml:6:9: file: routes[1].host: \"x y\" is not a host; the client's is kept: write e.g. host: api.example.com",
        ),
        (
            route("to: https://b.com\n  ports: [80]"),
            "EG005 egress.yaml:6:11: file: routes[1].ports[0]: no listener has port 80: add it under listeners: - port: 80",
        ),
        (
            route("to: https://b.com\n  tls: { sni: 'x y' }"),
            "EG081 egress.yaml:6:15: file: routes[1].tls.sni: \"x y\" is not a host name: it has a character that a host name cannot have; requests get 503: write a host name, or leave it out for the host of to",
        ),
        (
            route("to: https://b.com\n  tls: { ca: /absent }"),
            "EG035 egress.yaml:6:14: file: routes[1].tls.ca: /absent cannot be read: No such file; requests get 503: name a PEM file with the issuer's certificate, or write system",
        ),
        (
            route("to: https://b.com\n  tls: { ca: /text }"),
            "EG035 egress.yaml:6:14: file: routes[1].tls.ca: /text has no CERTIFICATE in PEM; requests get 503: name a PEM file with the issuer's certificate, or write system",
        ),
        (
            route("to: https://b.com\n  tls: { key: /client.key }"),
            "EG033 egress.yaml:6:15: file: routes[1].tls.key: a key without its certificate; requests get 503: add certificate",
        ),
        (
            route("to: http://b.com\n  tls: {}"),
            "EG073 egress.yaml:6:8: file: routes[1].tls: tls is given, but the destination is http://; requests get 503: write https:// in to, or remove tls",
        ),
        (
            route("to: http://b.com:443"),
            "EG003 egress.yaml:5:7: file: routes[1].to: b.com:443 will be contacted WITHOUT TLS: write https://b.com",
        ),
        (
            route("to: https://b.com\n  tls: { insecureSkipVerify: true }"),
            "EG031 egress.yaml:6:30: file: routes[1].tls.insecureSkipVerify: the certificate of b.com is NOT verified (man-in-the-middle possible): remove it, or name the issuer with ca",
        ),
        (
            route("to: https://b.com\n  headers: { request: { set: { Host: x } } }"),
            "EG073 egress.yaml:6:38: file: routes[1].headers.request.set.Host: Host is not edited here; it is left out: write host: beside headers",
        ),
        (
            route("to: https://b.com\n- hosts: [A.com]\n  to: https://b.com"),
            "EG086 egress.yaml:6:11: file: routes[2].hosts[0]: A.com is routed at egress.yaml:2:3 already; it is left out here: put the rules for one host into one route",
        ),
        (
            "listeners:\n- port: 443\n- port: 443\n  name: other\n".to_owned(),
            "EG016 egress.yaml:3:3: file: listeners[1]: 0.0.0.0_443 on 0.0.0.0:443 is there already; this one is ignored: give it another port and name",
        ),
        (
            "settings: { drian: 2s }".to_owned(),
            "EG075 egress.yaml:1:20: file: settings.drian: unknown setting, ignored: did you mean \"drain\"?",
        ),
        (
            "settings: { portMap: '443' }".to_owned(),
            "EG081 egress.yaml:1:22: file: settings.portMap: \"443\" is not PORT:PORT; write the configured port and the one to bind, as in 443:8443",
        ),
        (
            "settings: { bind: '::' }\n---\nsettings: { bind: '::' }".to_owned(),
            "EG091 egress.yaml:3:11: file: settings: settings are given at egress.yaml:1:11 already; these are ignored: put all settings into one document",
        ),
    ] {
        assert_eq!(told(&text), [expected], "{text}");
    }
}

#[test]
fn a_route_with_a_mistake_never_does_more_than_was_asked_for() {
    let security = |text: &str| compiled(text).plan.upstreams.remove(0).key.security.clone();
    let broken = |security: &Security| matches!(security, Security::Broken(_));
    for tls in [
        "5",
        "{ sni: [x] }",
        "{ cas: /ca.pem }",
        "{ ca: /nowhere }",
        "{ insecureSkipVerify: true, ca: system }",
    ] {
        let beside = format!("routes:\n- hosts: [a.com]\n  to: https://a.com\n  tls: {tls}\n");
        let inherited =
            format!("routes:\n- hosts: [a.com]\n  tls: {tls}\n  rules:\n  - to: https://a.com\n");
        assert!(broken(&security(&beside)) && broken(&security(&inherited)), "{tls}");
    }
    let rules = |rules: &str| {
        let compiled = compiled(&format!(
            "routes:\n- hosts: [a.com]\n  to: https://rest.com\n  rules:{rules}\n"
        ));
        let mut to = Vec::new();
        for rule in compiled.plan.routes.iter().flat_map(|route| &route.rules) {
            let forward = rule.action.forward().expect("a rule that forwards");
            to.push(match &forward.to[0].to {
                Destination::Upstream(index) => {
                    compiled.plan.upstreams[*index].key.host.to_string()
                }
                Destination::Missing(name) => format!("missing {name}"),
            });
        }
        to
    };
    assert_eq!(
        rules(" [{ match: { pth: { exact: /a } }, to: 'https://b.com' }]"),
        ["rest.com"],
        "a match not understood"
    );
    assert_eq!(rules(" [{ match: { path: { regex: '(' } }, to: 'https://b.com' }]"), ["rest.com"]);
    assert_eq!(rules(" [{ match: { methods: [G T] }, to: 'https://b.com' }]"), ["rest.com"]);
    assert_eq!(
        rules(" [{ match: { path: { exact: /a } }, to: [x] }]"),
        ["missing to", "rest.com"],
        "no other destination instead"
    );
    assert_eq!(
        rules(" [{ match: { path: { exact: /a } }, to: nowhere }]"),
        ["missing nowhere", "rest.com"]
    );
    assert_eq!(rules(" [5]"), [""; 0], "what is for the rest is not for everything");
    assert_eq!(
        rules(" []\n  ports: [x]"),
        [""; 0],
        "a list of ports not understood is not all ports"
    );
    let endpoints =
        compiled("routes:\n- hosts: [a.com]\n  to: https://a.com\n  endpoints: [[x]]\n");
    assert!(
        matches!(*endpoints.plan.upstreams[0].addressing, Addressing::Nowhere(_)),
        "not the host's own addresses"
    );
}

#[test]
fn every_document_has_one_verdict() {
    for (text, outcome) in [
        ("routes: [{ hosts: [a.com], to: 'https://a.com' }]", Outcome::Applied),
        ("routes: [{ hosts: [a.com], to: 'https://a.com', x: 1 }]", Outcome::PartlyApplied),
        ("routes: [{ hosts: [], to: 'https://a.com' }]", Outcome::Ignored),
        ("listeners: [{ port: 0 }, { port: 80 }]", Outcome::PartlyApplied),
        ("settings: { drain: 1s }", Outcome::Applied),
        ("nonsense: 1", Outcome::Ignored),
    ] {
        let verdicts = compiled(text).provenance.verdicts;
        assert_eq!(verdicts.len(), 1);
        assert_eq!(verdicts[0].outcome, outcome, "{text}: {:?}", verdicts[0].reasons);
        assert_eq!(
            verdicts[0].reasons.is_empty(),
            outcome == Outcome::Applied && !text.starts_with("routes"),
            "{text}"
        );
    }
}

#[test]
fn listeners_of_one_document_serve_the_routes_of_another() {
    let (first, _) = parse("a.yaml", "routes: [{ hosts: [a.com], to: 'https://a.com' }]");
    let (second, _) = parse("b.yaml", "listeners: [{ port: 80 }, { port: 443 }]");
    let documents: Vec<Document> = first.into_iter().chain(second).collect();
    let identity = Identity {
        port_map: [(443, 8443)].into(),
        bind: "127.0.0.1".parse().expect("valid"),
        ..Identity::default()
    };
    let compiled = compile(&documents, &materials(), &identity);
    let binds: Vec<String> =
        compiled.plan.listeners.iter().map(|listener| listener.bind.to_string()).collect();
    assert_eq!(binds, ["127.0.0.1:80", "127.0.0.1:8443"]);
    assert_eq!(compiled.plan.routes[0].listeners, [0, 1]);
    assert_eq!(compiled.provenance.listeners.len(), 2);
    assert_eq!(compiled.provenance.routes[0].len(), 1);
    assert_eq!(compiled.provenance.verdicts.len(), 2);
}

/// The article's objects, and a document of Egret's own form beside them.
fn beside_the_article(native: &str) -> Compiled {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/article");
    let loaded = crate::config::source::files::load(&[root]).expect("the article is there");
    let (own, problems) = parse("own.yaml", native);
    assert_eq!((loaded.problems, problems), (vec![], vec![]));
    let documents: Vec<Document> = loaded.documents.into_iter().chain(own).collect();
    compile(&documents, &materials(), &Identity::default())
}

#[test]
fn both_forms_share_listeners_and_never_a_host() {
    let alone = beside_the_article("{}").plan;
    let both = beside_the_article(
        "listeners: [{ port: 443 }]
routes:
- hosts: [edition.cnn.com, own.example.com]
  to: https://own.example.com
- hosts: [canary.example.com]
  to: outbound|443||edition.cnn.com
- hosts: [other.example.com]
  to: https://edition.cnn.com
",
    );
    assert_eq!(both.plan.listeners, alone.listeners);
    assert_eq!(both.plan.routes[..alone.routes.len()], alone.routes);
    assert_eq!(both.plan.upstreams[..alone.upstreams.len()], alone.upstreams);
    let new = &both.plan.routes[alone.routes.len()..];
    let hosts: Vec<String> =
        new.iter().flat_map(|route| &route.hosts).map(ToString::to_string).collect();
    assert_eq!(hosts, ["own.example.com", "canary.example.com", "other.example.com"]);
    let taken: Vec<&str> = both
        .problems
        .iter()
        .filter(|problem| problem.code == "EG086")
        .map(|problem| problem.field.as_str())
        .collect();
    assert_eq!(taken, ["routes[0].hosts[0]"]);
    let canary = new[1].rules[0].action.forward().expect("a rule that forwards");
    let Destination::Upstream(index) = canary.to[0].to else { panic!("{:?}", canary.to) };
    assert_eq!(both.plan.upstreams[index].key.name, "outbound|443||edition.cnn.com");
    assert!(index < alone.upstreams.len(), "it is the article's");
}

#[test]
fn the_article_is_shown_in_this_form_and_read_back() {
    let plan = beside_the_article("{}").plan;
    let text = render(&plan);
    println!("{text}");
    let again = self::plan(&text);
    assert_eq!(
        (&again.listeners, &again.routes[0].hosts),
        (&plan.listeners, &plan.routes[0].hosts)
    );
    assert_eq!(round_trip::sorted(again), round_trip::sorted(plan));
}

#[test]
fn hosts_on_the_command_line_need_no_file() {
    let hosts = [
        "edition.cnn.com",
        "api.example.com=https://backend.example.com:8443",
        "*.a.com=http://a.com",
        "*.b.com",
    ];
    let documents = from_hosts(&hosts.map(str::to_owned)).expect("valid");
    let compiled = compile(&documents, &materials(), &Identity::default());
    assert_eq!(compiled.problems, []);
    let names: Vec<&str> =
        compiled.plan.upstreams.iter().map(|spec| spec.key.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "outbound|443||edition.cnn.com",
            "outbound|8443||backend.example.com",
            "outbound|80||a.com",
            "outbound|443||*.b.com"
        ]
    );
    assert_eq!(compiled.plan.listeners.len(), 1);
    let wrong = ["*", "a b", "https://a.com", "a.com=b.com", "a.com=https://b.com/x"];
    let wrongs = from_hosts(&wrong.map(str::to_owned)).expect_err("all are wrong");
    assert_eq!(wrongs.len(), wrong.len(), "{wrongs:?}");
    for (wrong, told) in wrong.iter().zip(&wrongs) {
        assert!(told.starts_with(&format!("--host {wrong}: ")), "{told}");
    }
    assert!(wrongs[3].ends_with("write https://b.com"), "{}", wrongs[3]);
    let twice = from_hosts(&["a.com", "A.com=https://b.com"].map(str::to_owned));
    assert_eq!(
        twice.expect_err("twice"),
        vec!["--host A.com=https://b.com: A.com is given twice".to_owned()]
    );
}

#[test]
fn files_that_tls_names_are_found_wherever_it_stands() {
    let (documents, _) = parse(
        "e",
        "upstreams: [{ name: u, to: 'https://u.com', tls: { ca: system } }]
routes:
- hosts: [a.com]
  tls: { ca: /ca.pem }
  rules: [{ tls: { certificate: c.pem, key: k.pem, sni: x } }, { tls: { ca: /ca.pem } }]
",
    );
    assert_eq!(referenced_files(&documents), ["/ca.pem", "c.pem", "k.pem"]);
}

#[test]
fn settings_are_read_with_their_place() {
    let (documents, _) = parse(
        "e.yaml",
        "settings:\n  drain: 1m\n  portMap: { 443: 8443 }\n  labels: [a=b, c=d]\n  accessLog: off\n",
    );
    let (layer, problems) = settings(&documents);
    assert_eq!(problems, []);
    assert_eq!(layer["drain"].source, "e.yaml:2:10: settings.drain");
    let settings =
        crate::settings::Settings::merge([Default::default(), Default::default(), layer])
            .expect("valid");
    assert_eq!(settings.drain.as_secs(), 60);
    assert_eq!(settings.port_map, [(443, 8443)].into());
    assert_eq!(settings.labels.len(), 2);
    assert_eq!(settings.access_log, crate::settings::AccessLog::Off);
}

#[test]
fn a_hundred_thousand_hosts_and_ten_thousand_routes_compile_quickly() {
    let hosts: Vec<String> = (0..100_000).map(|number| format!("h{number}.example.com")).collect();
    let one =
        format!("routes:\n- to: https://origin.example.com\n  hosts: [{}]\n", hosts.join(", "));
    let many: String = hosts[..10_000]
        .iter()
        .map(|host| format!("- hosts: [{host}]\n  to: https://{host}\n"))
        .collect();
    for (text, count) in [(one, 1), (format!("routes:\n{many}"), 10_000)] {
        let (documents, _) = parse("e", &text);
        let begin = tokio::time::Instant::now();
        let compiled = compile(&documents, &materials(), &Identity::default());
        let taken = begin.elapsed();
        assert_eq!((compiled.plan.routes.len(), compiled.problems.len()), (count, 0));
        // Unoptimised and on a busy machine; quadratic work would take minutes.
        assert!(taken.as_secs() < 20, "{taken:?}");
        println!("{count} routes: {taken:?}");
    }
}
