//! What happened, for people and machines: one record a request, counters, the access log, readiness.
//!
//! Nothing here does I/O on a request's path: a lane owns its counters and its log buffer as plain
//! memory, the writer thread and the control thread take copies. The story of the process (reloads,
//! connects) is `tracing`'s and not told here.

pub mod access_log;
pub mod kinds;
pub mod noted;
pub mod process;
pub mod prometheus;
#[cfg(test)]
mod prometheus_tests;
pub mod readiness;
pub mod record;
pub mod scraper;
pub mod stat_prefixes;
pub mod stats;

pub use access_log::{Format, LogBuffer, LogWriter, escape_json};
pub use kinds::{ClientEnd, Handshake, Mirrored, Retried, UpstreamEvent};
pub use noted::{Noted, RequestFacts};
pub use readiness::Readiness;
pub use record::{Record, Reuse, Version, millis};
pub use scraper::Scraper;
pub use stat_prefixes::StatPrefixes;
pub use stats::Stats;

/// The wall clock as the `Date` of an HTTP message (RFC 9110, section 5.6.7).
#[expect(clippy::disallowed_methods, reason = "names a moment to the client")]
pub fn http_date() -> String {
    httpdate::fmt_http_date(std::time::SystemTime::now())
}
