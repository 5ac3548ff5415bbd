//! The metrics page, in Prometheus' text format 0.0.4.
//!
//! Names and help of every metric are here and nowhere else. It measures nothing.

use std::fmt::{Display, Write};
use std::sync::Arc;

use super::scraper::Collected;
use super::stats::{OTHER_STATUS, Outcome, Stats};
use super::{ClientEnd, Handshake, Mirrored, Retried, UpstreamEvent};
use crate::model::Limit;
use crate::model::resilience::Ejection;

/// What the page is served as.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the control thread knows and no lane does.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Version of this program.
    pub version: &'static str,
    /// How many snapshots have been published.
    pub generation: u64,
    /// The stat prefixes of rules, in the order of their slots.
    pub stat_prefixes: Vec<Arc<str>>,
    /// Problems of the configuration by severity.
    pub problems: Vec<(&'static str, u64)>,
    /// Objects of the configuration by what became of them.
    pub objects: Vec<(&'static str, u64)>,
    /// Configurations read but not taken, since the one before was better than nothing.
    pub reloads_refused: u64,
    /// Endpoints that are ejected now.
    pub endpoints_ejected: u64,
    /// When the process started, in seconds since 1970 UTC.
    pub started_unix_seconds: u64,
    /// Resident memory, see [`super::process`].
    pub resident_bytes: Option<u64>,
    /// Open file descriptors, see [`super::process`].
    pub open_fds: Option<u64>,
}

/// The whole page.
pub fn render(collected: &Collected, facts: &Facts) -> String {
    let mut page = Page::default();
    let stats = &collected.stats;
    requests(&mut page, stats);
    prefixed(&mut page, stats, facts);
    upstreams(&mut page, stats);
    ejections(&mut page, stats, facts);
    clients(&mut page, stats);
    configuration(&mut page, facts);
    process(&mut page, facts, collected.silent);
    page.text
}

fn requests(page: &mut Page, stats: &Stats) {
    page.family(
        "egret_requests_total",
        COUNTER,
        "Requests ended, by host pattern, status and response flag.",
    );
    for (host, outcomes) in stats.requests() {
        page.outcomes("host", host, outcomes);
    }
    page.family("egret_failures_total", COUNTER, "Requests failed, by RFC 9209 error token.");
    for &(token, count) in stats.failures() {
        page.sample(&[("token", token)], count);
    }
    page.single("egret_requests_active", GAUGE, "Requests under way.", stats.requests_active());
    page.family("egret_retries_total", COUNTER, "Attempts made after an earlier one, by reason.");
    for reason in Retried::ALL {
        page.sample(&[("reason", reason.as_str())], stats.retries(reason));
    }
    page.family("egret_mirrored_total", COUNTER, "Copies of requests for mirrors, by outcome.");
    for outcome in Mirrored::ALL {
        page.sample(&[("outcome", outcome.as_str())], stats.mirrors(outcome));
    }
    page.single(
        "egret_received_bytes_total",
        COUNTER,
        "Body bytes received from clients.",
        stats.bytes_in,
    );
    page.single("egret_sent_bytes_total", COUNTER, "Body bytes sent to clients.", stats.bytes_out);
}

fn prefixed(page: &mut Page, stats: &Stats, facts: &Facts) {
    let help =
        "Requests ended of the rules that have a stat prefix, by that, status and response flag.";
    page.family("egret_route_requests_total", COUNTER, help);
    for (prefix, outcomes) in stats.by_prefix.named(&facts.stat_prefixes) {
        page.outcomes("stat_prefix", prefix, outcomes);
    }
}

fn upstreams(page: &mut Page, stats: &Stats) {
    page.family("egret_handshakes_total", COUNTER, "TLS handshakes completed with upstreams.");
    for kind in Handshake::ALL {
        page.sample(&[("kind", kind.as_str())], stats.handshakes(kind));
    }
    page.family(
        "egret_upstream_connections_total",
        COUNTER,
        "What became of upstream connections.",
    );
    for event in UpstreamEvent::ALL {
        page.sample(&[("event", event.as_str())], stats.upstream_connections(event));
    }
    page.single(
        "egret_reuse_races_total",
        COUNTER,
        "Upstream connections from the pool that were closed under the request put on them.",
        stats.reuse_races,
    );
}

fn ejections(page: &mut Page, stats: &Stats, facts: &Facts) {
    let help = "Endpoints ejected by outlier detection, by what was too much in a row.";
    page.family("egret_ejections_total", COUNTER, help);
    for reason in Ejection::ALL {
        page.sample(&[("reason", reason.as_str())], stats.ejections[reason as usize]);
    }
    let help = "Endpoints that are ejected.";
    page.single("egret_endpoints_ejected", GAUGE, help, facts.endpoints_ejected);
}

fn clients(page: &mut Page, stats: &Stats) {
    page.single(
        "egret_client_connections_total",
        COUNTER,
        "Client connections accepted.",
        stats.clients_accepted,
    );
    page.single(
        "egret_client_connections_open",
        GAUGE,
        "Client connections open.",
        stats.clients_open(),
    );
    page.family(
        "egret_client_connections_ended_total",
        COUNTER,
        "HTTP/2 client connections that were ended for what the client did.",
    );
    for why in ClientEnd::ALL {
        page.sample(&[("reason", why.as_str())], stats.clients_ended(why));
    }
    page.single(
        "egret_tls_to_plain_port_total",
        COUNTER,
        "Clients that spoke TLS to a port for plain HTTP.",
        stats.tls_to_plain_port,
    );
    page.family(
        "egret_limit_reached_total",
        COUNTER,
        "How often each limit of the gateway was reached.",
    );
    for limit in Limit::ALL {
        page.sample(&[("limit", limit.as_str())], stats.limits_reached(limit));
    }
    page.single(
        "egret_log_lines_dropped_total",
        COUNTER,
        "Access log lines lost because nobody read them in time.",
        stats.log_lines_dropped,
    );
}

fn configuration(page: &mut Page, facts: &Facts) {
    page.single("egret_config_generation", GAUGE, "Snapshots published so far.", facts.generation);
    page.single(
        "egret_config_reloads_refused_total",
        COUNTER,
        "Configurations read but not taken.",
        facts.reloads_refused,
    );
    page.family("egret_config_problems", GAUGE, "Problems of the configuration, by severity.");
    for &(severity, count) in &facts.problems {
        page.sample(&[("severity", severity)], count);
    }
    page.family(
        "egret_config_objects",
        GAUGE,
        "Objects of the configuration, by what became of them.",
    );
    for &(outcome, count) in &facts.objects {
        page.sample(&[("outcome", outcome)], count);
    }
}

fn process(page: &mut Page, facts: &Facts, silent: u64) {
    page.family("egret_build_info", GAUGE, "This program.");
    page.sample(&[("version", facts.version)], 1);
    page.single(
        "egret_lanes_silent",
        GAUGE,
        "Lanes whose last answer was taken, for want of one in time.",
        silent,
    );
    page.single(
        "process_start_time_seconds",
        GAUGE,
        "When the process started, in seconds since 1970 UTC.",
        facts.started_unix_seconds,
    );
    if let Some(bytes) = facts.resident_bytes {
        page.single("process_resident_memory_bytes", GAUGE, "Resident memory.", bytes);
    }
    if let Some(fds) = facts.open_fds {
        page.single("process_open_fds", GAUGE, "Open file descriptors.", fds);
    }
}

const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";

/// The page as far as it is written.
#[derive(Default)]
struct Page {
    text: String,
    /// The family that samples go to.
    name: &'static str,
}

impl Page {
    /// Begins a family. `help` has no backslash and no line end.
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    /// A family that is one number.
    fn single(&mut self, name: &'static str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        self.line(format_args!("{name} {value}"));
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        self.text.push_str(self.name);
        for (n, (label, text)) in labels.iter().enumerate() {
            self.text.push(if n == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            escape(&mut self.text, text);
            self.text.push('"');
        }
        self.line(format_args!("}} {value}"));
    }

    /// A sample for each way that requests of one kind have ended.
    fn outcomes(&mut self, label: &str, value: &str, outcomes: &[Outcome]) {
        for &Outcome { status, flag, count } in outcomes {
            let mut code = itoa::Buffer::new();
            let code = if status == OTHER_STATUS { "other" } else { code.format(status) };
            self.sample(&[(label, value), ("code", code), ("flag", flag.as_str())], count);
        }
    }

    fn line(&mut self, line: impl Display) {
        writeln!(self.text, "{line}").expect("a String takes every write");
    }
}

fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            _ => out.push(c),
        }
    }
}
