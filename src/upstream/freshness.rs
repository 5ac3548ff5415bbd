//! How long the answer for one name is believed, and when to ask again.
//!
//! No lookup and no clock in here: an outcome and `now` go in, the time to wait comes out.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::dns::{Answer, ResolveError};

/// The shortest time between two lookups that succeed, whatever the TTL.
const TTL_MIN: Duration = Duration::from_secs(5);
/// The longest, so that a moved service is found.
const TTL_MAX: Duration = Duration::from_secs(300);
/// How long the last good answer is served while no server gives any (RFC 8767).
const STALE_MAX: Duration = Duration::from_secs(3600);
/// First wait after a failure; doubles from there.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Times in a row that a name we knew must be denied before its addresses are given up.
const DENIALS_MIN: u32 = 3;
/// Wait between those denials.
const DENIAL_WAIT: Duration = Duration::from_secs(5);

/// What is known of one name.
#[derive(Debug)]
pub struct Freshness {
    good: Option<Good>,
    /// Failures in a row, of either kind.
    failures: u32,
    /// Denials in a row.
    denials: u32,
    reason: Option<String>,
}

#[derive(Debug)]
struct Good {
    addresses: Vec<IpAddr>,
    /// When the answer came; `None`: it was written down and never ages.
    since: Option<Instant>,
}

impl Freshness {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self { good: None, failures: 0, denials: 0, reason: None }
    }

    /// Addresses that need no lookup.
    pub fn fixed(addresses: Vec<IpAddr>) -> Self {
        Self { good: Some(Good { addresses, since: None }), ..Self::new() }
    }

    /// Whether the addresses need no lookup.
    pub fn is_fixed(&self) -> bool {
        self.good.as_ref().is_some_and(|good| good.since.is_none())
    }

    /// The addresses to use; else why there are none, or `None` when no lookup has ended yet.
    pub fn addresses(&self, now: Instant) -> Result<&[IpAddr], Option<&str>> {
        match &self.good {
            Some(good) if good.since.is_none_or(|since| now < since + STALE_MAX) => {
                Ok(&good.addresses)
            }
            _ => Err(self.reason.as_deref()),
        }
    }

    /// Takes the outcome of a lookup; returns how long to wait until the next.
    pub fn learn(&mut self, outcome: Result<Answer, ResolveError>, now: Instant) -> Duration {
        match outcome {
            Ok(answer) => {
                let ttl = answer.ttl.clamp(TTL_MIN, TTL_MAX);
                let addresses = self.merged(answer);
                *self = Self { good: Some(Good { addresses, since: Some(now) }), ..Self::new() };
                ttl
            }
            Err(ResolveError::Denied(reason)) => {
                self.denials += 1;
                self.failed(reason);
                if self.good.is_some() && self.denials < DENIALS_MIN {
                    return DENIAL_WAIT;
                }
                self.good = None;
                self.backoff()
            }
            Err(ResolveError::Failed(reason)) => {
                self.denials = 0;
                self.failed(reason);
                self.backoff()
            }
        }
    }

    fn failed(&mut self, reason: String) {
        self.failures = self.failures.saturating_add(1);
        self.reason = Some(reason);
    }

    fn backoff(&self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(5);
        (BACKOFF_MIN * 2u32.pow(doublings)).min(BACKOFF_MAX)
    }

    /// The answer, with what was known of the family that did not answer this time.
    fn merged(&self, answer: Answer) -> Vec<IpAddr> {
        let mut addresses = answer.addresses;
        if let (true, Some(good)) = (answer.partial, &self.good) {
            let has_v4 = addresses.iter().any(IpAddr::is_ipv4);
            addresses.extend(good.addresses.iter().filter(|ip| ip.is_ipv4() != has_v4));
        }
        addresses
    }
}

impl Default for Freshness {
    fn default() -> Self {
        Self::new()
    }
}
