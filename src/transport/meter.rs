//! Counts the frames of an HTTP/2 connection as its bytes pass, and says when one end floods the other.
//!
//! The h2 crate answers PING, SETTINGS, PRIORITY, WINDOW_UPDATE and frames it does not know for as long as
//! they come. Here each costs something, what we send that is of use earns something, and time gives a
//! little back. Only the nine bytes of a frame's header are looked at; nothing is copied or held back, and
//! no clock is read before the budget is spent. What becomes of an offender is its owner's decision.

mod scan;
mod trailers;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::Instant;

pub use scan::Kind;
use scan::{ACK, END_STREAM, Frame, Scan, Seen};
use trailers::Found;

/// What an end may spend at once. A browser's start, or a burst of cancellations, is a few hundred.
const BURST: i64 = 2_000;
/// What time gives back, per second.
const REFILL_PER_SECOND: i64 = 200;
/// What can be saved up for the window updates that a long download still has to bring.
const SAVINGS_MAX: i64 = 20_000;
/// What each DATA frame with a payload that we send earns: its receiver may open two windows for it.
const EARNED_BY_DATA: i64 = 2;
/// What each HEADERS frame that we send earns: there was a request, with priorities and windows of its own.
const EARNED_BY_HEADERS: i64 = 4;
/// An answer to a ping that was never sent is a waste of everybody's time, and of a line in the log.
const UNASKED_PONG_COST: i64 = 20;

/// What is wrong with what an end sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offence {
    /// Far more frames of this kind, among others, than the connection has use for.
    Flood(Kind),
    /// A frame of a size that its kind cannot have (RFC 9113, section 4.2).
    FrameSize(Kind),
    /// The first frame is not SETTINGS (RFC 9113, section 3.4).
    NoSettings,
    /// Trailers begin with a pseudo-header field (RFC 9113, section 8.1).
    PseudoInTrailers,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flood(kind) => write!(f, "too many {} frames", kind.name()),
            Self::FrameSize(kind) => write!(f, "a {} frame of an impossible size", kind.name()),
            Self::NoSettings => f.write_str("the first frame is not SETTINGS"),
            Self::PseudoInTrailers => f.write_str("a pseudo-header field in trailers"),
        }
    }
}

/// Where an end is with what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// Between two frames, or in the payload of DATA.
    Whole,
    /// In the midst of a field block or of a frame other than DATA.
    Midway,
}

/// What was counted of a connection so far.
#[derive(Debug)]
pub struct Meter {
    incoming: RefCell<Scan>,
    outgoing: RefCell<Scan>,
    left: Cell<i64>,
    refilled: Cell<Instant>,
    offence: Cell<Option<Offence>>,
    has_settings: Cell<bool>,
    body_bytes: Cell<u64>,
}

impl Meter {
    /// A meter of a connection from a client, its preface included.
    pub fn of_client() -> Self {
        Self::new(Scan::of_client(), Scan::default())
    }

    /// A meter of a connection to an origin.
    pub fn of_origin() -> Self {
        Self::new(Scan::default(), Scan::after_preface())
    }

    fn new(incoming: Scan, outgoing: Scan) -> Self {
        Self {
            incoming: RefCell::new(incoming),
            outgoing: RefCell::new(outgoing),
            left: Cell::new(BURST),
            refilled: Cell::new(Instant::now()),
            offence: Cell::new(None),
            has_settings: Cell::new(false),
            body_bytes: Cell::new(0),
        }
    }

    /// What the other end did wrong, if anything. Nothing more of it is read then.
    pub fn offence(&self) -> Option<Offence> {
        self.offence.get()
    }

    /// Whether the other end has begun something that must be sent in one go, and has not ended it.
    pub fn sending(&self) -> Sending {
        match self.has_settings.get() {
            true => self.incoming.borrow().sending(),
            false => Sending::Midway,
        }
    }

    /// Payload bytes of all DATA that came, padding included.
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes.get()
    }

    /// Counts bytes that came; how many of them may be passed on.
    pub fn read(&self, bytes: &[u8]) -> usize {
        self.incoming.borrow_mut().take(bytes, |seen| {
            match seen {
                Seen::Frame(frame) => self.received(frame),
                Seen::Trailers(Found::Pseudo) => self.accuse(Offence::PseudoInTrailers),
                Seen::Trailers(Found::Field) => {}
            }
            match self.offence() {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        })
    }

    /// Counts bytes that go.
    pub fn written(&self, bytes: &[u8]) {
        self.outgoing.borrow_mut().take(bytes, |seen| {
            match seen {
                Seen::Frame(frame) if frame.kind == Kind::Headers => self.earn(EARNED_BY_HEADERS),
                Seen::Frame(frame) if frame.kind == Kind::Data && frame.length > 0 => {
                    self.earn(EARNED_BY_DATA);
                }
                _ => {}
            }
            ControlFlow::Continue(())
        });
    }

    fn received(&self, frame: Frame) {
        if !frame.has_possible_size() {
            return self.accuse(Offence::FrameSize(frame.kind));
        }
        let is_ack = frame.flags & ACK != 0;
        if !self.has_settings.replace(true) && (frame.kind != Kind::Settings || is_ack) {
            return self.accuse(Offence::NoSettings);
        }
        if frame.kind == Kind::Data {
            self.body_bytes.set(self.body_bytes.get() + u64::from(frame.length));
        }
        let cost = match frame.kind {
            Kind::Data if frame.length > 0 || frame.flags & END_STREAM != 0 => return,
            Kind::Headers => return,
            Kind::Ping if is_ack => UNASKED_PONG_COST,
            _ => 1,
        };
        self.spend(cost, frame.kind);
    }

    fn earn(&self, count: i64) {
        self.left.set((self.left.get() + count).min(SAVINGS_MAX));
    }

    fn spend(&self, cost: i64, kind: Kind) {
        let left = self.left.get() - cost;
        self.left.set(left);
        if left >= 0 {
            return;
        }
        let now = Instant::now();
        let passed = now.duration_since(self.refilled.replace(now)).min(Duration::from_secs(60));
        let passed = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        let left = left + (passed * REFILL_PER_SECOND / 1000).min(BURST);
        self.left.set(left);
        if left < 0 {
            self.accuse(Offence::Flood(kind));
        }
    }

    /// The first offence is the one that counts.
    fn accuse(&self, offence: Offence) {
        if self.offence.get().is_none() {
            self.offence.set(Some(offence));
        }
    }
}

#[cfg(test)]
mod tests;
