//! Egret: a standalone egress gateway that originates TLS.
#![forbid(unsafe_code)]
pub mod admin;
pub mod cli;
pub mod config;
pub mod downstream;
pub mod model;
pub mod observe;
pub mod proxy;
pub mod settings;
pub mod snapshot;
pub mod transport;
pub mod upstream;
pub mod wire;
