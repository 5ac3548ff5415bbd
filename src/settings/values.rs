//! Reading one setting's text into its value, with a sentence that names the fix when it cannot be read.
//!
//! Knows nothing of where the text came from.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::model::{GuardMode, Host, Network};

/// More threads than any machine has CPUs for.
const WORKERS_MAX: usize = 1024;

/// The form of the access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLog {
    /// None.
    Off,
    /// Istio's text format.
    Text,
    /// One JSON object a line.
    Json,
}

/// Addresses for one host and port, in place of what DNS says (curl's `--resolve HOST:PORT:ADDR[,ADDR]...`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolve {
    /// The host asked for.
    pub host: Host,
    /// The port it is asked for with.
    pub port: u16,
    /// At least one address.
    pub addresses: Vec<IpAddr>,
}

/// What to connect to in place of something else (curl's `--connect-to HOST1:PORT1:HOST2:PORT2`); the
/// request and the names in TLS stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectTo {
    /// The host it applies to; `None`: every host.
    pub host: Option<Host>,
    /// The port it applies to; `None`: every port.
    pub port: Option<u16>,
    /// The host to connect to; `None`: unchanged.
    pub to_host: Option<Host>,
    /// The port to connect to; `None`: unchanged.
    pub to_port: Option<u16>,
}

pub(super) fn port_map(items: &[String], wrongs: &mut Vec<String>) -> BTreeMap<u16, u16> {
    let mut map = BTreeMap::new();
    for item in items {
        let ports = item.split_once(':').and_then(|(from, to)| {
            let from: u16 = from.parse().ok().filter(|port| *port != 0)?;
            Some((from, to.parse::<u16>().ok()?))
        });
        let Some((from, to)) = ports else {
            wrongs.push(format!("\"{item}\" is not PORT:PORT; write the configured port and the one to bind, as in 443:8443"));
            continue;
        };
        if let Some(other) = map.get(&from) {
            wrongs.push(format!("port {from} is mapped to {other} and to {to}; keep one of them"));
        } else if let Some((other, _)) = map.iter().find(|(_, taken)| **taken == to && to != 0) {
            wrongs.push(format!(
                "ports {other} and {from} are both mapped to {to}; give each its own"
            ));
        } else {
            map.insert(from, to);
        }
    }
    map
}

pub(super) fn bind(text: &str) -> Result<IpAddr, String> {
    bare(text).parse().map_err(|_| match text.parse::<SocketAddr>() {
        Ok(address) => format!(
            "\"{text}\" has a port; write {} alone and map ports with --port-map",
            address.ip()
        ),
        Err(_) => format!("\"{text}\" is not an IP address; write one, as in 127.0.0.1 or ::"),
    })
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| match text.parse::<IpAddr>() {
        Ok(ip) => format!("\"{text}\" has no port; write {}", SocketAddr::new(ip, 15000)),
        Err(_) => format!(
            "\"{text}\" is not ADDRESS:PORT; write an IP address and a port, as in 127.0.0.1:15000"
        ),
    })
}

pub(super) fn workers(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=WORKERS_MAX).contains(count));
    count.ok_or_else(|| {
        format!("\"{text}\" is not a number from 1 to {WORKERS_MAX}; leave it out for one worker per usable CPU")
    })
}

pub(super) fn dns_servers(items: &[String], wrongs: &mut Vec<String>) -> Vec<SocketAddr> {
    let mut servers = Vec::new();
    for item in items {
        let ip = bare(item).parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
        match ip.or_else(|_| item.parse::<SocketAddr>()) {
            Ok(server) if server.port() != 0 => servers.push(server),
            _ => wrongs.push(format!("\"{item}\" is not ADDRESS or ADDRESS:PORT; write an IP address, as in 9.9.9.9 or [::1]:5353")),
        }
    }
    servers
}

pub(super) fn guard_mode(text: &str) -> Result<GuardMode, String> {
    let modes = [GuardMode::Warn, GuardMode::Enforce, GuardMode::Off];
    let mode = modes.into_iter().find(|mode| mode.as_str() == text);
    mode.ok_or_else(|| format!("\"{text}\" is unknown; write warn, enforce or off"))
}

pub(super) fn networks(items: &[String], wrongs: &mut Vec<String>) -> Vec<Network> {
    let mut networks = Vec::new();
    for item in items {
        match Network::parse(item) {
            Ok(network) => networks.push(network),
            Err(why) => wrongs.push(why),
        }
    }
    networks
}

/// An item that is an address alone belongs to the item before it: `a.com:443:10.0.0.1,10.0.0.2`.
pub(super) fn resolve(items: &[String], wrongs: &mut Vec<String>) -> Vec<Resolve> {
    let mut list: Vec<Resolve> = Vec::new();
    let mut before_was_read = false;
    for item in items.iter().flat_map(|item| item.split(',')) {
        if let (Ok(address), true) = (bare(item).parse(), before_was_read) {
            list.last_mut()
                .expect("the item before was read into the list")
                .addresses
                .push(address);
            continue;
        }
        let read = read_resolve(item);
        before_was_read = read.is_ok();
        match read {
            Ok(new) => match list.iter().find(|old| (&old.host, old.port) == (&new.host, new.port))
            {
                Some(_) => wrongs.push(format!(
                    "{}:{} is given twice; write it once with all its addresses: {0}:{1}:ADDR,ADDR",
                    new.host, new.port
                )),
                None => list.push(new),
            },
            Err(why) => wrongs.push(why),
        }
    }
    list
}

fn read_resolve(item: &str) -> Result<Resolve, String> {
    let wrong = |why: &str| {
        format!(
            "\"{item}\" is not HOST:PORT:ADDR ({why}); write e.g. edition.cnn.com:443:127.0.0.1"
        )
    };
    let (host, rest) = take_host(item).ok_or_else(|| wrong("something is missing"))?;
    let (port, address) = rest.split_once(':').ok_or_else(|| wrong("something is missing"))?;
    Ok(Resolve {
        host: Host::parse(host).map_err(|why| wrong(&why))?,
        port: port_number(port).ok_or_else(|| wrong("the port is not a number from 1 to 65535"))?,
        addresses: vec![bare(address).parse().map_err(|_| wrong("ADDR is not an IP address"))?],
    })
}

pub(super) fn connect_to(items: &[String], wrongs: &mut Vec<String>) -> Vec<ConnectTo> {
    let mut list: Vec<ConnectTo> = Vec::new();
    for item in items {
        match read_connect_to(item) {
            Ok(new) if list.iter().any(|old| (&old.host, old.port) == (&new.host, new.port)) => {
                wrongs.push(format!(
                    "\"{item}\" has the same HOST1:PORT1 as one before it; keep one of them"
                ));
            }
            Ok(new) => list.push(new),
            Err(why) => wrongs.push(why),
        }
    }
    list
}

fn read_connect_to(item: &str) -> Result<ConnectTo, String> {
    let wrong = |why: &str| {
        format!(
            "\"{item}\" is not HOST1:PORT1:HOST2:PORT2 ({why}); write e.g. edition.cnn.com:443:127.0.0.1:8443"
        )
    };
    let missing = || wrong("something is missing; an empty part is any, or unchanged");
    let (host, rest) = take_host(item).ok_or_else(missing)?;
    let (port, rest) = rest.split_once(':').ok_or_else(missing)?;
    let (to_host, to_port) = take_host(rest).ok_or_else(missing)?;
    let host_of = |text: &str| match text {
        "" => Ok(None),
        name => Host::parse(name).map(Some).map_err(|why| wrong(&why)),
    };
    let port_of = |text: &str| match text {
        "" => Ok(None),
        digits => port_number(digits)
            .map(Some)
            .ok_or_else(|| wrong("a port is not a number from 1 to 65535")),
    };
    let read = ConnectTo {
        host: host_of(host)?,
        port: port_of(port)?,
        to_host: host_of(to_host)?,
        to_port: port_of(to_port)?,
    };
    match (&read.to_host, read.to_port) {
        (None, None) => Err(wrong("HOST2 and PORT2 are both empty, so nothing would change")),
        _ => Ok(read),
    }
}

pub(super) fn paths(items: &[String], _wrongs: &mut Vec<String>) -> Vec<PathBuf> {
    items.iter().map(PathBuf::from).collect()
}

pub(super) fn access_log(text: &str) -> Result<AccessLog, String> {
    match text {
        "off" => Ok(AccessLog::Off),
        "text" => Ok(AccessLog::Text),
        "json" => Ok(AccessLog::Json),
        _ => Err(format!("\"{text}\" is not a form of the access log; write off, text or json")),
    }
}

/// A level, or `target=level`, or several separated by commas. A bare target is refused: it is
/// nearly always a level with a typing error, and would be taken for "everything of this target".
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    for directive in text.split(',') {
        let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level).trim();
        if !["off", "error", "warn", "info", "debug", "trace"].contains(&level) {
            return Err(format!(
                "\"{directive}\" is not a level; write off, error, warn, info, debug or trace, or target=level as in warn,egret=debug"
            ));
        }
    }
    Ok(text.to_owned())
}

pub(super) fn labels(items: &[String], wrongs: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for item in items {
        match item.split_once('=') {
            Some(("", _)) => wrongs.push(format!(
                "\"{item}\" has no name; write NAME=VALUE, as in istio=egressgateway"
            )),
            Some((name, _)) if labels.contains_key(name) => {
                wrongs.push(format!("label {name} is given twice; keep one of them"))
            }
            Some((name, value)) => _ = labels.insert(name.to_owned(), value.to_owned()),
            None => {
                wrongs.push(format!("\"{item}\" is not NAME=VALUE; write e.g. istio=egressgateway"))
            }
        }
    }
    labels
}

/// A DNS label (RFC 1123), as Kubernetes requires of namespaces.
pub(super) fn namespace(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.len() <= 63
        && text.bytes().all(allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
    {
        return Ok(text.to_owned());
    }
    Err(format!(
        "\"{text}\" is not a namespace; write lower-case letters, digits and dashes, as in istio-system"
    ))
}

/// An IP literal without its brackets.
fn bare(text: &str) -> &str {
    text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text)
}

/// Splits `host:rest`, where the host may be an IPv6 literal in brackets.
fn take_host(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('[') {
        Some(_) => text.split_once("]:").map(|(host, rest)| (&text[..=host.len()], rest)),
        None => text.split_once(':'),
    }
}

fn port_number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}
