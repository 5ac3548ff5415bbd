//! The same rows against a real Envoy, set up as Istio sets up its egress gateway: where the two differ, `differs.md`
//! says why, and says it of no row on which they agree.
//!
//! What is compared is what the client gets, whether the connection stays, and what a request means to the origin:
//! its method, target, fields and body. Envoy writes names in lower case and adds lines of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use super::driver::{self, Pace};
use super::origin::{Recorder, body_end, head_end};
use super::table::Complete;
use super::{HOST, cases, wire};
use crate::harness::envoy::Envoy;
use crate::harness::get;

/// How long Envoy may be silent before a row is taken to be unanswered.
const SILENCE: Duration = Duration::from_secs(2);
/// Fields that policy, not the protocol, adds or takes away.
const POLICY: [&str; 7] = [
    "content-length: 0",
    "x-forwarded-proto",
    "x-forwarded-for",
    "x-request-id",
    "x-envoy-",
    "cdn-loop",
    "x-forwarded-host",
];

#[test]
#[ignore = "needs a real Envoy: EGRET_ENVOY=/path/to/envoy"]
fn where_envoy_differs_is_written_down() {
    let origin = Recorder::start();
    let envoy = Envoy::start(HOST, origin.address.port());
    let probe = get(envoy.address, HOST, super::origin::PROBE);
    assert_eq!(probe.status, 200, "Envoy reaches the origin");
    let documented = documented(include_str!("differs.md"));
    let (mut wrong, mut known) = (Vec::new(), BTreeSet::new());
    for case in cases() {
        known.insert(case.name.clone());
        let outcome = driver::play(&case, Pace::AtOnce, SILENCE, envoy.address, &origin);
        let ours = match case.complete {
            Complete::Yes => meaning(&case.received),
            Complete::No => Vec::new(), // how much of it came is chance
        };
        let theirs = meaning(&outcome.whole());
        let agree = outcome.answer == case.answer.replace("reset", "close") && ours == theirs;
        if agree == documented.contains(&case.name) {
            let what = if agree { "no longer differs" } else { "differs" };
            wrong.push(format!("{what}: {}", super::told(&case, &outcome)));
        }
    }
    let unknown: Vec<_> = documented.difference(&known).collect();
    assert!(unknown.is_empty(), "differs.md names rows that are not there: {unknown:?}");
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_difference_from_envoy_is_one_of_a_row() {
    let known: BTreeSet<_> = cases().into_iter().map(|case| case.name).collect();
    let unknown: Vec<_> = documented(include_str!("differs.md"))
        .into_iter()
        .filter(|name| !known.contains(name))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// The rows that differ: what stands between backticks behind the last bar of a line of the table.
fn documented(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let last = rows.filter_map(|line| line.trim_end_matches('|').rsplit_once('|'));
    last.flat_map(|(_, names)| names.split('`').skip(1).step_by(2).map(str::to_owned)).collect()
}

/// What requests mean to an origin, each as a text.
fn meaning(mut bytes: &[u8]) -> Vec<String> {
    let mut requests = Vec::new();
    while let Some(head_len) = head_end(bytes) {
        let head = String::from_utf8_lossy(&bytes[..head_len]).into_owned();
        let mut lines = head.trim_end().split("\r\n");
        let start = lines.next().unwrap_or_default();
        let mut fields: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
            .map(|(name, value)| match name.as_str() {
                "connection" | "upgrade" => format!("{name}: {}", value.to_ascii_lowercase()),
                _ => format!("{name}: {value}"),
            })
            .filter(|line| !POLICY.iter().any(|name| line.starts_with(name)))
            .collect();
        fields.sort();
        let rest = &bytes[head_len..];
        let len = body_end(&head.to_ascii_lowercase(), rest).unwrap_or(rest.len());
        let body = match wire::dechunk(&rest[..len]) {
            Some(body) => [body.payload, body.trailers].concat(),
            None => rest[..len].to_vec(),
        };
        requests.push(format!("{start} {fields:?} {}", body.escape_ascii()));
        bytes = &rest[len..];
    }
    requests
}
