//! The access log: one line a request, in Istio's text format or as JSON.
//!
//! It decides nothing about what happened; it prints a [`Record`] and the [`Noted`] request head.
//! Lines go to a lane's [`LogBuffer`], whole buffers to the [`LogWriter`]'s thread.

mod address;
mod buffer;
mod escape;
mod json;
mod text;
mod timestamp;
mod writer;

#[cfg(test)]
mod line_tests;
#[cfg(test)]
mod writer_tests;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

pub use buffer::LogBuffer;
pub use escape::json as escape_json;
pub use timestamp::Timestamp;
pub use writer::{LogWriter, Stopped};

use super::{Noted, Record};

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Istio's default text format.
    Text,
    /// One JSON object, with Istio's keys and some of our own.
    Json,
}

/// One request to be logged, at its end.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// What happened.
    pub record: &'a Record<'a>,
    /// What was asked.
    pub noted: &'a Noted,
    /// How long it took.
    pub duration_ms: u64,
    /// When it began, in milliseconds since 1970 UTC.
    pub started_unix_ms: u64,
}

impl<'a> Entry<'a> {
    /// A request that has ended, told by both clocks. When it began on the wall clock is its end
    /// less its duration, so that one reading a request is enough.
    pub fn ended(record: &'a Record<'a>, noted: &'a Noted, now: Instant, now_unix_ms: u64) -> Self {
        let duration_ms = whole_ms(now.saturating_duration_since(record.started));
        let started_unix_ms = now_unix_ms.saturating_sub(duration_ms);
        Self { record, noted, duration_ms, started_unix_ms }
    }
}

/// Appends one line, its line end included, and exactly one whatever the client sent.
pub fn write_line(out: &mut Vec<u8>, format: Format, entry: &Entry<'_>, stamp: &mut Timestamp) {
    match format {
        Format::Text => text::write(out, entry, stamp),
        Format::Json => json::write(out, entry, stamp),
    }
    out.push(b'\n');
}

/// The wall clock, in milliseconds since 1970 UTC: what a [`LogBuffer`] is given outside of tests.
/// The log's times are for people, so it is the one clock here that may jump.
pub fn unix_ms() -> u64 {
    whole_ms(unix_time())
}

/// The same clock, in full.
#[expect(clippy::disallowed_methods, reason = "names a moment to people")]
pub fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// `Duration::as_millis` without its 128 bits, whose division is a call.
fn whole_ms(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1000) + u64::from(duration.subsec_millis())
}

/// Appends a number.
fn number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends the flags as Envoy joins them: in the order in which they come to be.
pub fn flags(out: &mut Vec<u8>, record: &Record) {
    use crate::model::Flag;
    let first = match (record.delayed, record.retries_exhausted) {
        (false, false) => return out.extend_from_slice(record.flag.as_str().as_bytes()),
        (true, false) => "DI",
        (false, true) => "URX",
        (true, true) => "DI,URX",
    };
    out.extend_from_slice(first.as_bytes());
    if record.flag != Flag::None {
        out.push(b',');
        out.extend_from_slice(record.flag.as_str().as_bytes());
    }
}

/// Appends the details, which are ours and plain, with the reason, which is not, inside their
/// braces. Envoy has no blanks in this field, since it stands without quotes.
fn details(out: &mut Vec<u8>, record: &Record, escape: fn(&mut Vec<u8>, &[u8])) {
    let Some((head, reason)) = record.details.strip_suffix('}').zip(record.reason.as_deref())
    else {
        out.extend_from_slice(record.details.as_bytes());
        return;
    };
    out.extend_from_slice(head.as_bytes());
    out.push(b'|');
    without_blanks(out, reason, escape);
    out.push(b'}');
}

/// Appends a text with its blanks as underscores, as Envoy prints a failure's reason.
fn without_blanks(out: &mut Vec<u8>, text: &str, escape: fn(&mut Vec<u8>, &[u8])) {
    for (n, word) in text.split(' ').enumerate() {
        if n > 0 {
            out.push(b'_');
        }
        escape(out, word.as_bytes());
    }
}
