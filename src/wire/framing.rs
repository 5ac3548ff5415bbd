//! How long the body of a message is (RFC 9112, section 6).
//!
//! For HTTP/1 alone; HTTP/2 frames its own bodies. Any doubt is refused: whoever reads the message
//! after us must come to the same length. CONNECT and Upgrade requests are their caller's business.

use super::{Head, Name, Refusal, Version};

/// Where the body of a message ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// There is none.
    Empty,
    /// After this many bytes; at least one.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// When the connection closes; for responses only.
    UntilClose,
    /// There is none: the connection speaks something else from here on (101, or 2xx to CONNECT).
    Tunnel,
}

/// The framing of a request's body.
pub fn request(head: &Head) -> Result<Framing, Refusal> {
    Ok(match announced(head)? {
        Announced::Nothing | Announced::Length(0) => Framing::Empty,
        Announced::Length(length) => Framing::Length(length),
        Announced::Chunked => Framing::Chunked,
    })
}

/// The framing of a response's body; `method` is that of the request it answers.
///
/// A [`Framing::Empty`] response to HEAD, or a 304, may keep a Content-Length line that is not its
/// own length.
pub fn response(head: &Head, method: &[u8]) -> Result<Framing, Refusal> {
    let announced = announced(head)?;
    let status = head.status();
    if status < 200 || status == 204 {
        return match announced {
            Announced::Nothing | Announced::Length(0) if status == 101 => Ok(Framing::Tunnel),
            Announced::Nothing | Announced::Length(0) => Ok(Framing::Empty),
            Announced::Length(_) | Announced::Chunked => Err(Refusal::BodyNotAllowed),
        };
    }
    if method == b"HEAD" || status == 304 {
        return Ok(Framing::Empty);
    }
    if method == b"CONNECT" && status < 300 {
        return Ok(Framing::Tunnel); // whatever length it announces (RFC 9110, section 9.3.6)
    }
    Ok(match announced {
        Announced::Nothing => Framing::UntilClose,
        Announced::Length(0) => Framing::Empty,
        Announced::Length(length) => Framing::Length(length),
        Announced::Chunked => Framing::Chunked,
    })
}

/// What Content-Length and Transfer-Encoding say together.
enum Announced {
    Nothing,
    Length(u64),
    Chunked,
}

fn announced(head: &Head) -> Result<Announced, Refusal> {
    let (mut length, mut lengths) = (None, 0);
    let (mut coding, mut codings) = (None, 0);
    for (name, _, value) in head.recognised() {
        match name {
            Name::ContentLength => (length, lengths) = (Some(value), lengths + 1),
            Name::TransferEncoding => (coding, codings) = (Some(value), codings + 1),
            _ => {}
        }
    }
    match (length, coding) {
        (None, None) => Ok(Announced::Nothing),
        (Some(_), Some(_)) => Err(Refusal::BothLengthAndChunked),
        (Some(_), None) if lengths > 1 => Err(Refusal::DuplicateLength),
        (Some(value), None) => {
            Ok(Announced::Length(parse_length(value).ok_or(Refusal::BadLength)?))
        }
        (None, Some(_)) if head.version() == Version::Http10 => Err(Refusal::ChunkedInHttp10),
        (None, Some(value)) if codings == 1 && value.eq_ignore_ascii_case(b"chunked") => {
            Ok(Announced::Chunked)
        }
        (None, Some(_)) => Err(Refusal::UnknownTransferCoding),
    }
}

/// Digits and nothing else: no sign, no list (RFC 9110, section 8.6).
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}
