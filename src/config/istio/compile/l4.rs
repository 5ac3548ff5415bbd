//! Routes for connections, `tls[]` and `tcp[]`: none of them is in force, and each field is told.
//!
//! It judges no value.

use serde_json::Value;

use super::object::Object;
use crate::config::Severity;
use crate::config::istio::virtual_service::VirtualService;

/// Says of each field of `tls[]` and `tcp[]` that it is not in force.
pub fn report(object: &mut Object<'_, VirtualService>) {
    for list in ["tls", "tcp"] {
        let field = format!("spec.{list}");
        let document = object.report.document;
        let written = document.body.get("spec").and_then(|spec| spec.get(list));
        let Some(written @ Value::Array(entries)) = written else { continue };
        if entries.is_empty() {
            continue;
        }
        let effect = "these routes are not in force";
        object.report.unsupported(Severity::Error, &field, effect);
        for path in fields(written, &field) {
            object.report.unsupported(Severity::Info, &path, "not in force");
        }
    }
}

/// The path of each field that bears a value: lists of texts and mappings of labels are values.
pub fn fields(value: &Value, path: &str) -> Vec<String> {
    match value {
        Value::Array(entries) if entries.iter().any(Value::is_object) => {
            let inner = entries.iter().enumerate();
            inner.flat_map(|(index, entry)| fields(entry, &format!("{path}[{index}]"))).collect()
        }
        Value::Object(entries) if !path.ends_with("sourceLabels") => entries
            .iter()
            .flat_map(|(name, value)| fields(value, &format!("{path}.{name}")))
            .collect(),
        _ => vec![path.to_owned()],
    }
}
