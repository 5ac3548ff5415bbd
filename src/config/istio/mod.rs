//! Istio's objects: their shapes, what they mean, and what istiod would have printed of them.
//!
//! The only folder that knows Istio's words. All three API versions are the same messages.

pub mod destination_rule;
pub mod dump;
pub mod gateway;
pub mod service_entry;
pub mod virtual_service;

mod compile;

pub(super) use compile::{compile, referenced_files};
