//! The first half of the way: listener, virtual host, rule, and what was not taken.

use super::{Question, Story, Walk};
use crate::config::Outcome;
use crate::inspect::View;
use crate::inspect::problems;
use crate::inspect::show::{condition, field_match, query_match, served_on};
use crate::model::retry::{Resend, RetryHosts};
use crate::model::{
    Authority, Fraction, HeaderEdits, Listener, PathRewrite, Retry, Rule, Security, duration,
};
use crate::snapshot::condition::{Unmet, check};
use crate::snapshot::{self, Asked, Found};

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
    story.step("virtual host").line(line);
    let origins = walk.view.compiled.provenance.routes.get(number);
    let origin_of = |index: usize| origins.and_then(|rules| rules.get(index));
    let Some(rule) = found.rule else {
        let mut declined = Vec::new();
        for (index, rule) in route.rules.iter().enumerate().take(NAMED_MAX) {
            let from = origin_of(index).map(|origin| format!(" - {}", story.origin(origin)));
            let why = why_not(rule, asked);
            let count = route.rules.len();
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
        story.step("rule").line(line).lines(declined);
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
    story.step("rule").line(line).lines(from);
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
    let mut lines = Vec::new();
    for (index, rule) in route.rules[..taken.rule].iter().enumerate().take(NAMED_MAX) {
        let origin = origins.and_then(|rules| rules.get(index));
        let from = origin.map(|origin| format!(" - {}", story.origin(origin)));
        lines.push(format!(
            "rule {}: {}{}",
            index + 1,
            why_not(rule, asked),
            from.unwrap_or_default()
        ));
    }
    if taken.rule > NAMED_MAX {
        lines.push(format!("and {} more before it", taken.rule - NAMED_MAX));
    }
    story.step("declined").lines(lines);
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

/// How the rule carries a request with this Host.
pub(super) fn forwarding(rule: &snapshot::Rule, host: &str, story: &mut Story) {
    let Some(forward) = rule.plan.action.forward() else { return };
    let default_port_goes = rule.onward.iter().any(|onward| match &onward.to {
        snapshot::Destination::Upstream(upstream) => {
            upstream.key.security != Security::Plain && upstream.key.port == 443
        }
        snapshot::Destination::Missing(_) => false,
    });
    let bare = [":443", ":80"].into_iter().find_map(|port| host.strip_suffix(port));
    let step = story.step("forwarding");
    let timeout = forward.timeout.map_or_else(|| "none".to_owned(), duration::format);
    step.line(format!("timeout {timeout}, further attempts {}", forward.retry.attempts));
    step.lines(retry_line(&forward.retry));
    step.line(match (&forward.rewrite_host, bare) {
        (Some(host), _) => format!("Host becomes {host}"),
        (None, Some(bare)) if default_port_goes => {
            format!("Host becomes {bare}: a default port is dropped over TLS")
        }
        (None, _) => format!("Host stays {host}"),
    });
    match &forward.rewrite_path {
        None => {}
        Some(PathRewrite::Matched(with)) => {
            step.line(format!("the part of the path that was matched becomes {with}"));
        }
        Some(PathRewrite::Regex(one)) => {
            step.line(format!("the path is rewritten: {} becomes {}", one.as_str(), one.with()));
        }
    }
    for (what, edits) in [("request", &forward.request), ("response", &forward.response)] {
        step.lines(edit_lines(what, edits));
    }
    step.lines(faults_and_mirrors(rule));
    for share in &forward.to {
        if let (None, Some(host)) = (&forward.rewrite_host, &share.rewrite_host) {
            step.line(format!("Host becomes {host} for one destination"));
        }
        for (what, edits) in [("request", &share.request), ("response", &share.response)] {
            step.lines(edit_lines(what, edits));
        }
    }
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

fn edit_lines(what: &str, edits: &HeaderEdits) -> Vec<String> {
    let HeaderEdits { remove, set, add } = edits;
    let removed = remove.iter().map(|name| format!("{what} header {name} removed"));
    let set = set.iter().map(|line| format!("{what} header {}: {} set", line.name, line.value));
    let added = add.iter().map(|line| format!("{what} header {}: {} added", line.name, line.value));
    removed.chain(set).chain(added).collect()
}

/// What was looked at and not taken, for this host or for none in particular, with the field that
/// decided; then the objects that are ignored as a whole.
pub(super) fn not_taken(question: &Question, view: &View<'_>, story: &mut Story) {
    let host = asked_host(question);
    let provenance = &view.compiled.provenance;
    let named = provenance
        .skipped
        .iter()
        .filter(|skipped| skipped.hosts.iter().any(|pattern| pattern.matches(&host)));
    let unnamed = provenance.skipped.iter().filter(|skipped| skipped.hosts.is_empty());
    let (mut lines, mut more) = (Vec::new(), 0);
    for skipped in named.chain(unnamed) {
        match lines.len() < NAMED_MAX {
            true => lines.push(format!("{}: {}", story.origin(&skipped.origin), skipped.reason)),
            false => more += 1,
        }
    }
    for verdict in provenance.verdicts.iter().filter(|one| one.outcome == Outcome::Ignored) {
        if story.has_spoken_of(&verdict.object, &verdict.place) {
            continue;
        }
        match lines.len() < NAMED_MAX {
            true => {
                let object = problems::object(&verdict.object, &verdict.namespace);
                lines.push(format!("{object} ({}): {}", verdict.place, verdict.reasons.join("; ")));
            }
            false => more += 1,
        }
    }
    if more > 0 {
        lines.push(format!("and {more} more; `egret check` tells all"));
    }
    story.step("not taken").lines(lines);
}

/// The host that is asked for, as far as it can be told; empty: it cannot.
fn asked_host(question: &Question) -> String {
    let named = question.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let text = named.map_or(&question.authority, |(_, value)| value);
    Authority::parse(text.as_bytes()).map(|asked| asked.host().to_owned()).unwrap_or_default()
}
