//! Both configuration forms and every command: native YAML, `--host`, `check`, `explain`, `show`, `demo`, and wrong usage.

use serde_json::{Value, json};

use crate::harness::article::{GATEWAY, everything};
use crate::harness::{Origin, Setup, egret, get};

const HOST: &str = "api.example.com";
const CNN: &str = "edition.cnn.com";

/// The path of a configuration directory with this one file; the Setup keeps it in being.
fn written(config: &str) -> (Setup, String) {
    let setup = Setup::new(config);
    let path = setup.config_dir().display().to_string();
    (setup, path)
}

/// The JSON that `egret show` prints of this configuration.
fn shown(what: &str, config: &str) -> Value {
    let (_setup, path) = written(config);
    let finished = egret(&["show", what, "-c", &path, "-o", "json"]);
    assert_eq!(finished.code, 0, "{finished:?}");
    serde_json::from_str(&finished.out).unwrap_or_else(|error| panic!("{error}: {}", finished.out))
}

#[test]
fn the_native_form_originates_tls() {
    let origin = Origin::tls(&[HOST]);
    let native = "listeners:\n- port: 443\nroutes:\n- hosts: [api.example.com]\n  to: https://api.example.com\n";
    let gateway = Setup::new(native).origin(HOST, 443, &origin).start();
    assert_eq!(gateway.get(HOST, "/politics").text(), "politics");
    assert_eq!(gateway.get("other.example.com", "/").status, 404);
    assert_eq!(origin.seen(|seen| seen.names.clone()), [Some(HOST.to_owned())]);
}

#[test]
fn the_native_form_has_rules_rewrites_headers_and_timeouts() {
    let (first, second) = (Origin::plain(), Origin::plain());
    let native = "\
settings: { drain: 3s }
listeners:
- port: 443
routes:
- hosts: ['*.example.com']
  rules:
  - match: { path: { prefix: /v2/ }, methods: [GET] }
    to: http://second.example.net
    host: rewritten.example.net
    timeout: 200ms
    headers: { request: { set: { x-own: 'yes' } } }
  - to: http://first.example.net
";
    let setup = Setup::new(native).origin("first.example.net", 80, &first).origin(
        "second.example.net",
        80,
        &second,
    );
    let gateway = setup.start();
    assert_eq!(gateway.get(HOST, "/").status, 200);
    assert!(
        first.last_head().contains("api.example.com"),
        "`to` keeps the client's Host: {}",
        first.last_head()
    );
    assert_eq!(gateway.get(HOST, "/v2/politics").status, 200);
    let head = second.last_head().to_lowercase();
    assert!(
        head.contains("host: rewritten.example.net\r\n") && head.contains("x-own: yes\r\n"),
        "{head}"
    );
    assert_eq!(gateway.client().post(HOST, "/v2/politics", "x").status, 200);
    assert_eq!(
        (first.requests().len(), second.requests().len()),
        (2, 1),
        "a POST is for the second rule"
    );
    second.raw("/v2/later", b"");
    assert_eq!(gateway.get(HOST, "/v2/later").status, 503, "an empty answer is none");
}

#[test]
fn native_mistakes_are_placed_and_the_rest_serves() {
    let origin = Origin::plain();
    let native = "routes:\n- hosts: [api.example.com]\n  to: http://api.example.com\n- hosts: [other.example.com]\n  too: http://other.example.com\n";
    let setup = Setup::new(native).origin(HOST, 80, &origin);
    let checked = egret(&["check", "-c", &setup.config_dir().display().to_string()]);
    assert_eq!(checked.code, 1, "{checked:?}");
    assert!(
        checked.out.contains("egress.yaml:5:3: ") && checked.out.contains("routes[1].too"),
        "{}",
        checked.out
    );
    assert_eq!(setup.start().get(HOST, "/").status, 200);
}

#[test]
fn native_tls_fails_closed() {
    let origin = Origin::plain();
    let native = "routes:\n- hosts: [api.example.com]\n  to: https://api.example.com\n  tls: { ca: /nowhere/ca.pem }\n";
    let gateway = Setup::new(native).origin(HOST, 443, &origin).start();
    assert_eq!(gateway.get(HOST, "/").token(), "proxy_configuration_error");
    assert_eq!(origin.connections(), 0);
}

#[test]
fn run_host_needs_no_file() {
    let (own, backend) = (Origin::tls(&[HOST]), Origin::tls(&["backend.example.com"]));
    let gateway = Setup::without_files()
        .flags(&["--host", HOST, "--host", "alias.example.com=https://backend.example.com:8443"])
        .origin(HOST, 443, &own)
        .origin("backend.example.com", 8443, &backend)
        .start();
    assert_eq!(gateway.get(HOST, "/politics").text(), "politics");
    assert_eq!(gateway.get("alias.example.com", "/politics").text(), "politics");
    assert_eq!(backend.seen(|seen| seen.names[0].clone()), Some("backend.example.com".to_owned()));
    assert!(
        backend.last_head().contains("alias.example.com"),
        "the client's Host is kept: {}",
        backend.last_head()
    );
    assert_eq!(gateway.get("unknown.example.com", "/").status, 404);
}

#[test]
fn a_flag_goes_before_the_environment_and_that_before_settings() {
    let native = |settings: &str| {
        format!(
            "settings: {{ {settings} }}\nroutes:\n- hosts: [api.example.com]\n  to: http://api.example.com\n"
        )
    };
    let cases: [(&'static str, Option<&str>, &str, &str); 3] = [
        ("json", Some("text"), "accessLog: text", "{"), // the flag
        ("", Some("json"), "accessLog: text", "{"),     // the environment
        ("", None, "accessLog: json", "{"),             // the file
    ];
    for (flag, variable, settings, begins) in cases {
        let origin = Origin::plain();
        let mut setup = Setup::new(&native(settings)).origin(HOST, 80, &origin);
        if let Some(value) = variable.filter(|_| flag.is_empty()) {
            setup = setup.environment("EGRET_ACCESS_LOG", value);
        } else if let Some(value) = variable {
            setup = setup.environment("EGRET_ACCESS_LOG", value).flags(&["--access-log", flag]);
        }
        let gateway = setup.log_format("").start();
        assert_eq!(gateway.get(HOST, "/which-format").status, 200);
        let line = gateway.wait_for_access("/which-format");
        assert!(line.starts_with(begins), "{flag:?} {variable:?} {settings}: {line}");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_to_do() {
    let (_setup, path) = written(&everything());
    let cases: [(&[&str], &[&str]); 9] = [
        (&[], &["run"]),
        (&["fly"], &["fly"]),
        (&["run", "-c", &path, "--unknown-flag"], &["--unknown-flag"]),
        (&["run", "-c", &path, "--port-map", "443:8443,443:9443"], &["--port-map", "443"]),
        (&["run", "-c", &path, "--port-map", "https"], &["--port-map", "https"]),
        (&["run", "-c", &path, "--drain", "soon"], &["--drain", "soon"]),
        (&["run", "-c", &path, "--dns-server", "not an address"], &["--dns-server"]),
        (&["run", "-c", &path, "--connect-to", "a:b"], &["--connect-to"]),
        (&["show", "nothing", "-c", &path], &["nothing"]),
    ];
    for (arguments, words) in cases {
        let finished = egret(arguments);
        assert_eq!(finished.code, 2, "{arguments:?}: {finished:?}");
        for word in words {
            assert!(finished.err.contains(word), "{word} is missing: {}", finished.err);
        }
    }
    if !std::path::Path::new("/etc/egret").exists() {
        let nothing = egret(&["run"]);
        assert_eq!(nothing.code, 2);
        assert!(
            nothing.err.contains("--host") && nothing.err.contains("egret demo"),
            "{}",
            nothing.err
        );
    }
}

#[test]
fn check_exits_0_1_and_strictly_1() {
    let (_setup, path) = written(&everything());
    let warned = egret(&["check", "-c", &path]);
    assert_eq!(warned.code, 0, "{warned:?}");
    assert!(warned.out.contains("EG001"), "ROUND_ROBIN is not in force on 443: {}", warned.out);
    assert_eq!(egret(&["check", "-c", &path, "--strict"]).code, 1);
    let (_setup, broken) = written(&everything().replace("mode: SIMPLE", "mode: SIMPEL"));
    assert_eq!(egret(&["check", "-c", &broken]).code, 1);
    let printed = egret(&["check", "-c", &broken, "-o", "json"]);
    assert_eq!(printed.code, 1);
    let value: Value = serde_json::from_str(&printed.out)
        .unwrap_or_else(|error| panic!("{error}: {}", printed.out));
    assert!(value.to_string().contains("trafficPolicy.portLevelSettings[0].tls.mode"), "{value}");
}

#[test]
fn check_accounts_for_every_object() {
    let (_setup, path) = written(&everything());
    let checked = egret(&["check", "-c", &path]);
    for object in [
        "Gateway/istio-egressgateway",
        "DestinationRule/egressgateway-for-cnn",
        "DestinationRule/originate-tls-for-edition-cnn-com",
        "ServiceEntry/cnn",
        "VirtualService/direct-cnn-through-egress-gateway",
    ] {
        assert!(checked.out.contains(object), "{object} is not in {}", checked.out);
    }
    assert!(
        checked.out.contains("ignored"),
        "the sidecars' rule is said to be ignored: {}",
        checked.out
    );
}

#[test]
fn explain_tells_the_way_of_a_request_and_what_was_not_chosen() {
    let (_setup, path) = written(&everything());
    let told = egret(&["explain", "-c", &path, "http://edition.cnn.com:443/politics"]);
    assert_eq!(told.code, 0, "{told:?}");
    for part in [
        "0.0.0.0_443",
        "edition.cnn.com:443",
        "direct-cnn-through-egress-gateway",
        "outbound|443||edition.cnn.com",
        "originate-tls-for-edition-cnn-com",
        "SIMPLE",
        "egressgateway-for-cnn",
        "http[0]",
    ] {
        assert!(told.out.contains(part), "{part} is not in {}", told.out);
    }
    let unmatched = egret(&["explain", "-c", &path, "http://cnn.com/politics", "--port", "443"]);
    assert!(
        unmatched.out.contains("404") && unmatched.out.contains("blackhole:443"),
        "{}",
        unmatched.out
    );
}

/// The route configuration istiod makes of the article, as `istioctl proxy-config route -o json` prints it.
fn golden_routes() -> Value {
    json!([{
        "name": "http.443",
        "virtualHosts": [{
            "name": "edition.cnn.com:443",
            "domains": ["edition.cnn.com"],
            "routes": [{
                "match": {"prefix": "/", "caseSensitive": true},
                "route": {
                    "cluster": "outbound|443||edition.cnn.com",
                    "timeout": "0s",
                    "retryPolicy": {
                        "retryOn": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
                        "numRetries": 2,
                        "retryHostPredicate": [{"name": "envoy.retry_host_predicates.previous_hosts"}],
                        "hostSelectionRetryMaxAttempts": "5",
                    },
                    "maxGrpcTimeout": "0s",
                },
                "metadata": {"filterMetadata": {"istio": {
                    "config": "/apis/networking.istio.io/v1alpha3/namespaces/default/virtual-service/direct-cnn-through-egress-gateway",
                }}},
                "decorator": {"operation": "edition.cnn.com:443/*"},
            }],
            "includeRequestAttemptCount": true,
        }],
        "validateClusters": false,
        "ignorePortInHostMatching": true,
        "maxDirectResponseBodySizeBytes": 1048576,
    }])
}

/// Takes out the `typedConfig` of retry predicates, which the golden text leaves out too.
fn without_typed_config(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.remove("typedConfig");
            fields.values_mut().for_each(|field| *field = without_typed_config(field.take()));
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|item| *item = without_typed_config(item.take()))
        }
        _ => {}
    }
    value
}

#[test]
fn show_routes_prints_what_istioctl_prints() {
    assert_eq!(without_typed_config(shown("routes", &everything())), golden_routes());
    let blackhole = json!([{
        "name": "http.443",
        "virtualHosts": [{"name": "blackhole:443", "domains": ["*"]}],
        "validateClusters": false,
        "ignorePortInHostMatching": true,
        "maxDirectResponseBodySizeBytes": 1048576,
    }]);
    assert_eq!(shown("routes", GATEWAY), blackhole);
}

#[test]
fn show_listeners_and_clusters_use_istios_names() {
    let listeners = shown("listeners", &everything());
    assert_eq!(listeners[0]["name"], "0.0.0.0_443");
    assert_eq!(
        listeners[0]["address"]["socketAddress"],
        json!({"address": "0.0.0.0", "portValue": 443})
    );
    assert!(listeners.to_string().contains("\"http.443\""), "{listeners}");
    let clusters = shown("clusters", &everything());
    let named = |name: &str| {
        let all = clusters.as_array().expect("a list of clusters");
        all.iter()
            .find(|cluster| cluster["name"] == name)
            .unwrap_or_else(|| panic!("{name} is not in {clusters}"))
            .clone()
    };
    let tls = named("outbound|443||edition.cnn.com");
    assert_eq!((&tls["type"], &tls["connectTimeout"]), (&"STRICT_DNS".into(), &"10s".into()));
    assert!(tls["transportSocket"].to_string().contains("TLSv1_2"), "{tls}");
    assert_eq!(named("outbound|80||edition.cnn.com")["transportSocket"], Value::Null);
}

#[test]
fn show_prints_tables_and_problems() {
    let (_setup, path) = written(&everything());
    for (what, words) in [
        ("listeners", ["0.0.0.0_443", "http.443"]),
        ("routes", ["http.443", "edition.cnn.com:443"]),
        ("clusters", ["outbound|443||edition.cnn.com", "outbound|80||edition.cnn.com"]),
        ("endpoints", ["outbound|443||edition.cnn.com", "edition.cnn.com"]),
        ("problems", ["EG001", "originate-tls-for-edition-cnn-com"]),
    ] {
        let finished = egret(&["show", what, "-c", &path]);
        assert_eq!(finished.code, 0, "{what}: {finished:?}");
        for word in words {
            assert!(finished.out.contains(word), "{what} has no {word}: {}", finished.out);
        }
    }
}

#[test]
fn show_asks_a_running_gateway_too() {
    let gateway = Setup::new(&everything()).start();
    let admin = format!("http://{}", gateway.admin());
    let running = egret(&["show", "routes", "--admin", &admin, "-o", "json"]);
    assert_eq!(running.code, 0, "{running:?}");
    let value: Value = serde_json::from_str(&running.out)
        .unwrap_or_else(|error| panic!("{error}: {}", running.out));
    assert_eq!(without_typed_config(value), golden_routes());
    assert_ne!(egret(&["show", "routes", "--admin", "http://127.0.0.1:1"]).code, 0);
}

#[test]
fn show_config_prints_the_native_form_of_the_same_gateway() {
    let (_setup, path) = written(&everything());
    let native = egret(&["show", "config", "-c", &path, "-o", "yaml"]);
    assert_eq!(native.code, 0, "{native:?}");
    assert!(!native.out.contains("apiVersion"), "{}", native.out);
    let origin = Origin::tls(&[CNN]);
    let gateway = Setup::new(&native.out).origin(CNN, 443, &origin).start();
    assert_eq!(get(gateway.port(443), CNN, "/politics").text(), "politics");
    assert_eq!(gateway.get("cnn.com", "/").status, 404);
}

#[test]
fn demo_walks_through_the_article_and_ends() {
    let finished = egret(&["demo", "--once"]);
    assert_eq!(finished.code, 0, "{finished:?}");
    let positions: Vec<Option<usize>> =
        ["404", "WITHOUT TLS", "200", "301"].iter().map(|part| finished.out.find(part)).collect();
    assert!(
        positions.iter().all(Option::is_some),
        "404, the mistake, 200 and 301: {positions:?} in {}",
        finished.out
    );
    assert!(
        positions[0] < positions[2] && positions[2] < positions[3],
        "in the article's order: {}",
        finished.out
    );
}
