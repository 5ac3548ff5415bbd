//! What a path asks for, and the bytes that answer it.

use std::sync::LazyLock;

/// Sizes by the last segment of a path.
const SIZES: [(&[u8], usize); 5] =
    [(b"0", 0), (b"1k", 1 << 10), (b"16k", 16 << 10), (b"1m", 1 << 20), (b"100m", 100 << 20)];

/// Bodies up to this are sent together with their head, in one write.
const TOGETHER: usize = 16 << 10;

/// Larger bodies are sent in pieces of this.
pub const PIECE: usize = 128 << 10;

/// What a body is made of.
pub static CONTENT: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..PIECE).map(|at| (at % 251) as u8).collect());

/// Answers of HTTP/1.1 by the place of their size: a head, and the body where it goes with it.
static PREPARED: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let prepared = SIZES.iter().map(|(_, size)| {
        let mut answer = head(*size, Connection::Kept);
        if *size <= TOGETHER {
            answer.extend_from_slice(&CONTENT[..*size]);
        }
        answer
    });
    prepared.collect()
});

/// What becomes of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// It stays open for the next request.
    Kept,
    /// It is closed after the answer.
    Closed,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The size at this place of the table, and what follows.
    Size(usize, Connection),
    /// An answer when it is released.
    Hold,
    /// The number of bytes that were sent.
    Count,
}

impl Asked {
    /// By the path: its last segment, and whether it is below `/close`. What is not known is one KiB.
    pub fn by(path: &[u8]) -> Self {
        let last = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        match last {
            b"hold" => Self::Hold,
            b"count" => Self::Count,
            _ => {
                let at = SIZES.iter().position(|(name, _)| *name == last).unwrap_or(1);
                let closed = path.starts_with(b"/close/");
                Self::Size(at, if closed { Connection::Closed } else { Connection::Kept })
            }
        }
    }

    /// How many bytes of content answer it, if it is a size.
    pub fn size(self) -> usize {
        match self {
            Self::Size(at, _) => SIZES[at].1,
            Self::Hold | Self::Count => 0,
        }
    }
}

/// The prepared answer for the size at a place, and how many bytes of content are to follow it.
pub fn prepared(at: usize) -> (&'static [u8], usize) {
    let size = SIZES[at].1;
    (&PREPARED[at], if size <= TOGETHER { 0 } else { size })
}

/// A head such as origins send, with about as many lines.
pub fn head(length: usize, connection: Connection) -> Vec<u8> {
    let close = match connection {
        Connection::Kept => "",
        Connection::Closed => "Connection: close\r\n",
    };
    let mut head = String::from("HTTP/1.1 200 OK\r\n");
    for (name, value) in HEADERS {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {length}\r\n{close}\r\n"));
    head.into_bytes()
}

/// The header lines of every answer, besides its length.
pub const HEADERS: [(&str, &str); 8] = [
    ("server", "origin"),
    ("date", "Sun, 29 Nov 2026 18:00:00 GMT"),
    ("content-type", "application/octet-stream"),
    ("cache-control", "public, max-age=60"),
    ("etag", "\"5f3c9a1b-400\""),
    ("vary", "Accept-Encoding"),
    ("x-served-by", "cache-lhr-0001, cache-fra-0002"),
    ("x-cache", "HIT, MISS"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_segment_says_how_much_is_asked_for() {
        assert_eq!(Asked::by(b"/16k").size(), 16_384);
        assert_eq!(Asked::by(b"/r7/0").size(), 0);
        assert!(Asked::by(b"/close/1k") == Asked::Size(1, Connection::Closed));
        assert!(Asked::by(b"/hold") == Asked::Hold);
        assert_eq!(Asked::by(b"/anything").size(), 1024);
    }

    #[test]
    fn a_small_body_goes_with_its_head_and_a_large_one_follows() {
        let (answer, follows) = prepared(1);
        assert!(answer.ends_with(&CONTENT[..1024]) && follows == 0);
        let (answer, follows) = prepared(3);
        assert!(answer.ends_with(b"\r\n\r\n") && follows == 1 << 20);
    }
}
