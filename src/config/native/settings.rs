//! The `settings:` document: the flags of `run` as camelCase keys.
//!
//! Values are read by `settings`, the module of all knobs, as those of flags are.

use crate::config::document::{Kind, Node};
use crate::config::{Document, Problem, Severity, nearest};
use crate::settings::{Given, Layer, NAMES, Settings, key};

/// The settings that documents give, and every problem with them. At most one document may have any.
pub fn settings(documents: &[Document]) -> (Layer, Vec<Problem>) {
    let (mut layer, mut problems) = (Layer::new(), Vec::new());
    let mut with_settings = documents
        .iter()
        .filter(|document| document.is_native() && document.body().get("settings").is_some());
    let Some(document) = with_settings.next() else {
        return (layer, problems);
    };
    for other in with_settings {
        let message = format!(
            "settings are given at {} already; these are ignored",
            document.locate("settings")
        );
        problems.push(other.problem(
            "EG091",
            Severity::Error,
            "settings",
            message,
            "put all settings into one document",
        ));
    }
    let Some(settings) = document.body().get("settings").filter(|settings| settings.is_map())
    else {
        problems.push(document.problem(
            "EG081",
            Severity::Error,
            "settings",
            "not a mapping of settings",
            "write e.g. settings: { drain: 25s }",
        ));
        return (layer, problems);
    };
    for (field, value) in settings.fields() {
        let path = format!("settings.{field}");
        let Some(name) = NAMES.into_iter().find(|name| key(name) == field) else {
            let keys: Vec<String> = NAMES.into_iter().map(key).collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            problems.push(document.problem(
                "EG075",
                Severity::Error,
                &path,
                "unknown setting, ignored",
                nearest(field, &keys),
            ));
            continue;
        };
        match texts(name, value) {
            Some(texts) => {
                let source = format!("{}: {path}", document.locate(&path));
                layer.insert(name, Given::split(name, source, &texts));
            }
            None => problems.push(document.problem(
                "EG081",
                Severity::Error,
                &path,
                "neither a value nor a list of values",
                "",
            )),
        }
    }
    let wrongs =
        Settings::merge([layer.clone(), Layer::new(), Layer::new()]).err().unwrap_or_default();
    for wrong in wrongs {
        let path = format!("settings.{}", key(wrong.name));
        problems.push(document.problem("EG081", Severity::Error, &path, wrong.message, ""));
    }
    (layer, problems)
}

/// The texts of a value, of a list of values, or of a mapping (`portMap: { 443: 8443 }`).
fn texts(name: &str, value: Node<'_>) -> Option<Vec<String>> {
    match value.kind() {
        Kind::List => value.entries().map(text).collect(),
        Kind::Map => {
            let separator = match name {
                "port-map" => ':',
                "labels" | "limits" => '=',
                _ => return None,
            };
            value
                .fields()
                .into_iter()
                .map(|(key, value)| Some(format!("{key}{separator}{}", text(value)?)))
                .collect()
        }
        _ => Some(vec![text(value)?]),
    }
}

fn text(value: Node<'_>) -> Option<String> {
    match value.kind() {
        Kind::Text => value.as_str().map(str::to_owned),
        Kind::Unsigned | Kind::Negative | Kind::Float => Some(value.to_value().to_string()),
        // `accessLog: off` is a boolean for some readers of YAML.
        Kind::False => Some("off".to_owned()),
        Kind::True => Some("true".to_owned()),
        Kind::Null | Kind::List | Kind::Map => None,
    }
}
