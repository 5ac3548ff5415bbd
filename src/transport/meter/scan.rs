//! Finds the headers of HTTP/2 frames in bytes that pass (RFC 9113, section 4.1).
//!
//! It keeps no payload, and judges nothing but whether a frame can have its size.

use std::ops::ControlFlow;

use super::Sending;
use super::trailers::{Found, Look};

/// Length of the client's preface, which comes before the first frame.
const PREFACE_LENGTH: u32 = 24;
/// Length of a frame's header.
const HEADER_LENGTH: usize = 9;
/// The flag that ends a stream, on DATA and HEADERS.
pub const END_STREAM: u8 = 1;
/// The flag that makes an answer of a SETTINGS or PING frame.
pub const ACK: u8 = 1;
/// The flag that ends a field block, on HEADERS, PUSH_PROMISE and CONTINUATION.
const END_HEADERS: u8 = 4;

/// The type of a frame (RFC 9113, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// One that HTTP/2 does not have; ignored by section 5.5.
    Unknown,
}

impl Kind {
    fn of(number: u8) -> Self {
        match number {
            0 => Self::Data,
            1 => Self::Headers,
            2 => Self::Priority,
            3 => Self::RstStream,
            4 => Self::Settings,
            5 => Self::PushPromise,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::WindowUpdate,
            9 => Self::Continuation,
            _ => Self::Unknown,
        }
    }

    /// Its name in RFC 9113.
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "DATA",
            Self::Headers => "HEADERS",
            Self::Priority => "PRIORITY",
            Self::RstStream => "RST_STREAM",
            Self::Settings => "SETTINGS",
            Self::PushPromise => "PUSH_PROMISE",
            Self::Ping => "PING",
            Self::GoAway => "GOAWAY",
            Self::WindowUpdate => "WINDOW_UPDATE",
            Self::Continuation => "CONTINUATION",
            Self::Unknown => "unknown",
        }
    }
}

/// What the header of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    pub kind: Kind,
    pub flags: u8,
    /// Bytes of payload.
    pub length: u32,
    pub stream: u32,
}

/// What there is to be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A frame whose header has come.
    Frame(Frame),
    /// What a section of trailers begins with.
    Trailers(Found),
}

impl Frame {
    fn parse(header: [u8; HEADER_LENGTH]) -> Self {
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let stream = u32::from_be_bytes([header[5] & 0x7f, header[6], header[7], header[8]]);
        Self { kind: Kind::of(header[3]), flags: header[4], length, stream }
    }

    /// Whether a frame of its kind can have its length, as far as the kind alone says.
    pub fn has_possible_size(self) -> bool {
        match self.kind {
            Kind::Settings if self.flags & ACK != 0 => self.length == 0,
            Kind::Settings => self.length.is_multiple_of(6),
            Kind::Ping => self.length == 8,
            Kind::RstStream | Kind::WindowUpdate => self.length == 4,
            Kind::Priority => self.length == 5,
            Kind::GoAway => self.length >= 8,
            _ => true,
        }
    }
}

/// How far into its frames one direction is.
#[derive(Debug, Default)]
pub struct Scan {
    header: [u8; HEADER_LENGTH],
    /// How much of the header is here.
    have: usize,
    /// Bytes of payload still to come.
    left: u32,
    /// Of the frame that those belong to: whether a peer may take its time with it.
    is_data: bool,
    /// A field block has begun and goes on in a CONTINUATION.
    in_block: bool,
    /// The highest stream that HEADERS came on; others on it, or below, are trailers.
    latest_request: Option<u32>,
    /// The front of a trailer section.
    look: Option<Look>,
}

impl Scan {
    /// What a client sends: the preface, then requests, each with trailers perhaps.
    pub fn of_client() -> Self {
        Self { latest_request: Some(0), ..Self::after_preface() }
    }

    /// Of a direction that begins with the client's preface.
    pub fn after_preface() -> Self {
        Self { left: PREFACE_LENGTH, ..Self::default() }
    }

    /// Takes bytes in, and has `judge` look at what is in them. Returns how many are good: up to the frame
    /// that it breaks off at.
    pub fn take(&mut self, bytes: &[u8], mut judge: impl FnMut(Seen) -> ControlFlow<()>) -> usize {
        let (mut at, mut frame_at) = (0, 0);
        while at < bytes.len() {
            let rest = &bytes[at..];
            if self.left > 0 {
                let length = rest.len().min(self.left as usize);
                if let Some(found) = self.look_at(&rest[..length])
                    && judge(Seen::Trailers(found)).is_break()
                {
                    return frame_at;
                }
                at += length;
                self.left -= u32::try_from(length).expect("at most what is left, which is a u32");
                continue;
            }
            frame_at = at;
            let length = rest.len().min(HEADER_LENGTH - self.have);
            self.header[self.have..self.have + length].copy_from_slice(&rest[..length]);
            self.have += length;
            at += length;
            if self.have == HEADER_LENGTH {
                let frame = Frame::parse(self.header);
                self.begin(frame);
                if judge(Seen::Frame(frame)).is_break() {
                    return frame_at;
                }
            }
        }
        bytes.len()
    }

    fn begin(&mut self, frame: Frame) {
        self.have = 0;
        self.left = frame.length;
        self.is_data = frame.kind == Kind::Data;
        if matches!(frame.kind, Kind::Headers | Kind::PushPromise | Kind::Continuation) {
            self.in_block = frame.flags & END_HEADERS == 0;
        }
        if frame.kind != Kind::Continuation {
            self.look = None;
        }
        if let (Kind::Headers, Some(latest)) = (frame.kind, self.latest_request) {
            if frame.stream > latest {
                self.latest_request = Some(frame.stream);
            } else {
                self.look = Some(Look::after(frame.flags));
            }
        }
    }

    fn look_at(&mut self, bytes: &[u8]) -> Option<Found> {
        let mut look = self.look?;
        for byte in bytes {
            look = look.next(*byte);
            if let Look::Over(found) = look {
                self.look = None;
                return Some(found);
            }
        }
        self.look = Some(look);
        None
    }

    /// Whether something has begun that ought to be sent in one go.
    pub fn sending(&self) -> Sending {
        let in_frame = self.left > 0 && !self.is_data;
        match self.in_block || self.have > 0 || in_frame {
            true => Sending::Midway,
            false => Sending::Whole,
        }
    }
}
