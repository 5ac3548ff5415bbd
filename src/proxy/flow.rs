//! One direction of an exchange: pieces of a body from one peer to the other, as fast as the slower.

use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::transport::{Broken, Buffers, Peer};

/// How far one direction has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Payload bytes taken from the sender.
    pub bytes: u64,
    /// Pieces taken, an empty last one included.
    pieces: u32,
    stage: Stage,
    /// Payload bytes that it may have; `None`: any number.
    bytes_max: Option<u64>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The sender has more.
    #[default]
    Moving,
    /// The sender is done; the receiver has not taken it all.
    Draining,
    /// All of it has arrived.
    Done,
    /// Nothing more of it is wanted.
    Abandoned,
}

/// Which of the two peers failed.
#[derive(Debug)]
pub enum Side {
    /// The one that sends.
    Sender(Broken),
    /// The one that receives.
    Receiver(Broken),
    /// Neither, but the body is larger than it may be. What is too much was not passed on.
    TooLarge,
}

impl Flow {
    /// A flow of which only what waits at the receiver (its head) is left.
    pub fn without_body() -> Self {
        Self { stage: Stage::Draining, ..Self::default() }
    }

    /// Whether all has arrived, or nothing more is wanted.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done | Stage::Abandoned)
    }

    /// Whether all has arrived.
    pub fn is_whole(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Whether anything was taken from the sender, which then cannot be sent again.
    pub fn has_taken(&self) -> bool {
        self.pieces > 0
    }

    /// Lets it have so many payload bytes at most.
    pub fn allow(&mut self, bytes: u64) {
        self.bytes_max = Some(bytes);
    }

    /// Wants nothing more of it.
    pub fn abandon(&mut self) {
        self.stage = Stage::Abandoned;
    }

    /// Moves what can be moved; ready when all has arrived.
    pub fn poll<A, B>(
        &mut self,
        cx: &mut Context<'_>,
        mut sender: Peer<'_, A>,
        mut receiver: Peer<'_, B>,
        buffers: &Buffers,
    ) -> Poll<Result<(), Side>>
    where
        A: AsyncRead + AsyncWrite + Unpin,
        B: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            if self.is_done() {
                return Poll::Ready(Ok(()));
            }
            // A head that waits alone travels with the first piece, if that is there already.
            if self.stage == Stage::Draining || !receiver.holds_head() {
                ready!(receiver.poll_drain(cx, buffers)).map_err(Side::Receiver)?;
            }
            if self.stage == Stage::Draining {
                self.stage = Stage::Done;
                continue;
            }
            let mut scratch = buffers.scratch();
            match sender.poll_piece(cx, &mut scratch, buffers).map_err(Side::Sender)? {
                Poll::Ready(piece) => {
                    self.pieces = self.pieces.saturating_add(1);
                    self.bytes += piece.bytes(&scratch).len() as u64;
                    if self.bytes_max.is_some_and(|max| self.bytes > max) {
                        return Poll::Ready(Err(Side::TooLarge));
                    }
                    if piece.end.is_some() {
                        self.stage = Stage::Draining;
                    }
                    receiver.push(cx, piece, &scratch, buffers).map_err(Side::Receiver)?;
                }
                Poll::Pending if receiver.holds_head() => {
                    drop(scratch);
                    ready!(receiver.poll_drain(cx, buffers)).map_err(Side::Receiver)?;
                    return Poll::Pending;
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
