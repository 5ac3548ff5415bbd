//! The first half of the way: listener, virtual host, rule, and what was not taken.

use serde_json::{Value, json};

use super::destinations::{self, Sent};
use super::{Question, Story, Walk, story};
use crate::config::Outcome;
use crate::config::provenance::Origin;
use crate::inspect::View;
use crate::inspect::problems;
use crate::inspect::show::{condition, field_match, query_match, served_on, text_match};
use crate::model::retry::{Resend, RetryHosts};
use crate::model::{
    Authority, Cors, EditLists, Forward, Fraction, HeaderEdits, Listener, PathRewrite, Retry, Rule,
    duration,
};
use crate::snapshot::condition::{Unmet, check};
use crate::snapshot::{self, Asked, Found};
use crate::wire::{Head, Name};

/// Hosts, rules or objects that are named in one place; the others are counted.
const NAMED_MAX: usize = 12;

/// A rule of the plan: the index of its virtual host, and its own.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    route: usize,
    rule: usize,
}

/// Where the client knocks.
pub(super) fn listener(walk: &Walk<'_>, story: &mut Story) {
    let Listener { name, route_table, port, bind } =
        &walk.view.compiled.plan.listeners[walk.listener];
    let origins = walk.view.compiled.provenance.listeners.get(walk.listener);
    let from: Vec<String> =
        origins.into_iter().flatten().map(|origin| story.origin(origin)).collect();
    let same =
        walk.view.compiled.plan.listeners.iter().filter(|listener| listener.port == *port).count();
    let step = story.step("listener");
    step.field("name", name.as_str())
        .field("port", *port)
        .field("bind", bind.to_string())
        .field("routeTable", route_table.as_str());
    if let Some(origins) = origins {
        step.field("from", origins.iter().map(story::origin_value).collect::<Value>());
    }
    step.line(format!("{name}, port {port}, bound to {bind}, route table {route_table}"))
        .lines(from);
    if same > 1 {
        step.line(format!("{} others have this port and another address", same - 1));
    }
}

/// Which virtual host answers to the name, and which of its rules takes the request.
pub(super) fn chosen(
    walk: &Walk<'_>,
    authority: &Authority,
    asked: Asked<'_>,
    found: Option<&Found<'_>>,
    story: &mut Story,
) -> Option<Taken> {
    let Some(found) = found else {
        nobody_answers(walk, authority.host(), story);
        return None;
    };
    let (number, route) = served_on(&walk.view.compiled.plan, walk.listener)
        .find(|(_, route)| route.hosts.iter().any(|host| host.to_string() == found.pattern))?;
    let host = authority.host();
    let line = match found.pattern == host {
        true => format!("{}, which answers to {host}", route.name),
        false => format!("{}, whose {} covers {host}", route.name, found.pattern),
    };
    story
        .step("virtual host")
        .line(line)
        .field("name", route.name.as_str())
        .field("domain", found.pattern);
    let origins = walk.view.compiled.provenance.routes.get(number);
    let origin_of = |index: usize| origins.and_then(|rules| rules.get(index));
    let Some(rule) = found.rule else {
        let (mut declined, mut values) = (Vec::new(), Vec::new());
        for (index, rule) in route.rules.iter().enumerate().take(NAMED_MAX) {
            let from = origin_of(index).map(|origin| format!(" - {}", story.origin(origin)));
            let why = why_not(rule, asked);
            let count = route.rules.len();
            values.push(declined_value(index, &why, origin_of(index)));
            declined.push(format!(
                "rule {} of {count}: {why}{}",
                index + 1,
                from.unwrap_or_default()
            ));
        }
        let line = match declined.is_empty() {
            true => "the virtual host has none: everything is 404",
            false => "none of the virtual host takes this request",
        };
        story.step("rule").line(line);
        story.step("declined").lines(declined).field("rules", values);
        return None;
    };
    // The first rule that is equal takes the request too, so it is the one that was found.
    let index = route.rules.iter().position(|planned| *planned == rule.plan)?;
    let from = origin_of(index).map(|origin| story.origin(origin));
    let mut line =
        format!("{} of {}: {}", index + 1, route.rules.len(), condition(&rule.plan.condition));
    if !rule.plan.name.is_empty() {
        line.push_str(&format!(", named {}", rule.plan.name));
    }
    if !rule.plan.stat_prefix.is_empty() {
        line.push_str(&format!(", counted as {}", rule.plan.stat_prefix));
    }
    let step = story.step("rule").line(line).lines(from);
    step.field("number", index + 1)
        .field("of", route.rules.len())
        .field("condition", condition(&rule.plan.condition));
    if !rule.plan.name.is_empty() {
        step.field("name", rule.plan.name.as_str());
    }
    if !rule.plan.stat_prefix.is_empty() {
        step.field("statPrefix", rule.plan.stat_prefix.as_str());
    }
    if let Some(origin) = origin_of(index) {
        step.field("from", story::origin_value(origin));
    }
    Some(Taken { route: number, rule: index })
}

fn nobody_answers(walk: &Walk<'_>, host: &str, story: &mut Story) {
    let plan = &walk.view.compiled.plan;
    let port = plan.listeners[walk.listener].port;
    let hosts: Vec<String> = served_on(plan, walk.listener)
        .flat_map(|(_, route)| &route.hosts)
        .take(NAMED_MAX + 1)
        .map(ToString::to_string)
        .collect();
    // As Istio: the blackhole stands only where no host is routed at all.
    let mut lines = vec![match hosts.len() {
        0 => format!("none answers to {host} here: blackhole:{port}, where everything is 404"),
        _ => format!("none answers to {host} here, so it is 404"),
    }];
    lines.push(match hosts.len() {
        0 => "no host is routed on this listener".to_owned(),
        count if count > NAMED_MAX => format!("hosts here: {}, ...", hosts[..NAMED_MAX].join(", ")),
        _ => format!("hosts here: {}", hosts.join(", ")),
    });
    for route in plan.routes.iter().filter(|route| route.hosts.iter().any(|own| own.matches(host)))
    {
        let names: Vec<&str> =
            route.listeners.iter().map(|index| plan.listeners[*index].name.as_str()).collect();
        lines.push(format!("{} answers to it on {} only", route.name, names.join(", ")));
    }
    story.step("virtual host").lines(lines);
}

/// The rules that were asked first, and why each declined.
pub(super) fn rules_before(walk: &Walk<'_>, taken: Taken, asked: Asked<'_>, story: &mut Story) {
    let route = &walk.view.compiled.plan.routes[taken.route];
    let origins = walk.view.compiled.provenance.routes.get(taken.route);
    let (mut lines, mut values) = (Vec::new(), Vec::new());
    for (index, rule) in route.rules[..taken.rule].iter().enumerate().take(NAMED_MAX) {
        let origin = origins.and_then(|rules| rules.get(index));
        let from = origin.map(|origin| format!(" - {}", story.origin(origin)));
        let why = why_not(rule, asked);
        values.push(declined_value(index, &why, origin));
        lines.push(format!("rule {}: {why}{}", index + 1, from.unwrap_or_default()));
    }
    if taken.rule > NAMED_MAX {
        lines.push(format!("and {} more before it", taken.rule - NAMED_MAX));
    }
    story.step("declined").lines(lines).field("rules", values);
}

/// A rule that was asked and did not take the request, for programs.
fn declined_value(index: usize, why: &str, origin: Option<&Origin>) -> Value {
    let mut value = json!({ "number": index + 1, "reason": why });
    if let Some(origin) = origin {
        value["from"] = story::origin_value(origin);
    }
    value
}

/// The part of a rule's condition that a request does not fulfil.
fn why_not(rule: &Rule, asked: Asked<'_>) -> String {
    let wants = condition(&rule.condition);
    let text = String::from_utf8_lossy;
    match check(&rule.condition, asked) {
        Err(Unmet::Path) => {
            format!("{wants} does not match the path {}", text(asked.head.path()))
        }
        Err(Unmet::Method) => {
            format!("{wants} does not take the method {}", text(asked.head.method()))
        }
        Err(Unmet::Field(field)) => {
            format!("{wants} is not fulfilled: {} does not hold", field_match(field))
        }
        Err(Unmet::Query(query)) => {
            format!("{wants} is not fulfilled: {} does not hold", query_match(query))
        }
        Ok(()) => format!("{wants} would take it"),
    }
}

/// How the rule carries a request, and what each destination is sent.
pub(super) fn forwarding(
    (rule, forward): (&snapshot::Rule, &Forward),
    head: &Head,
    sent: &[Sent],
    story: &mut Story,
) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let host = head.find(Name::Host).map(text).unwrap_or_default();
    let step = story.step("forwarding");
    let timeout = forward.timeout.map_or_else(|| "none".to_owned(), duration::format);
    step.line(format!("timeout {timeout}, further attempts {}", forward.retry.attempts))
        .field("timeout", timeout)
        .field("attempts", forward.retry.attempts)
        .field("sent", destinations::value(sent));
    step.lines(retry_line(&forward.retry));
    let same = sent.iter().all(|one| one.host == sent[0].host);
    for one in sent.iter().take(if same { 1 } else { NAMED_MAX }) {
        let line = destinations::host_line(&host, &one.host);
        step.line(if same { line } else { format!("{}: {line}", one.cluster) });
    }
    let target = text(head.target());
    if let Some(one) = sent.first().filter(|one| one.target != target) {
        let how = match forward.rewrite_path.as_deref() {
            Some(PathRewrite::Regex(one)) => format!(", by {} to {}", one.as_str(), one.with()),
            Some(PathRewrite::Matched(_)) | None => String::new(),
        };
        step.line(format!("the path {target} becomes {}{how}", one.target));
    }
    step.lines(faults_and_mirrors(rule)).lines(cors_line(forward));
    for (share, one) in forward.to.iter().zip(sent).filter(|_| sent.len() > 1) {
        for (what, edits) in [("request", &share.request), ("response", &share.response)] {
            let lines = edit_lines(what, edits).into_iter();
            step.lines(lines.map(|line| format!("{}: {line}", one.cluster)));
        }
    }
    for share in forward.to.iter().filter(|_| sent.len() == 1) {
        step.lines(edit_lines("request", &share.request));
        step.lines(edit_lines("response", &share.response));
    }
    step.lines(edit_lines("request", &forward.request));
    step.lines(edit_lines("response", &forward.response));
}

/// What happens on purpose to some of the requests, and who gets copies of them.
fn faults_and_mirrors(rule: &snapshot::Rule) -> Vec<String> {
    let mut lines = Vec::new();
    let of = |fraction: Fraction| format!("{} % of the requests", fraction.as_percent());
    if let Some(delay) = rule.plan.fault.as_ref().and_then(|fault| fault.delay.as_ref()) {
        let time = duration::format(delay.time);
        lines.push(format!("fault: {} wait {time} first", of(delay.fraction)));
    }
    if let Some(abort) = rule.plan.fault.as_ref().and_then(|fault| fault.abort.as_ref()) {
        let status = abort.answer.http_status();
        lines.push(format!("fault: {} are answered {status} here", of(abort.fraction)));
    }
    let mirrors = rule.plan.action.forward().map_or(&[][..], |forward| &forward.mirrors);
    for (mirror, to) in mirrors.iter().zip(&rule.mirrors) {
        let part = of(mirror.fraction);
        lines.push(match to {
            snapshot::Destination::Upstream(upstream) => {
                format!("mirror: {} gets a copy of {part}", upstream.key.name)
            }
            snapshot::Destination::Missing(name) => {
                format!("mirror: {name} does not exist, so nothing is copied")
            }
        });
    }
    lines
}

/// Which pages of other sites may read the answers.
pub(super) fn cors_line(forward: &Forward) -> Option<String> {
    let Cors { origins, credentials, methods, headers, exposed, max_age, answers_all } =
        forward.cors.as_deref()?;
    let origin = |text| format!("origin{}", text_match(text));
    let origins: Vec<String> = origins.iter().map(origin).collect();
    let mut line = match origins.is_empty() {
        true => "CORS: pages of no other site may read the answer".to_owned(),
        false => format!("CORS: pages of {} may read the answer", origins.join(" or ")),
    };
    if *credentials {
        line += ", with credentials";
    }
    for (what, list) in [("methods", methods), ("headers", headers), ("exposed", exposed)] {
        if !list.is_empty() {
            line += &format!(", {what} {}", list.join(","));
        }
    }
    if let Some(seconds) = max_age {
        line += &format!(", for {seconds} s");
    }
    if *answers_all {
        line += "; questions for others are answered here too";
    }
    Some(line)
}

/// When another attempt is made, where that is not the default.
fn retry_line(retry: &Retry) -> Option<String> {
    if retry.attempts == 0 || *retry == (Retry { attempts: retry.attempts, ..Retry::default() }) {
        return None;
    }
    let Retry { on, statuses, attempt_timeout, backoff, hosts, resend, .. } = retry;
    let mut line = format!("tried again on {on}");
    if !statuses.is_empty() {
        line += &format!(" {statuses:?}");
    }
    if let Some(limit) = attempt_timeout {
        line += &format!(", {} for each attempt", duration::format(*limit));
    }
    line += &format!(", pauses from {}", duration::format(*backoff));
    if *hosts == RetryHosts::Any {
        line += ", at the same endpoints too";
    }
    if *resend == Resend::Everything {
        line += ", POST too";
    }
    Some(line)
}

pub(super) fn edit_lines(what: &str, edits: &HeaderEdits) -> Vec<String> {
    let EditLists { remove, set, add } = &**edits;
    let removed = remove.iter().map(|name| format!("{what} header {name} removed"));
    let set = set.iter().map(|line| format!("{what} header {}: {} set", line.name, line.value));
    let added = add.iter().map(|line| format!("{what} header {}: {} added", line.name, line.value));
    removed.chain(set).chain(added).collect()
}

/// What was looked at and not taken, for this host or for none in particular, with the field that
/// decided; then the objects that are ignored as a whole.
pub(super) fn not_taken(question: &Question, view: &View<'_>, story: &mut Story) {
    let host = question.host();
    let provenance = &view.compiled.provenance;
    let named = provenance
        .skipped
        .iter()
        .filter(|skipped| skipped.hosts.iter().any(|pattern| pattern.matches(&host)));
    let unnamed = provenance.skipped.iter().filter(|skipped| skipped.hosts.is_empty());
    let (mut lines, mut values, mut more) = (Vec::new(), Vec::new(), 0);
    for skipped in named.chain(unnamed) {
        if lines.len() == NAMED_MAX {
            more += 1;
            continue;
        }
        lines.push(format!("{}: {}", story.origin(&skipped.origin), skipped.reason));
        let mut value = story::origin_value(&skipped.origin);
        value["reason"] = json!(skipped.reason);
        values.push(value);
    }
    for verdict in provenance.verdicts.iter().filter(|one| one.outcome == Outcome::Ignored) {
        if story.has_spoken_of(&verdict.object) {
            continue;
        }
        if lines.len() == NAMED_MAX {
            more += 1;
            continue;
        }
        let object = problems::named(&verdict.object);
        let reason = verdict.reasons.join("; ");
        lines.push(format!("{object} ({}): {reason}", verdict.place));
        story.object(&verdict.object);
        let mut value = story::place_value(&verdict.object, &verdict.place, "");
        value["reason"] = json!(reason);
        values.push(value);
    }
    if more > 0 {
        lines.push(format!("and {more} more; `egret check` tells all"));
    }
    story.step("not taken").lines(lines).field("objects", values);
}
