//! The little of HTTP/1.1 that both ends of a benchmark need: where heads and chunked bodies end.
//!
//! Neither end is hostile, so that nothing here is strict: what is not understood is an error of the run.

use std::io;

use memchr::memmem;

/// Where the head at the beginning of `bytes` ends, if all of it is there.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// How much of a message's body is still to come.
#[derive(Debug)]
pub enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks, up to the one that is empty.
    Chunked(Chunks),
}

impl Body {
    /// As the header lines of a message say; without any that does, there is no body.
    pub fn of(headers: &[httparse::Header<'_>]) -> io::Result<Self> {
        for header in headers {
            if header.name.eq_ignore_ascii_case("content-length") {
                let length =
                    std::str::from_utf8(header.value).ok().and_then(|text| text.parse().ok());
                return length
                    .map(Self::Length)
                    .ok_or_else(|| broken("a length that is no number"));
            }
            if header.name.eq_ignore_ascii_case("transfer-encoding") {
                return Ok(Self::Chunked(Chunks::default()));
            }
        }
        Ok(Self::Length(0))
    }

    /// Takes what is at the beginning of `bytes`: how many of them belong to the body. Its content is
    /// handed on, in pieces.
    ///
    /// Errors: chunks that cannot be read.
    pub fn take(&mut self, bytes: &[u8], content: &mut dyn FnMut(&[u8])) -> io::Result<usize> {
        match self {
            Self::Length(left) => {
                let taken = at_most(bytes, *left);
                content(taken);
                *left -= taken.len() as u64;
                Ok(taken.len())
            }
            Self::Chunked(chunks) => chunks.take(bytes, content),
        }
    }

    /// Whether all of it was taken.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.next == Next::Nothing,
        }
    }
}

/// Reads chunked bodies whose pieces come as they like.
#[derive(Debug, Default)]
pub struct Chunks {
    next: Next,
    line: Vec<u8>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Next {
    /// The line that tells a chunk's size.
    #[default]
    Size,
    /// So many bytes of content.
    Content(u64),
    /// The end of the content's line.
    End,
    /// Lines up to an empty one.
    Trailers,
    Nothing,
}

impl Chunks {
    fn take(&mut self, bytes: &[u8], content: &mut dyn FnMut(&[u8])) -> io::Result<usize> {
        let mut taken = 0;
        while taken < bytes.len() && self.next != Next::Nothing {
            if let Next::Content(left) = &mut self.next {
                let step = at_most(&bytes[taken..], *left);
                content(step);
                taken += step.len();
                *left -= step.len() as u64;
                if *left == 0 {
                    self.next = Next::End;
                }
                continue;
            }
            let byte = bytes[taken];
            taken += 1;
            if byte == b'\n' {
                self.line_ended()?;
            } else if byte != b'\r' {
                self.line.push(byte);
            }
        }
        Ok(taken)
    }

    fn line_ended(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.next = match self.next {
            Next::End => Next::Size,
            Next::Trailers if line.is_empty() => Next::Nothing,
            Next::Trailers => Next::Trailers,
            _ => match size(&line).ok_or_else(|| broken("a chunk without a size"))? {
                0 => Next::Trailers,
                size => Next::Content(size),
            },
        };
        Ok(())
    }
}

/// The number at the beginning of a chunk's line.
fn size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?.trim(), 16).ok()
}

fn at_most(bytes: &[u8], length: u64) -> &[u8] {
    &bytes[..bytes.len().min(usize::try_from(length).unwrap_or(usize::MAX))]
}

/// Content in chunks of `size` bytes, as a body.
pub fn chunked(content: &[u8], size: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(content.len() + content.len() / size * 16 + 16);
    for chunk in content.chunks(size) {
        body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    body
}

/// A peer that sent what should not be.
pub fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a body in pieces of a size: what was taken, and its content.
    fn read(mut body: Body, message: &[u8], piece: usize) -> (usize, Vec<u8>) {
        let (mut taken, mut content) = (0, Vec::new());
        for bytes in message.chunks(piece) {
            taken += body.take(bytes, &mut |more| content.extend_from_slice(more)).expect("chunks");
        }
        assert!(body.is_over(), "in pieces of {piece}");
        (taken, content)
    }

    #[test]
    fn chunks_are_read_whatever_pieces_they_come_in() {
        let sent: Vec<u8> = (0..1000).map(|at| (at % 251) as u8).collect();
        let mut message = chunked(&sent, 300);
        let length = message.len();
        message.extend_from_slice(b"next");
        for piece in [1, 2, 7, 300, 5000] {
            let (taken, content) = read(Body::Chunked(Chunks::default()), &message, piece);
            assert_eq!((taken, &content), (length, &sent));
        }
    }

    #[test]
    fn trailers_and_extensions_are_passed_over() {
        let message = b"3;a=b\r\nabc\r\n0\r\nChecksum: 1\r\n\r\n";
        let read = read(Body::Chunked(Chunks::default()), message, 5);
        assert_eq!(read, (message.len(), b"abc".to_vec()));
    }

    #[test]
    fn a_length_takes_no_more_than_its_own() {
        assert_eq!(read(Body::Length(3), b"abcd", 2), (3, b"abc".to_vec()));
    }
}
