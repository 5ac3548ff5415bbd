use serde_json::json;

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
    assert!(documents[2].body().get("spec").is_none(), "null is absent");
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
    assert_eq!(documents[0].value("spec.hosts").map(|hosts| hosts.entries().len()), Some(100_000));
    assert_eq!(documents[0].locate("spec.hosts[99999]").to_string(), "many.yaml:100003:5");
}

#[test]
fn a_scalar_means_what_yaml_1_2_says() {
    for (written, meant) in [
        ("edition.cnn.com", json!("edition.cnn.com")),
        ("yes", json!("yes")),
        ("True", json!(true)),
        ("\"true\"", json!("true")),
        ("443", json!(443)),
        ("\"443\"", json!("443")),
        ("+5", json!(5)),
        ("-5", json!(-5)),
        ("-0", json!(0)),
        ("0x1F", json!(31)),
        ("0o17", json!(15)),
        ("0b11", json!(3)),
        ("1_000", json!(1000)),
        ("1__0", json!("1__0")),
        ("0123", json!(123.0)),
        ("1.5e3", json!(1500.0)),
        (".5", json!(0.5)),
        ("1.2.3", json!("1.2.3")),
        ("inf", json!("inf")),
        ("18446744073709551615", json!(u64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("18446744073709551616", json!(18446744073709551616.0)),
        ("!!str 443", json!("443")),
        ("!!int \"443\"", json!(443)),
        ("!!binary aGk=", json!("hi")),
        ("!own 443", json!(443)),
        ("! 443", json!("443")),
        ("|\n  a\n  b", json!("a\nb\n")),
    ] {
        let (documents, problems) = parse("e", &format!("value: {written}\n"));
        assert_eq!(problems, [], "{written}");
        let value = documents[0].value("value").expect("it is not null");
        assert_eq!(value.to_value(), meant, "{written}");
    }
    for written in [".inf", "-.INF", ".nan", "1e999", "!!int x", "!!bool 1", "!!binary ***"] {
        assert_eq!(parse("e", &format!("value: {written}\n")).1.len(), 1, "{written}");
    }
}

#[test]
fn aliases_and_merge_keys_say_again_what_stands_elsewhere() {
    let text = "\
base: &base { host: a, tls: { mode: SIMPLE } }
more: &more { host: b, port: 443 }
again: *base
one: { <<: *base, host: c }
several:
  <<: [*base, *more]
  name: n
none: { <<: null }
";
    let (documents, problems) = parse("e", text);
    assert_eq!(problems, []);
    let value = |path: &str| documents[0].value(path).expect(path).to_value();
    assert_eq!(value("again"), json!({ "host": "a", "tls": { "mode": "SIMPLE" } }));
    assert_eq!(value("one"), json!({ "host": "c", "tls": { "mode": "SIMPLE" } }));
    let several = json!({ "name": "n", "host": "a", "tls": { "mode": "SIMPLE" }, "port": 443 });
    assert_eq!((value("several"), value("none")), (several, json!({})));
    for (path, place) in [
        ("again.tls.mode", "e:3:8"),   // the alias
        ("several.tls.mode", "e:5:1"), // what has the merge key
        ("several.name", "e:7:9"),
    ] {
        assert_eq!(documents[0].locate(path).to_string(), place, "{path}");
    }
}

#[test]
fn what_nobody_could_walk_is_refused() {
    let chain: String = (1..99).map(|n| format!("a{n}: &a{n} [*a{}]\n", n - 1)).collect();
    for (text, told) in [
        (format!("a: {}{}\n", "[".repeat(70), "]".repeat(70)), "nested deeper than 64 levels"),
        (format!("a0: &a0 []\n{chain}"), "nested deeper than 64 levels"),
        (format!("a: &a x\nb: [{}]\n", "*a,".repeat(10_001)), "more than 10000 aliases"),
        ("a: &a [*a]\n".to_owned(), "an alias inside of what it stands for"),
        ("? [a]\n: b\n".to_owned(), "a key must be a text"),
        ("~: b\n".to_owned(), "a key is missing"),
        ("<<: 5\n".to_owned(), "a merge key (<<) takes a mapping or a list of mappings"),
    ] {
        let (documents, problems) = parse("e", &text);
        let told_of: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!((documents.len(), told_of), (0, vec![told]));
    }
}
