//! Header edits of a route, and the rewrite of its Host.
//!
//! It does not edit anything: that is done to each request, after the plan.
//! Source: istio `core/route/route.go:TranslateHeadersOperations`.

use std::collections::BTreeMap;

use super::object::Report;
use crate::config::Severity;
use crate::config::istio::virtual_service::HeaderOperations;
use crate::model::{Authority, Forward, HeaderEdit, HeaderEdits};

/// Adds the edits written at `field` to what is carried; a set Host is a rewrite.
pub fn edit(
    forward: &mut Forward,
    request: Option<&HeaderOperations>,
    response: Option<&HeaderOperations>,
    field: &str,
    report: &mut Report<'_>,
) {
    if let Some(operations) = request {
        let at = format!("{field}.request");
        for (name, value) in &operations.set {
            if is_host(name) {
                rewrite_host(forward, value, &format!("{at}.set.{name}"), report);
            }
        }
        edits(&mut forward.request, operations, &at, report);
    }
    if let Some(operations) = response {
        edits(&mut forward.response, operations, &format!("{field}.response"), report);
    }
}

fn edits(
    edits: &mut HeaderEdits,
    operations: &HeaderOperations,
    field: &str,
    report: &mut Report<'_>,
) {
    for (index, name) in operations.remove.iter().enumerate() {
        if check_name(name, &format!("{field}.remove[{index}]"), report) {
            edits.remove.push(name.clone());
        }
    }
    edits.set.extend(lines(&operations.set, &format!("{field}.set"), report));
    edits.add.extend(lines(&operations.add, &format!("{field}.add"), report));
}

fn lines(
    written: &BTreeMap<String, String>,
    field: &str,
    report: &mut Report<'_>,
) -> Vec<HeaderEdit> {
    let mut lines = Vec::new();
    for (name, value) in written {
        let at = format!("{field}.{name}");
        if is_host(name) && field.ends_with("request.set") {
            continue; // a rewrite, which stands in `rewrite_host`
        }
        if !check_name(name, &at, report) {
            continue;
        }
        if value.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            report.fault(
                "EG081",
                Severity::Error,
                &at,
                "the value has a line break or a NUL; it is left out",
                "write one line",
            );
            continue;
        }
        if value.contains('%') {
            report.unsupported(Severity::Warning, &at, "a % in a value is sent as it is");
        }
        lines.push(HeaderEdit { name: name.clone(), value: value.clone() });
    }
    lines
}

fn check_name(name: &str, field: &str, report: &mut Report<'_>) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let valid = !name.is_empty() && name.bytes().all(token) && !is_host(name);
    if !valid {
        let message = format!("\"{name}\" is not a header that can be edited; it is left out");
        report.fault(
            "EG081",
            Severity::Error,
            field,
            message,
            "the Host is rewritten by rewrite.authority",
        );
    }
    valid
}

fn is_host(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name == ":authority"
}

/// Puts a host, with or without port, in place of the client's.
pub fn rewrite_host(forward: &mut Forward, authority: &str, field: &str, report: &mut Report<'_>) {
    match Authority::parse(authority.as_bytes()) {
        Some(_) => forward.rewrite_host = Some(authority.to_owned()),
        None => {
            let message = format!(
                "\"{authority}\" is not a host, with or without a port; the Host stays as it is"
            );
            report.fault("EG081", Severity::Error, field, message, "write the name alone");
        }
    }
}
