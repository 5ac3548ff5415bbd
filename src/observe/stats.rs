//! One lane's counters: plain numbers that nobody else writes.
//!
//! No locks, no atomics, no names of metrics: [`super::prometheus`] has those. A scrape takes a
//! copy of each lane's and adds them up with [`Stats::merge`].

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::kinds::{ClientEnd, Handshake, Mirrored, Retried, UpstreamEvent};
use super::stat_prefixes::ByPrefix;
use crate::model::{Flag, Limit};

/// Hosts a lane counts by name; requests of further ones are counted under [`OTHER_HOST`]. Hosts
/// here are patterns of the configuration, so it takes a large one to get there.
pub const HOSTS_MAX: usize = 4096;

/// Different outcomes counted for one host; a further status is counted as [`OTHER_STATUS`], so an
/// origin that answers with every number there is costs no more than this.
pub const OUTCOMES_MAX: usize = 64;

/// The host of requests past [`HOSTS_MAX`] or without a route. No pattern can be spelt like it:
/// two series of one name would make a scrape invalid.
pub const OTHER_HOST: &str = "(other)";

/// The status of outcomes past [`OUTCOMES_MAX`].
pub const OTHER_STATUS: u16 = u16::MAX;

/// What one lane has counted since it started. The public numbers are bumped where it happens.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    requests: HashMap<Arc<str>, Vec<Outcome>, RandomState>,
    unnamed: Vec<Outcome>,
    /// Requests of rules that have a stat prefix, once more.
    pub by_prefix: ByPrefix,
    failures: Vec<(&'static str, u64)>,
    handshakes: [u64; Handshake::ALL.len()],
    upstream_connections: [u64; UpstreamEvent::ALL.len()],
    limits_reached: [u64; Limit::ALL.len()],
    clients_ended: [u64; ClientEnd::ALL.len()],
    clients_streaming: u64,
    clients_open: u64,
    requests_active: u64,
    /// Client connections accepted.
    pub clients_accepted: u64,
    /// Clients that spoke TLS to a port for plain HTTP.
    pub tls_to_plain_port: u64,
    retries: [u64; Retried::ALL.len()],
    mirrored: [u64; Mirrored::ALL.len()],
    /// Connections from the pool that turned out to be closed once a request had been put on them.
    pub reuse_races: u64,
    /// Endpoints ejected, by `Ejection`.
    pub ejections: [u64; 3],
    /// Lines the access log had no room for or could not write.
    pub log_lines_dropped: u64,
    /// Body bytes received from clients.
    pub bytes_in: u64,
    /// Body bytes sent to clients.
    pub bytes_out: u64,
}

/// How requests to one host ended, and how many did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Status answered; 0: none.
    pub status: u16,
    /// Envoy's response flag.
    pub flag: Flag,
    /// How many.
    pub count: u64,
}

impl Stats {
    /// A request has ended. Allocates for the first of its kind only.
    pub fn request(&mut self, host: &str, status: u16, flag: Flag) {
        let room = self.requests.len() < HOSTS_MAX;
        let outcomes = match self.requests.get_mut(host) {
            Some(outcomes) => outcomes,
            None if room => self.requests.entry(host.into()).or_default(),
            None => &mut self.unnamed,
        };
        count(outcomes, status, flag);
    }

    /// A request that matched no route has ended; it has no host pattern.
    pub fn request_unrouted(&mut self, status: u16, flag: Flag) {
        count(&mut self.unnamed, status, flag);
    }

    /// A request failed; `token` is that of RFC 9209.
    pub fn failure(&mut self, token: &'static str) {
        add(&mut self.failures, token, 1);
    }

    /// A limit was reached.
    pub fn limit_reached(&mut self, limit: Limit) {
        self.limits_reached[limit as usize] += 1;
    }

    /// A TLS handshake with an upstream was completed.
    pub fn handshake(&mut self, kind: Handshake) {
        self.handshakes[kind as usize] += 1;
    }

    /// Something became of an upstream connection.
    pub fn upstream_connection(&mut self, event: UpstreamEvent) {
        self.upstream_connections[event as usize] += 1;
    }

    /// Another attempt is made.
    pub fn retried(&mut self, reason: Retried) {
        self.retries[reason as usize] += 1;
    }

    /// Something became of a request's copy for a mirror.
    pub fn mirrored(&mut self, outcome: Mirrored) {
        self.mirrored[outcome as usize] += 1;
    }

    /// So many upstream connections have been closed, which is counted where they end.
    pub fn set_upstream_connections_closed(&mut self, count: u64) {
        self.upstream_connections[UpstreamEvent::Closed as usize] = count;
    }

    /// A client connected.
    pub fn client_opened(&mut self) {
        self.clients_accepted += 1;
        self.clients_open += 1;
    }

    /// A client's connection is closed.
    pub fn client_closed(&mut self) {
        debug_assert!(self.clients_open > 0, "closed more than were opened");
        self.clients_open = self.clients_open.saturating_sub(1);
    }

    /// A client's connection was ended by us, for what the client did.
    pub fn client_ended(&mut self, why: ClientEnd) {
        self.clients_ended[why as usize] += 1;
    }

    /// A client's HTTP/2 connection has streams.
    pub fn streams_began(&mut self) {
        self.clients_streaming += 1;
    }

    /// It has none any more: every answer has been taken, or never will be.
    pub fn streams_ended(&mut self) {
        debug_assert!(self.clients_streaming > 0, "more ended than began");
        self.clients_streaming = self.clients_streaming.saturating_sub(1);
    }

    /// A request is under way.
    pub fn request_began(&mut self) {
        self.requests_active += 1;
    }

    /// A request is over, however it ended.
    pub fn request_ended(&mut self) {
        debug_assert!(self.requests_active > 0, "ended more than began");
        self.requests_active = self.requests_active.saturating_sub(1);
    }

    /// A copy of all but what is counted by host, and the hosts that it is counted by.
    pub fn without_hosts(&mut self) -> (Self, Vec<Arc<str>>) {
        let requests = std::mem::take(&mut self.requests);
        let copy = self.clone();
        self.requests = requests;
        (copy, self.requests.keys().cloned().collect())
    }

    /// Adds to a copy what is counted by some of the hosts.
    pub fn copy_hosts(&self, hosts: &[Arc<str>], copy: &mut Self) {
        for host in hosts {
            if let Some(outcomes) = self.requests.get(host) {
                copy.requests.insert(Arc::clone(host), outcomes.clone());
            }
        }
    }

    /// Adds another lane's. A host named in either stays named: were it to move to
    /// [`OTHER_HOST`] when the sum has too many, its counter would go down.
    pub fn merge(&mut self, other: &Self) {
        for (host, outcomes) in &other.requests {
            add_outcomes(self.requests.entry(Arc::clone(host)).or_default(), outcomes);
        }
        add_outcomes(&mut self.unnamed, &other.unnamed);
        self.by_prefix.merge(&other.by_prefix);
        for &(token, n) in &other.failures {
            add(&mut self.failures, token, n);
        }
        for (sum, n) in self.handshakes.iter_mut().zip(other.handshakes) {
            *sum += n;
        }
        for (sum, n) in self.upstream_connections.iter_mut().zip(other.upstream_connections) {
            *sum += n;
        }
        for (sum, n) in self.limits_reached.iter_mut().zip(other.limits_reached) {
            *sum += n;
        }
        for (sum, n) in self.clients_ended.iter_mut().zip(other.clients_ended) {
            *sum += n;
        }
        self.clients_streaming += other.clients_streaming;
        self.clients_open += other.clients_open;
        self.requests_active += other.requests_active;
        self.clients_accepted += other.clients_accepted;
        self.tls_to_plain_port += other.tls_to_plain_port;
        for (sum, n) in self.retries.iter_mut().zip(other.retries) {
            *sum += n;
        }
        for (sum, n) in self.mirrored.iter_mut().zip(other.mirrored) {
            *sum += n;
        }
        self.reuse_races += other.reuse_races;
        for (sum, n) in self.ejections.iter_mut().zip(other.ejections) {
            *sum += n;
        }
        self.log_lines_dropped += other.log_lines_dropped;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }

    /// Requests by host, in the order of names; those without a name of their own come last.
    pub fn requests(&self) -> Vec<(&str, &[Outcome])> {
        let mut hosts: Vec<(&str, &[Outcome])> =
            self.requests.iter().map(|(host, outcomes)| (&**host, &**outcomes)).collect();
        hosts.sort_unstable_by_key(|(host, _)| *host);
        if !self.unnamed.is_empty() {
            hosts.push((OTHER_HOST, &self.unnamed));
        }
        hosts
    }

    /// Failures by token, in the order they were first seen.
    pub fn failures(&self) -> &[(&'static str, u64)] {
        &self.failures
    }

    /// Handshakes of a kind.
    pub fn handshakes(&self, kind: Handshake) -> u64 {
        self.handshakes[kind as usize]
    }

    /// Upstream connections that something became of.
    pub fn upstream_connections(&self, event: UpstreamEvent) -> u64 {
        self.upstream_connections[event as usize]
    }

    /// How often a limit was reached.
    pub fn limits_reached(&self, limit: Limit) -> u64 {
        self.limits_reached[limit as usize]
    }

    /// Attempts made again for this reason.
    pub fn retries(&self, reason: Retried) -> u64 {
        self.retries[reason as usize]
    }

    /// Copies of requests that this became of.
    pub fn mirrors(&self, outcome: Mirrored) -> u64 {
        self.mirrored[outcome as usize]
    }

    /// Client connections open now.
    pub fn clients_open(&self) -> u64 {
        self.clients_open
    }

    /// Client connections that were ended for this reason.
    pub fn clients_ended(&self, why: ClientEnd) -> u64 {
        self.clients_ended[why as usize]
    }

    /// Client connections with HTTP/2 streams: under way, or with answers still to be taken.
    pub fn clients_streaming(&self) -> u64 {
        self.clients_streaming
    }

    /// Requests that have ended, over all hosts.
    pub fn requests_ended(&self) -> u64 {
        let named = self.requests.values().flatten();
        named.chain(&self.unnamed).map(|outcome| outcome.count).sum()
    }

    /// Requests under way now.
    pub fn requests_active(&self) -> u64 {
        self.requests_active
    }
}

/// Counts one more, past [`OUTCOMES_MAX`] under [`OTHER_STATUS`].
pub(super) fn count(outcomes: &mut Vec<Outcome>, status: u16, flag: Flag) {
    let known = |outcome: &&mut Outcome| outcome.status == status && outcome.flag == flag;
    if let Some(outcome) = outcomes.iter_mut().find(known) {
        outcome.count += 1;
        return;
    }
    let status = if outcomes.len() < OUTCOMES_MAX { status } else { OTHER_STATUS };
    add_outcomes(outcomes, &[Outcome { status, flag, count: 1 }]);
}

/// Adds one list of outcomes to another.
pub(super) fn add_outcomes(sums: &mut Vec<Outcome>, more: &[Outcome]) {
    for &one in more {
        match sums.iter_mut().find(|sum| sum.status == one.status && sum.flag == one.flag) {
            Some(sum) => sum.count += one.count,
            None => sums.push(one),
        }
    }
}

/// Tokens are few and written in the source, so a list is enough and bounded.
fn add(sums: &mut Vec<(&'static str, u64)>, token: &'static str, n: u64) {
    match sums.iter_mut().find(|(known, _)| *known == token) {
        Some((_, sum)) => *sum += n,
        None => sums.push((token, n)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Arc<str> {
        name.into()
    }

    fn outcome(status: u16, flag: Flag, count: u64) -> Outcome {
        Outcome { status, flag, count }
    }

    #[test]
    fn requests_are_counted_by_host_status_and_flag() {
        let mut stats = Stats::default();
        stats.request(&host("b.example"), 200, Flag::None);
        stats.request(&host("a.example"), 503, Flag::UpstreamConnect);
        stats.request(&host("b.example"), 200, Flag::None);
        stats.request_unrouted(404, Flag::NoRoute);
        assert_eq!(
            stats.requests(),
            [
                ("a.example", &[outcome(503, Flag::UpstreamConnect, 1)][..]),
                ("b.example", &[outcome(200, Flag::None, 2)][..]),
                (OTHER_HOST, &[outcome(404, Flag::NoRoute, 1)][..]),
            ]
        );
    }

    #[test]
    fn hosts_past_the_limit_are_counted_together() {
        let mut stats = Stats::default();
        for n in 0..HOSTS_MAX + 2 {
            stats.request(&host(&format!("{n}.example")), 200, Flag::None);
        }
        stats.request(&host("0.example"), 200, Flag::None);
        let requests = stats.requests();
        assert_eq!(requests.len(), HOSTS_MAX + 1);
        assert_eq!(requests[0], ("0.example", &[outcome(200, Flag::None, 2)][..]));
        assert_eq!(requests[HOSTS_MAX], (OTHER_HOST, &[outcome(200, Flag::None, 2)][..]));
    }

    #[test]
    fn statuses_past_the_limit_are_counted_together() {
        let mut stats = Stats::default();
        for status in 200..600 {
            stats.request(&host("a.example"), status, Flag::None);
        }
        stats.request(&host("a.example"), 200, Flag::None);
        let (_, outcomes) = stats.requests()[0];
        assert_eq!(outcomes.len(), OUTCOMES_MAX + 1);
        assert_eq!(outcomes[0], outcome(200, Flag::None, 2));
        assert_eq!(outcomes[OUTCOMES_MAX], outcome(OTHER_STATUS, Flag::None, 336));
    }

    #[test]
    fn merging_adds_everything() {
        let mut one = Stats::default();
        one.request(&host("a.example"), 200, Flag::None);
        one.request_unrouted(404, Flag::NoRoute);
        one.failure("dns_error");
        one.handshake(Handshake::Resumed);
        one.upstream_connection(UpstreamEvent::Closed);
        one.limit_reached(Limit::HeadTime);
        one.client_opened();
        one.request_began();
        one.tls_to_plain_port = 1;
        one.retried(Retried::Reset);
        one.mirrored(Mirrored::TooLarge);
        one.reuse_races = 2;
        one.log_lines_dropped = 3;
        one.bytes_in = 5;
        one.bytes_out = 6;
        let mut two = one.clone();
        two.request(&host("b.example"), 502, Flag::None);
        two.failure("tls_certificate_error");
        two.client_closed();
        two.request_ended();

        let mut sum = Stats::default();
        sum.merge(&one);
        sum.merge(&two);
        assert_eq!(
            sum.requests(),
            [
                ("a.example", &[outcome(200, Flag::None, 2)][..]),
                ("b.example", &[outcome(502, Flag::None, 1)][..]),
                (OTHER_HOST, &[outcome(404, Flag::NoRoute, 2)][..]),
            ]
        );
        assert_eq!(sum.failures(), [("dns_error", 2), ("tls_certificate_error", 1)]);
        assert_eq!(sum.handshakes(Handshake::Resumed), 2);
        assert_eq!(sum.upstream_connections(UpstreamEvent::Closed), 2);
        assert_eq!(sum.limits_reached(Limit::HeadTime), 2);
        assert_eq!((sum.clients_open(), sum.requests_active()), (1, 1));
        assert_eq!((sum.clients_accepted, sum.tls_to_plain_port), (2, 2));
        assert_eq!((sum.retries(Retried::Reset), sum.reuse_races), (2, 4));
        assert_eq!(sum.mirrors(Mirrored::TooLarge), 2);
        assert_eq!(sum.log_lines_dropped, 6);
        assert_eq!((sum.bytes_in, sum.bytes_out), (10, 12));
    }
}
