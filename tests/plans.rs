//! Golden plans: what each configuration compiles to, and every word that is said about it.
//!
//! `EGRET_UPDATE_GOLDEN=1 cargo test --test plans` writes them anew, to be read in review.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use egret::config::{self, Compiled, Document, Identity, Materials, document};
use serde_json::Value;

const ARTICLE: &str = "config/article";

fn read(paths: &[PathBuf]) -> (Vec<Document>, Vec<config::Problem>) {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        let text =
            fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_name().expect("a file has a name").to_string_lossy();
        let (mut more, mut bad) = document::parse(&name, &text);
        documents.append(&mut more);
        problems.append(&mut bad);
    }
    (documents, problems)
}

/// Files that the examples point at: those in `tests/plans/files`, and nothing else.
fn materials(documents: &[Document]) -> Materials {
    let load = |path: &String| {
        let file = Path::new("tests/plans/files").join(path.trim_start_matches('/'));
        fs::read(file).map(Into::into).map_err(|error| error.kind().to_string())
    };
    config::referenced_files(documents)
        .into_iter()
        .map(|path| (path.clone(), load(&path)))
        .collect()
}

fn compile(paths: &[PathBuf]) -> Compiled {
    let (documents, problems) = read(paths);
    let mut compiled = config::compile(&documents, &materials(&documents), &Identity::default());
    compiled.problems.splice(0..0, problems);
    compiled
}

fn article(files: &[&str]) -> Vec<PathBuf> {
    files.iter().map(|file| Path::new(ARTICLE).join(file).with_extension("yaml")).collect()
}

fn yaml_files(directory: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.expect("readable").path()) {
        if path.is_dir() {
            files.append(&mut yaml_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn told(compiled: &Compiled) -> String {
    let mut text = String::new();
    for problem in &compiled.problems {
        writeln!(text, "{} {} {problem}", problem.severity, problem.code)
            .expect("a string takes all");
    }
    text.push('\n');
    for verdict in &compiled.provenance.verdicts {
        let (place, object, outcome) = (&verdict.place, &verdict.object.name, &verdict.outcome);
        writeln!(text, "{place}: {object}: {outcome:?}").expect("a string takes all");
        for reason in &verdict.reasons {
            writeln!(text, "    {reason}").expect("a string takes all");
        }
    }
    text
}

/// Compares with the golden file, or writes it. Returns what differs.
#[expect(clippy::disallowed_methods, reason = "a test's own switch")]
fn golden(path: &Path, actual: &str) -> Option<String> {
    if std::env::var_os("EGRET_UPDATE_GOLDEN").is_some() {
        fs::write(path, actual).expect("the golden file can be written");
        return None;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    let differs = expected.lines().zip(actual.lines()).position(|(a, b)| a != b);
    (expected != actual).then(|| {
        let line = differs.unwrap_or_else(|| expected.lines().count().min(actual.lines().count()));
        let shown = |text: &str| text.lines().nth(line).unwrap_or("(end)").to_owned();
        format!(
            "{}:{}:\n  expected {}\n  actual   {}",
            path.display(),
            line + 1,
            shown(&expected),
            shown(actual)
        )
    })
}

#[test]
fn every_example_compiles_to_its_golden_plan() {
    let mut cases: Vec<(String, Vec<PathBuf>)> = yaml_files(Path::new("tests/plans"))
        .into_iter()
        .map(|path| (path.file_stem().expect("a name").to_string_lossy().into_owned(), vec![path]))
        .collect();
    for (name, files) in [
        ("article-1-gateway", &["service-entry", "gateway"][..]),
        (
            "article-2-plain-text",
            &["service-entry", "gateway", "destination-rule-gateway", "virtual-service"],
        ),
        (
            "article-3-tls",
            &[
                "service-entry",
                "gateway",
                "destination-rule-gateway",
                "virtual-service",
                "destination-rule-tls",
            ],
        ),
    ] {
        cases.push((name.to_owned(), article(files)));
    }
    let mut wrong = Vec::new();
    for (name, paths) in cases {
        let compiled = compile(&paths);
        let stem = Path::new("tests/plans").join(name);
        // Egret's own form says all that a plan says, and leaves the defaults out.
        let plan = config::native::render(&compiled.plan);
        wrong.extend(golden(&stem.with_extension("plan"), &plan));
        wrong.extend(golden(&stem.with_extension("problems"), &told(&compiled)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_document_has_exactly_one_verdict() {
    for path in yaml_files(Path::new("tests/plans")) {
        let (documents, _) = read(std::slice::from_ref(&path));
        let documents: Vec<Document> =
            documents.into_iter().filter(|document| !document.is_native()).collect();
        let compiled = config::compile(&documents, &Materials::new(), &Identity::default());
        let mut places: Vec<_> =
            compiled.provenance.verdicts.iter().map(|verdict| verdict.place.clone()).collect();
        let mut expected: Vec<_> = documents.iter().map(Document::place).collect();
        places.sort();
        expected.sort();
        assert_eq!(places, expected, "{}", path.display());
    }
}

/// The article at each step, and every `docs-*.yaml`: the scenarios of Istio's own documentation.
fn scenarios() -> Vec<(String, Compiled)> {
    let steps: [(&str, &[&str]); 3] = [
        ("article-1-gateway", &["service-entry", "gateway"]),
        (
            "article-2-plain-text",
            &["service-entry", "gateway", "destination-rule-gateway", "virtual-service"],
        ),
        (
            "article-3-tls",
            &[
                "service-entry",
                "gateway",
                "destination-rule-gateway",
                "virtual-service",
                "destination-rule-tls",
            ],
        ),
    ];
    let steps = steps.map(|(name, files)| (name.to_owned(), compile(&article(files))));
    let named = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        name.starts_with("docs-").then(|| (name, compile(&[path])))
    };
    let docs = yaml_files(Path::new("tests/plans")).into_iter().filter_map(named);
    steps.into_iter().chain(docs).collect()
}

fn dumps(compiled: &Compiled) -> [(&'static str, Value); 3] {
    use egret::config::istio::dump;
    [
        ("listeners", dump::listeners(compiled)),
        ("routes", dump::routes(compiled)),
        ("clusters", dump::clusters(compiled)),
    ]
}

#[test]
fn every_scenario_is_dumped_as_istiod_makes_it() {
    let mut wrong = Vec::new();
    for (name, compiled) in scenarios() {
        for (part, value) in dumps(&compiled) {
            let path = Path::new("tests/plans").join(format!("{name}.{part}.json"));
            wrong.extend(golden(&path, &format!("{value:#}\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `tests/plans/README.md` says of each field of the dumps which rule it follows.
#[test]
fn every_line_of_a_dump_is_traced_to_a_rule_and_every_rule_is_used() {
    let readme = fs::read_to_string("tests/plans/README.md").expect("the rules");
    let rules: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once('`'))
        .map(|(field, _)| field)
        .collect();
    let mut fields = BTreeSet::new();
    for (_, compiled) in scenarios() {
        for (part, value) in dumps(&compiled) {
            collect_fields(part, &value, &mut fields);
        }
    }
    let follows = |field: &str, rule: &str| match rule.strip_suffix(".*") {
        Some(whole) => field == whole || field.starts_with(&format!("{whole}.")),
        None => field == rule,
    };
    let untraced: Vec<&String> =
        fields.iter().filter(|field| !rules.iter().any(|rule| follows(field, rule))).collect();
    let unused: Vec<&&str> =
        rules.iter().filter(|rule| !fields.iter().any(|field| follows(field, rule))).collect();
    assert!(
        untraced.is_empty() && unused.is_empty(),
        "no rule: {untraced:#?} no field: {unused:#?}"
    );
}

/// The path of every scalar, lists left out: `routes.virtualHosts.name`.
fn collect_fields(path: &str, value: &Value, fields: &mut BTreeSet<String>) {
    match value {
        Value::Object(inner) if !inner.is_empty() => {
            for (name, value) in inner {
                collect_fields(&format!("{path}.{name}"), value, fields);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().for_each(|item| collect_fields(path, item, fields));
        }
        Value::Array(_) if !path.contains('.') => {} // nothing at all is printed
        _ => _ = fields.insert(path.to_owned()),
    }
}

/// The article's route configuration, as it is printed for the gateway in a mesh.
#[test]
fn the_articles_routes_have_istios_names() {
    use egret::config::istio::dump;
    let without = dump::routes(&compile(&article(&["service-entry", "gateway"])));
    let expected = serde_json::json!([{
        "name": "http.443",
        "virtualHosts": [{ "name": "blackhole:443", "domains": ["*"] }],
        "validateClusters": false, "ignorePortInHostMatching": true, "maxDirectResponseBodySizeBytes": 1_048_576,
    }]);
    assert_eq!(without, expected);
    let mut routed =
        dump::routes(&compile(&article(&["service-entry", "gateway", "virtual-service"])));
    let predicate = &mut routed[0]["virtualHosts"][0]["routes"][0]["route"]["retryPolicy"]["retryHostPredicate"]
        [0];
    predicate.as_object_mut().expect("an object").remove("typedConfig");
    let resource = "/apis/networking.istio.io/v1alpha3/namespaces/default/virtual-service/direct-cnn-through-egress-gateway";
    let expected = serde_json::json!([{
        "name": "http.443",
        "virtualHosts": [{
            "name": "edition.cnn.com:443",
            "domains": ["edition.cnn.com"],
            "routes": [{
                "match": { "prefix": "/", "caseSensitive": true },
                "route": {
                    "cluster": "outbound|443||edition.cnn.com",
                    "timeout": "0s",
                    "retryPolicy": {
                        "retryOn": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
                        "numRetries": 2,
                        "retryHostPredicate": [{ "name": "envoy.retry_host_predicates.previous_hosts" }],
                        "hostSelectionRetryMaxAttempts": "5",
                    },
                    "maxGrpcTimeout": "0s",
                },
                "metadata": { "filterMetadata": { "istio": { "config": resource } } },
                "decorator": { "operation": "edition.cnn.com:443/*" },
            }],
            "includeRequestAttemptCount": true,
        }],
        "validateClusters": false, "ignorePortInHostMatching": true, "maxDirectResponseBodySizeBytes": 1_048_576,
    }]);
    assert_eq!(routed, expected);
}

#[test]
fn what_keeps_origins_from_harm_is_dumped_as_istiod_makes_it() {
    let compiled = compile(&[PathBuf::from("tests/plans/resilience.yaml")]);
    let dumped = config::istio::dump::clusters(&compiled);
    let clusters = dumped.as_array().expect("a list");
    let named = |name: &str| clusters.iter().find(|one| one["name"] == name).expect("it is there");
    let cluster = named("outbound|443||api.example.com");
    let options = &cluster["typedExtensionProtocolOptions"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
    for (printed, expected) in [
        (
            &cluster["circuitBreakers"],
            serde_json::json!({ "thresholds": [{
                "maxConnections": 10, "maxPendingRequests": 5, "maxRequests": 100, "maxRetries": 4,
                "trackRemaining": true, "retryBudget": { "budgetPercent": { "value": 26 }, "minRetryConcurrency": 7 },
            }] }),
        ),
        (
            &cluster["outlierDetection"],
            serde_json::json!({
                "consecutive5xx": 7, "enforcingConsecutive5xx": 100,
                "consecutiveGatewayFailure": 3, "enforcingConsecutiveGatewayFailure": 100,
                "splitExternalLocalOriginErrors": true, "enforcingLocalOriginSuccessRate": 0,
                "consecutiveLocalOriginFailure": 5, "enforcingConsecutiveLocalOriginFailure": 100,
                "interval": "5s", "baseEjectionTime": "60s", "maxEjectionPercent": 50, "enforcingSuccessRate": 0,
            }),
        ),
        (
            &cluster["commonLbConfig"],
            serde_json::json!({ "healthyPanicThreshold": { "value": 20 } }),
        ),
        (&cluster["lbPolicy"], serde_json::json!("RING_HASH")),
        (&cluster["ringHashLbConfig"], serde_json::json!({ "minimumRingSize": "1024" })),
        (
            &cluster["upstreamConnectionOptions"]["tcpKeepalive"],
            serde_json::json!({ "keepaliveProbes": 3, "keepaliveTime": 7200, "keepaliveInterval": 75 }),
        ),
        (
            &options["commonHttpProtocolOptions"],
            serde_json::json!({ "idleTimeout": "40s", "maxRequestsPerConnection": 1000, "maxConnectionDuration": "3600s" }),
        ),
        (
            &options["explicitHttpConfig"]["http2ProtocolOptions"],
            serde_json::json!({
                "maxConcurrentStreams": 50, "connectionKeepalive": { "interval": "30s", "timeout": "5s" },
            }),
        ),
        (
            &cluster["loadAssignment"]["endpoints"][0]["lbEndpoints"][0]["loadBalancingWeight"],
            serde_json::json!(3),
        ),
        (&named("outbound|80||api.example.com")["lbPolicy"], serde_json::json!("MAGLEV")),
        (
            &named("outbound|443|v1|api.example.com")["leastRequestLbConfig"],
            serde_json::json!({ "slowStartConfig": {
                "slowStartWindow": "120s", "minWeightPercent": {},
                "aggression": { "defaultValue": 1.5, "runtimeKey": "(" },
            } }),
        ),
        (
            &named("outbound|443|v2|api.example.com")["leastRequestLbConfig"],
            serde_json::json!({ "slowStartConfig": { "slowStartWindow": "30s" } }),
        ),
    ] {
        assert_eq!(*printed, expected);
    }
}

#[test]
fn retries_are_dumped_as_istiod_makes_them() {
    let compiled = compile(&[PathBuf::from("tests/plans/retries.yaml")]);
    let dumped = config::istio::dump::routes(&compiled);
    let policy = |index: usize| {
        let mut policy =
            dumped[0]["virtualHosts"][0]["routes"][index]["route"]["retryPolicy"].clone();
        if let Some(predicate) = policy.pointer_mut("/retryHostPredicate/0") {
            predicate.as_object_mut().expect("an object").remove("typedConfig");
        }
        policy
    };
    let previous_hosts = [("name", "envoy.retry_host_predicates.previous_hosts")];
    let previous_hosts = serde_json::json!([std::collections::BTreeMap::from(previous_hosts)]);
    let default = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
    assert_eq!(
        policy(1),
        serde_json::json!({
            "retryOn": default, "numRetries": 5, "hostSelectionRetryMaxAttempts": "5",
            "retryHostPredicate": previous_hosts,
        })
    );
    assert_eq!(policy(2), serde_json::Value::Null);
    assert_eq!(
        policy(3),
        serde_json::json!({
            "retryOn": "gateway-error,reset,unavailable,retriable-status-codes",
            "retriableStatusCodes": [429, 503], "numRetries": 3, "perTryTimeout": "1.500s",
            "retryBackOff": { "baseInterval": "0.050s" }, "hostSelectionRetryMaxAttempts": "5",
        })
    );
}

#[test]
fn every_example_directory_compiles_without_an_error() {
    let mut directories: Vec<PathBuf> = yaml_files(Path::new("config"))
        .iter()
        .filter_map(|file| file.parent().map(Path::to_path_buf))
        .filter(|directory| !directory.ends_with("kubernetes")) // manifests, not configurations
        .collect();
    directories.dedup();
    assert!(!directories.is_empty());
    for directory in directories {
        let compiled = compile(&yaml_files(&directory));
        assert!(!config::problem::any_error(&compiled.problems), "{}", told(&compiled));
    }
}

/// What the README shows of Egret's own form is read by the code that reads it; only the certificate files
/// that it names are not here.
#[test]
fn the_examples_in_the_readme_compile() {
    let readme = fs::read_to_string("README.md").expect("the README");
    let examples: Vec<&str> = readme
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    assert!(!examples.is_empty(), "the README has an example");
    for example in examples {
        let (documents, mut problems) = document::parse("README.md", example);
        let files = config::referenced_files(&documents);
        let absent = |path: String| (path, Err("it is not on this machine".to_owned()));
        let materials: Materials = files.into_iter().map(absent).collect();
        let compiled = config::compile(&documents, &materials, &Identity::default());
        problems.extend(compiled.problems);
        problems.retain(|problem| !problem.message.contains("it is not on this machine"));
        assert_eq!(problems, [], "{example}");
        assert!(!compiled.plan.routes.is_empty());
    }
}

#[test]
fn a_hundred_thousand_hosts_compile_into_one_route() {
    let mut text = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: many}\nspec:\n  gateways: [g]\n  \
                    http: [{timeout: 5s, route: [{destination: {host: origin.example.com}}]}]\n  hosts:\n"
        .to_owned();
    for number in 0..100_000 {
        writeln!(text, "  - host-{number}.example.com").expect("a string takes all");
    }
    text.push_str(
        "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec:\n  selector: {istio: egressgateway}\n  \
         servers: [{port: {number: 443, name: http, protocol: HTTP}, hosts: [\"*.example.com\", \"*.a.example.com\"]}]\n\
         ---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: s}\nspec:\n  hosts: [origin.example.com]\n  \
         ports: [{number: 80, name: http, protocol: HTTP}]\n  resolution: DNS\n",
    );
    let (documents, problems) = document::parse("many.yaml", &text);
    assert_eq!(problems, []);
    let compiled = config::compile(&documents, &Materials::new(), &Identity::default());
    assert_eq!(compiled.problems, []);
    assert_eq!(compiled.plan.routes.len(), 1);
    assert_eq!(compiled.plan.routes[0].hosts.len(), 100_000);
}

#[test]
fn a_mapped_port_names_the_listener_and_the_gateway_port_names_the_host() {
    for (mapped, listener, table) in
        [(8443, "0.0.0.0_8443", "http.8443"), (0, "0.0.0.0_443", "http.443")]
    {
        let (documents, _) = read(&article(&["service-entry", "gateway", "virtual-service"]));
        let identity = Identity { port_map: [(443, mapped)].into(), ..Identity::default() };
        let plan = config::compile(&documents, &Materials::new(), &identity).plan;
        let one = &plan.listeners[0];
        assert_eq!((one.name.as_str(), one.route_table.as_str()), (listener, table));
        assert_eq!(
            (one.port, one.bind.port(), plan.routes[0].name.as_str()),
            (443, mapped, "edition.cnn.com:443")
        );
    }
}

#[test]
fn a_list_of_many_objects_is_located_object_by_object() {
    let mut text = "apiVersion: v1\nkind: List\nitems:\n".to_owned();
    for number in 0..5_000 {
        writeln!(text, "- apiVersion: networking.istio.io/v1\n  kind: VirtualService\n  metadata: {{name: v{number}}}\n  spec: {{hosts: [a], gatways: [g]}}")
            .expect("a string takes all");
    }
    let (documents, problems) = document::parse("list.yaml", &text);
    assert_eq!(problems, []);
    let compiled = config::compile(&documents, &Materials::new(), &Identity::default());
    let unknown = compiled.problems.iter().filter(|problem| problem.code == "EG075");
    let places: Vec<u32> = unknown.map(|problem| problem.place.line).collect();
    assert_eq!(places, (0..5_000).map(|number| 7 + 4 * number).collect::<Vec<u32>>());
}
