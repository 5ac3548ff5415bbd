//! `retries` of a rule in Egret's own form, both ways.
//!
//! The words are those of Envoy and of Istio's `retryOn`, whose own reading is elsewhere.

use std::time::Duration;

use super::render::{Fields, number, texts, time};
use super::report::{Parts, Report};
use super::shapes;
use super::yaml::Node;
use crate::config::nearest;
use crate::model::duration;
use crate::model::retry::{CONDITIONS_IGNORED, Resend, Retry, RetryHosts, RetryOn, RetryOnSet};

/// What is written in `retries`; a part that is not understood is reported and left at its default.
pub(super) fn read(written: &shapes::Retries, parts: Parts<'_>, report: &mut Report<'_>) -> Retry {
    let field = report.field(parts, "retries");
    let mut retry = Retry::default();
    retry.attempts = written.attempts.unwrap_or(retry.attempts);
    if let Some(words) = &written.conditions {
        retry.on = conditions(words, &format!("{field}.conditions"), report);
    }
    for (index, status) in written.statuses.iter().flatten().enumerate() {
        if !(100..=599).contains(status) {
            let field = format!("{field}.statuses[{index}]");
            report.error("EG081", &field, format!("{status} is no status; it is left out"), "");
            continue;
        }
        retry.on.insert(RetryOn::Statuses);
        retry.statuses.push(*status);
    }
    let limit = written.per_try_timeout.as_deref();
    retry.attempt_timeout = read_time(limit, &format!("{field}.perTryTimeout"), report);
    let backoff = written.backoff.as_deref();
    retry.backoff =
        read_time(backoff, &format!("{field}.backoff"), report).unwrap_or(Retry::BACKOFF);
    if written.ignore_previous_hosts == Some(false) {
        retry.hosts = RetryHosts::Any;
    }
    if written.non_idempotent == Some(true) {
        retry.resend = Resend::Everything;
    }
    retry
}

fn conditions(words: &[String], field: &str, report: &mut Report<'_>) -> RetryOnSet {
    let mut conditions = RetryOnSet::default();
    for (index, word) in words.iter().enumerate() {
        match RetryOn::parse(word) {
            Some(condition) => conditions.insert(condition),
            None if CONDITIONS_IGNORED.contains(&word.as_str()) => {}
            None => {
                let message = format!("\"{word}\" is no condition of a retry; the others apply");
                let fix = match word.parse::<u16>() {
                    Ok(status) => format!("write statuses: [{status}]"),
                    Err(_) => nearest(word, &RetryOn::ALL.map(RetryOn::as_str)),
                };
                report.error("EG081", &format!("{field}[{index}]"), message, fix);
            }
        }
    }
    conditions
}

/// A time above zero; zero and what cannot be read are none.
fn read_time(text: Option<&str>, field: &str, report: &mut Report<'_>) -> Option<Duration> {
    match duration::parse(text?) {
        Ok(time) => Some(time).filter(|time| !time.is_zero()),
        Err(why) => {
            report.error("EG081", field, format!("{why}; the default is in force"), "");
            None
        }
    }
}

/// The fields of `retries`; nothing that is the default.
pub(super) fn render(retry: &Retry) -> Fields {
    let Retry { attempts, on, statuses, attempt_timeout, backoff, hosts, resend } = retry;
    let default = Retry::default();
    let mut fields = Fields::new();
    if *attempts != default.attempts {
        fields.push(number("attempts", (*attempts).into()));
    }
    if *on != default.on {
        let words = on.iter().map(|condition| condition.as_str().to_owned());
        fields.push(("conditions".to_owned(), texts(words)));
    }
    if !statuses.is_empty() {
        let statuses = statuses.iter().map(|status| Node::Number((*status).into()));
        fields.push(("statuses".to_owned(), Node::List(statuses.collect())));
    }
    fields.extend(attempt_timeout.map(|limit| time("perTryTimeout", limit)));
    if *backoff != default.backoff {
        fields.push(time("backoff", *backoff));
    }
    if *hosts == RetryHosts::Any {
        fields.push(("ignorePreviousHosts".to_owned(), Node::Flag(false)));
    }
    if *resend == Resend::Everything {
        fields.push(("nonIdempotent".to_owned(), Node::Flag(true)));
    }
    fields
}
