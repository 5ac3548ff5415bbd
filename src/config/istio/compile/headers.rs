//! Header edits of a route, and the rewrite of its Host.
//!
//! It does not edit anything: that is done to each request, after the plan.
//! Source: istio `core/route/route.go:TranslateHeadersOperations`.

use std::collections::BTreeMap;

use super::object::Report;
use crate::config::Severity;
use crate::config::istio::virtual_service::{HeaderOperations, Headers};
use crate::model::header_value::Unusable;
use crate::model::{Authority, EditLists, HeaderEdit, HeaderEdits, HeaderValue, Share};

/// The edits of both heads; a set Host is a rewrite.
#[derive(Default)]
pub struct Edits {
    pub request: HeaderEdits,
    pub response: HeaderEdits,
    pub rewrite_host: Option<String>,
}

impl Edits {
    /// Those of the only destination follow the route's own, but a Host counts only where the route has
    /// none, as in Istio's `processDestination`.
    pub fn extend(&mut self, share: Share) {
        for (own, more) in
            [(&mut self.request, share.request), (&mut self.response, share.response)]
        {
            let (mut lists, more) = (std::mem::take(own).into_lists(), more.into_lists());
            lists.remove.extend(more.remove);
            lists.set.extend(more.set);
            lists.add.extend(more.add);
            *own = lists.into();
        }
        self.rewrite_host = self.rewrite_host.take().or(share.rewrite_host);
    }
}

/// The edits written at `field`.
pub fn compile(written: &Headers, field: &str, report: &mut Report<'_>) -> Edits {
    let mut compiled = Edits::default();
    if let Some(operations) = &written.request {
        let at = format!("{field}.request");
        for (name, value) in operations.set.iter().filter(|(name, _)| is_host(name)) {
            compiled.rewrite_host = host(value, &format!("{at}.set.{name}"), report);
        }
        compiled.request = edits(operations, &at, report);
    }
    if let Some(operations) = &written.response {
        compiled.response = edits(operations, &format!("{field}.response"), report);
    }
    compiled
}

fn edits(operations: &HeaderOperations, field: &str, report: &mut Report<'_>) -> HeaderEdits {
    let mut edits = EditLists::default();
    for (index, name) in operations.remove.iter().enumerate() {
        if check_name(name, &format!("{field}.remove[{index}]"), report) {
            edits.remove.push(name.clone());
        }
    }
    edits.set.extend(lines(&operations.set, &format!("{field}.set"), report));
    edits.add.extend(lines(&operations.add, &format!("{field}.add"), report));
    edits.into()
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
        let Some(value) = value_of(value, &at, report) else { continue };
        if let HeaderValue::Format(format) = &value
            && !field.contains(".response.")
            && let Some(command) = format.never_in_requests()
        {
            let message =
                format!("{command} is known when the answer is here: it is empty in a request");
            let fix = "write it under headers.response";
            report.tell("EG073", Severity::Warning, &at, message, fix);
        }
        lines.push(HeaderEdit { name: name.clone(), value });
    }
    lines
}

/// What a line says; `None`: it is left out, which is reported.
fn value_of(written: &str, field: &str, report: &mut Report<'_>) -> Option<HeaderValue> {
    if written.is_empty() {
        let message = "an empty value writes no line, in Istio as here";
        report.tell("EG073", Severity::Warning, field, message, "take it away with remove");
        return None;
    }
    if written.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        let message = "the value has a line break or a NUL; it is left out";
        report.fault("EG081", Severity::Error, field, message, "write one line");
        return None;
    }
    match HeaderValue::parse(written) {
        Ok(value) => return Some(value),
        Err(Unusable::Unknown { command, hint }) => {
            let message =
                format!("not implemented; {command} is a command of Envoy; the line is left out");
            report.fault("EG083", Severity::Error, field, message, hint);
        }
        Err(Unusable::Malformed(why)) => {
            let message = format!("{why}; the line is left out");
            report.fault("EG081", Severity::Error, field, message, "write %% for one %");
        }
    }
    None
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

/// A host, with or without a port, that takes the place of another.
pub fn host(authority: &str, field: &str, report: &mut Report<'_>) -> Option<String> {
    if Authority::parse(authority.as_bytes()).is_some() {
        return Some(authority.to_owned());
    }
    let message =
        format!("\"{authority}\" is not a host, with or without a port; the Host stays as it is");
    report.fault("EG081", Severity::Error, field, message, "write the name alone");
    None
}
