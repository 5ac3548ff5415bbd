//! Interim responses on their way to the client: all of them, in order, within limits.
//!
//! The switch to another protocol (101) is none of them: it is the answer.

use std::task::{Context, Poll};

use super::headers;
use super::lane::Lane;
use crate::downstream::Client;
use crate::transport::Broken;
use crate::wire::{Head, Refusal, Version, framing};

/// Interim responses to one request that are waited through; a long-lived `102` every few seconds must fit.
const INTERIMS_MAX: u32 = 256;
/// Bytes of their fields altogether. HTTP/2 has no flow control for heads: what a client does not read waits here.
const INTERIM_BYTES_MAX: usize = 256 * 1024;

/// An interim response, other than the switch to another protocol.
pub fn is_interim(head: &Head) -> bool {
    head.status() < 200 && head.status() != 101
}

/// The interim responses to one request.
pub struct Interims {
    /// What the client speaks: HTTP/1.0 knows none of them (RFC 9110, section 15.2).
    client: Version,
    seen: u32,
    bytes: usize,
}

/// Why one was not passed on.
pub enum Untold {
    /// The client cannot be told.
    Client(Broken),
    /// It announces a body, so that nobody knows where the next head begins.
    Origin(Refusal),
    /// There is no end of them; which limit says so.
    Endless(&'static str),
}

impl Interims {
    /// None yet, for a client that speaks this.
    pub fn before(client: Version) -> Self {
        Self { client, seen: 0, bytes: 0 }
    }

    /// Whether none came so far.
    pub fn is_none(&self) -> bool {
        self.seen == 0
    }

    /// Passes one on, to a client that can take it.
    pub fn pass_on(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Client<'_>,
        mut head: Head,
        lane: &Lane,
    ) -> Result<(), Untold> {
        self.count(&head)?;
        framing::response(&head, b"").map_err(Untold::Origin)?;
        if self.client != Version::Http10 {
            framing::drop_needless_length(&mut head);
            headers::interim(&mut head);
            client.inform(&head, &lane.buffers).map_err(Untold::Client)?;
        }
        lane.buffers.give_back_head(head.into_memory());
        match client.peer().poll_drain(cx, &lane.buffers) {
            Poll::Ready(result) => result.map_err(Untold::Client),
            Poll::Pending => Ok(()),
        }
    }

    fn count(&mut self, head: &Head) -> Result<(), Untold> {
        self.seen += 1;
        self.bytes += head.lines().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if self.seen > INTERIMS_MAX {
            return Err(Untold::Endless("more than 256 interim responses"));
        }
        if self.bytes > INTERIM_BYTES_MAX {
            return Err(Untold::Endless("more than 256 KiB of interim responses"));
        }
        Ok(())
    }
}
