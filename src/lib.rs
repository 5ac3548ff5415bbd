//! Egret: a standalone egress gateway that originates TLS.
#![forbid(unsafe_code)]
pub mod admin;
pub mod downstream;
pub mod model;
pub mod observe;
pub mod proxy;
pub mod snapshot;
pub mod transport;
pub mod upstream;
pub mod wire;
