//! HTTP/1.1 on the wire: bytes in, bytes out, strict where a lax reading would let two parties disagree.
//!
//! No I/O, no clock, no async, no policy: what a message says is decided here, what to do about it
//! is not. HTTP/2 messages use [`Head`] too, once converted line by line; their framing is h2's.

pub mod body;
pub mod chunked;
pub mod fields;
pub mod framing;
pub mod head;
mod line;
mod name;
pub mod parse;
pub mod refusal;
pub mod target;
#[cfg(test)]
mod tests;
pub mod trailers;
pub mod upgrade;

pub use fields::Persistence;
pub use framing::Framing;
pub use head::{Head, HeadMemory, Version};
pub use name::{Name, Names};
pub use parse::{HeadLimits, Parsed};
pub use refusal::Refusal;
pub use trailers::Trailers;
