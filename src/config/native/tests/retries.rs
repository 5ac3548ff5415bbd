//! `retries`: what may be written, and what is told of the rest.

use std::time::Duration;

use super::*;
use crate::model::retry::{Resend, Retry, RetryHosts, RetryOn, RetryOnSet};

fn route(retries: &str) -> String {
    format!("routes:\n- hosts: [a.example.com]\n  to: http://a.example.com\n  retries: {retries}\n")
}

#[test]
fn what_is_not_written_is_the_default() {
    for (written, expected) in [
        ("{}", Retry::default()),
        ("{ attempts: 0 }", Retry { attempts: 0, ..Retry::default() }),
        ("{ statuses: [503] }", Retry { statuses: vec![503], ..Retry::default() }),
        (
            "{ conditions: [5xx, http3-post-connect-failure] }",
            Retry { on: RetryOnSet::of(&[RetryOn::ServerError]), ..Retry::default() },
        ),
        (
            "{ attempts: 9, conditions: [reset], statuses: [429], perTryTimeout: 2s, backoff: 1s, \
             ignorePreviousHosts: false, nonIdempotent: true }",
            Retry {
                attempts: 9,
                on: RetryOnSet::of(&[RetryOn::Reset, RetryOn::Statuses]),
                statuses: vec![429],
                attempt_timeout: Some(Duration::from_secs(2)),
                backoff: Duration::from_secs(1),
                hosts: RetryHosts::Any,
                resend: Resend::Everything,
            },
        ),
        ("{ perTryTimeout: 0s, ignorePreviousHosts: true }", Retry::default()),
    ] {
        assert_eq!(forward(&plan(&route(written)), 0, 0).retry, expected, "{written}");
    }
}

#[test]
fn mistakes_are_told_and_the_rest_applies() {
    let text = route(
        "{ attempts: 3, conditions: [5xx, conect-failure, \"429\"], statuses: [99, 404], backoff: soon }",
    );
    assert_eq!(
        told(&text),
        [
            "EG081 egress.yaml:4:45: file: routes[0].retries.conditions[1]: \"conect-failure\" is no condition of a retry; the others apply: did you mean \"connect-failure\"?",
            "EG081 egress.yaml:4:61: file: routes[0].retries.conditions[2]: \"429\" is no condition of a retry; the others apply: write statuses: [429]",
            "EG081 egress.yaml:4:80: file: routes[0].retries.statuses[0]: 99 is no status; it is left out",
            "EG081 egress.yaml:4:99: file: routes[0].retries.backoff: \"soon\" is not a duration; write a number and a unit, as in 25s, 500ms or 1m30s; the default is in force",
        ]
    );
    let retry = forward(&compiled(&text).plan, 0, 0).retry.clone();
    assert_eq!((retry.attempts, retry.statuses, retry.backoff), (3, vec![404], Retry::BACKOFF));
    assert_eq!(retry.on.to_string(), "5xx,retriable-status-codes");
}
