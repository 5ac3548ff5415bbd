//! How often and when a route tries again.
//!
//! Source: istio `core/route/retry/retry.go:ConvertPolicy`. One difference on purpose is told of: what
//! is not idempotent is not sent twice.

use std::time::Duration;

use super::object::Report;
use crate::config::istio::virtual_service::HttpRetry;
use crate::config::{Severity, nearest};
use crate::model::duration;
use crate::model::retry::{CONDITIONS_IGNORED, Retry, RetryHosts, RetryOn, RetryOnSet};

/// What `retries` at `field` asks for; Istio's default where it is not written.
pub fn compile(written: Option<&HttpRetry>, field: &str, report: &mut Report<'_>) -> Retry {
    let Some(written) = written else { return Retry::default() };
    let never = Retry { attempts: 0, ..Retry::default() };
    let Some(attempts) = written.attempts else {
        report.fault(
            "EG082",
            Severity::Warning,
            &format!("{field}.attempts"),
            "it is missing, which Istio takes as 0: nothing is tried again",
            "write how many further attempts, e.g. attempts: 2",
        );
        return never;
    };
    if attempts < 0 {
        let what = format!("{attempts} attempts are taken as none");
        report.refused_by_istio(&format!("{field}.attempts"), what, "write 0 or more");
    }
    if attempts <= 0 {
        return never;
    }
    let mut retry =
        Retry { attempts: u32::try_from(attempts).unwrap_or(u32::MAX), ..Retry::default() };
    if let Some(words) = written.retry_on.as_deref().filter(|words| !words.is_empty()) {
        retry_on(words, &mut retry, &format!("{field}.retryOn"), report);
    }
    retry.attempt_timeout =
        time(written.per_try_timeout.as_deref(), &format!("{field}.perTryTimeout"), report);
    if let Some(backoff) = time(written.backoff.as_deref(), &format!("{field}.backoff"), report) {
        retry.backoff = backoff;
    }
    if written.retry_ignore_previous_hosts == Some(false) {
        retry.hosts = RetryHosts::Any;
    }
    if written.retry_remote_localities == Some(true) {
        report.unsupported(
            Severity::Warning,
            &format!("{field}.retryRemoteLocalities"),
            "endpoints have no localities here",
        );
    }
    retry
}

/// Reads `5xx,reset,429`: words are conditions, numbers are statuses.
fn retry_on(words: &str, retry: &mut Retry, field: &str, report: &mut Report<'_>) {
    retry.on = RetryOnSet::default();
    for word in words.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let status = word.parse().ok().filter(|status| (100..=599).contains(status));
        match (status, RetryOn::parse(word)) {
            (Some(status), _) => {
                retry.on.insert(RetryOn::Statuses);
                retry.statuses.push(status);
            }
            (None, Some(condition)) => retry.on.insert(condition),
            (None, None) if CONDITIONS_IGNORED.contains(&word) => {}
            (None, None) => report.fault(
                "EG081",
                Severity::Error,
                field,
                format!("\"{word}\" is no condition of a retry; the others apply"),
                nearest(word, &RetryOn::ALL.map(RetryOn::as_str)),
            ),
        }
    }
    if retry.reaches_what_was_sent() {
        report.tell(
            "EG055",
            Severity::Info,
            field,
            "POST and other requests that are not idempotent are not sent twice, unlike with Istio, \
             unless they bear an Idempotency-Key",
            "where sending twice does no harm, Egret's own form has retries: { nonIdempotent: true }",
        );
    }
}

/// A time above zero; zero and what cannot be read leave the default.
fn time(text: Option<&str>, field: &str, report: &mut Report<'_>) -> Option<Duration> {
    match duration::parse(text?) {
        Ok(time) => {
            if !time.is_zero() && time < Duration::from_millis(1) {
                let what = "a time below 1 ms";
                report.refused_by_istio(field, what, "write at least 1ms");
            }
            Some(time).filter(|time| !time.is_zero())
        }
        Err(why) => {
            report.fault("EG081", Severity::Error, field, why, "the default is in force");
            None
        }
    }
}
