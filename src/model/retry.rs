//! When and how often a request is tried again, as plain data.
//!
//! What an attempt has come to is judged in `proxy::retry`; the words are Envoy's (router filter,
//! `x-envoy-retry-on` and `x-envoy-retry-grpc-on`), which Istio's `retryOn` takes over.

use std::fmt;
use std::time::Duration;

/// What an attempt may come to that is worth another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryOn {
    /// Any 5xx response, or none at all.
    ServerError,
    /// A 502, 503 or 504, or no response at all.
    GatewayError,
    /// No response: closed, reset, not HTTP, too late.
    Reset,
    /// No response, and nothing of the request had been sent.
    ResetBeforeRequest,
    /// No connection: TCP, TLS or their time limit.
    ConnectFailure,
    /// The origin says that it did not process the request (REFUSED_STREAM, GOAWAY).
    RefusedStream,
    /// A 409.
    Conflict,
    /// A response with `x-envoy-ratelimited`.
    RateLimited,
    /// `grpc-status: 4` in a response's head.
    DeadlineExceeded,
    /// `grpc-status: 13` in a response's head.
    Internal,
    /// `grpc-status: 8` in a response's head.
    ResourceExhausted,
    /// `grpc-status: 14` in a response's head.
    Unavailable,
    /// `grpc-status: 1` in a response's head.
    Cancelled,
    /// One of [`Retry::statuses`].
    Statuses,
}

impl RetryOn {
    /// Every condition, in the order they are written.
    pub const ALL: [Self; 14] = [
        Self::ServerError,
        Self::GatewayError,
        Self::Reset,
        Self::ResetBeforeRequest,
        Self::ConnectFailure,
        Self::RefusedStream,
        Self::Conflict,
        Self::RateLimited,
        Self::DeadlineExceeded,
        Self::Internal,
        Self::ResourceExhausted,
        Self::Unavailable,
        Self::Cancelled,
        Self::Statuses,
    ];

    /// Those that can be fulfilled by an attempt of which something was sent, gRPC's own aside.
    pub const AFTER_SENDING: [Self; 6] = [
        Self::ServerError,
        Self::GatewayError,
        Self::Reset,
        Self::Conflict,
        Self::RateLimited,
        Self::Statuses,
    ];

    /// gRPC's own.
    pub const GRPC: [Self; 5] = [
        Self::DeadlineExceeded,
        Self::Internal,
        Self::ResourceExhausted,
        Self::Unavailable,
        Self::Cancelled,
    ];

    /// Envoy's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServerError => "5xx",
            Self::GatewayError => "gateway-error",
            Self::Reset => "reset",
            Self::ResetBeforeRequest => "reset-before-request",
            Self::ConnectFailure => "connect-failure",
            Self::RefusedStream => "refused-stream",
            Self::Conflict => "retriable-4xx",
            Self::RateLimited => "envoy-ratelimited",
            Self::DeadlineExceeded => "deadline-exceeded",
            Self::Internal => "internal",
            Self::ResourceExhausted => "resource-exhausted",
            Self::Unavailable => "unavailable",
            Self::Cancelled => "cancelled",
            Self::Statuses => "retriable-status-codes",
        }
    }

    /// The condition that a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|condition| condition.as_str() == word)
    }

    /// The condition that a `grpc-status` fulfils.
    pub fn of_grpc_status(status: &[u8]) -> Option<Self> {
        match status {
            b"1" => Some(Self::Cancelled),
            b"4" => Some(Self::DeadlineExceeded),
            b"8" => Some(Self::ResourceExhausted),
            b"13" => Some(Self::Internal),
            b"14" => Some(Self::Unavailable),
            _ => None,
        }
    }
}

/// Words that stand for conditions that cannot arise here; they are taken and do nothing.
pub const CONDITIONS_IGNORED: [&str; 1] = ["http3-post-connect-failure"];

/// A set of conditions.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct RetryOnSet(u16);

impl RetryOnSet {
    /// Istio's default.
    pub const DEFAULT: Self = Self::of(&[
        RetryOn::ConnectFailure,
        RetryOn::RefusedStream,
        RetryOn::Unavailable,
        RetryOn::Cancelled,
        RetryOn::Statuses,
    ]);

    /// The set of these.
    pub const fn of(list: &[RetryOn]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < list.len() {
            bits |= 1 << list[index] as u16;
            index += 1;
        }
        Self(bits)
    }

    /// Adds one.
    pub fn insert(&mut self, condition: RetryOn) {
        self.0 |= 1 << condition as u16;
    }

    /// Whether any of these is among them.
    pub const fn any(self, list: &[RetryOn]) -> bool {
        self.0 & Self::of(list).0 != 0
    }

    /// The others.
    #[must_use]
    pub const fn without(self, condition: RetryOn) -> Self {
        Self(self.0 & !(1 << condition as u16))
    }

    /// Those in the set, in the order they are written.
    pub fn iter(self) -> impl Iterator<Item = RetryOn> {
        RetryOn::ALL.into_iter().filter(move |condition| self.any(&[*condition]))
    }
}

/// The words with commas between them, as `retryOn` has them.
impl fmt::Display for RetryOnSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, condition) in self.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            f.write_str(condition.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for RetryOnSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where another attempt goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RetryHosts {
    /// To an endpoint that was not tried yet, while there is one.
    #[default]
    Others,
    /// To any.
    Any,
}

/// Which requests may be sent again after something of them was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Resend {
    /// Those with an idempotent method (RFC 9110, section 9.2.2) or an `Idempotency-Key`.
    #[default]
    Idempotent,
    /// Every one: somebody said that sending twice does no harm.
    Everything,
}

/// How often, when and how a failed attempt is made again.
#[derive(Clone, PartialEq, Eq)]
pub struct Retry {
    /// Further attempts after the first; 0: none.
    pub attempts: u32,
    /// What is worth another attempt.
    pub on: RetryOnSet,
    /// The statuses that [`RetryOn::Statuses`] means.
    pub statuses: Vec<u16>,
    /// Time from a request that was sent in full to its response head, for each attempt; `None`: no limit.
    pub attempt_timeout: Option<Duration>,
    /// The first pause is chosen between nothing and this; it doubles up to ten times as much.
    pub backoff: Duration,
    /// Where another attempt goes.
    pub hosts: RetryHosts,
    /// Which requests may be sent twice.
    pub resend: Resend,
}

impl Retry {
    /// The first pause where none is written (Envoy's default).
    pub const BACKOFF: Duration = Duration::from_millis(25);

    /// Whether a request of which something was sent may be worth another attempt, gRPC's own aside.
    pub fn reaches_what_was_sent(&self) -> bool {
        let listed = !self.statuses.is_empty() && self.on.any(&[RetryOn::Statuses]);
        let others = self.on.without(RetryOn::Statuses).any(&RetryOn::AFTER_SENDING);
        self.attempts > 0 && (listed || others)
    }
}

impl Default for Retry {
    /// Istio's default: two further attempts, of what the origin has very likely not processed.
    fn default() -> Self {
        Self {
            attempts: 2,
            on: RetryOnSet::DEFAULT,
            statuses: Vec::new(),
            attempt_timeout: None,
            backoff: Self::BACKOFF,
            hosts: RetryHosts::default(),
            resend: Resend::default(),
        }
    }
}

/// The attempts, and whatever differs from the default: most routes have nothing else to show.
impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempts, on, statuses, attempt_timeout, backoff, hosts, resend } = self;
        let default = Self::default();
        let mut printed = f.debug_struct("Retry");
        printed.field("attempts", attempts);
        if *on != default.on {
            printed.field("on", on);
        }
        if !statuses.is_empty() {
            printed.field("statuses", statuses);
        }
        if let Some(limit) = attempt_timeout {
            printed.field("attempt_timeout", limit);
        }
        if *backoff != default.backoff {
            printed.field("backoff", backoff);
        }
        if *hosts != default.hosts {
            printed.field("hosts", hosts);
        }
        if *resend != default.resend {
            printed.field("resend", resend);
        }
        printed.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_stands_for_one_condition_and_back() {
        for (index, condition) in RetryOn::ALL.into_iter().enumerate() {
            assert_eq!(condition as usize, index);
            assert_eq!(RetryOn::parse(condition.as_str()), Some(condition));
            assert_eq!(RetryOnSet::of(&[condition]).to_string(), condition.as_str());
        }
        assert_eq!(RetryOn::parse("5XX"), None);
        assert_eq!(
            RetryOnSet::DEFAULT.to_string(),
            "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
        );
    }

    #[test]
    fn grpc_statuses_are_compared_as_numbers_are_written() {
        for (status, condition) in [
            ("14", Some(RetryOn::Unavailable)),
            ("1", Some(RetryOn::Cancelled)),
            ("0", None),
            ("", None),
            ("014", None),
        ] {
            assert_eq!(RetryOn::of_grpc_status(status.as_bytes()), condition, "{status}");
        }
    }

    #[test]
    fn only_what_differs_from_the_default_is_printed() {
        let retry = Retry { statuses: vec![429], ..Retry::default() };
        assert_eq!(format!("{:?}", Retry::default()), "Retry { attempts: 2 }");
        assert_eq!(format!("{retry:?}"), "Retry { attempts: 2, statuses: [429] }");
    }
}
