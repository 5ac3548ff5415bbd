//! One direction of an exchange: pieces of a body from one peer to the other, as fast as the slower.

use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::tape::Tape;
use crate::transport::{Broken, Buffers, Peer};
use crate::wire::Framing;

/// How far one direction has come.
#[derive(Debug, Default)]
pub struct Flow {
    /// Payload bytes taken from the sender.
    pub bytes: u64,
    /// Pieces taken, an empty last one included.
    pieces: u32,
    stage: Stage,
    /// What was taken, where it may have to be sent again.
    tape: Option<Box<Tape>>,
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

    /// A flow of a body framed like this.
    pub fn of(framing: Framing) -> Self {
        if framing == Framing::Empty { Self::without_body() } else { Self::default() }
    }

    /// Whether anything was taken from the sender.
    pub fn has_taken(&self) -> bool {
        self.pieces > 0
    }

    /// Keeps what is taken from now on, as far as a tape reaches. Only before anything was taken.
    pub fn keep(&mut self, buffers: &Buffers) {
        if self.tape.is_none() && !self.has_taken() {
            self.tape = Some(Box::new(Tape::new(buffers)));
        }
    }

    /// Whether all of it can be sent again from the beginning.
    pub fn can_begin_again(&self) -> bool {
        self.tape.as_ref().map_or(!self.has_taken(), |tape| tape.is_whole())
    }

    /// Begins again. Only while it can.
    pub fn begin_again(&mut self, framing: Framing) {
        debug_assert!(self.can_begin_again());
        let mut tape = self.tape.take();
        if let Some(tape) = &mut tape {
            tape.rewind();
        }
        *self = Self { tape, ..Self::of(framing) };
    }

    /// Will not begin again: what is kept is only played to its end.
    pub fn settle(&mut self, buffers: &Buffers) {
        if let Some(tape) = &mut self.tape {
            tape.stop();
            if !tape.is_behind()
                && let Some(tape) = self.tape.take()
            {
                tape.give_back(buffers);
            }
        }
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
            let next = match &mut self.tape {
                None => sender.poll_piece(cx, &mut scratch, buffers),
                Some(tape) => tape.poll_piece(cx, &mut sender, &mut scratch, buffers),
            };
            match next.map_err(Side::Sender)? {
                Poll::Ready(piece) => {
                    self.pieces = self.pieces.saturating_add(1);
                    self.bytes += piece.bytes(&scratch).len() as u64;
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
