//! Traffic policy: blocks are read once, then put together for a port and a subset.
//!
//! Which object's policy it is has been decided in `destination_rule.rs`.
//! Source: istio `destination_rule.go:MergeTrafficPolicy`, `util.go:GetPortLevelTrafficPolicy`.

pub mod balance;
mod outliers;
mod pool;
mod warmup;

use std::time::Duration;

use super::destination_rule::Traffic;
use super::object::Report;
use super::tls::{self, Store};
use crate::config::istio::destination_rule::{
    self, ClientTls, ConnectionPool, LoadBalancer, OutlierDetection,
};
use crate::config::{Severity, nearest};
use crate::model::resilience::{Outliers, RetryBudget, Warmup};
use crate::model::{Balance, Policy, ProxyProtocol, Security, duration};
use pool::Pool;
pub use pool::Version;

/// The blocks of one level as they were written.
pub struct Blocks<'a> {
    pub load_balancer: Option<&'a LoadBalancer>,
    pub connection_pool: Option<&'a ConnectionPool>,
    pub outlier_detection: Option<&'a OutlierDetection>,
    pub tls: Option<&'a ClientTls>,
    pub retry_budget: Option<&'a destination_rule::RetryBudget>,
    pub proxy_protocol: Option<&'a destination_rule::ProxyProtocol>,
}

/// The blocks of one level, understood. `None`: not written.
#[derive(Default, Clone)]
pub struct Level {
    pub path: String,
    balance: Written<(Balance, Option<Warmup>)>,
    pool: Written<Pool>,
    outliers: Written<Outliers>,
    tls: Written<Security>,
    retry_budget: Written<RetryBudget>,
    proxy_protocol: Written<ProxyProtocol>,
}

/// In a box, since of thousands of policies each has one or two of the blocks.
type Written<T> = Option<Box<Block<T>>>;

/// A block with where it stands.
#[derive(Clone)]
struct Block<T> {
    value: T,
    field: String,
    /// What it says, for people.
    text: String,
}

/// The policy that is in force for a port of a host.
pub struct Effective {
    pub policy: Policy,
    /// `None`: nothing was said about TLS.
    pub security: Option<Security>,
    /// Where the TLS settings stand.
    pub tls_field: String,
    pub version: Option<Version>,
    pub proxy_protocol: Option<ProxyProtocol>,
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
    let written = "as written".to_owned();
    let balance = blocks.load_balancer.map(|block| {
        let field = field("loadBalancer");
        let balance = balance::read(block, &field, report);
        let warmup = warmup::read(block, &balance, &field, report);
        let text = balance::text(&balance).to_owned();
        Box::new(Block { text, value: (balance, warmup), field })
    });
    let pool = blocks.connection_pool.map(|block| {
        let field = field("connectionPool");
        let value = pool::read(block, &field, report);
        Box::new(Block { value, text: written.clone(), field })
    });
    let outliers = blocks.outlier_detection.map(|block| {
        let field = field("outlierDetection");
        let value = outliers::read(block, &field, report);
        Box::new(Block { value, text: written.clone(), field })
    });
    let retry_budget = blocks.retry_budget.map(|block| {
        let field = field("retryBudget");
        let value = pool::retry_budget(block, &field, report);
        Box::new(Block { value, text: written.clone(), field })
    });
    let proxy_protocol = blocks.proxy_protocol.and_then(|block| {
        let field = field("proxyProtocol");
        let value = proxy_protocol(block, &field, report)?;
        Some(Box::new(Block { value, text: value.as_str().to_owned(), field }))
    });
    let tls = blocks.tls.map(|block| {
        let field = field("tls");
        let text = block.mode.clone().unwrap_or_else(|| "DISABLE".to_owned());
        let value = tls::security(block, &field, store, report);
        Box::new(Block { value, text, field })
    });
    Level { path: path.to_owned(), balance, pool, outliers, tls, retry_budget, proxy_protocol }
}

/// Puts together what is in force on a port: port settings replace all blocks, absent ones becoming
/// defaults; then the subset's, block by block or, for a port of its own, all that a port can have.
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
            Some(own) => Level {
                retry_budget: subset.all.retry_budget.clone().or(level.retry_budget),
                proxy_protocol: subset.all.proxy_protocol.clone().or(level.proxy_protocol),
                ..own.clone()
            },
            None => level.overlaid(&subset.all),
        };
    }
    let (mut policy, mut version) = (Policy::default(), None);
    let mut lines = Vec::new();
    if let Some(block) = level.pool {
        Pool { policy, version } = block.value;
        lines.push(format!("connection pool: {} ({})", block.text, block.field));
    }
    if let Some(block) = level.balance {
        (policy.balance, policy.warmup) = block.value;
        lines.insert(0, format!("load balancer: {} ({})", block.text, block.field));
    }
    if let Some(block) = level.outliers {
        policy.outliers = Some(Box::new(block.value));
        lines.push(format!("outlier detection: {} ({})", block.text, block.field));
    }
    if let Some(block) = level.retry_budget {
        policy.retry_budget = Some(block.value);
        lines.push(format!("retry budget: {} ({})", block.text, block.field));
    }
    if let Some(block) = &level.proxy_protocol {
        lines.push(format!("PROXY protocol: {} ({})", block.text, block.field));
    }
    if let Some(block) = &level.tls {
        lines.push(format!("TLS: {} ({})", block.text, block.field));
    }
    let proxy_protocol = level.proxy_protocol.map(|block| block.value);
    let (security, tls_field) = match level.tls {
        Some(block) => (Some(block.value), block.field),
        None => (None, String::new()),
    };
    Effective { policy, security, tls_field, version, proxy_protocol, lines, replaced, replaced_by }
}

impl Level {
    /// The blocks of another level that this one does not have.
    fn missing_from(&self, all: &Self) -> Vec<Replaced> {
        fn lost<T, U>(block: &'static str, own: &Written<T>, all: &Written<U>) -> Option<Replaced> {
            let all = all.as_ref().filter(|_| own.is_none())?;
            Some(Replaced { field: all.field.clone(), text: all.text.clone(), block })
        }
        [
            lost("loadBalancer", &self.balance, &all.balance),
            lost("connectionPool", &self.pool, &all.pool),
            lost("outlierDetection", &self.outliers, &all.outliers),
            lost("tls", &self.tls, &all.tls),
            lost("retryBudget", &self.retry_budget, &all.retry_budget),
            lost("proxyProtocol", &self.proxy_protocol, &all.proxy_protocol),
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
            retry_budget: subset.retry_budget.clone().or(self.retry_budget),
            proxy_protocol: subset.proxy_protocol.clone().or(self.proxy_protocol),
        }
    }

    /// Whether TLS is originated at this level.
    pub fn originates_tls(&self) -> bool {
        self.tls.as_ref().is_some_and(|block| matches!(block.value, Security::Tls(_)))
    }
}

/// Which version of the PROXY protocol is asked for. What it gives away is told.
fn proxy_protocol(
    block: &destination_rule::ProxyProtocol,
    path: &str,
    report: &mut Report<'_>,
) -> Option<ProxyProtocol> {
    let version = match block.version.as_deref() {
        None | Some("V1") => ProxyProtocol::V1,
        Some("V2") => ProxyProtocol::V2,
        Some(other) => {
            let message = format!("\"{other}\" is not a version; no PROXY header is sent");
            let (field, fix) = (format!("{path}.version"), nearest(other, &["V1", "V2"]));
            report.fault("EG081", Severity::Error, &field, message, fix);
            return None;
        }
    };
    let fix = "remove it if the origin is not yours";
    report.tell("EG061", Severity::Warning, path, ProxyProtocol::GIVES_AWAY, fix);
    Some(version)
}

/// A number of which 0 says that it is not given.
fn count(number: Option<u32>) -> Option<u32> {
    number.filter(|number| *number != 0)
}

/// A duration of at least a millisecond, as Istio asks for.
pub fn time(text: &Option<String>, field: &str, report: &mut Report<'_>) -> Option<Duration> {
    let time = duration_or_report(text.as_deref()?, field, report)?;
    if time < Duration::from_millis(1) {
        let message = "a time below 1 ms; the default is in force";
        let fix = "leave it out for the default";
        report.fault("EG081", Severity::Error, field, message, fix);
        return None;
    }
    Some(time)
}

fn duration_or_report(text: &str, field: &str, report: &mut Report<'_>) -> Option<Duration> {
    duration::parse(text)
        .map_err(|why| {
            report.fault("EG081", Severity::Error, field, why, "the default is in force");
        })
        .ok()
}
