//! Egret: a standalone egress gateway that originates TLS.
#![forbid(unsafe_code)]
pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod control;
pub mod downstream;
pub mod drain;
pub mod inspect;
pub mod listen;
pub mod model;
pub mod observe;
pub mod proxy;
pub mod settings;
pub mod snapshot;
pub mod transport;
pub mod upstream;
pub mod wire;
pub mod worker;
