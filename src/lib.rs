//! Egret: a standalone egress gateway that originates TLS.
#![forbid(unsafe_code)]
pub mod config;
pub mod model;
