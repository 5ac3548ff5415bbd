//! The same rows against a real Envoy: where it does something else, the row says why Egret does not.
//!
//! What is compared is the answer, its trailers, what becomes of both connections, and the next answer;
//! not heads, since Envoy writes names in lower case and adds fields of its own.

use super::client::HOST;
use super::origin::Origin;
use super::{ask_twice, cases, judge, named, report, scripts_of};
use crate::harness::envoy::Envoy;

#[test]
#[ignore = "needs a real Envoy: EGRET_ENVOY=/path/to/envoy"]
fn each_row_that_envoy_does_differently_says_why() {
    let cases = cases();
    let origin = Origin::start(scripts_of(&cases));
    let envoy = Envoy::start(HOST, origin.port);
    let mut wrong = Vec::new();
    for case in &cases {
        let (got, next, mut differs) = ask_twice(case, envoy.address);
        differs.extend(judge::answer_of_envoy(case, &got));
        differs.extend(judge::trailers(case, &got));
        differs.extend(judge::next(case, &next, &origin));
        match (differs.is_empty(), case.unlike_envoy) {
            (true, Some(why)) => wrong.push(format!("{}: no longer differs: {why}", case.name)),
            (false, None) => wrong.extend(named(case, differs)),
            (true, None) | (false, Some(_)) => {}
        }
    }
    report(wrong, cases.len());
}
