//! Bytes to heads: the tokenizer is httparse, the rules it leaves open are closed here.
//!
//! Stricter than RFC 9112 where it only allows something (no obs-fold, no empty lines before a
//! response), as strict elsewhere; a bare LF may end a line of a head (section 2.2), since the next
//! hop gets our own line ends. What the lines mean is judged in `framing` and `fields`.

use std::mem::MaybeUninit;

use memchr::memchr_iter;

use super::{Head, HeadMemory, Refusal, Version};

/// The most lines any limits can allow: the tokenizer's array is on the stack.
pub const LINES_MAX: usize = 256;

/// Up to here a head that is not complete is tokenised again for each byte, so that what cannot become one is
/// refused early.
const EARLY_BYTES: usize = 64;

/// How large a head may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes, from the start line to the empty line, with empty lines before it.
    pub bytes: usize,
    /// Lines after the start line; [`LINES_MAX`] at most.
    pub lines: usize,
}

/// Envoy's: 60 KiB and 100 lines.
impl Default for HeadLimits {
    fn default() -> Self {
        Self { bytes: 60 * 1024, lines: 100 }
    }
}

/// What the bytes hold so far.
#[derive(Debug)]
pub enum Parsed {
    /// Nothing wrong yet, but more bytes are needed.
    Partial,
    /// A whole head, in the first `consumed` bytes.
    Complete { head: Head, consumed: usize },
}

/// Reads a request head from the front of `bytes`, after any empty lines (RFC 9112, section 2.2).
///
/// `memory` is taken only when the head is complete.
pub fn request(
    bytes: &[u8],
    limits: &HeadLimits,
    memory: &mut HeadMemory,
) -> Result<Parsed, Refusal> {
    let mut lines = [const { MaybeUninit::uninit() }; LINES_MAX];
    let mut request = httparse::Request::new(&mut []);
    let tokenised =
        request.parse_with_uninit_headers(bytes, &mut lines[..limits.lines.min(LINES_MAX)]);
    let consumed = match tokenised {
        Ok(httparse::Status::Complete(consumed)) => consumed,
        Ok(httparse::Status::Partial) => return unfinished(bytes, limits),
        Err(error) => {
            let skipped = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            return Err(refusal(error, &bytes[skipped..], Refusal::BadRequestLine));
        }
    };
    if consumed > limits.bytes {
        return Err(Refusal::TooLarge);
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(Refusal::BadRequestLine);
    };
    let (method, target) = (method.as_bytes(), target.as_bytes());
    let mut head = Head::request(std::mem::take(memory), version(minor), method, target);
    adopt(&mut head, &bytes[..consumed], request.headers);
    Ok(Parsed::Complete { head, consumed })
}

/// Reads a response head from the front of `bytes`; nothing may stand before it.
///
/// `memory` is taken only when the head is complete. A reason phrase
/// with bytes beyond ASCII is read as empty.
pub fn response(
    bytes: &[u8],
    limits: &HeadLimits,
    memory: &mut HeadMemory,
) -> Result<Parsed, Refusal> {
    check_protocol(bytes)?;
    let mut lines = [const { MaybeUninit::uninit() }; LINES_MAX];
    let mut response = httparse::Response::new(&mut []);
    let tokenised = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        bytes,
        &mut lines[..limits.lines.min(LINES_MAX)],
    );
    let consumed = match tokenised {
        Ok(httparse::Status::Complete(consumed)) => consumed,
        Ok(httparse::Status::Partial) => return unfinished(bytes, limits),
        Err(error) => return Err(refusal(error, bytes, Refusal::BadStatusLine)),
    };
    if consumed > limits.bytes {
        return Err(Refusal::TooLarge);
    }
    let (Some(status @ 100..=999), Some(minor)) = (response.code, response.version) else {
        return Err(Refusal::BadStatusLine);
    };
    let reason = response.reason.unwrap_or_default().as_bytes();
    let mut head = Head::response(std::mem::take(memory), version(minor), status, reason);
    adopt(&mut head, &bytes[..consumed], response.headers);
    Ok(Parsed::Complete { head, consumed })
}

type NameAndValue<'a> = (&'a [u8], &'a [u8]);

/// Splits a trailer section, empty line included, into its lines.
pub(super) fn trailer_lines(
    section: &[u8],
    lines_max: usize,
) -> Result<Vec<NameAndValue<'_>>, Refusal> {
    let mut lines = vec![httparse::EMPTY_HEADER; lines_max];
    match httparse::parse_headers(section, &mut lines) {
        Ok(httparse::Status::Complete((_, lines))) => {
            Ok(lines.iter().map(|line| (line.name.as_bytes(), line.value)).collect())
        }
        Err(httparse::Error::TooManyHeaders) => Err(Refusal::TrailersTooLarge),
        Ok(httparse::Status::Partial) | Err(_) => Err(Refusal::BadTrailer),
    }
}

/// Refuses at once what cannot become a response, such as another protocol's greeting.
fn check_protocol(bytes: &[u8]) -> Result<(), Refusal> {
    const PROTOCOL: &[u8] = b"HTTP/";
    let seen = bytes.len().min(PROTOCOL.len());
    if bytes[..seen] == PROTOCOL[..seen] { Ok(()) } else { Err(Refusal::BadStatusLine) }
}

fn unfinished(bytes: &[u8], limits: &HeadLimits) -> Result<Parsed, Refusal> {
    if bytes.len() >= limits.bytes { Err(Refusal::TooLarge) } else { Ok(Parsed::Partial) }
}

/// Whether bytes, of which the first `known` are a head without its end, are worth reading again: because they
/// may hold it now, or must be refused. It keeps a sender of single bytes from having the whole head
/// tokenised for each.
pub fn is_worth_reading(bytes: &[u8], known: usize, limits: &HeadLimits) -> bool {
    if known < EARLY_BYTES || bytes.len() >= limits.bytes {
        return true;
    }
    let fresh = &bytes[known - b"\n\r\n".len()..];
    memchr_iter(b'\n', fresh).any(|at| {
        let next = &fresh[at + 1..];
        next.starts_with(b"\n") || next.starts_with(b"\r\n")
    })
}

fn adopt(head: &mut Head, text: &[u8], lines: &[httparse::Header]) {
    head.adopt(text, lines.iter().map(|line| (line.name.as_bytes(), line.value)));
}

/// The rule behind the tokenizer's error. It says how, not where; what is found is for the log.
#[cold]
fn refusal(error: httparse::Error, bytes: &[u8], bad_start: Refusal) -> Refusal {
    use httparse::Error;
    match error {
        Error::HeaderName if any_line(bytes, is_fold) => Refusal::ObsFold,
        Error::HeaderName => Refusal::BadName,
        Error::HeaderValue => Refusal::ControlCharacter,
        Error::NewLine if any_line(bytes, starts_with_stray_cr) => Refusal::ControlCharacter,
        Error::TooManyHeaders => Refusal::TooManyLines,
        Error::Version if names_version(bytes) => Refusal::UnsupportedVersion,
        Error::NewLine | Error::Version | Error::Status | Error::Token => bad_start,
    }
}

fn any_line(bytes: &[u8], test: fn(&[u8]) -> bool) -> bool {
    memchr_iter(b'\n', bytes).any(|at| test(&bytes[at + 1..]))
}

fn is_fold(line: &[u8]) -> bool {
    matches!(line, [b' ' | b'\t', ..])
}

fn starts_with_stray_cr(line: &[u8]) -> bool {
    line.starts_with(b"\r") && !line.starts_with(b"\r\n")
}

/// Whether the start line is well-formed but for the number after `HTTP/`.
fn names_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.starts_with(b"HTTP/")
        || line.split(|byte| *byte == b' ').nth(2).is_some_and(|word| word.starts_with(b"HTTP/"))
}

fn version(minor: u8) -> Version {
    if minor == 0 { Version::Http10 } else { Version::Http11 }
}
