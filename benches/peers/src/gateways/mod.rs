//! What is measured: each gateway knows how to set itself up for the same piece of work.

mod egret;
mod envoy;
mod haproxy;
pub mod install;
mod nginx;
mod pingora;
mod routes;
mod template;

use std::io;
use std::path::PathBuf;
use std::process::Command;

pub use routes::Routes;

/// What a gateway has to do.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// A second port: for its counters, or whatever it needs one for.
    pub admin: u16,
    /// How many threads or processes do the work.
    pub workers: usize,
    /// Where the origin listens, on 127.0.0.1.
    pub origin: u16,
    /// The only authority that the origin's certificate is verified against, in PEM.
    pub ca: PathBuf,
    /// Which hosts it knows, and where they lead.
    pub routes: Routes,
    /// What it speaks to the origin.
    pub upstream: Upstream,
    /// What its clients speak.
    pub clients: Clients,
    /// Whether it writes a line for every request.
    pub access_log: bool,
    /// The port of a name server on 127.0.0.1 that knows the origin's address, for as long as it is asked to
    /// look it up; `None`: the address is given.
    pub dns: Option<u16>,
    /// How many files it may open.
    pub files: u64,
    /// A directory of its own, empty.
    pub directory: PathBuf,
}

/// What is spoken to the origin, over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    H2,
}

/// What clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 by prior knowledge.
    H2c,
}

/// What not every gateway can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// HTTP/2 to origins.
    H2Origin,
    /// Looking a name up again when its answer has expired.
    DnsRefresh,
    /// Telling its counters in Prometheus' format at [`Setup::admin`].
    Scrape,
    /// Taking a new configuration without losing a connection, while it serves.
    Reload,
}

/// How to start a gateway that is set up.
pub struct Launch {
    /// The program and its arguments.
    pub command: Command,
    /// The port where a request for an unknown host is answered with 404 once it is ready.
    pub probe: u16,
    /// Where the program's output goes, if it is its access log.
    pub output: Option<PathBuf>,
}

impl Launch {
    fn new(command: Command, setup: &Setup) -> Self {
        Self { command, probe: setup.port, output: None }
    }
}

/// A gateway that can be measured.
pub trait Gateway: Sync {
    /// What it is called in tables.
    fn name(&self) -> &str;

    /// Which one exactly it is.
    fn version(&self) -> String;

    /// What differs from its defaults, in a few words for the report.
    fn tuned(&self) -> &'static str;

    /// Whether it can do this.
    fn has(&self, feature: Feature) -> bool;

    /// Writes its configuration and says how to start it.
    ///
    /// Errors: files cannot be written.
    fn set_up(&self, setup: &Setup) -> io::Result<Launch>;

    /// Has a running one take new routes; `pid` is its process. Only with [`Feature::Reload`].
    ///
    /// Errors: files cannot be written.
    fn reload(&self, setup: &Setup, pid: u32) -> io::Result<()>;

    /// The path of its counters. Only with [`Feature::Scrape`].
    fn counters(&self) -> &'static str;
}
