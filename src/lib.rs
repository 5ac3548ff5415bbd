//! Egret: a standalone egress gateway that originates TLS.
#![forbid(unsafe_code)]
pub mod cli;
pub mod config;
pub mod model;
pub mod settings;
