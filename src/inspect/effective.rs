//! Listeners, routes and clusters with every value that is in force, defaults included.
//!
//! For reading: nothing takes it in again. Egret's own form, which leaves defaults out, is
//! `config::native`.

use serde_json::{Value, json};

use super::explain::resilience;
use super::show;
use crate::config::Compiled;
use crate::model::upstream::Roots;
use crate::model::{
    Action, Forward, Plan, Policy, Protocol, ProxyProtocol, Rule, Security, TlsSpec, UpstreamSpec,
    duration,
};

pub(super) fn listeners(compiled: &Compiled) -> Value {
    let listeners = compiled.plan.listeners.iter();
    listeners
        .map(|listener| {
            json!({
                "name": listener.name,
                "port": listener.port,
                "bind": listener.bind.to_string(),
                "routeTable": listener.route_table,
            })
        })
        .collect()
}

pub(super) fn routes(compiled: &Compiled) -> Value {
    let plan = &compiled.plan;
    let routes = plan.routes.iter();
    routes
        .map(|route| {
            let on = route.listeners.iter().map(|index| plan.listeners[*index].name.as_str());
            let hosts = route.hosts.iter().map(ToString::to_string);
            json!({
                "name": route.name,
                "listeners": on.collect::<Vec<_>>(),
                "hosts": hosts.collect::<Vec<_>>(),
                "rules": route.rules.iter().map(|one| rule(one, plan)).collect::<Vec<_>>(),
            })
        })
        .collect()
}

fn rule(rule: &Rule, plan: &Plan) -> Value {
    let mut value = match &rule.action {
        Action::Forward(forward) => forwarding(forward, plan),
        Action::Redirect(redirect) => json!({ "redirect": redirect.status }),
        Action::Respond(respond) => json!({ "respond": respond.status }),
    };
    value["match"] = json!(show::condition(&rule.condition));
    if !rule.name.is_empty() {
        value["name"] = json!(rule.name);
    }
    if !rule.stat_prefix.is_empty() {
        value["statPrefix"] = json!(rule.stat_prefix);
    }
    value
}

fn forwarding(forward: &Forward, plan: &Plan) -> Value {
    let to = forward.to.iter().map(|share| {
        let host = forward.host_sent(share).unwrap_or("as the client sends it");
        json!({ "cluster": show::cluster(&share.to, plan), "weight": share.weight, "host": host })
    });
    let retry = &forward.retry;
    json!({
        "to": to.collect::<Vec<_>>(),
        "timeout": forward.timeout.map_or_else(|| "none".to_owned(), duration::format),
        "retries": {
            "attempts": retry.attempts,
            "on": retry.on.to_string(),
            "backoff": duration::format(retry.backoff),
        },
    })
}

pub(super) fn clusters(compiled: &Compiled) -> Value {
    compiled.plan.upstreams.iter().map(cluster).collect()
}

fn cluster(spec: &UpstreamSpec) -> Value {
    let key = &spec.key;
    json!({
        "name": key.name,
        "host": key.host.as_str(),
        "port": key.port,
        "endpoints": { "type": show::kind(&spec.addressing), "addresses": show::names(spec) },
        "protocol": match (key.protocol, &key.security) {
            (Protocol::Negotiate, Security::Tls(_)) => "HTTP/2 or HTTP/1.1, by ALPN",
            (Protocol::Http2, _) => "HTTP/2",
            (Protocol::Client, _) => "what the client speaks",
            (Protocol::Http1 | Protocol::Negotiate, _) => "HTTP/1.1",
        },
        "proxyProtocol": key.proxy_protocol.map_or("none", ProxyProtocol::as_str),
        "tls": match &key.security {
            Security::Plain => json!("none"),
            Security::Broken(why) => json!({ "broken": why }),
            Security::Tls(spec) => tls(spec, &key.security),
        },
        "policy": policy(&spec.policy),
    })
}

fn tls(spec: &TlsSpec, security: &Security) -> Value {
    let of_request = "the host of the request";
    let names = match (&spec.subject_alt_names[..], &spec.sni) {
        ([], Some(sni)) => vec![sni.as_str().to_owned()],
        ([], None) => vec![of_request.to_owned()],
        (names, _) => names.to_vec(),
    };
    json!({
        "mode": show::security(security),
        "sni": spec.sni.as_ref().map_or(of_request, |sni| sni.as_str()),
        "names": names,
        "serviceNames": spec.service_alt_names,
        "roots": match &spec.roots {
            Roots::Web => "the web's",
            Roots::System => "the system's",
            Roots::Pem { path, .. } => path,
        },
    })
}

fn policy(policy: &Policy) -> Value {
    let requests = policy.requests_per_connection_max;
    json!({
        "balance": resilience::balance(&policy.balance),
        "connectTimeout": duration::format(policy.connect_timeout),
        "idleTimeout": duration::format(policy.idle_timeout),
        "requestsPerConnection": requests.map_or_else(|| json!("no limit"), |max| json!(max)),
        "besides": resilience::lines(policy),
    })
}
