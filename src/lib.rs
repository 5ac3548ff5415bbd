//! Egret: a standalone egress gateway that originates TLS.
#![forbid(unsafe_code)]
pub mod admin;
pub mod model;
pub mod observe;
