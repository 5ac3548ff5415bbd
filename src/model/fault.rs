//! Faults that are put in the way of requests on purpose, and the part of the requests that meet them.
//!
//! Only what is asked; `proxy::fault` draws the lots and does it.

use std::time::Duration;

/// A part of all requests, in millionths (Envoy's `FractionalPercent` with the denominator `MILLION`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fraction(u32);

/// What is put in the way of a rule's requests, whatever the rule does; the delay comes first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fault {
    /// They wait.
    pub delay: Option<Delay>,
    /// They are answered by the gateway itself.
    pub abort: Option<Abort>,
}

/// A wait before anything else is done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delay {
    /// How long.
    pub time: Duration,
    /// How many of the requests.
    pub fraction: Fraction,
}

/// An answer in place of the origin's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abort {
    /// What it says.
    pub answer: Aborted,
    /// How many of the requests.
    pub fraction: Fraction,
}

/// What an abort answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aborted {
    /// A status of HTTP; a gRPC client is told the status of its own that corresponds.
    Http(u16),
    /// A status of gRPC; another client is told the status of HTTP that corresponds.
    Grpc(u8),
}

impl Fraction {
    /// Every request.
    pub const ALL: Self = Self(Self::WHOLE);
    const WHOLE: u32 = 1_000_000;

    /// From 0 to 100; more and less are taken for these. A part finer than a millionth is cut off.
    pub fn percent(percent: f64) -> Self {
        Self((percent.clamp(0.0, 100.0) * 10_000.0 + 1e-6) as u32)
    }

    /// From 0 to 100.
    pub fn as_percent(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }

    /// In millionths.
    pub fn millionths(self) -> u32 {
        self.0
    }

    /// Whether no request at all is meant.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether a request is one of them, by chance.
    pub fn takes(self, random: &mut fastrand::Rng) -> bool {
        self.0 == Self::WHOLE || random.u32(0..Self::WHOLE) < self.0
    }
}

/// The names of gRPC's statuses in the order of their numbers (`grpc/status.proto`).
pub const GRPC_STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl Aborted {
    /// A status of gRPC by its name or number.
    pub fn grpc(text: &str) -> Option<Self> {
        let named = GRPC_STATUSES.iter().position(|name| *name == text);
        let number = named.and_then(|number| u8::try_from(number).ok());
        let number = number.or_else(|| text.parse().ok());
        number.filter(|number| usize::from(*number) < GRPC_STATUSES.len()).map(Self::Grpc)
    }

    /// The status of HTTP (Envoy's `grpcToHttpStatus`).
    pub fn http_status(self) -> u16 {
        match self {
            Self::Http(status) => status,
            Self::Grpc(status) => match status {
                0 => 200,
                1 => 499,
                3 | 9 | 11 => 400,
                4 => 504,
                5 => 404,
                6 | 10 => 409,
                7 => 403,
                8 => 429,
                12 => 501,
                14 => 503,
                16 => 401,
                _ => 500,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_takes_its_part_of_the_requests() {
        let mut random = fastrand::Rng::with_seed(7);
        for (percent, least, most) in
            [(0.0, 0, 0), (100.0, 10_000, 10_000), (150.0, 10_000, 10_000), (25.0, 2300, 2700)]
        {
            let fraction = Fraction::percent(percent);
            let taken = (0..10_000).filter(|_| fraction.takes(&mut random)).count();
            assert!((least..=most).contains(&taken), "{percent} % took {taken}");
        }
        assert!(Fraction::percent(-1.0).is_none() && Fraction::percent(f64::NAN).is_none());
        assert_eq!(Fraction::percent(100.0), Fraction::ALL);
    }

    #[test]
    fn a_fraction_is_the_percentage_it_was_made_of() {
        for percent in [0.0001, 0.1, 0.3, 1.1, 33.3333, 99.9999] {
            assert_eq!(Fraction::percent(percent).as_percent(), percent);
        }
    }

    #[test]
    fn statuses_of_grpc_go_by_name_or_number() {
        for (text, status, http) in [
            ("UNAVAILABLE", Some(14), 503),
            ("14", Some(14), 503),
            ("OK", Some(0), 200),
            ("17", None, 0),
            ("unavailable", None, 0),
        ] {
            let read = Aborted::grpc(text);
            assert_eq!(read, status.map(Aborted::Grpc), "{text}");
            assert!(read.is_none_or(|read| read.http_status() == http), "{text}");
        }
    }
}
