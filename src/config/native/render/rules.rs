//! The way back for rules: what they ask, and what they do.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Fields, Inline, number, options, text, texts, time, url};
use crate::config::native::yaml::Node;
use crate::config::native::{cors, faults, mirrors, retries};
use crate::model::{
    Action, Condition, Destination, FieldMatch, Forward, HeaderEdit, HeaderEdits, HeaderValue,
    PathMatch, PathRewrite, Plan, QueryMatch, Redirect, Respond, Rule, Share, TextMatch,
};

pub(super) fn rule(rule: &Rule, plan: &Plan, inline: &Inline) -> Node {
    let mut fields = Fields::new();
    if !rule.name.is_empty() {
        fields.push(text("name", &rule.name));
    }
    let condition = condition(&rule.condition);
    if !condition.is_empty() {
        fields.push(("match".to_owned(), Node::Map(condition)));
    }
    fields.extend(doing(rule, plan, inline));
    Node::Map(fields)
}

/// What is done with a rule's requests.
pub(super) fn doing(rule: &Rule, plan: &Plan, inline: &Inline) -> Fields {
    let mut fields = Fields::new();
    if !rule.stat_prefix.is_empty() {
        fields.push(text("statPrefix", &rule.stat_prefix));
    }
    fields.extend(action(&rule.action, plan, inline));
    if let Some(fault) = &rule.fault {
        fields.push(("fault".to_owned(), Node::Map(faults::render(fault))));
    }
    fields
}

fn condition(condition: &Condition) -> Fields {
    let mut fields = Fields::new();
    let any_case = ("ignoreCase".to_owned(), Node::Flag(true));
    let path = match &condition.path {
        path if *path == Condition::default().path => Fields::new(),
        PathMatch::Exact(path) => vec![text("exact", path)],
        PathMatch::Prefix(prefix) => vec![text("prefix", prefix)],
        PathMatch::ExactAnyCase(path) => vec![text("exact", path), any_case],
        PathMatch::PrefixAnyCase(prefix) => vec![text("prefix", prefix), any_case],
        PathMatch::Regex(pattern) => vec![text("regex", pattern.as_str())],
    };
    if !path.is_empty() {
        fields.push(("path".to_owned(), Node::Map(path)));
    }
    if !condition.methods.is_empty() {
        fields.push(("methods".to_owned(), texts(condition.methods.iter().cloned())));
    }
    if !condition.fields.is_empty() {
        let headers = condition.fields.iter().map(header).collect();
        fields.push(("headers".to_owned(), Node::List(headers)));
    }
    if !condition.query.is_empty() {
        let parameter = |QueryMatch { name, text: wanted }: &QueryMatch| {
            Node::Map([text("name", name)].into_iter().chain(text_match(wanted)).collect())
        };
        let query = condition.query.iter().map(parameter).collect();
        fields.push(("query".to_owned(), Node::List(query)));
    }
    fields
}

fn header(wanted: &FieldMatch) -> Node {
    let mut fields = vec![text("name", wanted.field.name())];
    fields.extend(text_match(&wanted.text));
    if wanted.inverted {
        fields.push(("not".to_owned(), Node::Flag(true)));
    }
    Node::Map(fields)
}

pub(in crate::config::native) fn text_match(wanted: &TextMatch) -> Option<(String, Node)> {
    match wanted {
        TextMatch::Present => None,
        TextMatch::Exact(wanted) => Some(text("exact", wanted)),
        TextMatch::Prefix(wanted) => Some(text("prefix", wanted)),
        TextMatch::Regex(pattern) => Some(text("regex", pattern.as_str())),
    }
}

fn action(action: &Action, plan: &Plan, inline: &Inline) -> Fields {
    match action {
        Action::Forward(forward) => forwarding(forward, plan, inline),
        Action::Redirect(redirect) => redirection(redirect),
        Action::Respond(Respond { status, body, response }) => {
            let mut fields = vec![number("status", (*status).into())];
            match std::str::from_utf8(body) {
                Ok("") => {}
                Ok(body) => fields.push(text("body", body)),
                Err(_) => fields.push(text("base64", STANDARD.encode(body))),
            }
            let mut answer = vec![("respond".to_owned(), Node::Map(fields))];
            answer.extend(headers(&HeaderEdits::default(), response));
            answer
        }
    }
}

fn redirection(redirect: &Redirect) -> Fields {
    let Redirect { status, scheme, authority, port, path, response } = redirect;
    let mut fields = vec![number("status", (*status).into())];
    fields.extend(scheme.as_ref().map(|scheme| text("scheme", scheme)));
    fields.extend(authority.as_ref().map(|authority| text("host", authority)));
    fields.extend(port.map(|port| number("port", port.into())));
    fields.extend(path.as_ref().map(|path| text("path", path)));
    let mut answer = vec![("redirect".to_owned(), Node::Map(fields))];
    answer.extend(headers(&HeaderEdits::default(), response));
    answer
}

/// Whether there is one destination, which has everything beside it to itself.
pub(super) fn is_alone(to: &[Share]) -> bool {
    matches!(to, [only] if *only == Share::whole(only.to.clone()))
}

fn forwarding(forward: &Forward, plan: &Plan, inline: &Inline) -> Fields {
    let Forward { to, timeout, retry, rewrite_host, rewrite_path, request, response, .. } = forward;
    let mut fields = Fields::new();
    match to.as_slice() {
        [Share { to: Destination::Upstream(index), .. }] if inline.0.contains(index) => {
            let spec = &plan.upstreams[*index];
            fields.push(text("to", url(spec)));
            fields.extend(options(spec));
        }
        [only] if is_alone(to) => fields.push(text("to", name(&only.to, plan))),
        shares => {
            let shares = shares.iter().map(|one| share(one, plan)).collect();
            fields.push(("split".to_owned(), Node::List(shares)));
        }
    }
    fields.extend(timeout.map(|timeout| time("timeout", timeout)));
    let retries = retries::render(retry);
    if !retries.is_empty() {
        fields.push(("retries".to_owned(), Node::Map(retries)));
    }
    fields.extend(rewrite_host.as_ref().map(|host| text("host", host)));
    let rewrite = match rewrite_path.as_deref() {
        None => Fields::new(),
        Some(PathRewrite::Matched(with)) => vec![text("matched", with)],
        Some(PathRewrite::Regex(one)) => {
            vec![text("regex", one.as_str()), text("with", one.with())]
        }
    };
    if !rewrite.is_empty() {
        fields.push(("rewrite".to_owned(), Node::Map(rewrite)));
    }
    fields.extend(headers(request, response));
    if !forward.mirrors.is_empty() {
        let mirrors = forward.mirrors.iter().map(|mirror| mirrors::render(mirror, plan)).collect();
        fields.push(("mirrors".to_owned(), Node::List(mirrors)));
    }
    if let Some(cors) = &forward.cors {
        fields.push(("cors".to_owned(), Node::Map(cors::render(cors))));
    }
    fields
}

fn share(share: &Share, plan: &Plan) -> Node {
    let mut fields = vec![text("to", name(&share.to, plan)), number("weight", share.weight.into())];
    fields.extend(share.rewrite_host.as_ref().map(|host| text("host", host)));
    fields.extend(headers(&share.request, &share.response));
    Node::Map(fields)
}

fn name(destination: &Destination, plan: &Plan) -> String {
    match destination {
        Destination::Upstream(index) => plan.upstreams[*index].key.name.clone(),
        Destination::Missing(name) => name.clone(),
    }
}

fn headers(request: &HeaderEdits, response: &HeaderEdits) -> Option<(String, Node)> {
    let mut headers = Fields::new();
    for (name, edits) in [("request", request), ("response", response)] {
        if !edits.is_empty() {
            headers.push((name.to_owned(), header_edits(edits)));
        }
    }
    (!headers.is_empty()).then(|| ("headers".to_owned(), Node::Map(headers)))
}

fn header_edits(edits: &HeaderEdits) -> Node {
    let mut fields = Fields::new();
    for (name, lines) in [("set", &edits.set), ("add", &edits.add)] {
        let line = |edit: &HeaderEdit| match &edit.value {
            HeaderValue::Text(value) => text(&edit.name, value),
            HeaderValue::Format(format) => {
                (edit.name.clone(), Node::Map(vec![text("format", format.to_string())]))
            }
        };
        if !lines.is_empty() {
            fields.push((name.to_owned(), Node::Map(lines.iter().map(line).collect())));
        }
    }
    if !edits.remove.is_empty() {
        fields.push(("remove".to_owned(), texts(edits.remove.iter().cloned())));
    }
    Node::Map(fields)
}
