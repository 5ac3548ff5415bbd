//! What a rule's `match` asks of a request.
//!
//! A condition that is not understood leaves the rule out: a rule never takes more than it says.

use super::report::Report;
use super::shapes;
use crate::model::condition::is_token;
use crate::model::{Condition, Field, FieldMatch, PathMatch, Pattern, QueryMatch, TextMatch};

/// Reads it; `None`: something is not understood, and all of that is reported.
pub(super) fn read(
    written: shapes::Match,
    field: &str,
    report: &mut Report<'_>,
) -> Option<Condition> {
    let mut condition = Condition::default();
    let mut understood = true;
    match written.path.map(|written| path(written, &format!("{field}.path"), report)) {
        None => {}
        Some(Some(path)) => condition.path = path,
        Some(None) => understood = false,
    }
    for (index, method) in written.methods.into_iter().flatten().enumerate() {
        if !is_token(&method) {
            let field = format!("{field}.methods[{index}]");
            let message = format!("\"{method}\" is no method, so the rule is left out");
            report.error("EG081", &field, message, "write e.g. GET");
            understood = false;
        }
        condition.methods.push(method);
    }
    for (index, one) in written.headers.into_iter().flatten().enumerate() {
        let at = format!("{field}.headers[{index}]");
        match header(one, &at, report) {
            Some(header) => condition.fields.push(header),
            None => understood = false,
        }
    }
    for (index, one) in written.query.into_iter().flatten().enumerate() {
        let at = format!("{field}.query[{index}]");
        let read = text(one.exact, one.prefix, one.regex, &at, report);
        match (one.name, read) {
            (Some(name), Some(text)) => condition.query.push(QueryMatch { name, text }),
            (None, _) => {
                let message = "it has no name, so the rule is left out";
                report.error("EG082", &at, message, "write e.g. { name: q, exact: rust }");
                understood = false;
            }
            (Some(_), None) => understood = false,
        }
    }
    Some(condition).filter(|_| understood)
}

fn path(written: shapes::Path, field: &str, report: &mut Report<'_>) -> Option<PathMatch> {
    let any_case = written.ignore_case == Some(true);
    let (path, text) = match (written.exact, written.prefix, written.regex) {
        (Some(text), None, None) if any_case => (PathMatch::ExactAnyCase(text.clone()), text),
        (Some(text), None, None) => (PathMatch::Exact(text.clone()), text),
        (None, Some(text), None) if any_case => (PathMatch::PrefixAnyCase(text.clone()), text),
        (None, Some(text), None) => (PathMatch::Prefix(text.clone()), text),
        (None, None, Some(text)) => return pattern(&text, field, report).map(PathMatch::Regex),
        _ => {
            let message =
                "it needs exact, prefix or regex, and one of them only, so the rule is left out";
            report.error("EG073", field, message, "write e.g. path: { prefix: /v2/ }");
            return None;
        }
    };
    if !text.starts_with('/') {
        let message = format!("\"{text}\" does not begin with /, so it matches no path");
        report.warning("EG070", field, message, format!("write /{text}"));
    }
    Some(path)
}

fn header(written: shapes::Header, field: &str, report: &mut Report<'_>) -> Option<FieldMatch> {
    let text = text(written.exact, written.prefix, written.regex, field, report);
    let name = written.name.unwrap_or_default();
    let Some(part) = Field::named(&name) else {
        let message = format!("\"{name}\" is no header name, so the rule is left out");
        report.error("EG081", &format!("{field}.name"), message, "write e.g. name: x-team");
        return None;
    };
    Some(FieldMatch { field: part, text: text?, inverted: written.not == Some(true) })
}

/// A condition on a text; none at all: it is there.
fn text(
    exact: Option<String>,
    prefix: Option<String>,
    regex: Option<String>,
    field: &str,
    report: &mut Report<'_>,
) -> Option<TextMatch> {
    match (exact, prefix, regex) {
        (None, None, None) => Some(TextMatch::Present),
        (Some(text), None, None) => Some(TextMatch::Exact(text)),
        (None, Some(text), None) => Some(TextMatch::Prefix(text)),
        (None, None, Some(text)) => pattern(&text, field, report).map(TextMatch::Regex),
        _ => {
            let message = "exact, prefix and regex exclude each other, so the rule is left out";
            report.error("EG073", field, message, "keep one of them");
            None
        }
    }
}

fn pattern(text: &str, field: &str, report: &mut Report<'_>) -> Option<Pattern> {
    let wrong = |why| {
        let field = format!("{field}.regex");
        report.error(
            "EG081",
            &field,
            format!("{why}, so the rule is left out"),
            "write RE2's syntax",
        );
    };
    Pattern::parse(text).map_err(wrong).ok()
}
