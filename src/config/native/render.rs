//! The way back: any plan in Egret's own form, so that reading the text gives the plan again.
//!
//! What a `to:` and the fields beside it can say is written there; other upstreams go under
//! `upstreams`, with their names. Their order is the only thing that may differ afterwards.

mod resilience;
pub(super) mod rules;

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::listeners;
use super::routes::default_name;
use super::tls::{CA_OF_SYSTEM, SNI_OF_REQUEST};
use super::upstreams::{cluster_name, host_text};
use super::yaml::{self, Node};
use crate::model::upstream::Roots;
use crate::model::{
    Addressing, Balance, Condition, Destination, Host, HostPattern, Listener, Plan, Policy,
    Protocol, Route, Security, Target, TlsSpec, UpstreamSpec, duration,
};

pub(super) type Fields = Vec<(String, Node)>;

/// Writes a plan as one YAML document.
pub fn render(plan: &Plan) -> String {
    let inline = Inline::of(plan);
    let mut document = Fields::new();
    let listeners: Vec<Node> = plan.listeners.iter().map(listener).collect();
    document.push(("listeners".to_owned(), Node::List(listeners)));
    let named = plan.upstreams.iter().enumerate().filter(|(index, _)| !inline.0.contains(index));
    let upstreams: Vec<Node> = named.map(|(_, spec)| upstream(spec)).collect();
    if !upstreams.is_empty() {
        document.push(("upstreams".to_owned(), Node::List(upstreams)));
    }
    let routes: Vec<Node> = plan.routes.iter().map(|one| route(one, plan, &inline)).collect();
    document.push(("routes".to_owned(), Node::List(routes)));
    yaml::write(&document)
}

/// The upstreams that are written beside a `to:`: those that are used and have the name they would get.
struct Inline(HashSet<usize>);

impl Inline {
    fn of(plan: &Plan) -> Self {
        let rules = plan.routes.iter().flat_map(|route| &route.rules);
        let forwards = rules.filter_map(|rule| rule.action.forward());
        let (mut used, mut shared) = (HashSet::new(), HashSet::new());
        for forward in forwards {
            let indices = forward.to.iter().filter_map(|share| index_of(&share.to));
            // Several destinations have in common what stands beside them, so each goes by its name.
            if rules::is_alone(&forward.to) {
                used.extend(indices)
            } else {
                shared.extend(indices)
            }
            shared.extend(forward.mirrors.iter().filter_map(|mirror| index_of(&mirror.to)));
        }
        used.retain(|index| {
            let spec = &plan.upstreams[*index];
            !shared.contains(index)
                && spec.key.name == cluster_name(&host_text(spec), spec.key.port, "")
        });
        Self(used)
    }
}

fn index_of(destination: &Destination) -> Option<usize> {
    match destination {
        Destination::Upstream(index) => Some(*index),
        Destination::Missing(_) => None,
    }
}

fn listener(listener: &Listener) -> Node {
    let mut fields = vec![number("port", listener.port.into())];
    if listener.bind != SocketAddr::from((Ipv4Addr::UNSPECIFIED, listener.port)) {
        fields.push(text("bind", listener.bind.to_string()));
    }
    if listener.name != listeners::name(listener.bind, listener.port) {
        fields.push(text("name", &listener.name));
    }
    if listener.route_table != listeners::route_table(listener.bind, listener.port) {
        fields.push(text("routeTable", &listener.route_table));
    }
    Node::Map(fields)
}

fn upstream(spec: &UpstreamSpec) -> Node {
    let mut fields = vec![text("name", &spec.key.name), text("to", url(spec))];
    fields.extend(options(spec));
    Node::Map(fields)
}

fn route(route: &Route, plan: &Plan, inline: &Inline) -> Node {
    let mut fields = Fields::new();
    let port = route.listeners.first().map_or(0, |index| plan.listeners[*index].port);
    if route.hosts.first().is_none_or(|host| default_name(host, port) != route.name) {
        fields.push(text("name", &route.name));
    }
    fields.push(("hosts".to_owned(), texts(route.hosts.iter().map(HostPattern::to_string))));
    fields.extend(served_on(route, plan));
    match route.rules.as_slice() {
        [only] if only.name.is_empty() && only.condition == Condition::default() => {
            fields.extend(rules::doing(only, plan, inline));
        }
        several => {
            let several = several.iter().map(|one| rules::rule(one, plan, inline)).collect();
            fields.push(("rules".to_owned(), Node::List(several)));
        }
    }
    Node::Map(fields)
}

/// Nothing when the route is served everywhere.
fn served_on(route: &Route, plan: &Plan) -> Option<(String, Node)> {
    if route.listeners.iter().copied().eq(0..plan.listeners.len()) {
        return None;
    }
    let served_on: Vec<&Listener> =
        route.listeners.iter().map(|index| &plan.listeners[*index]).collect();
    let is_alone = |listener: &&Listener| {
        plan.listeners.iter().filter(|other| other.port == listener.port).count() == 1
    };
    if served_on.iter().all(is_alone) {
        let ports = served_on.iter().map(|listener| Node::Number(listener.port.into())).collect();
        return Some(("ports".to_owned(), Node::List(ports)));
    }
    Some(("listeners".to_owned(), texts(served_on.iter().map(|listener| listener.name.clone()))))
}

fn url(spec: &UpstreamSpec) -> String {
    let key = &spec.key;
    let (scheme, port_default) = match key.security {
        Security::Plain => ("http", 80),
        Security::Tls(_) | Security::Broken(_) => ("https", 443),
    };
    let wildcard = if matches!(*spec.addressing, Addressing::Dynamic(_)) { "*." } else { "" };
    let host = bracketed(&key.host);
    match key.port == port_default {
        true => format!("{scheme}://{wildcard}{host}"),
        false => format!("{scheme}://{wildcard}{host}:{}", key.port),
    }
}

fn bracketed(host: &Host) -> String {
    if host.as_str().contains(':') { format!("[{host}]") } else { host.to_string() }
}

/// What stands beside a `to:`; nothing that is the default.
fn options(spec: &UpstreamSpec) -> Fields {
    let mut fields = Fields::new();
    let tls = match &spec.key.security {
        Security::Plain => Fields::new(),
        Security::Tls(tls) => tls_fields(tls, sni_default(spec)),
        Security::Broken(reason) => vec![text("unusable", reason)],
    };
    if !tls.is_empty() {
        fields.push(("tls".to_owned(), Node::Map(tls)));
    }
    match (spec.key.protocol, &spec.key.security) {
        (Protocol::Http1, Security::Plain)
        | (Protocol::Negotiate, Security::Tls(_) | Security::Broken(_)) => {}
        (Protocol::Negotiate, _) => fields.push(text("protocol", "negotiate")),
        (Protocol::Http1, _) => fields.push(text("protocol", "http1")),
        (Protocol::Http2, _) => fields.push(text("protocol", "http2")),
        (Protocol::Client, _) => fields.push(text("protocol", "client")),
    }
    if let Some(version) = spec.key.proxy_protocol {
        fields.push(text("proxyProtocol", version.as_str().to_ascii_lowercase()));
    }
    let Policy { balance, connect_timeout, idle_timeout, requests_per_connection_max, .. } =
        &*spec.policy;
    let defaults = Policy::default();
    match balance {
        Balance::LeastRequest | Balance::Hashed(_) => {}
        Balance::RoundRobin => fields.push(text("balance", "roundRobin")),
        Balance::Random => fields.push(text("balance", "random")),
    }
    if *connect_timeout != defaults.connect_timeout {
        fields.push(time("connectTimeout", *connect_timeout));
    }
    if *idle_timeout != defaults.idle_timeout {
        fields.push(time("idleTimeout", *idle_timeout));
    }
    fields.extend(
        requests_per_connection_max.map(|count| number("requestsPerConnection", count.into())),
    );
    fields.extend(resilience::fields(&spec.policy));
    fields.extend(addressing(spec));
    fields
}

/// The SNI where none is written: the host, unless it stands for all under it.
fn sni_default(spec: &UpstreamSpec) -> Option<&Host> {
    let is_dynamic = matches!(*spec.addressing, Addressing::Dynamic(_));
    (!is_dynamic).then_some(&spec.key.host)
}

fn tls_fields(tls: &TlsSpec, sni_default: Option<&Host>) -> Fields {
    let TlsSpec {
        sni,
        subject_alt_names,
        service_alt_names,
        roots,
        revoked,
        identity,
        skip_verify,
    } = tls;
    let mut fields = Fields::new();
    match sni {
        _ if sni.as_ref() == sni_default => {}
        None => fields.push(text("sni", SNI_OF_REQUEST)),
        Some(sni) => fields.push(text("sni", sni.to_string())),
    }
    for (name, names) in
        [("subjectAltNames", subject_alt_names), ("serviceAltNames", service_alt_names)]
    {
        if !names.is_empty() {
            fields.push((name.to_owned(), texts(names.iter().cloned())));
        }
    }
    match roots {
        Roots::Web => {}
        Roots::System => fields.push(text("ca", CA_OF_SYSTEM)),
        Roots::Pem { path, .. } => fields.push(text("ca", path)),
    }
    fields.extend(revoked.as_ref().map(|list| text("crl", &list.path)));
    if let Some(identity) = identity {
        fields.push(text("certificate", &identity.certificate_path));
        fields.push(text("key", &identity.key_path));
    }
    if *skip_verify {
        fields.push(("insecureSkipVerify".to_owned(), Node::Flag(true)));
    }
    fields
}

fn addressing(spec: &UpstreamSpec) -> Fields {
    let own = Target { host: spec.key.host.clone(), port: spec.key.port };
    let own_address = own.host.ip();
    let endpoint = |target: &Target| format!("{}:{}", bracketed(&target.host), target.port);
    let all_addresses =
        |targets: &[Target]| targets.iter().all(|target| target.host.ip().is_some());
    let mut fields = Fields::new();
    match &*spec.addressing {
        Addressing::Nowhere(reason) => fields.push(text("noEndpoints", reason)),
        Addressing::Dynamic(port) if *port == own.port => {}
        Addressing::Dynamic(port) => {
            fields.push(("endpoints".to_owned(), texts([format!("*.{}:{port}", own.host)])));
        }
        Addressing::Static(addresses) => {
            let is_own = |ip| {
                addresses.len() == 1 && addresses[0].ip() == ip && addresses[0].port() == own.port
            };
            if !own_address.is_some_and(is_own) {
                fields.push((
                    "endpoints".to_owned(),
                    texts(addresses.iter().map(ToString::to_string)),
                ));
            }
        }
        Addressing::Dns(targets) => {
            if targets.as_slice() != std::slice::from_ref(&own) {
                fields.push(("endpoints".to_owned(), texts(targets.iter().map(endpoint))));
            }
            if all_addresses(targets) {
                fields.push(text("resolution", "dns"));
            }
        }
        Addressing::LogicalDns(target) => {
            if *target != own {
                fields.push(("endpoints".to_owned(), texts([endpoint(target)])));
            }
            fields.push(text("resolution", "logicalDns"));
        }
    }
    fields
}

pub(super) fn text(name: &str, value: impl Into<String>) -> (String, Node) {
    (name.to_owned(), Node::Text(value.into()))
}

pub(super) fn number(name: &str, value: u64) -> (String, Node) {
    (name.to_owned(), Node::Number(value))
}

pub(super) fn time(name: &str, value: Duration) -> (String, Node) {
    text(name, duration::format(value))
}

pub(super) fn texts(values: impl IntoIterator<Item = String>) -> Node {
    Node::List(values.into_iter().map(Node::Text).collect())
}
