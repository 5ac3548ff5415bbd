//! What was taken of a request's body, kept so that another attempt can send it again.
//!
//! Bounded, and made only for a request that may need it: whoever begins an upload decides that.

use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::transport::{Broken, Buffers, Data, Peer, Piece, piece_room};
use crate::wire::Trailers;

/// Bytes of a body that are kept; a longer one can be sent once only.
pub const KEPT_BYTES_MAX: usize = 64 * 1024;

/// A body as far as it was taken from its sender, and how far it has been played again.
#[derive(Debug)]
pub struct Tape {
    kept: Vec<u8>,
    /// How many of the kept bytes the receiver of this attempt has been given.
    played: usize,
    end: Option<Trailers>,
    end_is_played: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// All that was taken is kept.
    Keeping,
    /// What is kept is played to its end, and nothing more is kept.
    Stopped,
}

impl Tape {
    /// A tape of a body of which nothing was taken yet.
    pub fn new(buffers: &Buffers) -> Self {
        Self {
            kept: buffers.lend(),
            played: 0,
            end: None,
            end_is_played: false,
            state: State::Keeping,
        }
    }

    /// Whether the body can be sent again from its beginning.
    pub fn is_whole(&self) -> bool {
        self.state == State::Keeping
    }

    /// Begins again with the first byte. Only while the tape is whole.
    pub fn rewind(&mut self) {
        debug_assert!(self.is_whole());
        self.played = 0;
        self.end_is_played = false;
    }

    /// Keeps nothing more.
    pub fn stop(&mut self) {
        self.state = State::Stopped;
    }

    /// Whether something is kept that this attempt has not been given.
    pub fn is_behind(&self) -> bool {
        self.played < self.kept.len() || (self.end.is_some() && !self.end_is_played)
    }

    /// Gives the memory back.
    pub fn give_back(self, buffers: &Buffers) {
        buffers.give_back(self.kept);
    }

    /// The next piece: one that is kept, then what the sender has.
    pub fn poll_piece<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sender: &mut Peer<'_, S>,
        scratch: &mut [u8],
        buffers: &Buffers,
    ) -> Poll<Result<Piece, Broken>> {
        if self.is_behind() {
            return Poll::Ready(Ok(self.play(scratch)));
        }
        let piece = ready!(sender.poll_piece(cx, scratch, buffers))?;
        if self.state == State::Keeping {
            self.keep(&piece, scratch);
        }
        Poll::Ready(Ok(piece))
    }

    fn play(&mut self, scratch: &mut [u8]) -> Piece {
        let left = &self.kept[self.played..];
        let room = piece_room(scratch);
        let count = left.len().min(room.len());
        let data = room.start..room.start + count;
        scratch[data.clone()].copy_from_slice(&left[..count]);
        self.played += count;
        let end = if self.played == self.kept.len() { self.end.clone() } else { None };
        self.end_is_played = end.is_some();
        Piece { data: Data::Scratch(data), end }
    }

    fn keep(&mut self, piece: &Piece, scratch: &[u8]) {
        let bytes = piece.bytes(scratch);
        if self.kept.len() + bytes.len() > KEPT_BYTES_MAX {
            self.stop();
            self.kept = Vec::new();
            self.played = 0;
            return;
        }
        self.kept.extend_from_slice(bytes);
        self.played = self.kept.len();
        self.end.clone_from(&piece.end);
        self.end_is_played = self.end.is_some();
    }
}
