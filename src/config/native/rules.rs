//! One rule of a route in Egret's own form: its condition, destinations, limits and edits.
//!
//! A condition that is not understood leaves the rule out; a destination that is not answers 503.

use std::collections::BTreeMap;
use std::time::Duration;

use super::report::{Parts, Report};
use super::retries;
use super::shapes::{self, File};
use super::upstreams::{Faults, Upstreams, Written};
use super::{answers, condition, cors, faults, mirrors};
use crate::config::Materials;
use crate::config::provenance::Origin;
use crate::config::typed::Typed;
use crate::model::condition::is_token;
use crate::model::header_value::Unusable;
use crate::model::{
    Action, Authority, Destination, EditLists, Forward, HeaderEdit, HeaderEdits, HeaderValue,
    Retry, Rule, Share, duration,
};

/// What every step of reading a route needs.
pub(super) struct Context<'a, 'b> {
    pub typed: &'a Typed<File>,
    pub materials: &'a Materials,
    pub upstreams: &'a mut Upstreams,
    pub report: &'a mut Report<'b>,
}

/// The fields that say what is done with a request.
pub(super) const ACTIONS: [&str; 4] = ["to", "split", "redirect", "respond"];

/// One rule, `parts` being where its fields may stand; `None`: its condition is not understood.
pub(super) fn read_rule(
    own: &shapes::Rule,
    rest: &shapes::Rule,
    parts: &[String],
    origin: &Origin,
    context: &mut Context<'_, '_>,
) -> Option<Rule> {
    let at = |field: &str| format!("{}.{field}", parts[0]);
    if parts.len() > 1 && context.typed.faulty_at(&at("match")) {
        return None;
    }
    let condition =
        condition::read(own.condition.clone().unwrap_or_default(), &at("match"), context.report)?;
    let faulty = ACTIONS.iter().any(|field| context.typed.faulty_at(&at(field)));
    let faults = Faults::of_rule(own, context.typed, parts);
    let rule = own.clone().or(rest);
    let name = rule.name.clone().unwrap_or_default();
    let stat_prefix = rule.stat_prefix.clone().unwrap_or_default();
    let written = Written { rule: &rule, parts: Parts(parts), faults, origin: origin.clone() };
    let action = match faulty {
        true => {
            let missing = Destination::Missing("to".to_owned());
            Action::Forward(Forward::new(missing))
        }
        false => action(&written, context),
    };
    let field = context.report.field(Parts(parts), "fault");
    let fault = rule.fault.clone();
    let fault = fault.and_then(|fault| faults::read(fault, &field, context.report));
    Some(Rule { name, stat_prefix, condition, fault, action })
}

/// What is done: the first of `redirect`, `respond` and a destination that is written.
fn action(written: &Written<'_>, context: &mut Context<'_, '_>) -> Action {
    let rule = written.rule;
    let given = [
        ("redirect", rule.redirect.is_some()),
        ("respond", rule.respond.is_some()),
        ("to", rule.to.is_some()),
        ("split", rule.split.is_some()),
    ];
    let mut given = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name);
    if let (Some(taken), Some(other)) = (given.next(), given.next())
        && taken != "to"
    {
        let field = context.report.field(written.parts, other);
        let message = format!("{taken} stands beside it, so it is not in force");
        context.report.error("EG073", &field, message, "keep one of them");
    }
    let headers = rule.headers.clone().unwrap_or_default();
    let report = &mut *context.report;
    if let Some(redirect) = rule.redirect.clone() {
        let response = edits(headers.response, "headers.response", written, report);
        let field = report.field(written.parts, "redirect");
        return Action::Redirect(answers::redirect(redirect, response, &field, report));
    }
    if let Some(respond) = rule.respond.clone() {
        let response = edits(headers.response, "headers.response", written, report);
        let field = report.field(written.parts, "respond");
        return Action::Respond(answers::respond(respond, response, &field, report));
    }
    let to = destinations(written, context);
    let mirrors = mirrors::read(rule.mirrors.clone().unwrap_or_default(), written, context);
    let report = &mut *context.report;
    let retry = rule.retries.as_ref();
    let rewrite = rule.rewrite.clone();
    let rewrite_field = report.field(written.parts, "rewrite");
    let cors_field = report.field(written.parts, "cors");
    let cors = rule.cors.clone().map(|cors| cors::read(cors, &cors_field, report));
    Action::Forward(Forward {
        to,
        timeout: rule.timeout.as_deref().and_then(|text| read_timeout(text, written, report)),
        retry: retry
            .map_or_else(Retry::default, |retries| retries::read(retries, written.parts, report)),
        rewrite_host: rule.host.clone().and_then(|host| read_host(host, "host", written, report)),
        rewrite_path: rewrite
            .and_then(|one| answers::rewrite(one, &rewrite_field, report))
            .map(Box::new),
        request: edits(headers.request, "headers.request", written, report),
        response: edits(headers.response, "headers.response", written, report),
        mirrors,
        cors: cors.map(Box::new),
    })
}

fn destinations(written: &Written<'_>, context: &mut Context<'_, '_>) -> Vec<Share> {
    let report = &mut *context.report;
    let (rule, parts) = (written.rule, written.parts);
    let field = report.field(parts, "split");
    let mut to = Vec::new();
    match (&rule.to, &rule.split) {
        (Some(_), Some(_)) => {
            report.error(
                "EG073",
                &field,
                "to and split exclude each other; requests get 503",
                "keep one of them",
            );
        }
        (None, None) => {
            let field = report.field(parts, "to");
            report.error(
                "EG082",
                &field,
                "it is missing; requests get 503",
                "write e.g. to: https://edition.cnn.com",
            );
        }
        (Some(url), None) => {
            let field = report.field(parts, "to");
            refuse_options(url, written, report);
            to.push(Share::whole(context.upstreams.destination(
                url,
                &field,
                written,
                context.materials,
                report,
            )));
        }
        (None, Some(shares)) => {
            to = shared(shares, &field, written, context);
        }
    }
    if to.is_empty() {
        to.push(Share::whole(Destination::Missing("to".to_owned())));
    }
    to
}

/// The destinations of `split`, which stands at `field`; empty: it is reported.
fn shared(
    shares: &[shapes::Share],
    field: &str,
    written: &Written<'_>,
    context: &mut Context<'_, '_>,
) -> Vec<Share> {
    let report = &mut *context.report;
    let mut to = Vec::new();
    for (index, share) in shares.iter().enumerate() {
        let field = format!("{field}[{index}]");
        let weight = share.weight.unwrap_or(1);
        let Some(url) = &share.to else {
            report.error(
                "EG082",
                &field,
                "a share without to is left out",
                "write e.g. { to: https://a.example.com, weight: 90 }",
            );
            continue;
        };
        if weight > 0 {
            refuse_options(url, written, report);
            let at = format!("{field}.to");
            let destination =
                context.upstreams.destination(url, &at, written, context.materials, report);
            let part = &format!("split[{index}]");
            let headers = share.headers.clone().unwrap_or_default();
            let host = share.host.clone();
            to.push(Share {
                to: destination,
                weight,
                rewrite_host: host
                    .and_then(|host| read_host(host, &format!("{part}.host"), written, report)),
                request: edits(
                    headers.request,
                    &format!("{part}.headers.request"),
                    written,
                    report,
                ),
                response: edits(
                    headers.response,
                    &format!("{part}.headers.response"),
                    written,
                    report,
                ),
            });
        }
    }
    if to.is_empty() {
        report.error(
            "EG073",
            field,
            "no share has a weight above zero; requests get 503",
            "give one a weight",
        );
    }
    to
}

/// What stands beside the name of an upstream has no effect on it.
fn refuse_options(to: &str, written: &Written<'_>, report: &mut Report<'_>) {
    if !to.contains("://") && written.rule.has_options() {
        let field = report.field(written.parts, "to");
        let message = format!(
            "tls, timeouts of connections, balance and endpoints beside it do not change the upstream \"{to}\""
        );
        report.error("EG073", &field, message, "write them at the upstream");
    }
}

fn read_timeout(text: &str, written: &Written<'_>, report: &mut Report<'_>) -> Option<Duration> {
    match duration::parse(text) {
        Ok(Duration::ZERO) => None, // no limit, as Istio means it
        Ok(timeout) => Some(timeout),
        Err(why) => {
            let field = report.field(written.parts, "timeout");
            report.error("EG081", &field, format!("{why}; there is no timeout"), "");
            None
        }
    }
}

fn read_host(
    host: String,
    field: &str,
    written: &Written<'_>,
    report: &mut Report<'_>,
) -> Option<String> {
    if Authority::parse(host.as_bytes()).is_some() {
        return Some(host);
    }
    let field = report.field(written.parts, field);
    report.error(
        "EG081",
        &field,
        format!("\"{host}\" is not a host; the client's is kept"),
        "write e.g. host: api.example.com",
    );
    None
}

fn edits(
    edits: Option<shapes::Edits>,
    message: &str,
    written: &Written<'_>,
    report: &mut Report<'_>,
) -> HeaderEdits {
    let edits = edits.unwrap_or_default();
    let path = report.field(written.parts, message);
    let mut remove = Vec::new();
    for (index, name) in edits.remove.into_iter().enumerate() {
        if check_header(&name, "", &format!("{path}.remove[{index}]"), report) {
            remove.push(name);
        }
    }
    let mut lines = |lines: BTreeMap<String, shapes::HeaderValue>, list: &str| {
        let line = |(name, value): (String, shapes::HeaderValue)| {
            let field = format!("{path}.{list}.{name}");
            let (shapes::HeaderValue::Text(text) | shapes::HeaderValue::Format(text)) = &value;
            let usable = check_header(&name, text, &field, report);
            let value = if usable { header_value(value, &field, report)? } else { return None };
            Some(HeaderEdit { name, value })
        };
        lines.into_iter().filter_map(line).collect()
    };
    EditLists { remove, set: lines(edits.set, "set"), add: lines(edits.add, "add") }.into()
}

/// What a line says; `None`: it cannot be written, which is reported.
fn header_value(
    written: shapes::HeaderValue,
    field: &str,
    report: &mut Report<'_>,
) -> Option<HeaderValue> {
    let text = match written {
        shapes::HeaderValue::Text(text) => return Some(HeaderValue::Text(text)),
        shapes::HeaderValue::Format(text) => text,
    };
    let field = format!("{field}.format");
    match HeaderValue::parse(&text) {
        Ok(value) => return Some(value),
        Err(Unusable::Unknown { command, hint }) => {
            let message = format!("{command} is not known here; the line is left out");
            report.error("EG081", &field, message, hint);
        }
        Err(Unusable::Malformed(why)) => {
            let message = format!("{why}; the line is left out");
            report.error("EG081", &field, message, "write %% for one %");
        }
    }
    None
}

/// Whether a header line can be written; if not, that is reported.
fn check_header(name: &str, value: &str, field: &str, report: &mut Report<'_>) -> bool {
    if name.eq_ignore_ascii_case("host") {
        report.error(
            "EG073",
            field,
            "Host is not edited here; it is left out",
            "write host: beside headers",
        );
    } else if !is_token(name) {
        report.error(
            "EG081",
            field,
            format!("\"{name}\" is no header name; it is left out"),
            "write letters, digits and dashes",
        );
    } else if value.bytes().any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7f) {
        report.error(
            "EG081",
            field,
            "a header value cannot have control characters; it is left out",
            "write it on one line",
        );
    } else {
        return true;
    }
    false
}
