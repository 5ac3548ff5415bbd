//! Front-door tests: a real gateway process between real clients and real origins, one file for each subject.
#![forbid(unsafe_code)]

#[path = "../harness/mod.rs"]
mod harness;

mod article;
mod dns;
mod harness_itself;
mod listener;
mod pools;
mod routing;
mod tls;
