//! Destinations of Egret's own form: `to:` and what stands beside it become upstreams, each once.
//!
//! Does not know about hosts, rules and listeners.

mod resilience;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::report::{Parts, Report};
use super::shapes::{self, File, Rule};
use super::tls;
use crate::config::provenance::{Origin, UpstreamOrigin};
use crate::config::typed::Typed;
use crate::config::{Compiled, Materials};
use crate::model::upstream::TlsSpecs;
use crate::model::{
    Addressing, Authority, Balance, Destination, Host, Policy, Protocol, ProxyProtocol, Security,
    Target, UpstreamKey, UpstreamSpec, duration,
};

/// Every upstream of all documents.
pub(super) struct Upstreams {
    pub specs: Vec<UpstreamSpec>,
    pub origins: Vec<Arc<UpstreamOrigin>>,
    by_name: HashMap<String, usize>,
    /// Those that a `to:` made, for the next equal one.
    by_target: HashMap<Target, Vec<usize>>,
    /// What most of them share.
    default_policy: Arc<Policy>,
    tls: TlsSpecs,
}

/// What a `to:` says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum To {
    Url(Url),
    /// The name of an upstream.
    Name(String),
}

/// `https://host:port` or `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub scheme: Scheme,
    /// Of a wildcard what follows `*.`.
    pub target: Target,
    /// Whether it was `*.` and the host.
    pub reach: Reach,
}

/// Which hosts a URL stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The one that is named.
    One,
    /// Each request's own, where it lies under the one that is named.
    Under,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

/// A destination as it was written, with where to report what is wrong with it.
pub(super) struct Written<'a> {
    pub rule: &'a Rule,
    pub parts: Parts<'a>,
    /// Where a type was wrong, so that what is left is not all that was meant.
    pub faults: Faults,
    pub origin: Origin,
}

/// Which parts of a destination were not understood; each fails closed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    pub tls: bool,
    pub endpoints: bool,
}

impl Faults {
    /// The faults of what is written in one part alone.
    pub fn of(typed: &Typed<File>, part: &str) -> Self {
        Self::of_rule(&Rule::default(), typed, &[part.to_owned()])
    }

    /// The faults of a rule: in its own part, and in its route's for what it does not say itself.
    pub fn of_rule(own: &Rule, typed: &Typed<File>, parts: &[String]) -> Self {
        let faulty = |own_says_it: bool, field: &str| {
            let inherited = parts.iter().skip(1).filter(|_| !own_says_it);
            parts
                .iter()
                .take(1)
                .chain(inherited)
                .any(|part| typed.faulty_at(&format!("{part}.{field}")))
        };
        Self {
            tls: faulty(own.tls.is_some(), "tls"),
            endpoints: faulty(own.endpoints.is_some(), "endpoints")
                || faulty(own.resolution.is_some(), "resolution")
                || faulty(own.no_endpoints.is_some(), "noEndpoints"),
        }
    }
}

impl Upstreams {
    /// Begins with the upstreams that are there.
    pub fn beside(compiled: &mut Compiled) -> Self {
        let specs = std::mem::take(&mut compiled.plan.upstreams);
        let by_name =
            specs.iter().enumerate().map(|(index, spec)| (spec.key.name.clone(), index)).collect();
        Self {
            specs,
            origins: std::mem::take(&mut compiled.provenance.upstreams),
            by_name,
            by_target: HashMap::new(),
            default_policy: Arc::default(),
            tls: TlsSpecs::default(),
        }
    }

    /// Adds an upstream with a name of its own. Nothing is added when it has no usable `to`.
    pub fn define(
        &mut self,
        name: &str,
        written: &Written<'_>,
        materials: &Materials,
        report: &mut Report<'_>,
    ) {
        let field = report.field(written.parts, "to");
        let url = match written.rule.to.as_deref().map(parse_to) {
            Some(Ok(To::Url(url))) => url,
            Some(Ok(To::Name(text))) => {
                let fix = format!("write https://{text}");
                return report.error("EG093", &field, format!("\"{text}\" is not a URL"), fix);
            }
            Some(Err(why)) => return report.error("EG093", &field, why, ""),
            None => {
                return report.error("EG082", &field, "it is missing", "write to: https://host");
            }
        };
        let mut spec = build(&url, written, materials, report);
        Arc::make_mut(&mut spec.key).name = name.to_owned();
        match self.by_name.get(name) {
            Some(known) if self.specs[*known] == spec => {}
            Some(_) => {
                let field = report.field(written.parts, "name");
                report.error(
                    "EG086",
                    &field,
                    format!("another upstream is called \"{name}\"; this one is ignored"),
                    "give it another name",
                );
            }
            None => _ = self.add(spec, written),
        }
    }

    /// The upstream for one `to:`; one that is equal is shared.
    pub fn destination(
        &mut self,
        to: &str,
        field: &str,
        written: &Written<'_>,
        materials: &Materials,
        report: &mut Report<'_>,
    ) -> Destination {
        match parse_to(to) {
            Ok(To::Url(url)) => {
                let spec = build(&url, written, materials, report);
                Destination::Upstream(self.share(spec, written))
            }
            Ok(To::Name(name)) => self.named(name, field, report),
            Err(why) => {
                report.error("EG093", field, format!("{why}; requests get 503"), "");
                Destination::Missing(to.to_owned())
            }
        }
    }

    fn named(&self, name: String, field: &str, report: &mut Report<'_>) -> Destination {
        if let Some(index) = self.by_name.get(&name) {
            return Destination::Upstream(*index);
        }
        let fix = match name.parse::<SocketAddr>().is_ok()
            || Authority::parse(name.as_bytes()).is_some()
        {
            true => format!("write https://{name}, or http://{name} for plain text"),
            false => "write https://host, or define it under upstreams".to_owned(),
        };
        report.error(
            "EG093",
            field,
            format!("no upstream is called \"{name}\"; requests get 503"),
            fix,
        );
        Destination::Missing(name)
    }

    /// The index of an equal upstream that a `to:` made, else of a new one with a name that is free.
    fn share(&mut self, mut spec: UpstreamSpec, written: &Written<'_>) -> usize {
        let target = Target { host: spec.key.host.clone(), port: spec.key.port };
        let host = host_text(&spec);
        let key = Arc::make_mut(&mut spec.key);
        key.name = cluster_name(&host, target.port, "");
        let usual = self.by_name.get(&key.name);
        for index in self.by_target.get(&target).into_iter().flatten().chain(usual) {
            let known = &self.specs[*index];
            Arc::make_mut(&mut spec.key).name.clone_from(&known.key.name);
            if *known == spec {
                return *index;
            }
        }
        let name = |variant: &str| cluster_name(&host, target.port, variant);
        let variants = (2..).map(|number: u32| name(&number.to_string()));
        let mut names = std::iter::once(name("")).chain(variants);
        Arc::make_mut(&mut spec.key).name =
            names.find(|name| !self.by_name.contains_key(name)).expect("there is no end of names");
        let index = self.add(spec, written);
        self.by_target.entry(target).or_default().push(index);
        index
    }

    fn add(&mut self, mut spec: UpstreamSpec, written: &Written<'_>) -> usize {
        let index = self.specs.len();
        if *spec.policy == *self.default_policy {
            spec.policy = Arc::clone(&self.default_policy);
        }
        let key = Arc::make_mut(&mut spec.key);
        key.security = self.tls.shared(std::mem::replace(&mut key.security, Security::Plain));
        self.by_name.insert(spec.key.name.clone(), index);
        self.origins.push(Arc::new(UpstreamOrigin {
            service: written.origin.clone(),
            policy: written.rule.has_options().then(|| written.origin.clone()),
            candidates: Vec::new(),
            candidates_untold: 0,
            effective: vec![tls::describe(&spec.key.security)],
            dropped: Vec::new(),
        }));
        self.specs.push(spec);
        index
    }
}

/// The name of an upstream in Istio's form; the middle tells apart several to one host and port.
pub(super) fn cluster_name(host: &str, port: u16, variant: &str) -> String {
    format!("outbound|{port}|{variant}|{host}")
}

/// The host of an upstream, as URLs and names have it: `*.example.com` where it stands for all under it.
pub(super) fn host_text(spec: &UpstreamSpec) -> String {
    let host = &spec.key.host;
    let wildcard = if matches!(*spec.addressing, Addressing::Dynamic(_)) { "*." } else { "" };
    format!("{wildcard}{host}")
}

fn parse_to(text: &str) -> Result<To, String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok(To::Name(text.to_owned()));
    };
    let (scheme, port_default) = match scheme {
        "https" => (Scheme::Https, 443),
        "http" => (Scheme::Http, 80),
        other => {
            return Err(format!(
                "\"{other}\" is not a scheme to call an origin with; write https:// or http://"
            ));
        }
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if let Some(end) = authority.find(['/', '?', '#']) {
        return Err(format!(
            "\"{text}\" has a path, but the client's path is kept; write {}",
            &text[..text.len() - rest.len() + end]
        ));
    }
    let (named, reach) = match authority.strip_prefix("*.") {
        Some(under) => (under, Reach::Under),
        None => (authority, Reach::One),
    };
    let parsed = Authority::parse(named.as_bytes());
    let parsed = parsed.and_then(|parsed| Some((Host::parse(parsed.host()).ok()?, parsed.port)));
    let Some((host, port)) = parsed else {
        return Err(format!(
            "\"{authority}\" is not a host with or without a port; write e.g. https://edition.cnn.com:8443"
        ));
    };
    if reach == Reach::Under && host.ip().is_some() {
        return Err(format!(
            "\"{authority}\" is a wildcard of an address; write e.g. https://*.example.com"
        ));
    }
    Ok(To::Url(Url { scheme, target: Target { host, port: port.unwrap_or(port_default) }, reach }))
}

/// Whether a text can be the URL of a destination.
///
/// Errors: a sentence saying what to write instead.
pub(super) fn check_url(text: &str) -> Result<(), String> {
    match parse_to(text)? {
        To::Url(_) => Ok(()),
        To::Name(name) => Err(format!("\"{name}\" is not a URL; write https://{name}")),
    }
}

/// The upstream without its name.
fn build(
    url: &Url,
    written: &Written<'_>,
    materials: &Materials,
    report: &mut Report<'_>,
) -> UpstreamSpec {
    let Written { rule, parts, .. } = written;
    let protocol = match (rule.protocol, url.scheme) {
        (Some(shapes::Protocol::Negotiate), _) | (None, Scheme::Https) => Protocol::Negotiate,
        (Some(shapes::Protocol::Http1), _) | (None, Scheme::Http) => Protocol::Http1,
        (Some(shapes::Protocol::Http2), _) => Protocol::Http2,
        (Some(shapes::Protocol::Client), _) => Protocol::Client,
    };
    let defaults = Policy::default();
    let mut time = |field: &str, text: &Option<String>, default: Duration| {
        let field = report.field(*parts, field);
        match text.as_deref().map(duration::parse) {
            None => default,
            Some(Ok(Duration::ZERO)) => {
                report.error(
                    "EG081",
                    &field,
                    "it must be longer than nothing; the default is used",
                    "leave it out or write e.g. 10s",
                );
                default
            }
            Some(Ok(time)) => time,
            Some(Err(why)) => {
                report.error("EG081", &field, format!("{why}; the default is used"), "");
                default
            }
        }
    };
    let mut policy = Policy {
        balance: match rule.balance {
            None => defaults.balance,
            Some(shapes::Balance::LeastRequest) => Balance::LeastRequest,
            Some(shapes::Balance::RoundRobin) => Balance::RoundRobin,
            Some(shapes::Balance::Random) => Balance::Random,
        },
        connect_timeout: time("connectTimeout", &rule.connect_timeout, defaults.connect_timeout),
        idle_timeout: time("idleTimeout", &rule.idle_timeout, defaults.idle_timeout),
        requests_per_connection_max: rule.requests_per_connection.filter(|count| *count != 0),
        ..defaults
    };
    resilience::Reader { report, parts: *parts }.apply(rule, &url.target, &mut policy);
    let security = tls::security(url, written, materials, report);
    if security.is_plain() && url.target.port == 443 {
        let field = report.field(*parts, "to");
        let message = format!("{}:443 will be contacted WITHOUT TLS", url.target.host);
        report.warning("EG003", &field, message, format!("write https://{}", url.target.host));
    }
    UpstreamSpec {
        key: Arc::new(UpstreamKey {
            name: String::new(),
            host: url.target.host.clone(),
            port: url.target.port,
            security,
            protocol,
            proxy_protocol: proxy_protocol(written, report),
        }),
        policy: Arc::new(policy),
        addressing: Arc::new(match url.reach {
            Reach::One => addressing(&url.target, written, report),
            Reach::Under => dynamic(url, written, report),
        }),
    }
}

/// Which version of the PROXY protocol is asked for. What it gives away is told.
fn proxy_protocol(written: &Written<'_>, report: &mut Report<'_>) -> Option<ProxyProtocol> {
    let version = match written.rule.proxy_protocol? {
        shapes::ProxyProtocol::V1 => ProxyProtocol::V1,
        shapes::ProxyProtocol::V2 => ProxyProtocol::V2,
    };
    let (field, fix) =
        (report.field(written.parts, "proxyProtocol"), "remove it if the origin is not yours");
    report.warning("EG061", &field, ProxyProtocol::GIVES_AWAY, fix);
    Some(version)
}

fn addressing(target: &Target, written: &Written<'_>, report: &mut Report<'_>) -> Addressing {
    let rule = written.rule;
    if written.faults.endpoints {
        return Addressing::Nowhere("its endpoints are not understood".to_owned());
    }
    if let Some(reason) = &rule.no_endpoints {
        return Addressing::Nowhere(reason.clone());
    }
    let mut targets = Vec::new();
    for (index, text) in rule.endpoints.iter().flatten().enumerate() {
        match parse_endpoint(text, target.port) {
            Ok(endpoint) => targets.push(endpoint),
            Err(why) => {
                let field = report.field(written.parts, &format!("endpoints[{index}]"));
                report.error("EG052", &field, why, "");
            }
        }
    }
    match &rule.endpoints {
        None => targets.push(target.clone()),
        Some(_) if targets.is_empty() => {
            return Addressing::Nowhere("none of its endpoints is usable".to_owned());
        }
        Some(_) => {}
    }
    let address = |target: &Target| target.host.ip().map(|ip| SocketAddr::new(ip, target.port));
    let addresses: Option<Vec<SocketAddr>> = targets.iter().map(address).collect();
    let field = report.field(written.parts, "resolution");
    match (rule.resolution, addresses) {
        (None | Some(shapes::Resolution::Static), Some(addresses)) => Addressing::Static(addresses),
        (None | Some(shapes::Resolution::Dns), _) => Addressing::Dns(targets),
        (Some(shapes::Resolution::LogicalDns), _) if targets.len() == 1 => {
            Addressing::LogicalDns(targets.remove(0))
        }
        (Some(shapes::Resolution::LogicalDns), _) => {
            report.error(
                "EG052",
                &field,
                "logicalDns takes one endpoint and has several; dns is used",
                "write dns, or keep one endpoint",
            );
            Addressing::Dns(targets)
        }
        (Some(shapes::Resolution::Static), None) => {
            report.error(
                "EG052",
                &field,
                "static takes addresses, and an endpoint is a name; no endpoint is used",
                "write dns, or give addresses",
            );
            Addressing::Nowhere("its endpoints are names, and its resolution is static".to_owned())
        }
    }
}

/// The host of each request is the endpoint: of `endpoints` only the port can be another.
fn dynamic(url: &Url, written: &Written<'_>, report: &mut Report<'_>) -> Addressing {
    let (rule, host) = (written.rule, &url.target.host);
    if written.faults.endpoints {
        return Addressing::Nowhere("its endpoints are not understood".to_owned());
    }
    if let Some(reason) = &rule.no_endpoints {
        return Addressing::Nowhere(reason.clone());
    }
    let mut wrong = |field: &str, fix: String| {
        let message = format!("*.{host} leads to the host of each request; requests get 503");
        report.error("EG052", &report.field(written.parts, field), &message, fix);
        Addressing::Nowhere(message)
    };
    if rule.resolution.is_some() {
        return wrong("resolution", "remove resolution, or name a host in to".to_owned());
    }
    let Some(endpoints) = &rule.endpoints else { return Addressing::Dynamic(url.target.port) };
    let port = match endpoints.as_slice() {
        [only] => only.strip_prefix(&format!("*.{host}:")).and_then(|port| port.parse().ok()),
        _ => None,
    };
    match port.filter(|port| *port != 0) {
        Some(port) => Addressing::Dynamic(port),
        None => {
            wrong("endpoints", format!("remove them, or write [\"*.{host}:443\"] for another port"))
        }
    }
}

fn parse_endpoint(text: &str, port_default: u16) -> Result<Target, String> {
    // An IPv6 address without brackets has no port.
    if let Ok(host) = text.parse::<std::net::IpAddr>().map(|ip| ip.to_string()) {
        return Ok(Target { host: Host::parse(&host)?, port: port_default });
    }
    let wrong = || format!("\"{text}\" is not ADDRESS:PORT or NAME:PORT; it is left out");
    let authority = Authority::parse(text.as_bytes()).ok_or_else(wrong)?;
    Ok(Target {
        host: Host::parse(authority.host())?,
        port: authority.port.unwrap_or(port_default),
    })
}
