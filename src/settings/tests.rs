use super::*;
use crate::model::headers::{ForwardedProto, Location, RequestId, Xff};
use crate::model::{GuardMode, Network};

fn layer(source: fn(&str) -> String, pairs: &[(&'static str, &str)]) -> Layer {
    let given =
        |name: &'static str, text: &str| Given::split(name, source(name), &[text.to_owned()]);
    pairs.iter().map(|(name, text)| (*name, given(name, text))).collect()
}

fn flags(pairs: &[(&'static str, &str)]) -> Layer {
    layer(|name| format!("--{name}"), pairs)
}

fn document(pairs: &[(&'static str, &str)]) -> Layer {
    layer(|name| format!("settings.{}", key(name)), pairs)
}

#[test]
fn defaults_run() {
    let settings = Settings::default();
    assert_eq!(settings.bind.to_string(), "0.0.0.0");
    assert_eq!(settings.admin.to_string(), "127.0.0.1:15000");
    assert_eq!(settings.health.to_string(), "0.0.0.0:15021");
    assert_eq!(settings.drain, Duration::from_secs(25));
    assert_eq!(settings.access_log, AccessLog::Text);
    assert_eq!(settings.labels["istio"], "egressgateway");
    assert_eq!(
        (settings.namespace.as_str(), settings.root_namespace.as_str()),
        ("istio-system", "istio-system")
    );
    assert!(settings.workers >= 1);
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_document() {
    let variable = |name: &str| (name == "EGRET_DRAIN").then(|| "20s".to_owned());
    for (flag, variable_set, in_document, expected) in [
        (true, true, true, 10),
        (true, false, true, 10),
        (false, true, true, 20),
        (false, false, true, 30),
        (false, true, false, 20),
        (false, false, false, 25),
    ] {
        let layers = [
            if flag { flags(&[("drain", "10s")]) } else { Layer::new() },
            if variable_set { environment(&variable) } else { Layer::new() },
            if in_document { document(&[("drain", "30s")]) } else { Layer::new() },
        ];
        let settings = Settings::merge(layers).expect("valid");
        assert_eq!(settings.drain.as_secs(), expected, "{flag} {variable_set} {in_document}");
    }
}

#[test]
fn a_list_is_replaced_not_extended() {
    let layers =
        [flags(&[("port-map", "443:8443")]), Layer::new(), document(&[("port-map", "80:8080")])];
    let settings = Settings::merge(layers).expect("valid");
    assert_eq!(settings.port_map, BTreeMap::from([(443, 8443)]));
}

fn two_limits() -> Limits {
    Limits { connections: Some(10), head_time: Duration::from_secs(5), ..Limits::default() }
}

/// Every variable, each with a value that is not the default.
const VARIABLES: &[(&str, &str)] = &[
    ("EGRET_PORT_MAP", "443:8443, 80:0"),
    ("EGRET_BIND", "::1"),
    ("EGRET_ADMIN", "127.0.0.1:1"),
    ("EGRET_HEALTH", "127.0.0.1:2"),
    ("EGRET_WORKERS", "3"),
    ("EGRET_DRAIN", "1m30s"),
    ("EGRET_DNS_SERVER", "9.9.9.9,[::1]:5353"),
    ("EGRET_RESOLVE", "a.com:443:10.0.0.1,[::1],b.com:80:10.0.0.2"),
    ("EGRET_CONNECT_TO", "a.com:443::8443,::1.2.3.4:,[::1]:443:[::2]:1"),
    ("EGRET_CACERT", "/a.pem,/b.pem"),
    ("EGRET_GUARD", "enforce"),
    ("EGRET_GUARD_ALLOW", "10.1.0.0/16, ::1"),
    ("EGRET_GUARD_DENY", "10.1.2.0/24"),
    ("EGRET_ACCESS_LOG", "json"),
    ("EGRET_LOG", "warn,egret=debug"),
    ("EGRET_LIMITS", "connections=10,headTime=5s"),
    ("EGRET_LABELS", "a=b,c="),
    ("EGRET_NAMESPACE", "egress"),
    ("EGRET_ROOT_NAMESPACE", "root"),
    ("EGRET_XFF", "append"),
    ("EGRET_FORWARDED_PROTO", "downstream"),
    ("EGRET_REQUEST_ID", "make"),
    ("EGRET_VIA", "egress-1"),
    ("EGRET_SERVER_HEADER", "edge 1"),
    ("EGRET_REWRITE_LOCATION", "true"),
];

#[test]
fn every_variable_is_read_and_lists_are_split_at_commas() {
    assert_eq!(VARIABLES.len(), NAMES.len(), "a knob without a case");
    let variable = |name: &str| {
        VARIABLES.iter().find(|(key, _)| *key == name).map(|(_, text)| (*text).to_owned())
    };
    let read = Settings::merge([Layer::new(), environment(&variable), Layer::new()]);
    let host = |text: &str| crate::model::Host::parse(text).expect("valid");
    let ip = |text: &str| text.parse::<IpAddr>().expect("valid");
    let connect_to = |from: Option<&str>, port, to: Option<&str>, to_port| ConnectTo {
        host: from.map(host),
        port,
        to_host: to.map(host),
        to_port,
    };
    let labels =
        BTreeMap::from([("a".to_owned(), "b".to_owned()), ("c".to_owned(), String::new())]);
    let expected = Settings {
        port_map: BTreeMap::from([(443, 8443), (80, 0)]),
        bind: ip("::1"),
        admin: "127.0.0.1:1".parse().expect("valid"),
        health: "127.0.0.1:2".parse().expect("valid"),
        workers: 3,
        drain: Duration::from_secs(90),
        dns_server: vec![
            "9.9.9.9:53".parse().expect("valid"),
            "[::1]:5353".parse().expect("valid"),
        ],
        resolve: vec![
            Resolve { host: host("a.com"), port: 443, addresses: vec![ip("10.0.0.1"), ip("::1")] },
            Resolve { host: host("b.com"), port: 80, addresses: vec![ip("10.0.0.2")] },
        ],
        connect_to: vec![
            connect_to(Some("a.com"), Some(443), None, Some(8443)),
            connect_to(None, None, Some("1.2.3.4"), None),
            connect_to(Some("::1"), Some(443), Some("::2"), Some(1)),
        ],
        cacert: vec!["/a.pem".into(), "/b.pem".into()],
        guard: every_guard_setting(),
        access_log: AccessLog::Json,
        log: "warn,egret=debug".to_owned(),
        limits: two_limits(),
        namespace: "egress".to_owned(),
        root_namespace: "root".to_owned(),
        headers: HeaderPolicy { loop_mark: loop_mark("egress", &labels), ..every_header_setting() },
        labels,
    };
    assert_eq!(read, Ok(expected));
}

/// What the `EGRET_...` variables of the test above ask for.
fn every_guard_setting() -> GuardPolicy {
    let network = |text: &str| Network::parse(text).expect("valid");
    GuardPolicy {
        mode: GuardMode::Enforce,
        allow: vec![network("10.1.0.0/16"), network("::1")],
        deny: vec![network("10.1.2.0/24")],
    }
}

/// What the `EGRET_...` variables of the test above ask for.
fn every_header_setting() -> HeaderPolicy {
    HeaderPolicy {
        xff: Xff::Append,
        forwarded_proto: ForwardedProto::Downstream,
        request_id: RequestId::Make,
        via: Some("egress-1".to_owned()),
        server: Some("edge 1".to_owned()),
        location: Location::Rewrite,
        loop_mark: String::new(),
    }
}

#[test]
fn every_wrong_value_names_itself_and_the_fix() {
    for (name, value, told) in [
        ("guard", "on", "\"on\" is unknown; write warn, enforce or off"),
        ("guard-allow", "10.0.0.0/33", "\"10.0.0.0/33\" is not a range of addresses; write"),
        ("guard-deny", "10.1.0.0/8", "write 10.0.0.0/8"),
        ("port-map", "443", "\"443\" is not PORT:PORT; write"),
        ("port-map", "0:8443", "\"0:8443\" is not PORT:PORT"),
        ("port-map", "443:8443,443:9443", "port 443 is mapped to 8443 and to 9443; keep one"),
        ("port-map", "443:8443,80:8443", "ports 443 and 80 are both mapped to 8443; give each"),
        (
            "port-map",
            "443:15021",
            "443:15021 binds the port of health (0.0.0.0:15021); map 443 to another",
        ),
        ("port-map", "443:8443,", "it has an empty value; remove"),
        ("bind", "localhost", "\"localhost\" is not an IP address; write"),
        (
            "bind",
            "127.0.0.1:443",
            "has a port; write 127.0.0.1 alone and map ports with --port-map",
        ),
        ("admin", "15000", "\"15000\" is not ADDRESS:PORT; write"),
        ("admin", "::1", "\"::1\" has no port; write [::1]:15000"),
        (
            "health",
            "127.0.0.1:15000",
            "health 127.0.0.1:15000 and admin 127.0.0.1:15000 are the same port; choose",
        ),
        ("workers", "0", "\"0\" is not a number from 1 to 1024; leave it out"),
        ("workers", "many", "\"many\" is not a number"),
        ("drain", "25", "\"25\" is not a duration; write"),
        ("drain", "", "it is empty; give it a value"),
        ("dns-server", "dns.google", "\"dns.google\" is not ADDRESS or ADDRESS:PORT; write"),
        ("resolve", "a.com:443", "\"a.com:443\" is not HOST:PORT:ADDR"),
        ("resolve", "a.com:443:b.com", "ADDR is not an IP address"),
        ("resolve", "10.0.0.1", "\"10.0.0.1\" is not HOST:PORT:ADDR"),
        ("resolve", "a.com:1:::1,a.com:1:::2", "a.com:1 is given twice; write it once"),
        ("connect-to", "a.com:443", "\"a.com:443\" is not HOST1:PORT1:HOST2:PORT2"),
        ("connect-to", "a.com:443::", "nothing would change"),
        ("connect-to", "a.com:443:b.com:0", "a port is not a number"),
        ("connect-to", "a.com:443:b.com:1,a.com:443:c.com:1", "same HOST1:PORT1"),
        ("access-log", "yes", "\"yes\" is not a form of the access log; write off, text or json"),
        ("log", "inof", "\"inof\" is not a level; write"),
        ("log", "info,egret", "\"egret\" is not a level"),
        ("labels", "istio", "\"istio\" is not NAME=VALUE; write"),
        ("labels", "a=b,a=c", "label a is given twice; keep one"),
        ("namespace", "Istio System", "\"Istio System\" is not a namespace; write"),
        ("root-namespace", "-a", "\"-a\" is not a namespace"),
        ("xff", "yes", "\"yes\" is neither remove nor append; write"),
        ("forwarded-proto", "http", "\"http\" is unknown; write https, preserve, downstream or"),
        ("request-id", "uuid", "\"uuid\" is unknown; write keep, make or strip"),
        ("via", "on", "it needs a name; write one"),
        ("via", "my gateway", "\"my gateway\" is not a name for Via; write"),
        ("server-header", "a\r\nb: c", "cannot be sent as Server; write"),
        ("rewrite-location", "maybe", "\"maybe\" is neither true nor false; write"),
    ] {
        let wrongs = Settings::merge([flags(&[(name, value)]), Layer::new(), Layer::new()])
            .expect_err(value);
        let [wrong] = wrongs.as_slice() else { panic!("{name} {value}: {wrongs:?}") };
        let text = wrong.to_string();
        assert!(text.starts_with(&format!("--{name}: ")) && text.contains(told), "{text}");
    }
}

#[test]
fn all_problems_are_collected_with_their_own_source() {
    let variable = |name: &str| (name == "EGRET_WORKERS").then(|| "x".to_owned());
    let layers =
        [flags(&[("drain", "x")]), environment(&variable), document(&[("access-log", "x")])];
    let sources: Vec<String> = Settings::merge(layers)
        .expect_err("three wrong values")
        .into_iter()
        .map(|wrong| wrong.source)
        .collect();
    assert_eq!(sources, ["EGRET_WORKERS", "--drain", "settings.accessLog"]);
}

#[test]
fn an_empty_variable_is_not_set() {
    assert!(environment(&|_| Some(String::new())).is_empty());
}
