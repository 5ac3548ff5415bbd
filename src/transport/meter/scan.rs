//! Finds the headers of HTTP/2 frames in bytes that pass (RFC 9113, section 4.1).
//!
//! It keeps no payload, and judges nothing but whether a frame can have its size.

use super::Sending;

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
}

impl Frame {
    fn parse(header: [u8; HEADER_LENGTH]) -> Self {
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        Self { kind: Kind::of(header[3]), flags: header[4], length }
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
}

impl Scan {
    /// Of a direction that begins with the client's preface.
    pub fn after_preface() -> Self {
        Self { left: PREFACE_LENGTH, ..Self::default() }
    }

    /// Takes bytes in, and tells of each frame whose header is complete with them.
    pub fn take(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let skipped = bytes.len().min(self.left as usize);
                bytes = &bytes[skipped..];
                self.left -= u32::try_from(skipped).expect("at most what is left, which is a u32");
                continue;
            }
            let count = bytes.len().min(HEADER_LENGTH - self.have);
            self.header[self.have..self.have + count].copy_from_slice(&bytes[..count]);
            self.have += count;
            bytes = &bytes[count..];
            if self.have == HEADER_LENGTH {
                self.have = 0;
                let frame = Frame::parse(self.header);
                self.left = frame.length;
                self.is_data = frame.kind == Kind::Data;
                if matches!(frame.kind, Kind::Headers | Kind::PushPromise | Kind::Continuation) {
                    self.in_block = frame.flags & END_HEADERS == 0;
                }
                seen(frame);
            }
        }
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
