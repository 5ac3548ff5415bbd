//! Tables of listeners, routes, clusters, endpoints and objects, in the manner of `istioctl proxy-config`.
//!
//! JSON of the first three is made beside the compiler, which knows what istiod would have made.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::View;
use super::problems::{named, number};
use super::table::Table;
use crate::config::provenance::Origin;
use crate::model::{
    Action, Addressing, Condition, Destination, FieldMatch, HostPattern, Listener, PathMatch, Plan,
    QueryMatch, Route, Rule, Security, Share, Target, TextMatch, UpstreamSpec,
};
use crate::upstream::Upstream;
use crate::upstream::endpoints::Known;

/// Hosts of a virtual host that a table names; the others are counted.
const HOSTS_SHOWN_MAX: usize = 3;

pub(super) fn listeners(view: &View<'_>) -> String {
    let mut table = Table::new(&["NAME", "ADDRESS", "PORT", "MATCH", "DESTINATION", "FROM"]);
    for (index, listener) in view.compiled.plan.listeners.iter().enumerate() {
        let Listener { name, route_table, port, bind } = listener;
        let origins = view.compiled.provenance.listeners.get(index).map_or(&[][..], Vec::as_slice);
        table.row([
            name.clone(),
            bind.to_string(),
            port.to_string(),
            "ALL".to_owned(),
            format!("Route: {route_table}"),
            origins.iter().map(from).collect::<Vec<_>>().join(", "),
        ]);
    }
    table.to_string()
}

pub(super) fn routes(view: &View<'_>) -> String {
    let mut table = Table::new(&["NAME", "VHOST NAME", "DOMAINS", "MATCH", "CLUSTER", "FROM"]);
    for (index, listener) in view.compiled.plan.listeners.iter().enumerate() {
        let name = &listener.route_table;
        let mut empty = true;
        for (number, route) in served_on(&view.compiled.plan, index) {
            empty = false;
            for (rule, found) in route.rules.iter().enumerate() {
                let origin =
                    view.compiled.provenance.routes.get(number).and_then(|rules| rules.get(rule));
                table.row([
                    name.clone(),
                    route.name.clone(),
                    domains(&route.hosts),
                    condition(&found.condition),
                    destinations(found, &view.compiled.plan),
                    origin.map(from).unwrap_or_default(),
                ]);
            }
        }
        if empty {
            let blackhole = format!("blackhole:{}", listener.port);
            let [any, every] = ["*", "/*"].map(str::to_owned);
            table.row([name.clone(), blackhole, any, every, "404".to_owned(), String::new()]);
        }
    }
    table.to_string()
}

pub(super) fn clusters(view: &View<'_>) -> String {
    let mut table =
        Table::new(&["SERVICE FQDN", "PORT", "DIRECTION", "TYPE", "TLS", "CLUSTER", "POLICY"]);
    for (index, upstream) in view.compiled.plan.upstreams.iter().enumerate() {
        let key = &upstream.key;
        let policy =
            view.compiled.provenance.upstreams.get(index).and_then(|made| made.policy.as_ref());
        table.row([
            key.host.to_string(),
            key.port.to_string(),
            "outbound".to_owned(),
            kind(&upstream.addressing).to_owned(),
            security(&key.security).to_owned(),
            key.name.clone(),
            policy.map(from).unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table.to_string()
}

/// Where there is no snapshot: names and addresses as they are written.
pub(super) fn endpoints(view: &View<'_>) -> String {
    let mut table = Table::new(&["ENDPOINT", "STATUS", "ACTIVE", "TYPE", "CLUSTER"]);
    for upstream in &view.compiled.plan.upstreams {
        for Row { endpoint, status, active } in rows(upstream, view) {
            let active = active.map_or_else(|| "-".to_owned(), |active| active.to_string());
            let kind = kind(&upstream.addressing).to_owned();
            table.row([endpoint, status, active, kind, upstream.key.name.clone()]);
        }
    }
    table.to_string()
}

pub(super) fn endpoints_value(view: &View<'_>) -> Value {
    let cluster = |upstream: &UpstreamSpec| {
        let endpoints = rows(upstream, view).into_iter().map(|row| {
            let mut value = json!({ "endpoint": row.endpoint, "status": row.status });
            if let Some(active) = row.active {
                value["active"] = json!(active);
            }
            value
        });
        json!({
            "cluster": upstream.key.name,
            "type": kind(&upstream.addressing),
            "endpoints": endpoints.collect::<Vec<_>>(),
        })
    };
    view.compiled.plan.upstreams.iter().map(cluster).collect()
}

/// What became of each object, and what there is because of them.
pub(super) fn objects(view: &View<'_>) -> String {
    let mut table = Table::new(&["OBJECT", "VERDICT", "PLACE", "REASON"]);
    for verdict in &view.compiled.provenance.verdicts {
        table.row([
            named(&verdict.object),
            verdict.outcome.as_str().to_owned(),
            verdict.place.to_string(),
            verdict.reasons.join("; "),
        ]);
    }
    let Plan { listeners, routes, upstreams } = &view.compiled.plan;
    format!(
        "{table}\n{}, {}, {}\n",
        number(listeners.len(), "listener"),
        number(routes.len(), "virtual host"),
        number(upstreams.len(), "cluster"),
    )
}

/// The virtual hosts of a listener, each with its index.
pub(super) fn served_on(plan: &Plan, listener: usize) -> impl Iterator<Item = (usize, &Route)> {
    plan.routes.iter().enumerate().filter(move |(_, route)| route.listeners.contains(&listener))
}

/// An object and where it stands.
pub(super) fn from(origin: &Origin) -> String {
    format!("{} ({})", named(&origin.object), origin.place())
}

/// What a rule asks of a request: `GET,HEAD /v2/* x-team=blue ?page=~[0-9]+`.
pub(super) fn condition(condition: &Condition) -> String {
    let path = match &condition.path {
        PathMatch::Exact(path) => path.clone(),
        PathMatch::Prefix(prefix) => format!("{prefix}*"),
        PathMatch::ExactAnyCase(path) => format!("{path} (any case)"),
        PathMatch::PrefixAnyCase(prefix) => format!("{prefix}* (any case)"),
        PathMatch::Regex(pattern) => format!("~{}", pattern.as_str()),
    };
    let methods = condition.methods.join(",");
    let mut parts = vec![path];
    if !methods.is_empty() {
        parts.insert(0, methods);
    }
    parts.extend(condition.fields.iter().map(field_match));
    parts.extend(condition.query.iter().map(query_match));
    parts.join(" ")
}

/// What one field must say: `x-team=blue`, `!x-debug`.
pub(super) fn field_match(wanted: &FieldMatch) -> String {
    let not = if wanted.inverted { "!" } else { "" };
    format!("{not}{}{}", wanted.field.name(), text_match(&wanted.text))
}

/// What one parameter must say: `?page=1`.
pub(super) fn query_match(wanted: &QueryMatch) -> String {
    format!("?{}{}", wanted.name, text_match(&wanted.text))
}

/// What a text must be: `=a`, `=a*`, `=~a.*`.
pub(super) fn text_match(text: &TextMatch) -> String {
    match text {
        TextMatch::Present => String::new(),
        TextMatch::Exact(text) => format!("={text}"),
        TextMatch::Prefix(text) => format!("={text}*"),
        TextMatch::Regex(pattern) => format!("=~{}", pattern.as_str()),
    }
}

/// The cluster a destination names.
pub(super) fn cluster<'p>(destination: &'p Destination, plan: &'p Plan) -> &'p str {
    match destination {
        Destination::Upstream(index) => &plan.upstreams[*index].key.name,
        Destination::Missing(name) => name,
    }
}

/// Where addresses come from, in Envoy's words where it has any.
pub(super) fn kind(addressing: &Addressing) -> &'static str {
    match addressing {
        Addressing::Dns(_) => "STRICT_DNS",
        Addressing::LogicalDns(_) => "LOGICAL_DNS",
        Addressing::Static(_) => "STATIC",
        Addressing::Dynamic(_) => "DYNAMIC_DNS",
        Addressing::Nowhere(_) => "NONE",
    }
}

fn destinations(rule: &Rule, plan: &Plan) -> String {
    let forward = match &rule.action {
        Action::Forward(forward) => forward,
        Action::Redirect(redirect) => return format!("(redirect {})", redirect.status),
        Action::Respond(respond) => return format!("(respond {})", respond.status),
    };
    let one = |share: &Share| {
        let mut text = cluster(&share.to, plan).to_owned();
        if forward.to.len() > 1 {
            text.push_str(&format!(" (weight {})", share.weight));
        }
        if matches!(share.to, Destination::Missing(_)) {
            text.push_str(" (missing: 503)");
        }
        text
    };
    forward.to.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn domains(hosts: &[HostPattern]) -> String {
    let shown: Vec<String> = hosts.iter().take(HOSTS_SHOWN_MAX).map(ToString::to_string).collect();
    match hosts.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} + {more} more", shown.join(", ")),
    }
}

pub(super) fn security(security: &Security) -> &'static str {
    match security {
        Security::Plain => "-",
        Security::Broken(_) => "broken",
        Security::Tls(tls) if tls.skip_verify => "unverified",
        Security::Tls(tls) if tls.identity.is_some() => "mutual",
        Security::Tls(_) => "verified",
    }
}

/// `name:port`, an IPv6 address in brackets.
pub(super) fn target_text(target: &Target) -> String {
    match target.host.ip() {
        Some(ip) => SocketAddr::new(ip, target.port).to_string(),
        None => format!("{}:{}", target.host, target.port),
    }
}

/// One endpoint of an upstream.
struct Row {
    endpoint: String,
    status: String,
    /// Requests under way, where that is known.
    active: Option<u32>,
}

fn rows(upstream: &UpstreamSpec, view: &View<'_>) -> Vec<Row> {
    let live = view.snapshot.and_then(|snapshot| snapshot.upstreams.get(&upstream.key));
    let written = |status: String| {
        let row = |endpoint| Row { endpoint, status: status.clone(), active: None };
        names(upstream).into_iter().map(row).collect()
    };
    let Some(live) = live else {
        return match &*upstream.addressing {
            Addressing::Nowhere(why) => written(format!("none: {why}")),
            Addressing::Static(_) => written("as written".to_owned()),
            Addressing::Dynamic(_) => written("looked up when asked for".to_owned()),
            Addressing::Dns(_) | Addressing::LogicalDns(_) => written("to be resolved".to_owned()),
        };
    };
    if let Some(names) = &live.names {
        let rows = names.all().into_iter().flat_map(|(host, entry)| {
            let host = format!("{host}:{}", names.port());
            let mut rows = known_rows(live, &entry.endpoints.load(), |status| {
                vec![Row { endpoint: host.clone(), status, active: None }]
            });
            for row in rows.iter_mut().filter(|row| row.active.is_some()) {
                row.status.push_str(&format!(", {host}"));
            }
            rows
        });
        return rows.collect();
    }
    known_rows(live, &live.endpoints.load(), written)
}

/// What is known of endpoints; where they are none, what `written` makes of the reason.
fn known_rows(live: &Upstream, known: &Known, written: impl Fn(String) -> Vec<Row>) -> Vec<Row> {
    match known {
        Known::Pending => written("not resolved yet".to_owned()),
        Known::Failed(failure) => written(format!("none: {}", failure.reason())),
        Known::Ready(endpoints) => endpoints
            .list
            .iter()
            .map(|endpoint| Row {
                endpoint: endpoint.address.to_string(),
                status: match live.ejected_for(endpoint, Instant::now()) {
                    Some(left) => format!("ejected for {} s", left.as_secs() + 1),
                    None => "ready".to_owned(),
                },
                active: Some(endpoint.active.load(Ordering::Relaxed)),
            })
            .collect(),
    }
}

/// Names and addresses as they are written; `-` where there are none.
pub(super) fn names(upstream: &UpstreamSpec) -> Vec<String> {
    let names: Vec<String> = match &*upstream.addressing {
        Addressing::Dns(targets) => targets.iter().map(target_text).collect(),
        Addressing::LogicalDns(target) => vec![target_text(target)],
        Addressing::Static(addresses) => addresses.iter().map(ToString::to_string).collect(),
        Addressing::Dynamic(port) => vec![format!("*.{}:{port}", upstream.key.host)],
        Addressing::Nowhere(_) => Vec::new(),
    };
    if names.is_empty() { vec!["-".to_owned()] } else { names }
}
