//! Header edits of a route, and the rewrite of its Host.
//!
//! It does not edit anything: that is done to each request, after the plan.
//! Source: istio `core/route/route.go:TranslateHeadersOperations`.

use std::collections::BTreeMap;

use super::object::Report;
use crate::config::Severity;
use crate::config::istio::virtual_service::{HeaderOperations, Headers};
use crate::model::{Authority, HeaderEdit, HeaderEdits, Share};

/// The edits of both heads; a set Host is a rewrite.
#[derive(Default)]
pub struct Edits {
    pub request: HeaderEdits,
    pub response: HeaderEdits,
    pub rewrite_host: Option<String>,
}

impl Edits {
    /// Those of the only destination follow the route's own, as in Istio's `processDestination`.
    pub fn extend(&mut self, share: Share) {
        for (own, more) in
            [(&mut self.request, share.request), (&mut self.response, share.response)]
        {
            own.remove.extend(more.remove);
            own.set.extend(more.set);
            own.add.extend(more.add);
        }
        self.rewrite_host = share.rewrite_host.or(self.rewrite_host.take());
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
        edits(&mut compiled.request, operations, &at, report);
    }
    if let Some(operations) = &written.response {
        edits(&mut compiled.response, operations, &format!("{field}.response"), report);
    }
    compiled
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
        match literal(value) {
            Ok(value) => lines.push(HeaderEdit { name: name.clone(), value }),
            Err(Unusable::Command(command)) => {
                let effect = format!("{command} is a command of Envoy; the line is left out");
                report.unsupported(Severity::Error, &at, &effect);
            }
            Err(Unusable::LonePercent) => {
                let message = "a % alone begins a command in Envoy's values; the line is left out";
                report.fault("EG081", Severity::Error, &at, message, "write %% for one %");
            }
        }
    }
    lines
}

/// Why a value cannot be sent as it is written.
#[derive(Debug, PartialEq, Eq)]
enum Unusable {
    /// It asks for something that is known only when a request comes.
    Command(String),
    LonePercent,
}

/// The text of a value, in which Envoy takes `%%` for one `%` and everything else between two of them for
/// a command.
fn literal(value: &str) -> Result<String, Unusable> {
    let mut parts = value.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    while let Some(command) = parts.next() {
        let after = parts.next().ok_or(Unusable::LonePercent)?;
        if !command.is_empty() {
            return Err(Unusable::Command(format!("%{command}%")));
        }
        text.push('%');
        text.push_str(after);
    }
    Ok(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_percent_signs_are_one_and_commands_are_never_sent_as_text() {
        for (value, text) in [
            ("plain", Ok("plain")),
            ("100%%", Ok("100%")),
            ("%%%%", Ok("%%")),
            ("a%%b%%c", Ok("a%b%c")),
            ("100%", Err(Unusable::LonePercent)),
            ("%%%", Err(Unusable::LonePercent)),
            ("%REQ(X-A)%", Err(Unusable::Command("%REQ(X-A)%".into()))),
            ("from %PROTOCOL%, 5%%", Err(Unusable::Command("%PROTOCOL%".into()))),
        ] {
            assert_eq!(literal(value), text.map(str::to_owned), "{value}");
        }
    }
}
