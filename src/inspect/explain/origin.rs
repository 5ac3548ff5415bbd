//! The second half of the way: the upstream, its policy, its endpoints and TLS.

use std::sync::atomic::Ordering;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::story::Step;
use super::{Story, Walk, resilience, story};
use crate::config::provenance::{Candidate, UpstreamOrigin};
use crate::inspect::problems::{self, number};
use crate::inspect::show::{kind, target_text};
use crate::model::upstream::{RevocationList, Roots};
use crate::model::{
    Addressing, Failure, GuardPolicy, Network, Policy, Protocol, Security, TlsSpec, duration,
};
use crate::upstream::Upstream;
use crate::upstream::endpoints::{Endpoint, Known};
use crate::upstream::guard::{Chosen, Class, Guard, classify};

/// Tells of an upstream; yields how requests to it fail, as far as the configuration decides.
pub(super) fn upstream(
    walk: &Walk<'_>,
    upstream: &Upstream,
    share: Option<String>,
    server_name: &str,
    story: &mut Story,
) -> Option<Failure> {
    let key = &upstream.key;
    let plan = &walk.view.compiled.plan;
    let index = plan.upstreams.iter().position(|spec| spec.key == *key);
    let made =
        index.and_then(|index| walk.view.compiled.provenance.upstreams.get(index).map(Arc::as_ref));
    let service = made.map(|made| story.origin(&made.service));
    let step = story.last();
    step.line(format!("{}: {} port {}", key.name, key.host, key.port)).lines(share).lines(service);
    step.field("cluster", key.name.as_str()).field("host", key.host.as_str());
    step.field("port", key.port);
    if let Some(made) = made {
        step.field("from", story::origin_value(&made.service));
    }
    policy(made, &upstream.policy.load(), story);
    let no_endpoint = endpoints(walk, upstream, server_name, story);
    let no_tls = security(upstream, server_name, story);
    // In the order of the request path: a connection is only tried where there is an endpoint.
    no_endpoint.or(no_tls)
}

fn policy(made: Option<&UpstreamOrigin>, policy: &Policy, story: &mut Story) {
    let mut lines = Vec::new();
    if let Some(made) = made {
        match &made.policy {
            Some(origin) => lines.push(story.origin(origin)),
            None => lines.push("none: defaults".to_owned()),
        }
        // A sole candidate that was chosen has been named.
        let sole = made.candidates.len() == 1 && made.policy.is_some();
        for candidate in made.candidates.iter().filter(|_| !sole) {
            story.object(&candidate.origin.object);
            let object = problems::named(&candidate.origin.object);
            lines.push(format!(
                "considered {object} ({}): {}",
                candidate.origin.place(),
                candidate.verdict
            ));
        }
        if made.candidates_untold > 0 {
            lines.push(format!("and {} more", made.candidates_untold));
        }
        lines.extend(made.effective.iter().map(|line| format!("in force: {line}")));
        lines.extend(made.dropped.iter().map(|line| format!("dropped: {line}")));
    }
    let mut line = format!(
        "{}; connect timeout {}, TLS included; idle timeout {}",
        resilience::balance(&policy.balance),
        duration::format(policy.connect_timeout),
        duration::format(policy.idle_timeout)
    );
    if let Some(count) = policy.requests_per_connection_max {
        line.push_str(&format!("; {count} requests a connection"));
    }
    lines.push(line);
    lines.extend(resilience::lines(policy));
    let step = story.step("policy").lines(lines);
    if let Some(made) = made {
        policy_fields(made, step);
    }
}

fn policy_fields(made: &UpstreamOrigin, step: &mut Step) {
    if let Some(origin) = &made.policy {
        step.field("from", story::origin_value(origin));
    }
    let candidate = |one: &Candidate| {
        let mut value = story::place_value(&one.origin.object, &one.origin.place(), "");
        value["verdict"] = json!(one.verdict);
        value
    };
    step.field("candidates", made.candidates.iter().map(candidate).collect::<Value>())
        .field("inForce", made.effective.clone())
        .field("dropped", made.dropped.clone());
}

fn endpoints(
    walk: &Walk<'_>,
    upstream: &Upstream,
    server_name: &str,
    story: &mut Story,
) -> Option<Failure> {
    let guard = Guard::new(walk.question.guard.clone());
    let addressing = upstream.addressing();
    let step = story.step("endpoints").field("type", kind(&addressing));
    match &*addressing {
        Addressing::Dns(targets) => {
            let names = targets.iter().map(target_text).collect::<Vec<_>>().join(", ");
            step.line(format!("{}: every address of {names}", kind(&addressing)));
        }
        Addressing::LogicalDns(target) => {
            step.line(format!("{}: one address of {}", kind(&addressing), target_text(target)));
        }
        Addressing::Static(addresses) => {
            let texts = addresses.iter().map(|address| match classify(address.ip()) {
                Class::Public => address.to_string(),
                class => format!("{address} ({class})"),
            });
            step.line(format!("{}: {}", kind(&addressing), texts.collect::<Vec<_>>().join(", ")));
        }
        Addressing::Dynamic(port) => {
            let line = format!(
                "{}: {server_name}:{port}, looked up when it is asked for",
                kind(&addressing)
            );
            step.line(line).line(refused_by(&walk.question.guard));
        }
        Addressing::Nowhere(why) => {
            step.line(format!("none: {why}"));
        }
    }
    if let Some(names) = &upstream.names {
        return names.admit(server_name).err();
    }
    match &**upstream.endpoints.load() {
        Known::Failed(failure) => Some(failure.clone()),
        Known::Pending => None,
        Known::Ready(known) => {
            let list = &known.list;
            step.field(
                "addresses",
                list.iter().map(|one| one.address.to_string()).collect::<Vec<_>>(),
            );
            if !matches!(&*addressing, Addressing::Static(_)) {
                step.lines(list.iter().map(|endpoint| in_use(upstream, endpoint)));
            }
            let mut verdicts = list
                .iter()
                .map(|endpoint| guard.check(endpoint.address, Chosen::ByConfiguration).err());
            let first = verdicts.next().flatten();
            first.filter(|_| verdicts.all(|verdict| verdict.is_some()))
        }
    }
}

/// An address that a name has now: `192.0.2.1:443, 2 requests under way`.
fn in_use(upstream: &Upstream, endpoint: &Endpoint) -> String {
    let class = match endpoint.class {
        Class::Public => String::new(),
        class => format!(" ({class})"),
    };
    let active = number(endpoint.active.load(Ordering::Relaxed) as usize, "request");
    let ejected = upstream
        .ejected_for(endpoint, Instant::now())
        .map_or_else(String::new, |left| format!(", ejected for {} s", left.as_secs() + 1));
    format!("now {}{class}, {active} under way{ejected}", endpoint.address)
}

/// What the address guard does on a route whose destination is the request's own host.
fn refused_by(guard: &GuardPolicy) -> String {
    let ranges =
        |all: &[Network]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut line = "addresses inside the network are refused".to_owned();
    if !guard.allow.is_empty() {
        line.push_str(&format!(", but for {}", ranges(&guard.allow)));
    }
    if !guard.deny.is_empty() {
        line.push_str(&format!("; so is {}", ranges(&guard.deny)));
    }
    line
}

fn security(upstream: &Upstream, server_name: &str, story: &mut Story) -> Option<Failure> {
    let step = story.step("TLS");
    if let Some(reason) = upstream.broken() {
        step.line(format!("unusable: {reason}"));
        return Some(Failure::Misconfigured(reason.to_owned()));
    }
    if let Some(version) = upstream.key.proxy_protocol {
        let version = version.as_str();
        step.field("proxyProtocol", version).line(format!(
            "first a PROXY header ({version}) that tells the client's address: each client has its own connections"
        ));
    }
    let protocol = upstream.key.protocol;
    match &upstream.key.security {
        Security::Tls(tls) => {
            tls_fields(tls, server_name, step);
            step.lines(tls_lines(tls, server_name));
            step.line(match protocol {
                Protocol::Negotiate => "offers HTTP/2 and HTTP/1.1 (ALPN h2, http/1.1)",
                Protocol::Http1 => "offers HTTP/1.1 (ALPN http/1.1)",
                Protocol::Http2 => "offers HTTP/2 (ALPN h2)",
                Protocol::Client => "offers what the client speaks (ALPN h2 or http/1.1)",
            });
        }
        Security::Plain | Security::Broken(_) => {
            step.line(match protocol {
                Protocol::Http2 => {
                    "none: the origin is contacted WITHOUT TLS, in plain text HTTP/2"
                }
                Protocol::Client => {
                    "none: the origin is contacted WITHOUT TLS, in plain text, as the client speaks"
                }
                Protocol::Http1 | Protocol::Negotiate => {
                    "none: the origin is contacted WITHOUT TLS, in plain text HTTP/1.1"
                }
            });
        }
    }
    None
}

fn tls_fields(tls: &TlsSpec, server_name: &str, step: &mut Step) {
    let name = tls.sni.as_ref().map_or(server_name, |sni| sni.as_str());
    if name.parse::<std::net::IpAddr>().is_err() {
        step.field("sni", name);
    }
    step.field("verified", !tls.skip_verify);
    if !tls.skip_verify {
        let names = match tls.subject_alt_names.is_empty() {
            true => vec![name.to_owned()],
            false => tls.subject_alt_names.clone(),
        };
        step.field("names", names).field("roots", roots_text(&tls.roots));
    }
}

fn roots_text(roots: &Roots) -> String {
    match roots {
        Roots::Web => "the web's roots".to_owned(),
        Roots::System => "the system's roots".to_owned(),
        Roots::Pem { path, .. } => format!("the roots in {path}"),
    }
}

fn tls_lines(tls: &TlsSpec, server_name: &str) -> Vec<String> {
    let TlsSpec {
        sni,
        subject_alt_names,
        service_alt_names,
        roots,
        revoked,
        identity,
        skip_verify,
    } = tls;
    let name = sni.as_ref().map_or(server_name, |sni| sni.as_str());
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    let why = if sni.is_some() { "as configured" } else { "the host of the request" };
    let mut lines = vec![match is_address {
        true => format!("SNI: none, since {name} is an address"),
        false => format!("SNI: {name} ({why})"),
    }];
    if *skip_verify {
        lines.push("NOT verified: neither who signed the certificate nor its names".to_owned());
    } else {
        let names = match subject_alt_names.is_empty() {
            true => name.to_owned(),
            false => subject_alt_names.join(" or "),
        };
        let besides = match service_alt_names.is_empty() {
            true => String::new(),
            false => format!(", and {}", service_alt_names.join(" or ")),
        };
        let roots = roots_text(roots);
        lines.push(format!("verified: a certificate for {names}{besides}, signed under {roots}"));
        let taken_back = |list: &RevocationList| format!("and not revoked by {}", list.path);
        lines.extend(revoked.as_ref().map(taken_back));
    }
    if let Some(identity) = identity {
        lines.push(format!(
            "shows the certificate in {} with the key in {}",
            identity.certificate_path, identity.key_path
        ));
    }
    lines
}
