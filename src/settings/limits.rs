//! The `limits` knob: the values of all limits, each finite by default.
//!
//! What reaching one does is the business of whoever keeps it. Names are those of [`Limit`].

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::model::spelling::nearest;
use crate::model::{Limit, duration};

/// Files that are left for what is neither a client nor an origin: listeners, pages, DNS, logs.
const DESCRIPTORS_KEPT: u64 = 256;
/// More connections than this are not allowed by default, however many files may be open.
const CONNECTIONS_DEFAULT_MAX: u32 = 100_000;

const KIB: u64 = 1024;
const TIB: u64 = 1024 * 1024 * 1024 * 1024;
/// Units of sizes, the largest first.
const UNITS: [(&str, u64); 5] =
    [("TiB", TIB), ("GiB", KIB * KIB * KIB), ("MiB", KIB * KIB), ("KiB", KIB), ("B", 1)];

/// The value of every limit; see [`Limit`] for what each is a limit of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// [`Limit::Connections`]; `None`: by how many files may be open, see [`Limits::fit`].
    pub connections: Option<u32>,
    /// [`Limit::ListenerConnections`]; `None`: as many as all listeners together may have.
    pub listener_connections: Option<u32>,
    /// [`Limit::ConnectionRequests`].
    pub connection_requests: u32,
    /// [`Limit::ConnectionDuration`].
    pub connection_duration: Duration,
    /// [`Limit::Streams`].
    pub streams: u32,
    /// [`Limit::Requests`].
    pub requests: u32,
    /// [`Limit::HeadBytes`].
    pub head_bytes: u64,
    /// [`Limit::Headers`].
    pub headers: u32,
    /// [`Limit::TargetBytes`].
    pub target_bytes: u64,
    /// [`Limit::BodyBytes`].
    pub body_bytes: u64,
    /// [`Limit::ResponseHeadBytes`].
    pub response_head_bytes: u64,
    /// [`Limit::ResponseHeaders`].
    pub response_headers: u32,
    /// [`Limit::UpstreamConnections`]; `None`: by how many files may be open, see [`Limits::fit`].
    pub upstream_connections: Option<u32>,
    /// [`Limit::PendingRequests`].
    pub pending_requests: u32,
    /// [`Limit::HeadTime`].
    pub head_time: Duration,
    /// [`Limit::ClientIdle`].
    pub client_idle: Duration,
    /// [`Limit::StreamIdle`]; it bounds waiting for a response head too.
    pub stream_idle: Duration,
    /// [`Limit::TunnelIdle`].
    pub tunnel_idle: Duration,
    /// [`Limit::ExchangeDuration`].
    pub exchange_duration: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        Self {
            connections: None,
            listener_connections: None,
            connection_requests: 1_000_000,
            connection_duration: HOUR * 24,
            streams: 256,
            requests: 65_536,
            head_bytes: 60 * KIB,
            headers: 100,
            target_bytes: 60 * KIB,
            body_bytes: TIB,
            response_head_bytes: 60 * KIB,
            response_headers: 100,
            upstream_connections: None,
            pending_requests: 8192,
            head_time: Duration::from_secs(30),
            client_idle: HOUR,
            stream_idle: Duration::from_secs(300),
            tunnel_idle: HOUR,
            exchange_duration: HOUR * 24,
        }
    }
}

/// A limit's value, with what may be written there.
enum Slot<'l> {
    Count(&'l mut u32, RangeInclusive<u32>),
    /// A count that depends on the machine when nobody says it.
    Derived(&'l mut Option<u32>),
    Bytes(&'l mut u64, RangeInclusive<u64>),
    Time(&'l mut Duration),
}

impl Limits {
    /// Fills in what depends on how many files may be open: half of them for clients, half for origins,
    /// but for a reserve. What is more than that leaves room for is lowered.
    pub fn fit(&self, descriptors: u64) -> Self {
        let reserve = DESCRIPTORS_KEPT.min(descriptors / 4);
        let usable = u32::try_from(descriptors - reserve).unwrap_or(u32::MAX).max(2);
        let half = (usable / 2).min(CONNECTIONS_DEFAULT_MAX);
        let (clients, origins) =
            (self.connections.unwrap_or(half), self.upstream_connections.unwrap_or(half));
        let wanted = u64::from(clients) + u64::from(origins);
        let lowered = |count: u32| match wanted <= u64::from(usable) {
            true => count,
            // Below `usable`, which fits.
            false => ((u64::from(count) * u64::from(usable) / wanted) as u32).max(1),
        };
        let connections = lowered(clients);
        Self {
            connections: Some(connections),
            listener_connections: Some(self.listener_connections.unwrap_or(connections)),
            upstream_connections: Some(lowered(origins)),
            ..self.clone()
        }
    }

    /// The value of one, as it is written.
    pub fn written(&self, limit: Limit) -> String {
        match self.clone().slot(limit) {
            Slot::Count(count, _) => count.to_string(),
            Slot::Derived(Some(count)) => count.to_string(),
            Slot::Derived(None) => "by the number of files that may be open".to_owned(),
            Slot::Bytes(bytes, _) => write_bytes(*bytes),
            Slot::Time(time) => duration::format(*time),
        }
    }

    fn slot(&mut self, limit: Limit) -> Slot<'_> {
        const ANY: RangeInclusive<u32> = 1..=u32::MAX;
        const HEAD: RangeInclusive<u64> = 256..=1024 * KIB;
        const LINES: RangeInclusive<u32> = 1..=256; // wire::parse::LINES_MAX
        match limit {
            Limit::Connections => Slot::Derived(&mut self.connections),
            Limit::ListenerConnections => Slot::Derived(&mut self.listener_connections),
            Limit::ConnectionRequests => Slot::Count(&mut self.connection_requests, ANY),
            Limit::ConnectionDuration => Slot::Time(&mut self.connection_duration),
            Limit::Streams => Slot::Count(&mut self.streams, 1..=0x7fff_ffff),
            Limit::Requests => Slot::Count(&mut self.requests, ANY),
            Limit::HeadBytes => Slot::Bytes(&mut self.head_bytes, HEAD),
            Limit::Headers => Slot::Count(&mut self.headers, LINES),
            Limit::TargetBytes => Slot::Bytes(&mut self.target_bytes, 1..=*HEAD.end()),
            Limit::BodyBytes => Slot::Bytes(&mut self.body_bytes, 0..=u64::MAX),
            Limit::ResponseHeadBytes => Slot::Bytes(&mut self.response_head_bytes, HEAD),
            Limit::ResponseHeaders => Slot::Count(&mut self.response_headers, LINES),
            Limit::UpstreamConnections => Slot::Derived(&mut self.upstream_connections),
            Limit::PendingRequests => Slot::Count(&mut self.pending_requests, ANY),
            Limit::HeadTime => Slot::Time(&mut self.head_time),
            Limit::ClientIdle => Slot::Time(&mut self.client_idle),
            Limit::StreamIdle => Slot::Time(&mut self.stream_idle),
            Limit::TunnelIdle => Slot::Time(&mut self.tunnel_idle),
            Limit::ExchangeDuration => Slot::Time(&mut self.exchange_duration),
        }
    }

    fn set(&mut self, limit: Limit, text: &str) -> Result<(), String> {
        match self.slot(limit) {
            Slot::Count(count, range) => *count = read_count(text, &range)?,
            Slot::Derived(count) => *count = Some(read_count(text, &(1..=u32::MAX))?),
            Slot::Bytes(bytes, range) => *bytes = read_bytes(text, &range)?,
            Slot::Time(time) => *time = read_time(text)?,
        }
        Ok(())
    }
}

/// Reads `NAME=VALUE` items over the defaults.
pub(super) fn limits(items: &[String], wrongs: &mut Vec<String>) -> Limits {
    let (mut limits, mut given) = (Limits::default(), Vec::new());
    for item in items {
        let Some((name, value)) = item.split_once('=') else {
            wrongs.push(format!("\"{item}\" is not NAME=VALUE; write e.g. connections=10000"));
            continue;
        };
        let (name, value) = (name.trim(), value.trim());
        let Some(limit) = Limit::ALL.into_iter().find(|limit| limit.as_str() == name) else {
            let names = Limit::ALL.map(Limit::as_str);
            wrongs.push(format!("there is no limit \"{name}\"; {}", nearest(name, &names)));
            continue;
        };
        if given.contains(&limit) {
            wrongs.push(format!("limit {name} is given twice; keep one of them"));
            continue;
        }
        given.push(limit);
        if let Err(why) = limits.set(limit, value) {
            wrongs.push(format!("{name}: {why}"));
        }
    }
    limits
}

fn read_count(text: &str, range: &RangeInclusive<u32>) -> Result<u32, String> {
    text.parse().ok().filter(|count| range.contains(count)).ok_or_else(|| {
        format!("\"{text}\" is not a number from {} to {}", range.start(), range.end())
    })
}

/// A whole number with a unit of 1024 steps, or of bytes alone.
fn read_bytes(text: &str, range: &RangeInclusive<u64>) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (amount, unit) = text.split_at(digits);
    let per_unit = match unit.trim_start() {
        "" => Some(1),
        unit => UNITS.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| *bytes),
    };
    let bytes = amount.parse::<u64>().ok().zip(per_unit);
    let bytes = bytes.and_then(|(amount, per_unit)| amount.checked_mul(per_unit));
    let Some(bytes) = bytes else {
        return Err(format!(
            "\"{text}\" is not a size; write a number of bytes, or with a unit (KiB, MiB, GiB, TiB), as in 60KiB"
        ));
    };
    if range.contains(&bytes) {
        return Ok(bytes);
    }
    let (least, most) = (write_bytes(*range.start()), write_bytes(*range.end()));
    Err(format!("\"{text}\" is out of range; write {least} to {most}"))
}

fn write_bytes(bytes: u64) -> String {
    let fits = |(_, per_unit): &&(&str, u64)| bytes >= *per_unit && bytes.is_multiple_of(*per_unit);
    match UNITS.iter().find(fits) {
        Some((unit, per_unit)) => format!("{}{unit}", bytes / per_unit),
        None => bytes.to_string(),
    }
}

fn read_time(text: &str) -> Result<Duration, String> {
    match duration::parse(text)? {
        Duration::ZERO => Err("no time at all would end everything at once; write at least 1ms, \
                               or a long time to be never bothered"
            .to_owned()),
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(items: &[&str]) -> (Limits, Vec<String>) {
        let mut wrongs = Vec::new();
        let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
        (limits(&items, &mut wrongs), wrongs)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let fitted = Limits::default().fit(1024);
        for limit in Limit::ALL {
            let item = format!("{}={}", limit.as_str(), fitted.written(limit));
            let (again, wrongs) = read(&[&item]);
            assert!(wrongs.is_empty(), "{item}: {wrongs:?}");
            assert_eq!(again.written(limit), fitted.written(limit));
        }
    }

    #[test]
    fn units_are_read_and_mistakes_are_named() {
        let (limits, wrongs) =
            read(&["headBytes=8KiB", "bodyBytes = 10 MiB", "targetBytes=2000", "clientIdle=1m30s"]);
        assert!(wrongs.is_empty(), "{wrongs:?}");
        assert_eq!((limits.head_bytes, limits.body_bytes), (8192, 10 * 1024 * 1024));
        assert_eq!((limits.target_bytes, limits.client_idle.as_secs()), (2000, 90));
        for (item, part) in [
            ("connections", "is not NAME=VALUE"),
            ("conections=1", "did you mean \"connections\"?"),
            ("connections=0", "not a number from 1 to"),
            ("connections=many", "not a number from 1 to"),
            ("headers=257", "not a number from 1 to 256"),
            ("headBytes=60kb", "write a number of bytes, or with a unit"),
            ("headBytes=10B", "write 256B to 1MiB"),
            ("bodyBytes=99999999TiB", "is not a size"),
            ("bodyBytes=-1", "is not a size"),
            ("clientIdle=0", "no time at all"),
            ("clientIdle=30", "is not a duration"),
            ("streams=4294967295", "not a number from 1 to 2147483647"),
        ] {
            let (_, wrongs) = read(&[item]);
            assert!(wrongs.len() == 1 && wrongs[0].contains(part), "{item}: {wrongs:?}");
        }
        let (_, wrongs) = read(&["headTime=1s", "headTime=2s"]);
        assert_eq!(wrongs, ["limit headTime is given twice; keep one of them"]);
    }

    #[test]
    fn connections_fit_the_files_that_may_be_open() {
        for (descriptors, clients) in
            [(2, 1), (256, 96), (1024, 384), (65_536, 32_640), (1 << 20, 100_000)]
        {
            let limits = Limits::default().fit(descriptors);
            assert_eq!(limits.connections, Some(clients), "{descriptors}");
            assert_eq!(limits.upstream_connections, Some(clients), "{descriptors}");
            assert_eq!(limits.listener_connections, Some(clients), "{descriptors}");
        }
        for (clients, origins, descriptors, expected) in [
            ("10", "20", 1024, (10, 20)),
            ("500", "500", 100, (37, 37)),
            ("3000", "1000", 1024, (576, 192)),
            ("4294967295", "1", 1024, (767, 1)),
        ] {
            let (clients, origins) =
                (format!("connections={clients}"), format!("upstreamConnections={origins}"));
            let limits = read(&[&clients, &origins]).0.fit(descriptors);
            let fitted = (limits.connections, limits.upstream_connections);
            assert_eq!(fitted, (Some(expected.0), Some(expected.1)), "{clients} {origins}");
            assert_eq!(limits.listener_connections, limits.connections);
        }
    }

    #[test]
    fn the_readme_has_every_limit_with_its_default() {
        let readme = include_str!("../../README.md");
        for limit in Limit::ALL {
            let default = match Limits::default().slot(limit) {
                Slot::Derived(_) => String::new(),
                _ => format!(" {} |", Limits::default().written(limit)),
            };
            let row = format!("| `{}` |{default}", limit.as_str());
            assert!(readme.contains(&row), "no row {row}");
        }
    }
}
