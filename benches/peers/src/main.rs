//! Egret beside other gateways on the same work: a benchmark that anyone can run, with `benches/peers/run`.
//!
//! The same program is the driver ([`bench`]), the TLS origin ([`origin`]) and the load generator ([`load`]),
//! so that nothing but gateways has to be found. What is measured is in [`experiments`], a file for each; with
//! whom, in [`gateways`]; what comes of it is told by [`report`].

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads the real clock, waits, and ends with its children"
)]

mod bench;
mod cli;
mod experiments;
mod gateways;
mod load;
mod machine;
mod origin;
mod parent;
mod report;
mod statistics;
mod wire;
mod work;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("egret-peers: {error}");
            ExitCode::FAILURE
        }
    }
}
