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
    reason: Option<ResolveError>,
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
    pub fn addresses(&self, now: Instant) -> Result<&[IpAddr], Option<&ResolveError>> {
        match &self.good {
            Some(good) if good.since.is_none_or(|since| now < since + STALE_MAX) => {
                Ok(&good.addresses)
            }
            _ => Err(self.reason.as_ref()),
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
            Err(reason @ ResolveError::Denied(_)) => {
                self.denials += 1;
                self.failed(reason);
                if self.good.is_some() && self.denials < DENIALS_MIN {
                    return DENIAL_WAIT;
                }
                self.good = None;
                self.backoff()
            }
            Err(reason @ (ResolveError::Failed(_) | ResolveError::TimedOut(_))) => {
                self.denials = 0;
                self.failed(reason);
                self.backoff()
            }
        }
    }

    fn failed(&mut self, reason: ResolveError) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(addresses: &[&str], ttl: u64) -> Result<Answer, ResolveError> {
        let addresses = addresses.iter().map(|ip| ip.parse().expect("an address")).collect();
        Ok(Answer { addresses, ttl: Duration::from_secs(ttl), partial: false })
    }

    fn partial_answer(addresses: &[&str], ttl: u64) -> Result<Answer, ResolveError> {
        answer(addresses, ttl).map(|answer| Answer { partial: true, ..answer })
    }

    fn denied() -> Result<Answer, ResolveError> {
        Err(ResolveError::Denied("denied".to_owned()))
    }

    fn failed() -> Result<Answer, ResolveError> {
        Err(ResolveError::Failed("failed".to_owned()))
    }

    fn shown(freshness: &Freshness, now: Instant) -> String {
        match freshness.addresses(now) {
            Ok(addresses) => addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" "),
            Err(reason) => reason.map_or("nothing yet".to_owned(), ResolveError::to_string),
        }
    }

    #[test]
    fn outcomes_decide_what_is_served_and_when_to_ask_again() {
        // seconds since the last outcome, outcome, what is served then, wait until the next
        let script = [
            (0, failed(), "failed", 1),
            (1, denied(), "denied", 2),
            (2, answer(&["1.1.1.1"], 60), "1.1.1.1", 60),
            (60, answer(&["1.1.1.1"], 0), "1.1.1.1", 5),
            (5, answer(&["1.1.1.2"], 86_400), "1.1.1.2", 300),
            (300, denied(), "1.1.1.2", 5),
            (5, denied(), "1.1.1.2", 5),
            (5, failed(), "1.1.1.2", 4), // the denials in a row are over
            (4, denied(), "1.1.1.2", 5),
            (5, denied(), "1.1.1.2", 5),
            (5, denied(), "denied", 30),
            (30, answer(&["1.1.1.1"], 60), "1.1.1.1", 60),
            (60, failed(), "1.1.1.1", 1),
            (1, failed(), "1.1.1.1", 2),
            (2, failed(), "1.1.1.1", 4),
            (3_536, failed(), "1.1.1.1", 8), // 3,599 s after the last good answer
            (1, failed(), "failed", 16),
            (16, failed(), "failed", 30),
            (30, failed(), "failed", 30),
        ];
        let mut freshness = Freshness::new();
        let mut now = Instant::now();
        assert_eq!(shown(&freshness, now), "nothing yet");
        for (step, (after, outcome, expected, wait)) in script.into_iter().enumerate() {
            now += Duration::from_secs(after);
            let waited = freshness.learn(outcome, now);
            assert_eq!(shown(&freshness, now), expected, "step {step}");
            assert_eq!(waited, Duration::from_secs(wait), "step {step}");
        }
    }

    #[test]
    fn a_family_that_did_not_answer_keeps_its_addresses() {
        let now = Instant::now();
        let mut freshness = Freshness::new();
        for (outcome, expected) in [
            (answer(&["1.1.1.1", "::1"], 60), "1.1.1.1 ::1"),
            (partial_answer(&["1.1.1.2"], 60), "1.1.1.2 ::1"),
            (partial_answer(&["::2"], 60), "::2 1.1.1.2"),
            (answer(&["1.1.1.3"], 60), "1.1.1.3"),
        ] {
            freshness.learn(outcome, now);
            assert_eq!(shown(&freshness, now), expected);
        }
    }

    #[test]
    fn written_addresses_never_age() {
        let fixed = Freshness::fixed(vec![IpAddr::from([127, 0, 0, 1])]);
        let later = Instant::now() + 100 * STALE_MAX;
        assert_eq!(shown(&fixed, later), "127.0.0.1");
    }
}
