//! `corsPolicy` of a route: which pages of other sites may read its answers.
//!
//! What cannot be understood allows nothing. Source: istio `core/route/route.go:TranslateCORSPolicy`,
//! `pkg/config/validation:validateCORSPolicy`.

use super::object::Report;
use crate::config::Severity;
use crate::config::istio::virtual_service::{CorsPolicy, StringMatch, UnmatchedPreflights};
use crate::model::condition::is_token;
use crate::model::{Cors, Pattern, TextMatch, duration};

/// Methods that Istio's validation knows.
const METHODS: [&str; 9] =
    ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// What is written at `field`.
pub fn compile(written: &CorsPolicy, field: &str, report: &mut Report<'_>) -> Cors {
    let mut cors = Cors {
        credentials: written.allow_credentials,
        methods: names(&written.allow_methods, &format!("{field}.allowMethods"), report),
        headers: names(&written.allow_headers, &format!("{field}.allowHeaders"), report),
        exposed: names(&written.expose_headers, &format!("{field}.exposeHeaders"), report),
        max_age: max_age(written, &format!("{field}.maxAge"), report),
        answers_all: written.unmatched_preflights == Some(UnmatchedPreflights::Ignore),
        ..Cors::default()
    };
    for (index, method) in cors.methods.iter().enumerate() {
        if !METHODS.contains(&method.as_str()) {
            let what = format!("\"{method}\" is no method that it knows");
            let at = format!("{field}.allowMethods[{index}]");
            report.refused_by_istio(&at, what, "write e.g. GET");
        }
    }
    if !written.allow_origin.is_empty() {
        let at = format!("{field}.allowOrigin");
        let (message, fix) = match written.allow_origins.is_empty() {
            true => ("deprecated; it is in force where allowOrigins is not given", "allowOrigins"),
            false => ("allowOrigins stands beside it, so it is not in force", "remove it"),
        };
        report.fault("EG074", Severity::Warning, &at, message, fix);
    }
    if written.allow_origins.is_empty() {
        cors.origins.extend(written.allow_origin.iter().cloned().map(TextMatch::Exact));
    }
    for (index, one) in written.allow_origins.iter().enumerate() {
        cors.origins.extend(origin(one, &format!("{field}.allowOrigins[{index}]"), report));
    }
    if cors.origins.is_empty() {
        let message = "no origin is allowed, so nothing of it is in force";
        let fix = "add allowOrigins: [{exact: https://example.com}]";
        report.fault("EG082", Severity::Warning, field, message, fix);
    }
    cors
}

/// The names that can stand in a list of them; `*` is one.
fn names(written: &[String], field: &str, report: &mut Report<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for (index, name) in written.iter().enumerate() {
        if is_token(name) {
            names.push(name.clone());
            continue;
        }
        let message = format!("\"{name}\" is no name; it is left out");
        let at = format!("{field}[{index}]");
        report.fault("EG081", Severity::Error, &at, message, "write letters, digits and dashes");
    }
    names
}

fn max_age(written: &CorsPolicy, field: &str, report: &mut Report<'_>) -> Option<u64> {
    match duration::parse(written.max_age.as_deref()?) {
        Ok(time) => {
            if time.subsec_nanos() > 0 {
                report.refused_by_istio(field, "it is not in whole seconds", "write e.g. 24h");
            }
            Some(time.as_secs())
        }
        Err(why) => {
            let message = format!("{why}; browsers are told of none");
            report.fault("EG081", Severity::Error, field, message, "write e.g. 24h");
            None
        }
    }
}

fn origin(written: &StringMatch, field: &str, report: &mut Report<'_>) -> Option<TextMatch> {
    let read = match (&written.exact, &written.prefix, &written.regex) {
        (Some(exact), None, None) if !exact.is_empty() => Ok(TextMatch::Exact(exact.clone())),
        (None, Some(prefix), None) if !prefix.is_empty() => Ok(TextMatch::Prefix(prefix.clone())),
        (None, None, Some(regex)) => Pattern::parse(regex).map(TextMatch::Regex),
        _ => Err("exactly one of exact, prefix and regex is needed".to_owned()),
    };
    let wrong = |why| {
        let message = format!("{why}; no origin is allowed by it");
        report.fault("EG081", Severity::Error, field, message, "write e.g. exact: https://a.com");
    };
    read.map_err(wrong).ok()
}
