//! The forms in which `egret check` reports, for programs that read them.

use std::fs;

use egret::config::problem::CODES;
use serde_json::Value;

use crate::check;

const ERRONEOUS: &str = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: prod}\n\
                         spec:\n  selector: {istio: egressgateway}\n  servers: [{prt: {}, hosts: [a.com]}]\n";

/// What `check` prints of the text in a form, and its exit code.
fn printed(text: &str, form: &str) -> (Value, i32, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a b.yaml");
    fs::write(&path, text).expect("written");
    let (out, exit) = check(&path, &["-o", form]);
    let value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
    (value, exit, path.display().to_string())
}

#[test]
fn json_has_every_field_of_every_problem_and_object() {
    let (value, exit, path) = printed(ERRONEOUS, "json");
    assert_eq!(exit, 1);
    let problems = value["problems"].as_array().expect("a list");
    let unknown = problems.iter().find(|problem| problem["code"] == "EG075").expect("the typo");
    for (field, expected) in [
        ("severity", "error"),
        ("object", "Gateway/g"),
        ("kind", "Gateway"),
        ("namespace", "prod"),
        ("file", path.as_str()),
        ("field", "spec.servers[0].prt"),
        ("message", "unknown field, ignored"),
        ("fix", "did you mean \"port\"?"),
    ] {
        assert_eq!(unknown[field], expected, "{field}");
    }
    assert_eq!((&unknown["line"], &unknown["column"]), (&6.into(), &14.into()));
    for problem in problems {
        assert_eq!(problem.as_object().expect("an object").len(), 11, "{problem}");
    }
    let object = &value["objects"][0];
    assert_eq!(object["object"], "Gateway/g");
    assert_eq!((&object["kind"], &object["namespace"]), (&"Gateway".into(), &"prod".into()));
    assert_eq!(object["outcome"], "ignored");
    assert!(object["reasons"].as_array().is_some_and(|reasons| !reasons.is_empty()));
    assert_eq!((&object["file"], &object["line"]), (&path.into(), &1.into()));
}

/// What SARIF 2.1.0 requires of a log, its run, rules and results.
#[test]
fn sarif_is_what_its_standard_asks_for() {
    let (log, exit, _) = printed(ERRONEOUS, "sarif");
    assert_eq!((exit, log["version"].as_str()), (1, Some("2.1.0")));
    assert!(log["$schema"].as_str().is_some_and(|schema| schema.contains("sarif-2.1.0")));
    let run = &log["runs"][0];
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "egret");
    let rules = driver["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), CODES.len());
    let results = run["results"].as_array().expect("results");
    assert!(!results.is_empty());
    for result in results {
        let index =
            usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(rules[index]["shortDescription"]["text"].is_string());
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().expect("a level")));
        assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()));
        let location = &result["locations"][0]["physicalLocation"];
        let uri = location["artifactLocation"]["uri"].as_str().expect("a URI");
        assert!(uri.starts_with("file:///") && uri.ends_with("/a%20b.yaml"), "{uri}");
        for number in ["startLine", "startColumn"] {
            assert!(location["region"][number].as_u64().is_some_and(|number| number >= 1));
        }
    }
    let names: Vec<&Value> = results
        .iter()
        .map(|result| &result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"])
        .collect();
    assert!(names.contains(&&"prod/Gateway/g:spec.servers[0].prt".into()), "{names:?}");
}

#[test]
fn a_clean_configuration_is_an_empty_list_in_every_form() {
    let clean = "listeners: [{port: 8080}]\nroutes: [{hosts: [a.com], to: https://a.com}]\n";
    let (json, exit, _) = printed(clean, "json");
    assert_eq!((exit, &json["problems"]), (0, &Value::Array(Vec::new())));
    let (sarif, exit, _) = printed(clean, "sarif");
    assert_eq!((exit, &sarif["runs"][0]["results"]), (0, &Value::Array(Vec::new())));
}
