//! What a route does with a request: an answer of its own, or destinations with rewrites and timeouts.
//!
//! An action that cannot be taken answers 503 for what its rule matches; it never lets the
//! request fall through to another rule. Source: istio `core/route/route.go:TranslateRoute`.

use std::time::Duration;

use super::destinations::Use;
use super::object::Report;
use super::upstreams::Known;
use super::{answers, cors, destinations, fault, headers, mirror, retries};
use crate::config::Severity;
use crate::config::istio::virtual_service::{HttpRewrite, HttpRoute};
use crate::model::{Action, Fault, Forward, PathRewrite, Share, Substitution, duration};

/// What an entry does with the requests that its conditions take.
#[derive(Clone)]
pub struct Done {
    pub action: Action,
    pub fault: Option<Fault>,
}

/// What `http[..]` at `field` does on a listener of a gateway port, and where it leads.
pub fn compile(
    route: &HttpRoute,
    field: &str,
    port: u16,
    known: &Known,
    report: &mut Report<'_>,
) -> (Done, Vec<Use>) {
    let fault = route.fault.as_ref();
    let fault =
        fault.and_then(|written| fault::compile(written, &format!("{field}.fault"), report));
    let (action, uses) = action(route, field, port, known, report);
    (Done { action, fault }, uses)
}

fn action(
    route: &HttpRoute,
    field: &str,
    port: u16,
    known: &Known,
    report: &mut Report<'_>,
) -> (Action, Vec<Use>) {
    removed(route, field, report);
    let edits = route
        .headers
        .as_ref()
        .map(|written| headers::compile(written, &format!("{field}.headers"), report));
    let edits = edits.unwrap_or_default();
    // Istio's order of precedence; validation refuses more than one of them.
    if let Some(redirect) = &route.redirect {
        only("redirect", route, field, report);
        let field = format!("{field}.redirect");
        let redirect = answers::redirect(redirect, edits.response, &field, port, report);
        return (Action::Redirect(redirect), Vec::new());
    }
    if let Some(written) = &route.direct_response {
        only("directResponse", route, field, report);
        let field = format!("{field}.directResponse");
        let respond = answers::respond(written, edits.response, &field, report);
        return (Action::Respond(respond), Vec::new());
    }
    let (mut to, mut uses) = destinations::compile(route, field, port, known, report);
    let mut edits = edits;
    if let [only] = &mut to[..] {
        edits.extend(std::mem::replace(only, Share::whole(only.to.clone())));
    }
    let mut forward = Forward {
        to,
        timeout: timeout(route, field, report),
        retry: retries::compile(route.retries.as_deref(), &format!("{field}.retries"), report),
        rewrite_host: edits.rewrite_host,
        rewrite_path: None,
        request: edits.request,
        response: edits.response,
        mirrors: mirror::compile(route, field, port, known, report, &mut uses),
        cors: route.cors_policy.as_ref().map(|written| {
            Box::new(cors::compile(written, &format!("{field}.corsPolicy"), report))
        }),
    };
    if let Some(rewrite) = &route.rewrite {
        let field = format!("{field}.rewrite");
        if let Some(authority) = &rewrite.authority {
            let at = format!("{field}.authority");
            forward.rewrite_host =
                headers::host(authority, &at, report).or(forward.rewrite_host.take());
        }
        forward.rewrite_path = rewrite_path(rewrite, &field, report).map(Box::new);
    }
    (Action::Forward(forward), uses)
}

/// Says which other actions stand beside the one that is taken.
fn only(taken: &str, route: &HttpRoute, field: &str, report: &mut Report<'_>) {
    for (name, present) in [
        ("route", !route.route.is_empty()),
        ("directResponse", route.direct_response.is_some()),
        ("rewrite", route.rewrite.is_some()),
        ("mirror", route.mirror.is_some()),
        ("mirrors", !route.mirrors.is_empty()),
        ("corsPolicy", route.cors_policy.is_some()),
    ] {
        if present && name != taken {
            let message = format!("{taken} stands beside it, so it is not in force");
            let at = format!("{field}.{name}");
            // Istio lets it pass, and Envoy takes no notice of it there.
            let severity = match name {
                "corsPolicy" => Severity::Warning,
                _ => Severity::Error,
            };
            report.fault("EG073", severity, &at, message, "keep one of them");
        }
    }
}

fn rewrite_path(
    rewrite: &HttpRewrite,
    field: &str,
    report: &mut Report<'_>,
) -> Option<PathRewrite> {
    if let Some(written) = &rewrite.uri_regex_rewrite {
        let at = format!("{field}.uriRegexRewrite");
        if rewrite.uri.is_some() {
            let message = "uri stands beside it, so it is not in force";
            report.fault("EG073", Severity::Error, &at, message, "keep one of them");
        } else {
            return match Substitution::parse(&written.matched, &written.rewrite) {
                Ok(substitution) if answers::is_target(&written.rewrite) => {
                    Some(PathRewrite::Regex(substitution))
                }
                Ok(_) => {
                    report.fault("EG081", Severity::Error, &at, "blanks and control characters cannot stand in a path; the path stays as it is", "percent-encode them");
                    None
                }
                Err(why) => {
                    let message = format!("{why}; the path stays as it is");
                    report.fault("EG081", Severity::Error, &at, message, "write RE2's syntax");
                    None
                }
            };
        }
    }
    let uri = rewrite.uri.as_ref().filter(|uri| !uri.is_empty())?;
    if answers::is_target(uri) {
        return Some(PathRewrite::Matched(uri.clone()));
    }
    let message = "blanks and control characters cannot stand in a path; the path stays as it is";
    report.fault("EG081", Severity::Error, &format!("{field}.uri"), message, "percent-encode them");
    None
}

/// Reports fields that no longer exist.
fn removed(route: &HttpRoute, field: &str, report: &mut Report<'_>) {
    for (name, present, instead) in [
        (
            "websocketUpgrade",
            route.websocket_upgrade.is_some(),
            "leave it out: upgrades always pass",
        ),
        ("appendHeaders", route.append_headers.is_some(), "headers.request.add"),
        ("appendRequestHeaders", route.append_request_headers.is_some(), "headers.request.add"),
        ("removeRequestHeaders", route.remove_request_headers.is_some(), "headers.request.remove"),
        ("appendResponseHeaders", route.append_response_headers.is_some(), "headers.response.add"),
        (
            "removeResponseHeaders",
            route.remove_response_headers.is_some(),
            "headers.response.remove",
        ),
    ] {
        if present {
            report.fault(
                "EG074",
                Severity::Warning,
                &format!("{field}.{name}"),
                "no longer exists; it is not in force",
                instead,
            );
        }
    }
}

fn timeout(route: &HttpRoute, field: &str, report: &mut Report<'_>) -> Option<Duration> {
    match duration::parse(route.timeout.as_deref()?) {
        Ok(time) => {
            if !time.is_zero() && time < Duration::from_millis(1) {
                let what = "a time below 1 ms";
                report.refused_by_istio(&format!("{field}.timeout"), what, "write at least 1ms");
            }
            Some(time).filter(|time| !time.is_zero()) // zero is Istio's word for none
        }
        Err(why) => {
            report.fault(
                "EG081",
                Severity::Error,
                &format!("{field}.timeout"),
                why,
                "no timeout is in force",
            );
            None
        }
    }
}
