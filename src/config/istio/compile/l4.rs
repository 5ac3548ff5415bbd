//! Routes for connections, `tls[]` and `tcp[]`: none of them is in force, and each field is told.
//!
//! It judges no value.

use super::object::Object;
use crate::config::Severity;
use crate::config::document::{Kind, Node};
use crate::config::istio::virtual_service::VirtualService;

/// Says of each field of `tls[]` and `tcp[]` that it is not in force.
pub fn report(object: &mut Object<'_, VirtualService>) {
    for list in ["tls", "tcp"] {
        let field = format!("spec.{list}");
        let document = object.report.document;
        let written = document.body().get("spec").and_then(|spec| spec.get(list));
        let Some(written) = written.filter(|list| list.entries().len() > 0) else { continue };
        let effect = "these routes are not in force";
        object.report.unsupported(Severity::Error, &field, effect);
        for path in fields(written, &field) {
            object.report.unsupported(Severity::Info, &path, "not in force");
        }
    }
}

/// The path of each field that bears a value: lists of texts and mappings of labels are values.
pub fn fields(value: Node<'_>, path: &str) -> Vec<String> {
    match value.kind() {
        Kind::List if value.entries().any(Node::is_map) => {
            let inner = value.entries().enumerate();
            inner.flat_map(|(index, entry)| fields(entry, &format!("{path}[{index}]"))).collect()
        }
        Kind::Map if !path.ends_with("sourceLabels") => value
            .fields()
            .into_iter()
            .flat_map(|(name, value)| fields(value, &format!("{path}.{name}")))
            .collect(),
        _ => vec![path.to_owned()],
    }
}
