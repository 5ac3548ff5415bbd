//! `connectionPool` and `retryBudget`: what there may be of at once, and for how long.
//!
//! Source: istio `cluster_traffic_policy.go:applyConnectionPool`, `applyTCPKeepalive`.

use std::time::Duration;

use super::{count, time};
use crate::config::istio::compile::object::Report;
use crate::config::istio::destination_rule::{self, ConnectionPool, Http2KeepAlive, TcpKeepalive};
use crate::config::{Severity, nearest};
use crate::model::Policy;
use crate::model::resilience::{Keepalive, Pings, RetryBudget, UpstreamLimits};

/// Time for the answer to a PING when none is given (Envoy requires one).
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// A block, understood.
#[derive(Clone)]
pub struct Pool {
    /// The defaults with what the block says.
    pub policy: Policy,
    pub version: Option<Version>,
}

/// What was said about the HTTP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/2 alone.
    Http2,
    /// HTTP/1.1 alone.
    Http1,
    /// What the client speaks.
    Clients,
}

pub fn read(block: &ConnectionPool, path: &str, report: &mut Report<'_>) -> Pool {
    let (tcp, http) = (&block.tcp, &block.http);
    let field = |name: &str| format!("{path}.{name}");
    let defaults = Policy::default();
    let connect_timeout = time(&tcp.connect_timeout, &field("tcp.connectTimeout"), report);
    let http_idle = time(&http.idle_timeout, &field("http.idleTimeout"), report);
    let tcp_idle = time(&tcp.idle_timeout, &field("tcp.idleTimeout"), report);
    let policy = Policy {
        connect_timeout: connect_timeout.unwrap_or(defaults.connect_timeout),
        idle_timeout: http_idle.or(tcp_idle).unwrap_or(defaults.idle_timeout),
        requests_per_connection_max: count(http.max_requests_per_connection),
        connection_age_max: time(
            &tcp.max_connection_duration,
            &field("tcp.maxConnectionDuration"),
            report,
        ),
        keepalive: keepalive(tcp.tcp_keepalive.as_ref(), &field("tcp.tcpKeepalive"), report),
        pings: http
            .http2_keep_alive
            .as_ref()
            .and_then(|block| pings(block, &field("http.http2KeepAlive"), report)),
        limits: UpstreamLimits {
            connections: limit(tcp.max_connections),
            pending: limit(http.http1_max_pending_requests),
            requests: limit(http.http2_max_requests),
            retries: limit(http.max_retries),
            // Istio's 2^31-1 is no limit either.
            streams: limit(http.max_concurrent_streams).filter(|max| *max < i32::MAX as u32),
        },
        ..defaults
    };
    lint(&policy, (connect_timeout, http_idle, tcp_idle), path, report);
    let mut version =
        upgrade(http.h2_upgrade_policy.as_deref(), &field("http.h2UpgradePolicy"), report);
    if http.use_client_protocol == Some(true) {
        if version.is_some() {
            let message = "it goes before h2UpgradePolicy, which is not in force";
            let fix = "leave one of them out";
            let field = field("http.useClientProtocol");
            report.tell("EG073", Severity::Warning, &field, message, fix);
        }
        version = Some(Version::Clients);
    }
    Pool { policy, version }
}

/// What may well be meant, but has consequences.
fn lint(
    policy: &Policy,
    (connect, http_idle, tcp_idle): (Option<Duration>, Option<Duration>, Option<Duration>),
    path: &str,
    report: &mut Report<'_>,
) {
    let mut warn = |code, field: &str, message: &str, fix: &'static str| {
        report.tell(code, Severity::Warning, &format!("{path}.{field}"), message, fix);
    };
    if connect.is_some_and(|time| time < Duration::from_secs(1)) {
        let message = "less than a second for TCP and TLS together";
        warn("EG059", "tcp.connectTimeout", message, "allow a few seconds");
    }
    let long = |idle: Option<Duration>| idle.is_some_and(|idle| idle >= Duration::from_secs(60));
    let message =
        "most origins close idle connections after 60 to 75 s; expect to meet closed ones";
    if long(http_idle) {
        warn("EG056", "http.idleTimeout", message, "50s");
    } else if http_idle.is_none() && long(tcp_idle) {
        warn("EG056", "tcp.idleTimeout", message, "50s");
    }
    if policy.requests_per_connection_max == Some(1) {
        let message = "one request a connection: a TLS handshake for every request";
        warn("EG057", "http.maxRequestsPerConnection", message, "leave it out");
    }
}

/// Zero is not given, and neither is the largest number.
fn limit(number: Option<u32>) -> Option<u32> {
    count(number).filter(|number| *number != u32::MAX)
}

fn keepalive(block: Option<&TcpKeepalive>, path: &str, report: &mut Report<'_>) -> Keepalive {
    let Some(block) = block else { return Keepalive::default() };
    // The kernel counts in seconds, and takes no zero.
    let mut seconds = |text: &Option<String>, name: &str| {
        let time = time(text, &format!("{path}.{name}"), report)?;
        Some(Duration::from_secs(time.as_secs().max(1)))
    };
    Keepalive {
        time: seconds(&block.time, "time"),
        interval: seconds(&block.interval, "interval"),
        probes: count(block.probes),
    }
}

fn pings(block: &Http2KeepAlive, path: &str, report: &mut Report<'_>) -> Option<Pings> {
    let timeout = time(&block.timeout, &format!("{path}.timeout"), report);
    let Some(interval) = time(&block.interval, &format!("{path}.interval"), report) else {
        let message = "without an interval no PING is sent";
        report.tell("EG082", Severity::Warning, path, message, "add interval");
        return None;
    };
    Some(Pings { interval, timeout: timeout.unwrap_or(PING_TIMEOUT) })
}

/// The budget as it was written, percents rounded up.
pub fn retry_budget(
    block: &destination_rule::RetryBudget,
    path: &str,
    report: &mut Report<'_>,
) -> RetryBudget {
    let defaults = RetryBudget::default();
    let percent = match block.percent {
        None => defaults.percent,
        // From 0 to 100, so that nothing is lost.
        Some(percent) if (0.0..=100.0).contains(&percent) => percent.ceil() as u32,
        Some(percent) => {
            let message =
                format!("{percent} is not a percentage; {} is in force", defaults.percent);
            let field = format!("{path}.percent");
            report.fault("EG081", Severity::Error, &field, message, "write 0 to 100");
            defaults.percent
        }
    };
    RetryBudget { percent, min: block.min_retry_concurrency.unwrap_or(defaults.min) }
}

fn upgrade(text: Option<&str>, field: &str, report: &mut Report<'_>) -> Option<Version> {
    match text {
        None | Some("DEFAULT") => None,
        Some("UPGRADE") => Some(Version::Http2),
        Some("DO_NOT_UPGRADE") => Some(Version::Http1),
        Some(other) => {
            let fix = nearest(other, &["DEFAULT", "UPGRADE", "DO_NOT_UPGRADE"]);
            let message = format!("\"{other}\" is not a policy; DEFAULT is in force");
            report.fault("EG081", Severity::Error, field, message, fix);
            None
        }
    }
}
