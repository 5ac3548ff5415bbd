//! Whole requests through a gateway in this process: time per request, client and origin included.
//!
//! Not a verdict: machines are noisy. The budget bench counts what is repeatable.

#![expect(clippy::disallowed_methods, reason = "a bench reads the real clock")]

#[allow(dead_code, reason = "each bench uses its part of what they share")]
mod support;

use std::time::{Duration, Instant};

use support::{Client, Gateway, HOST, Origin};

/// How long each case runs.
const RUN: Duration = Duration::from_secs(2);

fn main() {
    let origin = Origin::start();
    let gateway = Gateway::start(&origin, &[]);
    if let Some(n) = std::env::var("EGRET_N").ok().and_then(|n| n.parse().ok()) {
        let mut client = Client::connect(gateway.address);
        (0..n).for_each(|_| assert_eq!(client.get(HOST, "/1024"), 200));
        return;
    }
    for (name, host, path, status) in [
        ("1 KiB, keep-alive", HOST, "/1024", 200),
        ("16 KiB, keep-alive", HOST, "/16384", 200),
        ("1 MiB, keep-alive", HOST, "/1048576", 200),
        ("404", "unknown.example", "/", 404),
    ] {
        let mut client = Client::connect(gateway.address);
        (0..100).for_each(|_| assert_eq!(client.get(host, path), status));
        let (mut count, started) = (0u32, Instant::now());
        while started.elapsed() < RUN {
            assert_eq!(client.get(host, path), status);
            count += 1;
        }
        println!(
            "{name:20} {:8.1} us per request",
            started.elapsed().as_secs_f64() * 1e6 / f64::from(count)
        );
    }
}
