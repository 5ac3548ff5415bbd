//! The process's knobs: defaults that run, overridden by a `settings:` document, the environment and flags.
//!
//! Every knob has one name, from which the flag (`--port-map`), the variable (`EGRET_PORT_MAP`) and the
//! key (`portMap`) are made. Values stay text until all sources are merged and are read here, once.
//! Neither parses command lines nor YAML, and reads no file but what the kernel says of CPUs.

mod cpus;
mod headers;
mod limits;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use limits::Limits;
pub use values::{AccessLog, ConnectTo, Resolve};

use crate::model::{GuardPolicy, HeaderPolicy, headers::loop_mark};

/// Everything about this process that is not routing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// From the port that the configuration speaks of to the port that is bound (0: any free one).
    pub port_map: BTreeMap<u16, u16>,
    /// The address listeners bind to.
    pub bind: IpAddr,
    /// Where the admin pages are served.
    pub admin: SocketAddr,
    /// Where `/healthz/ready` and `/healthz/live` are served.
    pub health: SocketAddr,
    /// Number of worker threads.
    pub workers: usize,
    /// How long requests under way may take after the signal to stop.
    pub drain: Duration,
    /// DNS servers to ask in place of the system's; empty: the system's.
    pub dns_server: Vec<SocketAddr>,
    /// Addresses given by hand for a host and port (curl's `--resolve`).
    pub resolve: Vec<Resolve>,
    /// Hosts and ports dialled in place of others (curl's `--connect-to`).
    pub connect_to: Vec<ConnectTo>,
    /// PEM files with roots trusted besides those of the upstream.
    pub cacert: Vec<PathBuf>,
    /// The form of the access log.
    pub access_log: AccessLog,
    /// What the process's own log shows: `info`, or `warn,egret=debug`.
    pub log: String,
    /// The limits of what clients and origins may ask for.
    pub limits: Limits,
    /// This process's labels, against which a Gateway's selector is held.
    pub labels: BTreeMap<String, String>,
    /// This process's own namespace.
    pub namespace: String,
    /// The namespace whose objects apply everywhere.
    pub root_namespace: String,
    /// What heads tell of clients and of this gateway.
    pub headers: HeaderPolicy,
    /// Which addresses may be dialled.
    pub guard: GuardPolicy,
}

/// The names of all knobs, as flags without their dashes.
pub const NAMES: [&str; 25] = [
    "port-map",
    "bind",
    "admin",
    "health",
    "workers",
    "drain",
    "dns-server",
    "resolve",
    "connect-to",
    "cacert",
    "guard",
    "guard-allow",
    "guard-deny",
    "access-log",
    "log",
    "limits",
    "labels",
    "namespace",
    "root-namespace",
    "xff",
    "forwarded-proto",
    "request-id",
    "via",
    "server-header",
    "rewrite-location",
];

/// The knobs that take several values, separated by commas where they are one text.
const LISTS: [&str; 9] = [
    "port-map",
    "dns-server",
    "resolve",
    "connect-to",
    "cacert",
    "guard-allow",
    "guard-deny",
    "limits",
    "labels",
];

/// What one source gives, by the knob's name.
pub type Layer = BTreeMap<&'static str, Given>;

/// The values one source gives for a knob, still text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// What to call it in a message: `--drain`, `EGRET_DRAIN`, `settings.drain`.
    pub source: String,
    /// One value, or several for a knob that takes several.
    pub values: Vec<String>,
}

impl Given {
    /// Splits the texts at commas when the knob takes several values.
    pub fn split(name: &str, source: String, texts: &[String]) -> Self {
        let values = match LISTS.contains(&name) {
            true => texts
                .iter()
                .flat_map(|text| text.split(','))
                .map(|item| item.trim().to_owned())
                .collect(),
            false => texts.to_vec(),
        };
        Self { source, values }
    }
}

/// A value that cannot be used: where it was given, what is wrong and what to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The knob's name, as the flag without its dashes.
    pub name: &'static str,
    /// The flag, variable or key as it was given.
    pub source: String,
    /// What is wrong, with the value and the fix.
    pub message: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.message)
    }
}

/// Reads the `EGRET_...` variables through `variable`; an empty one counts as not set.
pub fn environment(variable: &dyn Fn(&str) -> Option<String>) -> Layer {
    let mut layer = Layer::new();
    for name in NAMES {
        let source = format!("EGRET_{}", name.replace('-', "_").to_uppercase());
        if let Some(text) = variable(&source).filter(|text| !text.is_empty()) {
            layer.insert(name, Given::split(name, source, &[text]));
        }
    }
    layer
}

/// The key under `settings:` for a knob: `portMap` for `port-map`.
pub fn key(name: &str) -> String {
    let mut words = name.split('-');
    let mut key = words.next().unwrap_or_default().to_owned();
    for word in words {
        key.push_str(&word[..1].to_uppercase());
        key.push_str(&word[1..]);
    }
    key
}

impl Settings {
    /// Merges the sources, the strongest first (flags, environment, document), and reads every value.
    ///
    /// Errors: every value that is wrong and every conflict between two, not only the first.
    pub fn merge(layers: [Layer; 3]) -> Result<Self, Vec<Wrong>> {
        let mut given = Layer::new();
        for layer in layers.into_iter().rev() {
            given.extend(layer);
        }
        let mut reader = Reader { given, wrongs: Vec::new() };
        let namespace =
            reader.one("namespace", values::namespace).unwrap_or_else(|| "istio-system".to_owned());
        let labels = reader.list("labels", values::labels).unwrap_or_else(default_labels);
        let settings = Self {
            headers: header_policy(&mut reader, &namespace, &labels),
            port_map: reader.list("port-map", values::port_map).unwrap_or_default(),
            bind: reader.one("bind", values::bind).unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
            admin: reader
                .one("admin", values::address)
                .unwrap_or((Ipv4Addr::LOCALHOST, 15000).into()),
            health: reader
                .one("health", values::address)
                .unwrap_or((Ipv4Addr::UNSPECIFIED, 15021).into()),
            workers: reader.one("workers", values::workers).unwrap_or_else(cpus::usable),
            drain: reader
                .one("drain", crate::model::duration::parse)
                .unwrap_or(Duration::from_secs(25)),
            dns_server: reader.list("dns-server", values::dns_servers).unwrap_or_default(),
            resolve: reader.list("resolve", values::resolve).unwrap_or_default(),
            connect_to: reader.list("connect-to", values::connect_to).unwrap_or_default(),
            guard: GuardPolicy {
                mode: reader.one("guard", values::guard_mode).unwrap_or_default(),
                allow: reader.list("guard-allow", values::networks).unwrap_or_default(),
                deny: reader.list("guard-deny", values::networks).unwrap_or_default(),
            },
            cacert: reader.list("cacert", values::paths).unwrap_or_default(),
            access_log: reader.one("access-log", values::access_log).unwrap_or(AccessLog::Text),
            log: reader.one("log", values::log_filter).unwrap_or_else(|| "info".to_owned()),
            limits: reader.list("limits", limits::limits).unwrap_or_default(),
            labels,
            namespace,
            root_namespace: reader
                .one("root-namespace", values::namespace)
                .unwrap_or_else(|| "istio-system".to_owned()),
        };
        reader.find_conflicts(&settings);
        if reader.wrongs.is_empty() { Ok(settings) } else { Err(reader.wrongs) }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::merge(Default::default()).expect("no value is given, so none can be wrong")
    }
}

fn default_labels() -> BTreeMap<String, String> {
    BTreeMap::from([("istio".to_owned(), "egressgateway".to_owned())])
}

fn header_policy(
    reader: &mut Reader,
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> HeaderPolicy {
    HeaderPolicy {
        xff: reader.one("xff", headers::xff).unwrap_or_default(),
        forwarded_proto: reader
            .one("forwarded-proto", headers::forwarded_proto)
            .unwrap_or_default(),
        request_id: reader.one("request-id", headers::request_id).unwrap_or_default(),
        via: reader.one("via", headers::via).flatten(),
        server: reader.one("server-header", headers::server).flatten(),
        location: reader.one("rewrite-location", headers::location).unwrap_or_default(),
        loop_mark: loop_mark(namespace, labels),
    }
}

/// Reads merged values and collects what is wrong with them.
struct Reader {
    given: Layer,
    wrongs: Vec<Wrong>,
}

impl Reader {
    /// A knob with one value; `None` when it is not given or wrong.
    fn one<T>(&mut self, name: &'static str, read: fn(&str) -> Result<T, String>) -> Option<T> {
        let result = match self.given.get(name)?.values.as_slice() {
            [] => Err("it is empty; give it a value or leave it out".to_owned()),
            [value] if value.is_empty() => {
                Err("it is empty; give it a value or leave it out".to_owned())
            }
            [value] => read(value),
            [first, ..] => {
                Err(format!("it takes one value and has several; keep one, e.g. {first}"))
            }
        };
        result.map_err(|message| self.refuse(name, message)).ok()
    }

    /// A knob with several values; `None` when it is not given. Values that are right are kept.
    fn list<T>(
        &mut self,
        name: &'static str,
        read: fn(&[String], &mut Vec<String>) -> T,
    ) -> Option<T> {
        let mut messages = Vec::new();
        let values = &self.given.get(name)?.values;
        if values.is_empty() || values.iter().any(String::is_empty) {
            messages.push(
                "it has an empty value; remove the value, or leave the setting out".to_owned(),
            );
        }
        let values: Vec<String> =
            values.iter().filter(|value| !value.is_empty()).cloned().collect();
        let list = read(&values, &mut messages);
        messages.into_iter().for_each(|message| self.refuse(name, message));
        Some(list)
    }

    fn refuse(&mut self, name: &'static str, message: String) {
        let source = match self.given.get(name) {
            Some(given) => given.source.clone(),
            None => format!("--{name}"), // a conflict with a default
        };
        self.wrongs.push(Wrong { name, source, message });
    }

    /// Two sockets that cannot be bound at the same time. Port 0 conflicts with nothing.
    fn find_conflicts(&mut self, settings: &Settings) {
        let Settings { admin, health, .. } = settings;
        if overlap(*admin, *health) {
            let name = if self.given.contains_key("health") { "health" } else { "admin" };
            self.refuse(name, format!("health {health} and admin {admin} are the same port; choose another for one of them"));
        }
        for (from, to) in &settings.port_map {
            let listener = SocketAddr::new(settings.bind, *to);
            for (what, address) in [("admin", *admin), ("health", *health)] {
                if overlap(listener, address) {
                    self.refuse("port-map", format!("{from}:{to} binds the port of {what} ({address}); map {from} to another port"));
                }
            }
        }
    }
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_address =
        one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && same_address
}
