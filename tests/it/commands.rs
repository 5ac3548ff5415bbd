//! Every command besides `run`: `check`, `explain`, `show`, `demo`, and what wrong usage is answered with.

use serde_json::{Value, json};

use crate::harness::article::{GATEWAY, everything};
use crate::harness::{Origin, Setup, egret, get};

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
fn wrong_usage_exits_with_2_and_says_what_to_do() {
    let (_setup, path) = written(&everything());
    let cases: [(&[&str], &[&str]); 10] = [
        (&[], &["run"]),
        (&["fly"], &["fly"]),
        (&["run", "-c", &path, "--unknown-flag"], &["--unknown-flag"]),
        (&["run", "-c", &path, "--port-map", "443:8443,443:9443"], &["--port-map", "443"]),
        (&["run", "-c", &path, "--port-map", "https"], &["--port-map", "https"]),
        (&["run", "-c", &path, "--drain", "soon"], &["--drain", "soon"]),
        (&["run", "-c", &path, "--dns-server", "not an address"], &["--dns-server"]),
        (&["run", "-c", &path, "--connect-to", "a:b"], &["--connect-to"]),
        (&["show", "nothing", "-c", &path], &["nothing"]),
        (&["run", "--host", CNN, "--host", CNN], &["--host edition.cnn.com", "twice"]),
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
fn check_warns_of_a_configuration_that_serves_nothing() {
    let (_setup, path) = written("# nothing yet");
    let checked = egret(&["check", "-c", &path]);
    assert_eq!(checked.code, 0, "{checked:?}");
    assert!(
        checked.out.contains("warning EG090: configuration: it has no listener"),
        "{checked:?}"
    );
    assert_eq!(egret(&["check", "-c", &path, "--strict"]).code, 1);
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
        "http[0]",
    ] {
        assert!(told.out.contains(part), "{part} is not in {}", told.out);
    }
    let unmatched = egret(&["explain", "-c", &path, "http://cnn.com/politics", "--port", "443"]);
    assert!(
        unmatched.out.contains("none answers to cnn.com here, so it is 404"),
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
        ["HTTP/1.1 404", "WITHOUT TLS", "HTTP/1.1 200", "HTTP/1.1 301"]
            .iter()
            .map(|part| finished.out.find(part))
            .collect();
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
