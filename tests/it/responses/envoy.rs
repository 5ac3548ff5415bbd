//! The same rows against a real Envoy: where it does something else, the row says why Egret does not.
//!
//! What is compared is the answer, its trailers, what becomes of both connections, and the next answer;
//! not heads, since Envoy writes names in lower case and adds fields of its own.

use super::case::Ask;
use super::client::{HOST, Http1};
use super::origin::Origin;
use super::{ask_twice, cases, judge, named, path, report, scripts_of};
use crate::harness::envoy::Envoy;

/// Why Envoy does some things differently, where it is the reason for several rows.
pub const ANY_VERSION: &str =
    "Envoy takes any version that looks like one; what its framing means is not known";
pub const BLANKS: &str = "Envoy puts up with blanks that no grammar allows";
pub const STRAY_CR: &str =
    "Envoy deletes the CR and joins what it parted: the next reader may have read two lines";
pub const SIZE: &str = "Envoy's limit is 80 KiB; ours is that of requests, 60 KiB";
pub const SWITCH: &str =
    "Envoy switches to whatever the origin says, and the client does not know of it";
pub const FOLD: &str =
    "Envoy joins folded lines; RFC 9112, section 5.2, lets a gateway refuse them with a 502";
pub const KEEP_ALIVE: &str =
    "Envoy does not read it, and meets a connection that is about to close";
pub const HTTP_10: &str = "Envoy takes no HTTP/1.0 unless it is told to";
pub const CHUNKS: &str = "Envoy's reading of chunks is more generous than RFC 9112, section 7.1; two readings are one too many";

#[test]
#[ignore = "needs a real Envoy: EGRET_ENVOY=/path/to/envoy"]
fn each_row_that_envoy_does_differently_says_why() {
    let cases = cases();
    let origin = Origin::start(scripts_of(&cases));
    let envoy = Envoy::start(HOST, origin.port);
    let mut wrong = Vec::new();
    for case in &cases {
        let (got, mut next, mut differs) = ask_twice(case, envoy.address);
        if next.status() == 503 {
            // It asked over a connection that was about to end, and does not ask again as Egret does.
            next = Http1::connect(envoy.address).ask(Ask::Get, &format!("{}after", path(case)));
        }
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
