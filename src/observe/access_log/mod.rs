//! The access log: one line a request, in Istio's text format or as JSON.
//!
//! It decides nothing about what happened; it prints a [`Record`] and the [`Noted`] request head.
//! Lines go to a lane's [`LogBuffer`], whole buffers to the [`LogWriter`]'s thread.

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

use std::io::Write;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

pub use buffer::LogBuffer;
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
    pub record: &'a Record,
    /// What was asked.
    pub noted: &'a Noted,
    /// When it ended, on the clock of `record.started`.
    pub ended: Instant,
    /// When it ended, in milliseconds since 1970 UTC.
    pub ended_unix_ms: u64,
}

impl Entry<'_> {
    /// How long the request took.
    fn duration_ms(&self) -> u64 {
        let took = self.ended.saturating_duration_since(self.record.started);
        u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
    }

    /// When it began, on the wall clock: its end less its duration, so that one reading is enough.
    fn started_unix_ms(&self) -> u64 {
        self.ended_unix_ms.saturating_sub(self.duration_ms())
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
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Appends a number.
fn number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends `10.0.0.1:443` or `[2001:db8::1]:443`; IPv4 by hand, since four are in every line and
/// the formatting machinery would be a good part of its cost.
fn address(out: &mut Vec<u8>, address: &SocketAddr) {
    match address {
        SocketAddr::V4(v4) => {
            for (n, octet) in v4.ip().octets().into_iter().enumerate() {
                if n > 0 {
                    out.push(b'.');
                }
                number(out, octet);
            }
            out.push(b':');
            number(out, v4.port());
        }
        SocketAddr::V6(v6) => write!(out, "{v6}").expect("a Vec takes every write"),
    }
}

/// Appends the flags as Envoy joins them: the retry flag first.
fn flags(out: &mut Vec<u8>, record: &Record) {
    use crate::model::Flag;
    match (record.retries_exhausted, record.flag) {
        (true, Flag::None) => out.extend_from_slice(b"URX"),
        (true, flag) => {
            out.extend_from_slice(b"URX,");
            out.extend_from_slice(flag.as_str().as_bytes());
        }
        (false, flag) => out.extend_from_slice(flag.as_str().as_bytes()),
    }
}

/// Appends the details with the reason inside their braces, each part through `escape`. Envoy
/// has no blanks in this field, since it stands without quotes.
fn details(out: &mut Vec<u8>, record: &Record, escape: fn(&mut Vec<u8>, &[u8])) {
    let Some((head, reason)) = record
        .details
        .strip_suffix('}')
        .zip(record.reason.as_deref())
    else {
        escape(out, record.details.as_bytes());
        return;
    };
    escape(out, head.as_bytes());
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
