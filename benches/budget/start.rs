//! How soon the gateway serves: from the start of the process to its first 404.
//!
//! A time, so a busy machine shows; the median of several starts is told beside the best.

use std::time::Instant;

use super::gateway::{Gateway, Setup};
use super::support::{Client, Origin};
use super::table::{Budget, Row};

const STARTS: usize = 9;

/// The article's configuration.
pub fn measure(origin: &Origin) -> Vec<Row> {
    let mut times: Vec<f64> = (0..STARTS).map(|_| start(origin)).collect();
    times.sort_by(f64::total_cmp);
    let budget = Budget { must: 20.0, aim: 10.0 };
    vec![
        Row::judged(
            "ms from start to the first 404, median of 9",
            times[STARTS / 2],
            budget.must,
            budget,
        ),
        Row::told("  the fastest of them", times[0]),
    ]
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn start(origin: &Origin) -> f64 {
    let started = Instant::now();
    let gateway = Gateway::start(&Setup::article(origin));
    let status = Client::connect(gateway.address).get("unknown.example", "/");
    let took = started.elapsed();
    assert_eq!(status, 404);
    gateway.stop();
    took.as_secs_f64() * 1e3
}
