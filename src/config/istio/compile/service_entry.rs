//! A `ServiceEntry` becomes services: hosts that exist, with their ports and where they are found.
//!
//! It does not decide how they are called (`destination_rule.rs`), nor whether anybody calls them.
//! Source: istio `serviceregistry/serviceentry/conversion.go` and `pkg/config/validation`.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::names::{self, Visibility};
use super::object::{Object, Report};
use crate::config::istio::service_entry::{ServiceEntry, WorkloadEntry};
use crate::config::provenance::Origin;
use crate::config::{Document, Identity, Severity, nearest};
use crate::model::upstream::Target;
use crate::model::{Addressing, Host, HostPattern};

mod remarks;

/// Why a subset has no endpoint.
pub const NO_LABELS: &str = "no endpoint has the labels of the subset";

/// The hosts of one object, all with the same ports and endpoints.
pub struct Service<'a> {
    pub report: Report<'a>,
    pub hosts: Vec<ServiceHost>,
    pub ports: Vec<Port>,
    /// Names that the certificate must carry besides.
    pub alt_names: Vec<String>,
    resolution: Resolution,
    endpoints: Vec<Endpoint>,
}

/// A host of a service.
pub struct ServiceHost {
    /// The name by which destinations and policies know it, e.g. `*.wikipedia.org`.
    pub name: Arc<str>,
    pub pattern: HostPattern,
    /// The name alone; of a wildcard what follows `*.`.
    pub host: Host,
}

/// A port of a service.
pub struct Port {
    pub number: u16,
    /// The port that is dialled where an endpoint has none of its own.
    pub target: u16,
    pub name: String,
    pub application: Application,
    pub origin: Origin,
}

/// What is spoken on a port, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Application {
    Http,
    Https,
    Http2,
    /// Not HTTP by its name; carried as HTTP/1.1 when a route leads here.
    Opaque,
}

enum Resolution {
    Dns,
    DnsRoundRobin,
    Static,
    /// The host of each request.
    Dynamic,
    /// No endpoint can be found, and why.
    Impossible(String),
}

struct Endpoint {
    address: Address,
    /// In the order of their names.
    ports: Vec<(String, u16)>,
    labels: BTreeMap<String, String>,
    weight: u32,
}

impl Endpoint {
    /// Its own port of that name.
    fn port(&self, name: &str) -> Option<u16> {
        let index = self.ports.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        Some(self.ports[index].1)
    }
}

enum Address {
    Ip(IpAddr),
    Name(Host),
}

/// Reads the object; `Err`: nothing of it applies, and the report says why.
pub fn read<'a>(document: &'a Document, identity: &Identity) -> Result<Service<'a>, Report<'a>> {
    let mut object = Object::<ServiceEntry>::read(document)?;
    if names::visibility(&object.spec.export_to, object.namespace(), &identity.namespace)
        == Visibility::Hidden
    {
        object.ignore_as_hidden(identity);
        return Err(object.report);
    }
    let hosts = hosts(&mut object);
    let ports = ports(&mut object);
    if hosts.is_empty() || ports.is_empty() {
        object.report.ignore("it has no usable host or no usable port");
        return Err(object.report);
    }
    let endpoints = endpoints(&mut object);
    let resolution = resolution(&mut object, &hosts, &endpoints);
    remarks::tell(&object.spec, &mut object.report);
    let Object { spec, report, .. } = object;
    Ok(Service { report, hosts, ports, alt_names: spec.subject_alt_names, resolution, endpoints })
}

impl Service<'_> {
    /// Where a host of this service is found on a port; `labels`: only endpoints that have them.
    pub fn addressing(
        &self,
        host: &ServiceHost,
        port: &Port,
        labels: &BTreeMap<String, String>,
    ) -> Addressing {
        if let Resolution::Impossible(why) = &self.resolution {
            return Addressing::Nowhere(why.clone());
        }
        if let Resolution::Dynamic = self.resolution {
            return Addressing::Dynamic(port.target); // whatever the labels of a subset (Istio)
        }
        let dialled = |endpoint: &Endpoint| endpoint.port(&port.name).unwrap_or(port.target);
        let chosen: Vec<&Endpoint> =
            self.endpoints.iter().filter(|one| names::selects(labels, &one.labels)).collect();
        if chosen.is_empty() && (!labels.is_empty() || !self.endpoints.is_empty()) {
            return Addressing::Nowhere(NO_LABELS.to_owned());
        }
        let targets = || {
            if chosen.is_empty() {
                return vec![Target { host: host.host.clone(), port: port.target }];
            }
            chosen
                .iter()
                .map(|one| Target { host: one.address.host(), port: dialled(one) })
                .collect()
        };
        match self.resolution {
            Resolution::Static => {
                let mut addresses = Vec::with_capacity(chosen.len());
                addresses.extend(
                    chosen
                        .iter()
                        .filter_map(|one| Some(SocketAddr::new(one.address.ip()?, dialled(one)))),
                );
                Addressing::Static(addresses)
            }
            Resolution::DnsRoundRobin => match targets().into_iter().next() {
                Some(target) => Addressing::LogicalDns(target),
                None => Addressing::Nowhere("it has no endpoint".to_owned()),
            },
            _ => Addressing::Dns(targets()),
        }
    }
}

impl Service<'_> {
    /// What endpoints with these labels count on a port, where that is not 1.
    pub fn weights(&self, port: &Port, labels: &BTreeMap<String, String>) -> Vec<(Target, u32)> {
        let weighted = self.endpoints.iter().filter(|one| one.weight != 1);
        weighted
            .filter(|one| names::selects(labels, &one.labels))
            .map(|one| {
                let dialled = one.port(&port.name).unwrap_or(port.target);
                (Target { host: one.address.host(), port: dialled }, one.weight)
            })
            .collect()
    }
}

impl Address {
    fn host(&self) -> Host {
        match self {
            Self::Name(host) => host.clone(),
            Self::Ip(ip) => {
                Host::parse(&ip.to_string()).expect("an address in text form is a host")
            }
        }
    }

    fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(_) => None,
        }
    }
}

fn hosts(object: &mut Object<'_, ServiceEntry>) -> Vec<ServiceHost> {
    let mut hosts = Vec::with_capacity(object.spec.hosts.len());
    let mut seen = HashSet::new();
    if object.spec.hosts.is_empty() && !object.faulty_at("spec.hosts") {
        object.report.fault(
            "EG082",
            Severity::Error,
            "spec.hosts",
            "no host is named",
            "name at least one",
        );
    }
    for (index, text) in object.spec.hosts.iter().enumerate() {
        let read = match HostPattern::parse(text) {
            Ok(HostPattern::Any) => {
                Err("\"*\" is not a host that exists; name the hosts, or use *.example.com"
                    .to_owned())
            }
            read => read,
        };
        match read {
            Ok(pattern) if !seen.insert(pattern.clone()) => {} // named twice: once is enough
            Ok(pattern) => {
                hosts.push(ServiceHost { name: pattern.text(), host: host_of(&pattern), pattern })
            }
            Err(why) => object.report.fault(
                "EG052",
                Severity::Error,
                &format!("spec.hosts[{index}]"),
                why,
                "write the name alone",
            ),
        }
    }
    hosts
}

fn host_of(pattern: &HostPattern) -> Host {
    match pattern {
        HostPattern::Exact(host) | HostPattern::Suffix(host) => host.clone(),
        HostPattern::Any => unreachable!("hosts() lets no \"*\" through"),
    }
}

fn ports(object: &mut Object<'_, ServiceEntry>) -> Vec<Port> {
    let Object { spec, report, .. } = object;
    let mut ports = Vec::with_capacity(spec.ports.len());
    let (mut numbers, mut port_names) = (HashSet::new(), HashSet::new());
    if spec.ports.is_empty() {
        report.fault(
            "EG082",
            Severity::Error,
            "spec.ports",
            "no port is given",
            "add number, name and protocol",
        );
    }
    for (index, port) in spec.ports.iter().enumerate() {
        let field = format!("spec.ports[{index}]");
        let (Some(number), Some(target)) =
            (port_number(port.number), port_number(port.target_port.unwrap_or(port.number)))
        else {
            let message = "a port must be a number from 1 to 65535; this one is left out";
            report.fault("EG052", Severity::Error, &format!("{field}.number"), message, "");
            continue;
        };
        if !numbers.insert(number) {
            let message = format!("port {number} is given twice; the first counts");
            report.fault(
                "EG052",
                Severity::Error,
                &format!("{field}.number"),
                message,
                "remove one of them",
            );
            continue;
        }
        if !port.name.is_empty() && !port_names.insert(port.name.as_str()) {
            let message = format!("two ports have the name \"{}\"", port.name);
            report.fault(
                "EG052",
                Severity::Error,
                &format!("{field}.name"),
                message,
                "give each a name of its own",
            );
        }
        let application = application(&port.protocol);
        if application == Application::Opaque && !is_opaque(&port.protocol) {
            let message =
                format!("\"{}\" is not a protocol that is known; taken as TCP", port.protocol);
            report.tell(
                "EG052",
                Severity::Warning,
                &format!("{field}.protocol"),
                message,
                "HTTP, HTTPS, HTTP2, GRPC, TLS or TCP",
            );
        }
        ports.push(Port {
            number,
            target,
            name: port.name.clone(),
            application,
            origin: report.origin(&field),
        });
    }
    ports
}

fn port_number(number: u32) -> Option<u16> {
    u16::try_from(number).ok().filter(|number| *number != 0)
}

fn application(protocol: &str) -> Application {
    match protocol.to_ascii_uppercase().as_str() {
        "" | "HTTP" | "HTTP_PROXY" => Application::Http,
        "HTTPS" => Application::Https,
        "HTTP2" | "GRPC" | "GRPC-WEB" => Application::Http2,
        _ => Application::Opaque,
    }
}

fn is_opaque(protocol: &str) -> bool {
    matches!(
        protocol.to_ascii_uppercase().as_str(),
        "TCP" | "TLS" | "UDP" | "MONGO" | "REDIS" | "MYSQL"
    )
}

fn endpoints(object: &mut Object<'_, ServiceEntry>) -> Vec<Endpoint> {
    let Object { spec, report, .. } = object;
    let has_port = |name: &str| spec.ports.iter().any(|port| port.name == name);
    let mut endpoints = Vec::with_capacity(spec.endpoints.len());
    for (index, entry) in spec.endpoints.iter().enumerate() {
        let field = format!("spec.endpoints[{index}]");
        for name in entry.ports.keys().filter(|name| !has_port(name)) {
            let message =
                format!("no port of the service is called \"{name}\", so it has no effect");
            let field = format!("{field}.ports.{name}");
            report.tell("EG052", Severity::Warning, &field, message, "use a name of spec.ports");
        }
        if entry.locality.is_some() {
            let field = format!("{field}.locality");
            report.unsupported(Severity::Warning, &field, "all localities count the same");
        }
        match endpoint(entry) {
            Ok(endpoint) => endpoints.push(endpoint),
            Err(why) => report.fault(
                "EG052",
                Severity::Error,
                &format!("{field}.address"),
                why,
                "write a name or an IP address",
            ),
        }
    }
    endpoints
}

fn endpoint(entry: &WorkloadEntry) -> Result<Endpoint, String> {
    let text = entry.address.as_str();
    if text.starts_with("unix:") {
        return Err(
            "not implemented: sockets in the file system; the endpoint is left out".to_owned()
        );
    }
    let address = match (text.parse(), Host::parse(text)) {
        (Ok(ip), _) => Address::Ip(ip),
        (_, Ok(host)) => Address::Name(host),
        (_, Err(why)) => return Err(format!("{why}; the endpoint is left out")),
    };
    let mut ports = Vec::with_capacity(entry.ports.len());
    for (name, number) in &entry.ports {
        let number = port_number(*number).ok_or_else(|| {
            format!("its port \"{name}\" is not a number from 1 to 65535; the endpoint is left out")
        })?;
        ports.push((name.clone(), number));
    }
    Ok(Endpoint {
        address,
        ports,
        labels: entry.labels.clone(),
        weight: entry.weight.unwrap_or(1).max(1),
    })
}

/// Decides where endpoints come from; an impossible one answers 503 and says why.
fn resolution(
    object: &mut Object<'_, ServiceEntry>,
    hosts: &[ServiceHost],
    endpoints: &[Endpoint],
) -> Resolution {
    if object.faulty_at("spec.resolution") {
        return Resolution::Impossible("spec.resolution cannot be understood".to_owned());
    }
    // Without its endpoints the host itself would be resolved, which nobody asked for.
    if endpoints.is_empty()
        && (object.faulty_at("spec.endpoints") || !object.spec.endpoints.is_empty())
    {
        return Resolution::Impossible("none of spec.endpoints can be used".to_owned());
    }
    let Object { spec, report, .. } = object;
    let mut impossible = |code, field: &str, message: String, fix: &str| {
        report.fault(code, Severity::Error, field, message.clone(), fix.to_owned());
        Resolution::Impossible(message)
    };
    let wildcard = hosts.iter().find(|host| matches!(host.pattern, HostPattern::Suffix(_)));
    match spec.resolution.as_deref() {
        // Reported where a route leads here (EG050): in a mesh NONE has its uses.
        None => Resolution::Impossible(
            "resolution omitted = NONE; a gateway has no original destination".to_owned(),
        ),
        Some("NONE") => Resolution::Impossible(
            "resolution NONE; a gateway has no original destination".to_owned(),
        ),
        Some("DYNAMIC_DNS") => match unfit_for_dynamic(spec, hosts) {
            None => Resolution::Dynamic,
            Some((field, message, fix)) => {
                impossible("EG052", &field, format!("{message}; requests get 503"), fix)
            }
        },
        Some("DNS" | "DNS_ROUND_ROBIN") if endpoints.is_empty() && wildcard.is_some() => {
            let name = wildcard.map(|host| &*host.name).unwrap_or_default();
            let message =
                format!("the wildcard {name} cannot be resolved by DNS; requests get 503");
            let fix = "use DYNAMIC_DNS (supported here, not by Istio gateways), or add endpoints with the name to connect to";
            impossible("EG051", "spec.resolution", message, fix)
        }
        Some("DNS_ROUND_ROBIN") if endpoints.len() > 1 => {
            let message = "DNS_ROUND_ROBIN takes at most one endpoint; requests get 503".to_owned();
            impossible("EG052", "spec.endpoints", message, "use DNS")
        }
        Some("DNS") => Resolution::Dns,
        Some("DNS_ROUND_ROBIN") => Resolution::DnsRoundRobin,
        Some("STATIC") if endpoints.is_empty() => impossible(
            "EG052",
            "spec.endpoints",
            "STATIC without endpoints; requests get 503".to_owned(),
            "add endpoints with IP addresses, or use DNS",
        ),
        Some("STATIC") if endpoints.iter().any(|one| one.address.ip().is_none()) => impossible(
            "EG052",
            "spec.endpoints",
            "STATIC takes IP addresses alone; requests get 503".to_owned(),
            "use DNS for names",
        ),
        Some("STATIC") => Resolution::Static,
        Some(other) => {
            let known = ["DNS", "DNS_ROUND_ROBIN", "STATIC", "NONE", "DYNAMIC_DNS"];
            let message = format!("\"{other}\" is not a resolution; requests get 503");
            impossible("EG081", "spec.resolution", message, &nearest(other, &known))
        }
    }
}

/// What of a `DYNAMIC_DNS` service Istio's validation refuses: the field, what is wrong, what to write.
fn unfit_for_dynamic(
    spec: &ServiceEntry,
    hosts: &[ServiceHost],
) -> Option<(String, String, &'static str)> {
    let exact = |host: &&ServiceHost| !matches!(host.pattern, HostPattern::Suffix(_));
    if let Some(host) = hosts.iter().find(exact) {
        let message = format!("DYNAMIC_DNS is for wildcards, and {} is none", host.name);
        return Some(("spec.hosts".to_owned(), message, "use DNS for it, in an object of its own"));
    }
    for (field, absent) in [
        ("spec.endpoints", spec.endpoints.is_empty()),
        ("spec.addresses", spec.addresses.is_empty()),
    ] {
        if !absent {
            let message = "DYNAMIC_DNS leads to the host of each request and takes none".to_owned();
            return Some((field.to_owned(), message, "remove them, or use DNS"));
        }
    }
    let carried = ["", "HTTP", "HTTP2", "GRPC", "TLS"];
    let is_carried = |protocol: &str| carried.iter().any(|one| protocol.eq_ignore_ascii_case(one));
    let index = spec.ports.iter().position(|port| !is_carried(&port.protocol))?;
    let message = format!("DYNAMIC_DNS does not go with {}", spec.ports[index].protocol);
    let fix = "HTTP, HTTP2, GRPC or TLS; a DestinationRule originates TLS whatever this says";
    Some((format!("spec.ports[{index}].protocol"), message, fix))
}
