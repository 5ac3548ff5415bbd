//! Front-door tests: a real gateway process between real clients and real origins, one file for each subject.
#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "failure bounds go by the real clock, and commands by the real environment"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod article;
mod balance;
mod commands;
mod cors;
mod credentials;
mod delegate;
mod dns;
mod dynamic;
mod errors;
mod failures;
mod fault;
mod forms;
mod gateways;
mod goaway;
mod guard;
mod h2;
mod harness_itself;
mod header_values;
mod headers;
mod idle;
mod lifecycle;
mod limits;
mod limits_upstream;
mod listener;
mod loops;
mod mirror;
mod observe;
mod offline;
mod outliers;
mod pools;
mod proxy_protocol;
mod refusals;
mod reload;
mod requests;
mod responses;
mod retries;
mod routing;
mod timeouts;
mod tls;
mod virtual_services;
