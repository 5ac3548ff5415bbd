//! One lane's end of the access log: lines are appended, full buffers handed to the writer thread.
//!
//! Ownership is the protocol: of a lane's three buffers one is being filled, the others are spare
//! or the writer's. With none spare and the filled one full, lines are dropped and counted; a lane
//! never waits for the log.

use std::sync::mpsc::{Receiver, SyncSender};

use tokio::time::Instant;

use super::{Entry, Format, Timestamp, write_line};
use crate::observe::{Noted, Record};

/// A buffer this full is handed over, in bytes: about a hundred lines for one wake of the writer.
const FULL_BYTES: usize = 32 * 1024;

/// What a buffer has room for from the start: full, and one more line of usual length.
const CAPACITY: usize = FULL_BYTES + 8 * 1024;

/// A buffer that grew past this (long lines) is replaced when it comes home, so that a burst of
/// them does not stay in memory.
const KEPT_CAPACITY_MAX: usize = 128 * 1024;

/// Buffers of one lane.
pub(super) const BUFFERS_PER_LANE: usize = 3;

/// Lines on their way to the writer.
#[derive(Debug)]
pub(super) struct Batch {
    /// Whole lines.
    pub(super) bytes: Vec<u8>,
    /// How many.
    pub(super) lines: u64,
    /// Where the buffer goes when they are written. Has room for every buffer of its lane.
    pub(super) home: SyncSender<Returned>,
}

/// A buffer on its way back.
#[derive(Debug)]
pub(super) struct Returned {
    pub(super) bytes: Vec<u8>,
    /// Lines that could not be written.
    pub(super) lost: u64,
}

/// One lane's access log. What it holds when dropped still goes to the writer.
#[derive(Debug)]
pub struct LogBuffer {
    format: Format,
    unix_ms: fn() -> u64,
    stamp: Timestamp,
    filling: Vec<u8>,
    lines: u64,
    spare: Vec<Vec<u8>>,
    dropped: u64,
    /// To the writer, with room for every buffer of every lane: sending never waits.
    batches: SyncSender<Batch>,
    home: SyncSender<Returned>,
    /// Buffers the writer is done with.
    returned: Receiver<Returned>,
}

impl LogBuffer {
    /// `unix_ms` reads the wall clock, see [`super::unix_ms`].
    pub(super) fn new(format: Format, unix_ms: fn() -> u64, batches: SyncSender<Batch>) -> Self {
        let (home, returned) = std::sync::mpsc::sync_channel(BUFFERS_PER_LANE);
        Self {
            format,
            unix_ms,
            stamp: Timestamp::default(),
            filling: Vec::with_capacity(CAPACITY),
            lines: 0,
            spare: vec![Vec::new(); BUFFERS_PER_LANE - 1], // room is made when first needed
            dropped: 0,
            batches,
            home,
            returned,
        }
    }

    /// Logs a request that ended at `ended`. Hands the buffer over when it is full.
    pub fn append(&mut self, record: &Record<'_>, noted: &Noted, ended: Instant) {
        if self.filling.len() >= FULL_BYTES {
            self.flush();
            if self.filling.len() >= FULL_BYTES {
                self.dropped += 1;
                return;
            }
        }
        let entry = Entry::ended(record, noted, ended, (self.unix_ms)());
        write_line(&mut self.filling, self.format, &entry, &mut self.stamp);
        self.lines += 1;
        if self.filling.len() >= FULL_BYTES {
            self.flush();
        }
    }

    /// Hands over what there is, as far as a buffer is spare to go on with: for the lane's tick.
    pub fn flush(&mut self) {
        while let Ok(returned) = self.returned.try_recv() {
            self.dropped += returned.lost;
            self.spare.push(renewed(returned.bytes));
        }
        if self.filling.is_empty() {
            return;
        }
        if let Some(mut next) = self.spare.pop() {
            next.reserve(CAPACITY);
            let full = std::mem::replace(&mut self.filling, next);
            self.hand_over(full);
        }
    }

    /// Lines lost since this was last asked: for the lane's counters.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn hand_over(&mut self, bytes: Vec<u8>) {
        let lines = std::mem::take(&mut self.lines);
        let batch = Batch { bytes, lines, home: self.home.clone() };
        if self.batches.try_send(batch).is_err() {
            // The writer is gone (it was stopped while this lane still worked).
            self.dropped += lines;
            self.spare.push(Vec::new());
        }
    }
}

impl Drop for LogBuffer {
    fn drop(&mut self) {
        if !self.filling.is_empty() {
            let last = std::mem::take(&mut self.filling);
            self.hand_over(last);
        }
    }
}

fn renewed(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.capacity() > KEPT_CAPACITY_MAX {
        return Vec::new();
    }
    bytes.clear();
    bytes
}
