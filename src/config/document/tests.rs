use super::*;

const TWO: &str = "\
# a comment
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: first }
spec:
  servers:
  - port:
      number: 443
    hosts: [a.com, \"b.com\"]
---
apiVersion: v1
kind: List
items:
- kind: A
  metadata:
    name: one
    namespace: prod
    labels: { app.kubernetes.io/name: x }
- kind: B
  metadata: { name: two }
  spec: null
--- # the third
listeners:
- port: 443
...
";

#[test]
fn a_stream_becomes_documents_and_lists_are_unfolded() {
    let (documents, problems) = parse("egress.yaml", TWO);
    assert_eq!(problems, []);
    let told: Vec<String> =
        documents.iter().map(|d| format!("{} {} {}", d.object(), d.namespace, d.place())).collect();
    assert_eq!(
        told,
        [
            "Gateway/first default egress.yaml:2:1",
            "A/one prod egress.yaml:14:3",
            "B/two default egress.yaml:19:3",
            "file default egress.yaml:23:1"
        ]
    );
    assert_eq!(documents[2].body.get("spec"), None, "null is absent");
}

#[test]
fn a_value_is_located_by_its_path_and_else_its_nearest_parent() {
    let (documents, _) = parse("e", TWO);
    for (document, path, place) in [
        (0, "spec.servers[0].port.number", "e:8:15"),
        (0, "spec.servers[0].port", "e:7:5"),
        (0, "spec.servers[0].hosts[1]", "e:9:20"),
        (0, "spec.servers[0].tls.mode", "e:7:5"),
        (0, "spec.servers[4]", "e:6:3"),
        (1, "metadata.labels.app.kubernetes.io/name", "e:18:39"),
        (1, "metadata.namespace", "e:17:16"),
        (2, "metadata.name", "e:20:21"),
        (3, "listeners[0].port", "e:24:9"),
    ] {
        assert_eq!(documents[document].locate(path).to_string(), place, "{path}");
    }
    assert_eq!(documents[0].locate_key("spec.servers[0].hosts").to_string(), "e:9:5");
}

#[test]
fn a_broken_document_is_one_problem_and_the_others_go_on() {
    for (broken, line, column) in [
        ("kind: A\n  bad: indent\n", 4, 6),
        ("a: [1, 2\n", 4, 1),
        ("a: 1\na: 2\n", 4, 1),
        ("just text\n", 3, 1),
        ("a: *nowhere\n", 3, 4),
    ] {
        let text = format!("kind: First\n---\n{broken}---\nkind: Last\n");
        let (documents, problems) = parse("b.yaml", &text);
        let kinds: Vec<&str> = documents.iter().map(|d| d.kind.as_str()).collect();
        assert_eq!(kinds, ["First", "Last"], "{broken}");
        let [problem] = &problems[..] else { panic!("{broken}: {problems:?}") };
        assert_eq!((problem.code, problem.severity), ("EG080", Severity::Error), "{broken}");
        let near = problem.place.line.abs_diff(line) <= 1;
        assert!(near && column > 0, "{broken}: {problem}");
        assert!(!problem.message.contains(" line ") && !problem.message.is_empty(), "{problem}");
    }
}

#[test]
fn a_document_that_grows_by_aliases_is_refused() {
    let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..10 {
        let before = format!("*a{},", level - 1).repeat(9);
        text.push_str(&format!("a{level}: &a{level} [{before}]\n"));
    }
    let (documents, problems) = parse("bomb.yaml", &text);
    assert_eq!((documents.len(), problems.len()), (0, 1));
}

#[test]
fn json_is_read_and_located_too() {
    let text = "{\n \"apiVersion\": \"v1\", \"kind\": \"List\",\n \"items\": [\n  {\"kind\": \"A\", \"metadata\": {\"name\": \"one\"}}\n ]\n}\n";
    let (documents, problems) = parse("o.json", text);
    assert_eq!(problems, []);
    assert_eq!(documents[0].object(), "A/one");
    assert_eq!(documents[0].locate("metadata.name").to_string(), "o.json:4:38");
}

#[test]
fn a_hundred_thousand_hosts_in_one_document_load() {
    let mut text = "kind: A\nspec:\n  hosts:\n".to_owned();
    for number in 0..100_000 {
        text.push_str(&format!("  - host-{number}.example.com\n"));
    }
    let (documents, problems) = parse("many.yaml", &text);
    assert_eq!(problems, []);
    assert_eq!(documents[0].body["spec"]["hosts"].as_array().map(Vec::len), Some(100_000));
    assert_eq!(documents[0].locate("spec.hosts[99999]").to_string(), "many.yaml:100003:5");
}

#[test]
fn the_places_of_all_entries_are_found_in_one_pass() {
    let text = "kind: A\n---\nroutes:\n- hosts: [a, b]\n  rules:\n  - to: x\n  - { to: y }\n- {hosts: [c]}\n";
    let (documents, _) = parse("e", text);
    let entries = documents[1].entries();
    assert_eq!(entries.len(), 4);
    for path in ["routes[0]", "routes[0].rules[0]", "routes[0].rules[1]", "routes[1]"] {
        assert_eq!(entries[path], documents[1].locate(path), "{path}");
    }
}
