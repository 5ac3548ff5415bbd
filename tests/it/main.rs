//! Front-door tests: a real gateway process between real clients and real origins, one file for each subject.
#![forbid(unsafe_code)]

#[path = "../harness/mod.rs"]
mod harness;

mod article;
mod harness_itself;
mod listener;
mod routing;
mod tls;
