//! One request, from the client's first byte to its reply: routed, sent, relayed.
//!
//! Read `request` first: it is the straight line, and the other files are its steps.

pub mod account;
pub mod admission;
pub mod answer;
mod apart;
mod asked;
pub mod attempt;
pub mod clients;
pub mod deadlines;
pub mod discard;
pub mod exchange;
pub mod fault;
pub mod flow;
pub mod headers;
pub mod interim;
pub mod lane;
pub mod limits;
pub mod mirror;
pub mod pick;
pub mod places;
pub mod presence;
pub mod relay;
pub mod reply;
pub mod request;
pub mod retry;
pub mod serve;
pub mod tape;
pub mod tunnel;
mod watch;

pub use admission::{Admission, Admitted};
pub use lane::{Lane, Phase};
