//! One direction of an exchange: pieces of a body from one peer to the other, as fast as the slower.

use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::mirror;
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
    /// Payload bytes that it may have; `None`: any number.
    bytes_max: Option<u64>,
    /// What was taken, where it may have to be sent again.
    tape: Option<Box<Tape>>,
    /// Who wants a copy of what is taken.
    copy: Option<Box<mirror::Copy>>,
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

    /// A flow of a body framed like this.
    pub fn of(framing: Framing) -> Self {
        if framing == Framing::Empty { Self::without_body() } else { Self::default() }
    }

    /// The same, with a copy of what is taken.
    pub fn copied_to(self, copy: Option<Box<mirror::Copy>>) -> Self {
        Self { copy, ..self }
    }

    /// Whether anything was taken from the sender.
    pub fn has_taken(&self) -> bool {
        self.pieces > 0
    }

    /// Lets it have so many payload bytes at most.
    pub fn allow(&mut self, bytes: u64) {
        self.bytes_max = Some(bytes);
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
        let (mut tape, mut copy) = (self.tape.take(), self.copy.take());
        if let Some(tape) = &mut tape {
            tape.rewind();
        }
        if let Some(copy) = &mut copy {
            copy.rewind();
        }
        *self = Self { tape, copy, ..Self::of(framing) };
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
                    if self.bytes_max.is_some_and(|max| self.bytes > max) {
                        return Poll::Ready(Err(Side::TooLarge));
                    }
                    if let Some(copy) = &mut self.copy {
                        copy.take(&piece, &scratch);
                    }
                    if piece.end.is_some() {
                        self.stage = Stage::Draining;
                    }
                    receiver.push(cx, piece, &mut scratch, buffers).map_err(Side::Receiver)?;
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

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::proxy::tape::KEPT_BYTES_MAX;
    use crate::transport::Messages;

    /// A peer and the other end of its stream, which takes this much at once.
    fn peer(room: usize) -> (Messages<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(room);
        (Messages::new(ours), theirs)
    }

    fn step(
        flow: &mut Flow,
        from: &mut Messages<DuplexStream>,
        to: &mut Messages<DuplexStream>,
        buffers: &Buffers,
    ) -> Poll<Result<(), Side>> {
        let mut cx = Context::from_waker(Waker::noop());
        flow.poll(&mut cx, Peer::H1(from), Peer::H1(to), buffers)
    }

    #[tokio::test]
    async fn a_body_that_begins_again_arrives_whole_though_its_end_was_not_there_yet() {
        let buffers = Buffers::default();
        let (mut from, mut client) = peer(1024);
        from.expect_body(Framing::Length(600));
        client.write_all(&[1; 400]).await.expect("room");

        let mut flow = Flow::of(Framing::Length(600));
        flow.keep(&buffers);
        let (mut first, _origin) = peer(64);
        assert!(step(&mut flow, &mut from, &mut first, &buffers).is_pending());
        assert!(flow.has_taken() && flow.can_begin_again());

        flow.begin_again(Framing::Length(600));
        let (mut second, mut origin) = peer(64);
        // Its answer comes before it has read anything: what is kept is still to be played.
        flow.settle(&buffers);
        client.write_all(&[2; 200]).await.expect("room");
        let mut arrived = Vec::new();
        while step(&mut flow, &mut from, &mut second, &buffers).is_pending() {
            arrived.push(origin.read_u8().await.expect("it goes on"));
        }
        drop(second);
        origin.read_to_end(&mut arrived).await.expect("an end");
        assert_eq!(arrived, [[1; 400].as_slice(), &[2; 200]].concat());
        assert_eq!((flow.bytes, flow.is_whole()), (600, true));
    }

    #[tokio::test]
    async fn what_is_too_long_to_be_kept_cannot_begin_again() {
        for (length, again) in [(KEPT_BYTES_MAX, true), (KEPT_BYTES_MAX + 1, false)] {
            let buffers = Buffers::default();
            let (mut from, mut client) = peer(2 * length);
            let (mut to, _origin) = peer(2 * length);
            from.expect_body(Framing::Length(length as u64));
            client.write_all(&vec![1; length]).await.expect("room");
            let mut flow = Flow::of(Framing::Length(length as u64));
            flow.keep(&buffers);
            assert!(step(&mut flow, &mut from, &mut to, &buffers).is_ready());
            assert_eq!(flow.can_begin_again(), again, "{length}");
        }
    }

    #[test]
    fn a_body_that_is_not_kept_can_begin_again_until_something_is_taken() {
        let mut flow = Flow::of(Framing::Length(5));
        assert!(flow.can_begin_again());
        flow.pieces = 1;
        assert!(!flow.can_begin_again());
        assert!(Flow::of(Framing::Empty).can_begin_again());
    }
}
