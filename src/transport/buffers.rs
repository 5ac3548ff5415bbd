//! The memory a lane lends to its requests: one large scratch buffer for the length of a poll, and
//! spare small ones for what must outlive it.
//!
//! An idle connection holds none of it, which is what makes an idle connection small.

use std::cell::{RefCell, RefMut};
use std::ops::Range;

use crate::wire::HeadMemory;

/// Least size of the scratch buffer: four TLS records. It is larger than the largest head.
const SCRATCH_BYTES: usize = 64 * 1024;
/// What the scratch buffer is larger than the largest head.
const SCRATCH_MARGIN: usize = 1024;
/// Room before a piece of a body in the scratch buffer, for a head and the framing that it is sent with.
const ROOM_BEFORE: usize = 1024;
/// Room behind it, for the framing that follows it.
const ROOM_BEHIND: usize = 32;
/// A spare buffer's first capacity: enough for most heads.
const SPARE_BYTES: usize = 2 * 1024;
/// A buffer that grew beyond this is not kept.
const SPARE_BYTES_MAX: usize = 16 * 1024;
/// How many spare buffers are kept.
const SPARES_MAX: usize = 512;

/// One lane's buffers.
pub struct Buffers {
    scratch: RefCell<Box<[u8]>>,
    spares: RefCell<Vec<Vec<u8>>>,
    heads: RefCell<Vec<HeadMemory>>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self::with_room_for(SCRATCH_BYTES)
    }
}

impl Buffers {
    /// Buffers for heads of so many bytes at most.
    pub fn with_room_for(head_bytes: usize) -> Self {
        let bytes = head_bytes.max(SCRATCH_BYTES) + SCRATCH_MARGIN;
        let scratch = vec![0; ROOM_BEFORE + bytes + ROOM_BEHIND];
        Self {
            scratch: RefCell::new(scratch.into_boxed_slice()),
            spares: RefCell::default(),
            heads: RefCell::default(),
        }
    }

    /// The scratch buffer. Hold it for one poll, never across an await.
    pub fn scratch(&self) -> RefMut<'_, Box<[u8]>> {
        self.scratch.borrow_mut()
    }

    /// An empty buffer of the caller's own; give it back when done.
    pub fn lend(&self) -> Vec<u8> {
        self.spares.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(SPARE_BYTES))
    }

    /// Takes a buffer back.
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        let mut spares = self.spares.borrow_mut();
        let fits = (SPARE_BYTES..=SPARE_BYTES_MAX).contains(&buffer.capacity());
        if fits && spares.len() < SPARES_MAX {
            buffer.clear();
            spares.push(buffer);
        }
    }

    /// Memory for a head; give it back when done.
    pub fn lend_head(&self) -> HeadMemory {
        let spare = self.heads.borrow_mut().pop();
        spare.unwrap_or_else(|| HeadMemory::with_room_for(SPARE_BYTES))
    }

    /// Takes a head's memory back.
    pub fn give_back_head(&self, memory: HeadMemory) {
        let mut heads = self.heads.borrow_mut();
        let fits = (SPARE_BYTES..=SPARE_BYTES_MAX).contains(&memory.capacity());
        if fits && heads.len() < SPARES_MAX {
            heads.push(memory);
        }
    }
}

/// Where a piece of a body goes in the scratch buffer, so that it can be framed where it is; nothing if there is none.
pub fn piece_room(scratch: &[u8]) -> Range<usize> {
    let end = scratch.len().saturating_sub(ROOM_BEHIND);
    ROOM_BEFORE.min(end)..end
}

impl std::fmt::Debug for Buffers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Buffers({} spare, {} for heads)",
            self.spares.borrow().len(),
            self.heads.borrow().len()
        )
    }
}
