//! The command line: every command and flag as typed arguments.
//!
//! Reads no file and runs nothing. Values of settings stay text here; `settings` reads them together
//! with the environment's and the document's.

mod admin;
pub mod check;
pub mod demo;
pub mod explain;
mod header_flags;
mod offline;
pub mod run;
pub mod show;
/// A variable of this process's environment, for `settings`.
#[allow(clippy::disallowed_methods, reason = "the one place where the environment is read")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use self::header_flags::HeaderFlags;
use crate::model::Authority;
use crate::settings::{Given, Layer};

/// The directory that is read when no path is given and it exists.
pub const CONFIG_DEFAULT: &str = "/etc/egret";

/// Reads a command line, the program's name first.
///
/// Errors: what clap says, which knows its own exit code (2 for a mistake, 0 for `--help`).
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    Arguments::try_parse_from(arguments).map(|arguments| arguments.command)
}

/// A standalone egress gateway: plain HTTP in, verified TLS out.
#[derive(Debug, Parser)]
#[command(name = "egret", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway
    Run(Box<Run>),
    /// Validate and lint a configuration: exit 0 clean, 1 problems, 2 usage
    Check(Check),
    /// Say what would happen to a request, and why
    Explain(Explain),
    /// Show listeners, routes, clusters, endpoints, the whole configuration or its problems
    Show(Show),
    /// Walk through TLS origination against a local origin: no network, no root, no files
    Demo(Demo),
}

/// Arguments of `egret run`.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub config: Config,
    /// Route HOST to https://HOST, or to URL; no file is needed (repeatable)
    #[arg(long = "host", value_name = "HOST[=URL]")]
    pub hosts: Vec<String>,
    #[command(flatten)]
    pub flags: Flags,
}

/// Arguments of `egret check`.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    pub config: Config,
    /// Let warnings fail too
    #[arg(long)]
    pub strict: bool,
    /// Form of the output
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    pub output: CheckOutput,
}

/// The form in which `check` reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckOutput {
    Text,
    Json,
    /// SARIF 2.1.0, for code review
    Sarif,
}

/// Arguments of `egret explain`.
#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    pub config: Config,
    /// The request's URL, e.g. `http://edition.cnn.com/politics`
    #[arg(value_parser = read_url)]
    pub url: Url,
    /// The request's method
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET", value_parser = read_method)]
    pub method: String,
    /// A header line of the request (repeatable)
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = read_header)]
    pub headers: Vec<Header>,
    /// The listener's port, when there are several
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Send the whole URL, as a client does that has the gateway as its HTTP proxy
    #[arg(long, requires = "port")]
    pub proxy: bool,
    /// Form of the output
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    pub output: ExplainOutput,
}

/// The form in which `explain` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExplainOutput {
    Text,
    Json,
}

/// A request's URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Whether it was written with `https:`; a URL without a scheme counts as `http:`.
    pub scheme: Scheme,
    /// Host and port, as a Host header would carry them; checked to be an authority.
    pub authority: String,
    /// Path and query; `/` when there was none.
    pub path: String,
}

/// The scheme of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

/// One header line of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub name: String,
    pub value: String,
}

/// Arguments of `egret show`.
#[derive(Debug, Args)]
pub struct Show {
    /// What to show
    pub what: Shown,
    #[command(flatten)]
    pub config: Config,
    /// Ask the running gateway whose admin pages are at URL
    #[arg(long, value_name = "URL", conflicts_with = "paths", value_parser = read_url)]
    pub admin: Option<Url>,
    /// Form of the output
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: ShowOutput,
}

/// What `show` can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shown {
    Listeners,
    Routes,
    Clusters,
    Endpoints,
    Config,
    Problems,
}

/// The form in which `show` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShowOutput {
    Table,
    Json,
    Yaml,
}

/// Arguments of `egret demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Exit after the walk instead of staying up for curl
    #[arg(long)]
    pub once: bool,
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub struct Config {
    /// A file, or a directory whose *.yaml, *.yml and *.json are read in name order (repeatable; default /etc/egret)
    #[arg(short = 'c', long = "config", value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

impl Config {
    /// The paths to read: those given, else `/etc/egret` when it exists.
    ///
    /// Errors: a usage error (exit 2) that says how to go on.
    pub fn paths_or_default(&self) -> Result<Vec<PathBuf>, String> {
        self.paths_or(Path::new(CONFIG_DEFAULT))
    }

    fn paths_or(&self, default: &Path) -> Result<Vec<PathBuf>, String> {
        if !self.paths.is_empty() {
            return Ok(self.paths.clone());
        }
        if default.exists() {
            return Ok(vec![default.to_owned()]);
        }
        Err(format!(
            "no configuration: {} does not exist; name a file or a directory with -c PATH",
            default.display()
        ))
    }
}

impl Run {
    /// The paths to read; none when only `--host` is given.
    ///
    /// Errors: a usage error (exit 2) that says how to go on.
    pub fn paths(&self) -> Result<Vec<PathBuf>, String> {
        self.paths_or(Path::new(CONFIG_DEFAULT))
    }

    fn paths_or(&self, default: &Path) -> Result<Vec<PathBuf>, String> {
        if self.config.paths.is_empty() && !self.hosts.is_empty() {
            return Ok(Vec::new());
        }
        self.config.paths_or(default).map_err(|why| {
            format!("{why}, route a host without any file with --host edition.cnn.com, or see it work with `egret demo`")
        })
    }
}

/// The flags of `run` that are settings; each is also `EGRET_...` in the environment and a key under `settings:`.
#[derive(Debug, Default, Args)]
#[command(
    next_help_heading = "Settings (also EGRET_... in the environment, and keys under settings:)"
)]
pub struct Flags {
    /// Bind another port than the configuration names, e.g. 443:8443 (repeatable)
    #[arg(long, value_name = "PORT:PORT")]
    port_map: Vec<String>,
    /// Address that listeners bind to [default: 0.0.0.0]
    #[arg(long, value_name = "ADDR")]
    bind: Option<String>,
    /// Address of the admin pages [default: 127.0.0.1:15000]
    #[arg(long, value_name = "ADDR:PORT")]
    admin: Option<String>,
    /// Address of the health checks [default: 0.0.0.0:15021]
    #[arg(long, value_name = "ADDR:PORT")]
    health: Option<String>,
    /// Number of worker threads [default: the CPUs this process may use]
    #[arg(long, value_name = "N")]
    workers: Option<String>,
    /// Time that requests under way get when stopping [default: 25s]
    #[arg(long, value_name = "DURATION")]
    drain: Option<String>,
    /// DNS server to ask in place of the system's (repeatable)
    #[arg(long, value_name = "ADDR[:PORT]")]
    dns_server: Vec<String>,
    /// Address to use for a host and port, as curl means it (repeatable)
    #[arg(long, value_name = "HOST:PORT:ADDR")]
    resolve: Vec<String>,
    /// Connect elsewhere than to a host and port, as curl means it (repeatable)
    #[arg(long, value_name = "HOST1:PORT1:HOST2:PORT2")]
    connect_to: Vec<String>,
    /// PEM file with further trusted roots (repeatable)
    #[arg(long, value_name = "PATH")]
    cacert: Vec<String>,
    /// Addresses inside the network, for hosts that are named: warn, enforce or off [default: warn]
    #[arg(long, value_name = "WHAT")]
    guard: Option<String>,
    /// Range of addresses that may be dialled although it is inside the network (repeatable)
    #[arg(long, value_name = "ADDR[/BITS]")]
    guard_allow: Vec<String>,
    /// Range of addresses that is never dialled (repeatable)
    #[arg(long, value_name = "ADDR[/BITS]")]
    guard_deny: Vec<String>,
    /// Form of the access log: off, text or json [default: text]
    #[arg(long, value_name = "FORM")]
    access_log: Option<String>,
    /// What the process's own log shows, e.g. warn,egret=debug [default: info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Limit of what clients and origins may ask for, e.g. connections=10000 or headBytes=8KiB (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    limits: Vec<String>,
    /// Labels of this gateway, for a Gateway's selector [default: istio=egressgateway]
    #[arg(long, value_name = "NAME=VALUE")]
    labels: Vec<String>,
    /// Namespace of this gateway [default: istio-system]
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Namespace whose objects apply everywhere [default: istio-system]
    #[arg(long, value_name = "NAME")]
    root_namespace: Option<String>,
    #[command(flatten)]
    headers: HeaderFlags,
}

impl Flags {
    /// The flags that were given, for `Settings::merge`.
    pub fn layer(&self) -> Layer {
        let given: [(&'static str, &[String]); 19] = [
            ("port-map", &self.port_map),
            ("bind", self.bind.as_slice()),
            ("admin", self.admin.as_slice()),
            ("health", self.health.as_slice()),
            ("workers", self.workers.as_slice()),
            ("drain", self.drain.as_slice()),
            ("dns-server", &self.dns_server),
            ("resolve", &self.resolve),
            ("connect-to", &self.connect_to),
            ("cacert", &self.cacert),
            ("guard", self.guard.as_slice()),
            ("guard-allow", &self.guard_allow),
            ("guard-deny", &self.guard_deny),
            ("access-log", self.access_log.as_slice()),
            ("log", self.log.as_slice()),
            ("limits", &self.limits),
            ("labels", &self.labels),
            ("namespace", self.namespace.as_slice()),
            ("root-namespace", self.root_namespace.as_slice()),
        ];
        let given = given.into_iter().chain(self.headers.given());
        let given = given.filter(|(_, texts)| !texts.is_empty());
        given.map(|(name, texts)| (name, Given::split(name, format!("--{name}"), texts))).collect()
    }
}

fn read_url(text: &str) -> Result<Url, String> {
    let (scheme, rest) = match text.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        Some((other, _)) => {
            return Err(format!("the scheme is {other}; write http:// or https://"));
        }
        None => (Scheme::Http, text),
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if Authority::parse(authority.as_bytes()).is_none() {
        return Err(format!(
            "\"{authority}\" is not a host; write a URL such as http://edition.cnn.com/politics"
        ));
    }
    if path.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err("it has a space or a control character; percent-encode it".to_owned());
    }
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok(Url { scheme, authority: authority.to_owned(), path })
}

fn read_method(text: &str) -> Result<String, String> {
    match is_token(text) {
        true => Ok(text.to_owned()),
        false => Err("it is not a method; write one such as GET".to_owned()),
    }
}

fn read_header(text: &str) -> Result<Header, String> {
    let wrong = || "it is not a header line; write 'name: value'".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    if !is_token(name) || value.chars().any(|letter| letter.is_control() && letter != '\t') {
        return Err(wrong());
    }
    Ok(Header { name: name.to_owned(), value: value.trim().to_owned() })
}

/// A token of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}
