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

/// Drops the `Content-Length: 0` that a response bears which must have none (RFC 9110, section 8.6): a
/// 1xx or 204. Any other length was refused.
pub fn drop_needless_length(head: &mut Head) {
    if head.status() < 200 || head.status() == 204 {
        head.remove(b"content-length");
    }
}

/// What Content-Length and Transfer-Encoding say together.
enum Announced {
    Nothing,
    Length(u64),
    Chunked,
}

fn announced(head: &Head) -> Result<Announced, Refusal> {
    match (head.find(Name::ContentLength), head.find(Name::TransferEncoding)) {
        (None, None) => Ok(Announced::Nothing),
        (Some(_), Some(_)) => Err(Refusal::BothLengthAndChunked),
        (Some(_), None) if head.has_several(Name::ContentLength) => Err(Refusal::DuplicateLength),
        (Some(value), None) => {
            Ok(Announced::Length(parse_length(value).ok_or(Refusal::BadLength)?))
        }
        (None, Some(_)) if head.version() == Version::Http10 => Err(Refusal::ChunkedInHttp10),
        (None, Some(value))
            if value.eq_ignore_ascii_case(b"chunked")
                && !head.has_several(Name::TransferEncoding) =>
        {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn with_lines(mut head: Head, lines: Lines) -> Head {
        for (name, value) in lines {
            head.append(name.as_bytes(), value.as_bytes());
        }
        head
    }

    type Lines<'a> = &'a [(&'a str, &'a str)];

    const CHUNKED: (&str, &str) = ("Transfer-Encoding", "Chunked");

    #[test]
    fn a_request_is_framed_by_one_length_or_by_chunks() {
        let max = u64::MAX.to_string();
        #[rustfmt::skip] // a table reads best as one
        let table: [(Lines, _); 16] = [
            (&[], Ok(Framing::Empty)),
            (&[("content-length", "0")], Ok(Framing::Empty)),
            (&[("content-length", "0012")], Ok(Framing::Length(12))),
            (&[("content-length", &max)], Ok(Framing::Length(u64::MAX))),
            (&[("content-length", "18446744073709551616")], Err(Refusal::BadLength)),
            (&[("content-length", "+3")], Err(Refusal::BadLength)),
            (&[("content-length", "3, 3")], Err(Refusal::BadLength)),
            (&[("content-length", "")], Err(Refusal::BadLength)),
            (&[("content-length", "3"), ("Content-Length", "3")], Err(Refusal::DuplicateLength)),
            (&[CHUNKED], Ok(Framing::Chunked)),
            (&[CHUNKED, CHUNKED], Err(Refusal::UnknownTransferCoding)),
            (&[("transfer-encoding", "gzip, chunked")], Err(Refusal::UnknownTransferCoding)),
            (&[("transfer-encoding", "identity")], Err(Refusal::UnknownTransferCoding)),
            (&[("transfer-encoding", "")], Err(Refusal::UnknownTransferCoding)),
            (&[CHUNKED, ("content-length", "3")], Err(Refusal::BothLengthAndChunked)),
            (&[("content-length", "0"), ("transfer-encoding", "gzip")], Err(Refusal::BothLengthAndChunked)),
        ];
        for (lines, framing) in table {
            let head = with_lines(
                Head::request(crate::wire::HeadMemory::default(), Version::Http11, b"GET", b"/"),
                lines,
            );
            assert_eq!(request(&head), framing, "{lines:?}");
        }
        let old = with_lines(
            Head::request(crate::wire::HeadMemory::default(), Version::Http10, b"GET", b"/"),
            &[CHUNKED],
        );
        assert_eq!(request(&old), Err(Refusal::ChunkedInHttp10));
    }

    #[test]
    fn a_response_is_framed_by_its_request_and_status_first() {
        let three = ("content-length", "3");
        let zero = ("content-length", "0");
        #[rustfmt::skip] // a table reads best as one
        let table: [(&str, u16, Lines, _); 24] = [
            ("GET", 200, &[], Ok(Framing::UntilClose)),
            ("GET", 200, &[three], Ok(Framing::Length(3))),
            ("GET", 200, &[zero], Ok(Framing::Empty)),
            ("GET", 200, &[CHUNKED], Ok(Framing::Chunked)),
            ("GET", 200, &[CHUNKED, three], Err(Refusal::BothLengthAndChunked)),
            ("GET", 200, &[three, three], Err(Refusal::DuplicateLength)),
            ("GET", 200, &[("transfer-encoding", "gzip")], Err(Refusal::UnknownTransferCoding)),
            ("HEAD", 200, &[three], Ok(Framing::Empty)),
            ("HEAD", 200, &[CHUNKED], Ok(Framing::Empty)),
            ("HEAD", 200, &[], Ok(Framing::Empty)),
            ("HEAD", 200, &[CHUNKED, three], Err(Refusal::BothLengthAndChunked)),
            ("head", 200, &[], Ok(Framing::UntilClose)),
            ("GET", 304, &[three], Ok(Framing::Empty)),
            ("GET", 204, &[], Ok(Framing::Empty)),
            ("GET", 204, &[zero], Ok(Framing::Empty)),
            ("GET", 204, &[three], Err(Refusal::BodyNotAllowed)),
            ("HEAD", 204, &[CHUNKED], Err(Refusal::BodyNotAllowed)),
            ("GET", 100, &[], Ok(Framing::Empty)),
            ("GET", 103, &[three], Err(Refusal::BodyNotAllowed)),
            ("GET", 101, &[], Ok(Framing::Tunnel)),
            ("GET", 101, &[zero], Ok(Framing::Tunnel)),
            ("GET", 101, &[CHUNKED], Err(Refusal::BodyNotAllowed)),
            ("CONNECT", 200, &[three], Ok(Framing::Tunnel)),
            ("CONNECT", 407, &[three], Ok(Framing::Length(3))),
        ];
        for (method, status, lines, framing) in table {
            let head = with_lines(
                Head::response(crate::wire::HeadMemory::default(), Version::Http11, status, b""),
                lines,
            );
            assert_eq!(response(&head, method.as_bytes()), framing, "{method} {status} {lines:?}");
        }
    }

    #[test]
    fn a_response_that_has_no_length_loses_it() {
        for (status, left) in [(103, 0), (101, 0), (204, 0), (200, 1), (205, 1), (304, 1)] {
            let memory = crate::wire::HeadMemory::default();
            let head = Head::response(memory, Version::Http11, status, b"");
            let mut head = with_lines(head, &[("Content-Length", "0")]);
            drop_needless_length(&mut head);
            assert_eq!(head.lines().count(), left, "{status}");
        }
    }
}
