//! Where documents come from, and how a change of them is noticed.
//!
//! Does not judge what the documents say.

pub mod files;
pub mod watch;
