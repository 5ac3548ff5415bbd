//! A `Gateway` becomes listeners, and the hosts that are admitted on each.
//!
//! It does not route: what a host leads to stands in `virtual_service.rs`.
//! Source: istio `model/gateway.go:mergeGateways`, `core/gateway.go:getListenerName`.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::l4;
use super::names::{self, Normal, PatternMap};
use super::object::{Object, Report};
use crate::config::istio::gateway::{Gateway, Server};
use crate::config::provenance::Origin;
use crate::config::{Compiled, Document, Identity, Severity, nearest};
use crate::model::{HostPattern, Listener};

mod remarks;

/// The gateways of a set of documents.
#[derive(Default)]
pub struct Gateways {
    /// Every gateway by `namespace/name`.
    pub known: HashMap<String, Selected>,
    /// Servers that are open, in merge order.
    pub servers: Vec<OpenServer>,
}

/// Whether a gateway is this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selected {
    ThisGateway,
    Another,
}

/// A server whose port is open.
pub struct OpenServer {
    /// `namespace/name`.
    pub gateway: String,
    /// The gateway port.
    pub port: u16,
    /// Index into `Plan::listeners`.
    pub listener: usize,
    pub admitted: Admitted,
    /// Where it says that clients are sent to https, if it does.
    pub redirects: Option<Origin>,
}

/// The hosts of a server, by the namespace that may bind to them.
#[derive(Default)]
pub struct Admitted {
    from_anywhere: Hosts,
    from_namespace: HashMap<String, Hosts>,
}

#[derive(Default)]
struct Hosts {
    list: Vec<HostPattern>,
    set: PatternMap<()>,
}

impl Admitted {
    /// Whether a host of an object in a namespace is admitted as it is.
    pub fn covers(&self, pattern: &HostPattern, namespace: &str) -> bool {
        self.of(namespace).any(|hosts| hosts.set.covering(pattern).next().is_some())
    }

    /// Every admitted pattern that objects of a namespace may bind to.
    pub fn patterns(&self, namespace: &str) -> impl Iterator<Item = &HostPattern> {
        self.of(namespace).flat_map(|hosts| &hosts.list)
    }

    /// Every admitted pattern, whoever may bind to it.
    pub fn all(&self) -> impl Iterator<Item = &HostPattern> {
        let namespaces = self.from_namespace.values();
        std::iter::once(&self.from_anywhere).chain(namespaces).flat_map(|hosts| &hosts.list)
    }

    fn of(&self, namespace: &str) -> impl Iterator<Item = &Hosts> {
        std::iter::once(&self.from_anywhere).chain(self.from_namespace.get(namespace))
    }
}

impl Gateways {
    /// Reads the object, opens its servers, and reports on it.
    pub fn add<'a>(
        &mut self,
        document: &'a Document,
        identity: &Identity,
        compiled: &mut Compiled,
    ) -> Report<'a> {
        let name = format!("{}/{}", document.namespace, document.name);
        let mut object = match Object::<Gateway>::read(document) {
            Ok(object) => object,
            Err(report) => {
                self.known.insert(name, Selected::Another);
                return report;
            }
        };
        if object.faulty_at("spec.selector") {
            self.known.insert(name, Selected::Another);
            object.report.ignore("spec.selector cannot be understood");
            return object.report;
        }
        if !names::selects(&object.spec.selector, &identity.labels) {
            self.known.entry(name).or_insert(Selected::Another);
            let message = format!(
                "the selector {} does not find this gateway, whose labels are {}",
                labels(&object.spec.selector),
                labels(&identity.labels)
            );
            object.report.tell(
                "EG076",
                Severity::Warning,
                "spec.selector",
                message.clone(),
                "change it, or start with --labels",
            );
            object.report.ignore(message);
            return object.report;
        }
        self.known.insert(name.clone(), Selected::ThisGateway);
        remarks::tell(&object.spec, &mut object.report);
        if object.spec.servers.is_empty() && !object.faulty_at("spec.servers") {
            object.report.fault(
                "EG082",
                Severity::Error,
                "spec.servers",
                "no server is given",
                "add a port and hosts",
            );
        }
        let before = self.servers.len();
        for index in 0..object.spec.servers.len() {
            if let Some(server) = self.open(&mut object, index, &name, identity, compiled) {
                self.servers.push(server);
            }
        }
        if self.servers.len() == before {
            object.report.ignore("none of its servers is open");
        }
        object.report
    }

    fn open(
        &self,
        object: &mut Object<'_, Gateway>,
        index: usize,
        gateway: &str,
        identity: &Identity,
        compiled: &mut Compiled,
    ) -> Option<OpenServer> {
        let field = format!("spec.servers[{index}]");
        let number = format!("{field}.port.number");
        if object.faulty_at(&number) {
            object.report.reason(format!("{number} cannot be understood; the server is left out"));
            return None;
        }
        let Object { spec, report, .. } = object;
        let server = &spec.servers[index];
        let bind = match server.bind.as_str() {
            "" => None,
            text => match text.parse::<IpAddr>() {
                Ok(ip) => Some(ip),
                Err(_) => {
                    report.unsupported(
                        Severity::Error,
                        &format!("{field}.bind"),
                        "only IP addresses; the server is left out",
                    );
                    return None;
                }
            },
        };
        let shared = |open: &&OpenServer| {
            let ip = compiled.plan.listeners[open.listener].bind.ip();
            u32::from(open.port) == server.port.number && ip == bind.unwrap_or(identity.bind)
        };
        let owner = self.servers.iter().find(shared);
        let port = check_port(server, owner, &field, report)?;
        let admitted = admitted(server, &field, report);
        let redirects = redirects(server, &field, report);
        let listener = match listener(port, bind, identity, compiled) {
            Ok(index) => index,
            Err(why) => {
                report.fault(
                    "EG016",
                    Severity::Error,
                    &format!("{field}.port.number"),
                    why,
                    "map the ports apart with --port-map",
                );
                return None;
            }
        };
        compiled.provenance.listeners[listener].push(report.origin(&field));
        Some(OpenServer { gateway: gateway.to_owned(), port, listener, admitted, redirects })
    }
}

/// The port of a server that speaks HTTP; any other is reported and left out.
fn check_port(
    server: &Server,
    owner: Option<&OpenServer>,
    field: &str,
    report: &mut Report<'_>,
) -> Option<u16> {
    let number = u16::try_from(server.port.number).ok().filter(|number| *number != 0);
    let Some(number) = number else {
        let message = "a port must be a number from 1 to 65535; the server is left out";
        let at = format!("{field}.port.number");
        report.fault("EG082", Severity::Error, &at, message, "write e.g. 443");
        return None;
    };
    if server.port.target_port.is_some() {
        let message = "targetPort of a server no longer exists";
        report.tell(
            "EG074",
            Severity::Warning,
            &format!("{field}.port.targetPort"),
            message,
            "use --port-map",
        );
    }
    if server.default_endpoint.is_some() {
        report.unsupported(Severity::Warning, &format!("{field}.defaultEndpoint"), "routes decide");
    }
    let protocol = server.port.protocol.to_ascii_uppercase();
    match protocol.as_str() {
        "HTTP" | "HTTP2" | "HTTP_PROXY" | "GRPC" | "GRPC-WEB" => {}
        "HTTPS" | "TLS" | "TCP" | "MONGO" | "REDIS" | "MYSQL" => {
            let (field_of_server, field) = (field, format!("{field}.port.protocol"));
            if let Some(owner) = owner {
                let message = format!(
                    "dropped: port {number} already has protocol HTTP from {}",
                    owner.gateway
                );
                report.fault("EG016", Severity::Error, &field, message, "use another port");
            } else {
                let effect = format!("{protocol} servers: port {number} is not opened for it");
                report.unsupported(Severity::Error, &field, &effect);
            }
            report_tls("the server is not opened", field_of_server, report);
            return None;
        }
        other => {
            let fix = nearest(other, &["HTTP", "HTTP2", "GRPC", "HTTPS", "TLS", "TCP"]);
            let message =
                format!("\"{}\" is not a protocol; the server is left out", server.port.protocol);
            report.fault("EG081", Severity::Error, &format!("{field}.port.protocol"), message, fix);
            return None;
        }
    }
    if server.tls.is_some() {
        report_tls("a server with protocol HTTP takes plain text", field, report);
    }
    Some(number)
}

/// Says of each field of a server's TLS settings that it is not in force.
fn report_tls(effect: &str, field: &str, report: &mut Report<'_>) {
    let Some((_, index)) = field.split_once('[') else { return };
    let index = index.trim_end_matches(']').parse::<usize>().unwrap_or(0);
    let spec = report.document.body().get("spec");
    let servers = spec.and_then(|spec| spec.get("servers"));
    let Some(tls) = servers.and_then(|list| list.entry(index)?.get("tls")) else { return };
    for path in l4::fields(tls, &format!("{field}.tls")) {
        if !path.ends_with(".httpsRedirect") && !path.ends_with(".https_redirect") {
            report.unsupported(Severity::Error, &path, effect);
        }
    }
}

/// Where a server says that clients are sent to https.
fn redirects(server: &Server, field: &str, report: &mut Report<'_>) -> Option<Origin> {
    server.tls.as_ref().filter(|tls| tls.https_redirect)?;
    let at = format!("{field}.tls.httpsRedirect");
    let message = "clients of these hosts are sent to https with a 301: the gateway carries none of \
                   their requests, and has no server for https";
    report.tell("EG097", Severity::Warning, &at, message, "leave it out on an egress gateway");
    Some(report.origin(&at))
}

fn admitted(server: &Server, field: &str, report: &mut Report<'_>) -> Admitted {
    let mut lists: HashMap<Option<String>, Vec<HostPattern>> = HashMap::new();
    if server.hosts.is_empty() {
        report.fault(
            "EG082",
            Severity::Error,
            &format!("{field}.hosts"),
            "no host is admitted",
            "name hosts, or \"*\"",
        );
    }
    for (index, text) in server.hosts.iter().enumerate() {
        let (namespace, host) = match text.split_once('/') {
            Some(("*", host)) => (None, host),
            Some((".", host)) => (Some(report.document.namespace.to_string()), host),
            Some((namespace, host)) if !namespace.ends_with(':') => {
                (Some(namespace.to_owned()), host)
            }
            _ => (None, text.as_str()),
        };
        let entry = format!("{field}.hosts[{index}]");
        match names::host_pattern(host) {
            Ok(Normal::Same(pattern)) => lists.entry(namespace).or_default().push(pattern),
            Ok(Normal::Mended(pattern)) => {
                report.tell(
                    "EG071",
                    Severity::Warning,
                    &entry,
                    format!("taken as \"{pattern}\""),
                    format!("write \"{pattern}\""),
                );
                lists.entry(namespace).or_default().push(pattern);
            }
            Err(why) => report.fault(
                "EG052",
                Severity::Error,
                &entry,
                why,
                "write host, namespace/host or \"*\"",
            ),
        }
    }
    let mut admitted = Admitted::default();
    for (namespace, list) in lists {
        let mut set = PatternMap::default();
        list.iter().for_each(|host| *set.entry(host) = ());
        let hosts = Hosts { list, set };
        match namespace {
            None => admitted.from_anywhere = hosts,
            Some(namespace) => drop(admitted.from_namespace.insert(namespace, hosts)),
        }
    }
    admitted
}

/// The listener for a gateway port, new or shared.
fn listener(
    port: u16,
    bind: Option<IpAddr>,
    identity: &Identity,
    compiled: &mut Compiled,
) -> Result<usize, String> {
    let mapped = identity.port_map.get(&port).copied().unwrap_or(port);
    let socket = SocketAddr::new(bind.unwrap_or(identity.bind), mapped);
    let same = |other: &Listener| other.bind == socket && (mapped != 0 || other.port == port);
    if let Some(index) = compiled.plan.listeners.iter().position(same) {
        return match compiled.plan.listeners[index].port {
            other if other == port => Ok(index),
            other => Err(format!(
                "ports {other} and {port} are both bound to {mapped}; the server is left out"
            )),
        };
    }
    // 0 takes any free port, which nobody knows yet: the names then keep the gateway's.
    let shown = if mapped == 0 { port } else { mapped };
    let (name, route_table) = match bind {
        None => (format!("0.0.0.0_{shown}"), format!("http.{shown}")),
        Some(IpAddr::V6(ip)) => (format!("[{ip}]_{shown}"), format!("http.{shown}.{ip}")),
        Some(ip) => (format!("{ip}_{shown}"), format!("http.{shown}.{ip}")),
    };
    compiled.plan.listeners.push(Listener { name, route_table, port, bind: socket });
    compiled.provenance.listeners.push(Vec::new());
    Ok(compiled.plan.listeners.len() - 1)
}

fn labels(labels: &std::collections::BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(",")
}
