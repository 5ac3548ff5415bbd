//! Traffic policy: blocks are read once, then put together for a port and a subset.
//!
//! Which object's policy it is has been decided in `destination_rule.rs`.
//! Source: istio `destination_rule.go:MergeTrafficPolicy`, `util.go:GetPortLevelTrafficPolicy`.

use std::time::Duration;

use serde_json::Value;

use super::destination_rule::Traffic;
use super::object::Report;
use super::tls::{self, Store};
use crate::config::istio::destination_rule::{ClientTls, ConnectionPool, LoadBalancer};
use crate::config::{Severity, nearest};
use crate::model::{Balance, Policy, Security, duration};

/// The blocks of one level as they were written.
pub struct Blocks<'a> {
    pub load_balancer: Option<&'a LoadBalancer>,
    pub connection_pool: Option<&'a ConnectionPool>,
    pub outlier_detection: Option<&'a Value>,
    pub tls: Option<&'a ClientTls>,
}

/// The blocks of one level, understood. `None`: not written.
#[derive(Default, Clone)]
pub struct Level {
    pub path: String,
    balance: Option<Block<Balance>>,
    pool: Option<Block<Pool>>,
    outliers: Option<Block<()>>,
    tls: Option<Block<Security>>,
}

/// A block with where it stands.
#[derive(Clone)]
struct Block<T> {
    value: T,
    field: String,
    /// What it says, for people.
    text: String,
}

/// Settings of connections; `None`: not given.
#[derive(Default, Clone)]
struct Pool {
    connect_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    requests_per_connection_max: Option<u32>,
    upgrade: Option<Upgrade>,
}

/// What was said about the HTTP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// HTTP/2 alone.
    Always,
    /// HTTP/1.1 alone.
    Never,
}

/// The policy that is in force for a port of a host.
pub struct Effective {
    pub policy: Policy,
    /// `None`: nothing was said about TLS.
    pub security: Option<Security>,
    /// Where the TLS settings stand.
    pub tls_field: String,
    pub upgrade: Option<Upgrade>,
    /// A line for each block in force.
    pub lines: Vec<String>,
    /// Blocks that were written for all ports and are not in force on this one.
    pub replaced: Vec<Replaced>,
    /// The field that replaces them.
    pub replaced_by: String,
}

/// A block that is not in force.
#[derive(Clone)]
pub struct Replaced {
    pub field: String,
    pub text: String,
    /// The block's own name, e.g. `loadBalancer`.
    pub block: &'static str,
}

/// Reads the blocks of the level at `path`, reporting what is wrong or not supported.
pub fn level(blocks: Blocks<'_>, path: &str, store: &Store<'_>, report: &mut Report<'_>) -> Level {
    let field = |name: &str| format!("{path}.{name}");
    let balance = blocks.load_balancer.map(|block| {
        let field = field("loadBalancer");
        let value = balance(block, &field, report);
        Block { value, text: balance_text(value).to_owned(), field }
    });
    let pool = blocks.connection_pool.map(|block| {
        let field = field("connectionPool");
        Block { value: pool(block, &field, report), text: "as written".to_owned(), field }
    });
    let outliers = blocks.outlier_detection.map(|_| {
        let field = field("outlierDetection");
        report.unsupported(Severity::Warning, &field, "no endpoint is ejected");
        Block { value: (), text: "as written".to_owned(), field }
    });
    let tls = blocks.tls.map(|block| {
        let field = field("tls");
        let text = block.mode.clone().unwrap_or_else(|| "DISABLE".to_owned());
        Block { value: tls::security(block, &field, store, report), text, field }
    });
    Level { path: path.to_owned(), balance, pool, outliers, tls }
}

/// Puts together what is in force on a port: port settings replace all four blocks, absent ones
/// becoming defaults; then the subset's, block by block or, for a port of its own, all four.
pub fn effective(traffic: Option<&Traffic>, subset: Option<&Traffic>, port: u16) -> Effective {
    let (mut level, mut replaced, mut replaced_by) = (Level::default(), Vec::new(), String::new());
    if let Some(traffic) = traffic {
        level = traffic.all.clone();
        if let Some(own) = traffic.ports.get(&port) {
            replaced = own.missing_from(&traffic.all);
            replaced_by = own.path.clone();
            level = own.clone();
        }
    }
    if let Some(subset) = subset {
        level = match subset.ports.get(&port) {
            Some(own) => own.clone(),
            None => level.overlaid(&subset.all),
        };
    }
    let mut policy = Policy::default();
    let mut lines = Vec::new();
    if let Some(block) = &level.balance {
        policy.balance = block.value;
        lines.push(format!("load balancer: {} ({})", block.text, block.field));
    }
    let mut upgrade = None;
    if let Some(block) = &level.pool {
        let pool = &block.value;
        policy.connect_timeout = pool.connect_timeout.unwrap_or(policy.connect_timeout);
        policy.idle_timeout = pool.idle_timeout.unwrap_or(policy.idle_timeout);
        policy.requests_per_connection_max = pool.requests_per_connection_max;
        upgrade = pool.upgrade;
        lines.push(format!("connection pool: {} ({})", block.text, block.field));
    }
    if let Some(block) = &level.tls {
        lines.push(format!("TLS: {} ({})", block.text, block.field));
    }
    let (security, tls_field) = match level.tls {
        Some(block) => (Some(block.value), block.field),
        None => (None, String::new()),
    };
    Effective { policy, security, tls_field, upgrade, lines, replaced, replaced_by }
}

impl Level {
    /// The blocks of another level that this one does not have.
    fn missing_from(&self, all: &Self) -> Vec<Replaced> {
        fn lost<T, U>(
            block: &'static str,
            own: &Option<Block<T>>,
            all: &Option<Block<U>>,
        ) -> Option<Replaced> {
            let all = all.as_ref().filter(|_| own.is_none())?;
            Some(Replaced { field: all.field.clone(), text: all.text.clone(), block })
        }
        [
            lost("loadBalancer", &self.balance, &all.balance),
            lost("connectionPool", &self.pool, &all.pool),
            lost("outlierDetection", &self.outliers, &all.outliers),
            lost("tls", &self.tls, &all.tls),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn overlaid(self, subset: &Self) -> Self {
        Self {
            path: self.path,
            balance: subset.balance.clone().or(self.balance),
            pool: subset.pool.clone().or(self.pool),
            outliers: subset.outliers.clone().or(self.outliers),
            tls: subset.tls.clone().or(self.tls),
        }
    }

    /// Whether TLS is originated at this level.
    pub fn originates_tls(&self) -> bool {
        self.tls.as_ref().is_some_and(|block| matches!(block.value, Security::Tls(_)))
    }
}

/// Istio's word for a way to balance.
pub fn balance_text(balance: Balance) -> &'static str {
    match balance {
        Balance::LeastRequest => "LEAST_REQUEST",
        Balance::RoundRobin => "ROUND_ROBIN",
        Balance::Random => "RANDOM",
    }
}

fn balance(block: &LoadBalancer, path: &str, report: &mut Report<'_>) -> Balance {
    for (name, present) in [
        ("consistentHash", block.consistent_hash.is_some()),
        ("localityLbSetting", block.locality_lb_setting.is_some()),
        ("zoneAwareLbSetting", block.zone_aware_lb_setting.is_some()),
        ("warmup", block.warmup.is_some()),
        ("warmupDurationSecs", block.warmup_duration_secs.is_some()),
    ] {
        if present {
            report.unsupported(Severity::Warning, &format!("{path}.{name}"), "it is not in force");
        }
    }
    let field = format!("{path}.simple");
    match block.simple.as_deref() {
        None | Some("UNSPECIFIED" | "LEAST_REQUEST") => Balance::LeastRequest,
        Some("ROUND_ROBIN") => Balance::RoundRobin,
        Some("RANDOM") => Balance::Random,
        Some("LEAST_CONN") => {
            report.tell(
                "EG074",
                Severity::Warning,
                &field,
                "LEAST_CONN is deprecated",
                "write LEAST_REQUEST",
            );
            Balance::LeastRequest
        }
        Some("PASSTHROUGH") => {
            report.unsupported(Severity::Error, &field, "LEAST_REQUEST is in force");
            Balance::LeastRequest
        }
        Some(other) => {
            let fix = nearest(other, &["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"]);
            let message = format!("\"{other}\" is not a load balancer; LEAST_REQUEST is in force");
            report.fault("EG081", Severity::Error, &field, message, fix);
            Balance::LeastRequest
        }
    }
}

fn pool(block: &ConnectionPool, path: &str, report: &mut Report<'_>) -> Pool {
    let (tcp, http) = (&block.tcp, &block.http);
    for (name, present) in [
        ("tcp.maxConnections", tcp.max_connections.is_some()),
        ("tcp.tcpKeepalive", tcp.tcp_keepalive.is_some()),
        ("tcp.maxConnectionDuration", tcp.max_connection_duration.is_some()),
        ("tcp.idleTimeout", tcp.idle_timeout.is_some()),
        ("http.http1MaxPendingRequests", http.http1_max_pending_requests.is_some()),
        ("http.http2MaxRequests", http.http2_max_requests.is_some()),
        ("http.maxRetries", http.max_retries.is_some()),
        ("http.useClientProtocol", http.use_client_protocol == Some(true)),
        ("http.maxConcurrentStreams", http.max_concurrent_streams.is_some()),
        ("http.http2KeepAlive", http.http2_keep_alive.is_some()),
    ] {
        if present {
            report.unsupported(Severity::Warning, &format!("{path}.{name}"), "it is not in force");
        }
    }
    let connect_timeout = time(&tcp.connect_timeout, &format!("{path}.tcp.connectTimeout"), report);
    if connect_timeout.is_some_and(|time| time < Duration::from_secs(1)) {
        let message = "less than a second for TCP and TLS together";
        report.tell(
            "EG059",
            Severity::Warning,
            &format!("{path}.tcp.connectTimeout"),
            message,
            "allow a few seconds",
        );
    }
    let idle_timeout = time(&http.idle_timeout, &format!("{path}.http.idleTimeout"), report);
    if idle_timeout.is_some_and(|time| time >= Duration::from_secs(60)) {
        let message =
            "most origins close idle connections after 60 to 75 s; expect to meet closed ones";
        report.tell(
            "EG056",
            Severity::Warning,
            &format!("{path}.http.idleTimeout"),
            message,
            "50s",
        );
    }
    let requests_per_connection_max = http.max_requests_per_connection.filter(|max| *max != 0);
    if requests_per_connection_max == Some(1) {
        let message = "one request a connection: a TLS handshake for every request";
        report.tell(
            "EG057",
            Severity::Warning,
            &format!("{path}.http.maxRequestsPerConnection"),
            message,
            "leave it out",
        );
    }
    let upgrade =
        upgrade(http.h2_upgrade_policy.as_deref(), &format!("{path}.http.h2UpgradePolicy"), report);
    Pool { connect_timeout, idle_timeout, requests_per_connection_max, upgrade }
}

fn upgrade(text: Option<&str>, field: &str, report: &mut Report<'_>) -> Option<Upgrade> {
    match text {
        None | Some("DEFAULT") => None,
        Some("UPGRADE") => Some(Upgrade::Always),
        Some("DO_NOT_UPGRADE") => Some(Upgrade::Never),
        Some(other) => {
            let fix = nearest(other, &["DEFAULT", "UPGRADE", "DO_NOT_UPGRADE"]);
            report.fault(
                "EG081",
                Severity::Error,
                field,
                format!("\"{other}\" is not a policy; DEFAULT is in force"),
                fix,
            );
            None
        }
    }
}

/// A duration of at least a millisecond, as Istio asks for.
pub fn time(text: &Option<String>, field: &str, report: &mut Report<'_>) -> Option<Duration> {
    match duration::parse(text.as_deref()?) {
        Ok(time) if time >= Duration::from_millis(1) => Some(time),
        Ok(_) => {
            report.fault(
                "EG081",
                Severity::Error,
                field,
                "a time below 1 ms; the default is in force",
                "leave it out for the default",
            );
            None
        }
        Err(why) => {
            report.fault("EG081", Severity::Error, field, why, "the default is in force");
            None
        }
    }
}
