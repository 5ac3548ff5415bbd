//! Listeners of Egret's own form: `listeners: [{ port: 443 }]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::report::Report;
use super::shapes::{self, File};
use crate::config::provenance::{Condition, Origin};
use crate::config::typed::Typed;
use crate::config::{Compiled, Identity};
use crate::model::Listener;

/// The listeners of all documents.
pub(super) struct Listeners {
    pub plan: Vec<Listener>,
    pub origins: Vec<Vec<Origin>>,
    /// What to say when no document names a listener.
    pub default_note: Option<String>,
    /// Whether a document tried to name one, even if none came of it.
    named: bool,
}

impl Listeners {
    /// Begins with the listeners that are there.
    pub fn beside(compiled: &mut Compiled) -> Self {
        Self {
            plan: std::mem::take(&mut compiled.plan.listeners),
            origins: std::mem::take(&mut compiled.provenance.listeners),
            default_note: None,
            named: false,
        }
    }

    /// Adds the listeners of one document; whether there was any.
    pub fn define(
        &mut self,
        typed: &Typed<File>,
        identity: &Identity,
        report: &mut Report<'_>,
    ) -> bool {
        let before = self.plan.len();
        self.named |= typed.faulty_at("listeners");
        let listeners = typed.value.as_ref().and_then(|file| file.listeners.as_deref());
        for (index, written) in listeners.unwrap_or_default().iter().enumerate() {
            self.named = true;
            let part = format!("listeners[{index}]");
            if typed.faulty_at(&format!("{part}.port")) || typed.faulty_at(&format!("{part}.bind"))
            {
                continue; // reported with its place already
            }
            if let Some(listener) = read(written, &part, identity, report) {
                self.add(listener, &part, report);
            }
        }
        self.plan.len() > before
    }

    /// Adds the one listener that stands in when there is none and no document names any.
    pub fn default_to(&mut self, port: u16, identity: &Identity, report: &Report<'_>) {
        if self.named || !self.plan.is_empty() {
            return;
        }
        self.plan.push(listener(port, identity));
        self.origins.push(vec![report.origin("", Condition::Absent)]);
        self.default_note = Some(format!("no listeners are given, so port {port} is served"));
    }

    fn add(&mut self, listener: Listener, part: &str, report: &mut Report<'_>) {
        let origin = report.origin(part, Condition::Absent);
        if let Some(index) = self.plan.iter().position(|known| *known == listener) {
            return self.origins[index].push(origin); // two documents may name the same one
        }
        let taken = |known: &&Listener| {
            known.name == listener.name
                || (known.bind == listener.bind && listener.bind.port() != 0)
        };
        match self.plan.iter().find(taken) {
            Some(known) => {
                let message = format!(
                    "{} on {} is there already; this one is ignored",
                    known.name, known.bind
                );
                report.error("EG016", part, message, "give it another port and name");
            }
            None => {
                self.plan.push(listener);
                self.origins.push(vec![origin]);
            }
        }
    }
}

fn read(
    written: &shapes::Listener,
    part: &str,
    identity: &Identity,
    report: &mut Report<'_>,
) -> Option<Listener> {
    let port = match written.port {
        Some(0) => {
            report.error(
                "EG081",
                &format!("{part}.port"),
                "0 is no port",
                "write a number from 1 to 65535",
            );
            return None;
        }
        None => {
            report.error("EG082", &format!("{part}.port"), "it is missing", "write e.g. port: 443");
            return None;
        }
        Some(port) => port,
    };
    let mut listener = listener(port, identity);
    if let Some(text) = &written.bind {
        let Ok(bind) = text.parse::<SocketAddr>() else {
            let message = format!("\"{text}\" is not ADDRESS:PORT; the listener is ignored");
            report.error("EG081", &format!("{part}.bind"), message, "write e.g. 127.0.0.1:8443");
            return None;
        };
        listener.bind = bind;
        listener.name = name(bind, port);
        listener.route_table = route_table(bind, port);
    }
    if let Some(name) = &written.name {
        listener.name.clone_from(name);
    }
    if let Some(table) = &written.route_table {
        listener.route_table.clone_from(table);
    }
    Some(listener)
}

/// The listener of a port, bound as `--bind` and `--port-map` say.
fn listener(port: u16, identity: &Identity) -> Listener {
    let bind =
        SocketAddr::new(identity.bind, identity.port_map.get(&port).copied().unwrap_or(port));
    let named_as = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), bind.port());
    Listener { name: name(named_as, port), route_table: route_table(named_as, port), port, bind }
}

/// `0.0.0.0_443`, as Istio calls it: by the port that is bound, unless that is any free one.
pub(super) fn name(bind: SocketAddr, port: u16) -> String {
    let shown = if bind.port() == 0 { port } else { bind.port() };
    match bind.ip() {
        IpAddr::V4(ip) => format!("{ip}_{shown}"),
        IpAddr::V6(ip) => format!("[{ip}]_{shown}"),
    }
}

/// `http.443`, as Istio calls it; with the address when it is not every one.
pub(super) fn route_table(bind: SocketAddr, port: u16) -> String {
    let shown = if bind.port() == 0 { port } else { bind.port() };
    match bind.ip() {
        ip if ip.is_unspecified() => format!("http.{shown}"),
        ip => format!("http.{shown}.{ip}"),
    }
}
