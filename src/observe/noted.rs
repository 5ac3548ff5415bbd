//! What the access log wants of a request head, copied before the head is edited in place.
//!
//! One flat buffer that the lane lends and takes back, so that noting a request allocates nothing
//! in steady state. Not used at all when the log is off.

use std::ops::Range;

/// Longest part of a field that is kept, in bytes; a longer one is cut and ends in `...`.
/// Long enough for a signed URL, short enough to bound a log line.
pub const FIELD_BYTES_MAX: usize = 4096;

const CUT: &[u8] = b"...";

/// The fields of a request head to be noted, as the client sent them.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestFacts<'a> {
    /// Request method.
    pub method: &'a [u8],
    /// Request target, before any rewrite.
    pub path: &'a [u8],
    /// `Host` or `:authority`.
    pub authority: Option<&'a [u8]>,
    /// `User-Agent`.
    pub user_agent: Option<&'a [u8]>,
    /// `X-Request-Id`.
    pub request_id: Option<&'a [u8]>,
    /// `X-Forwarded-For`.
    pub forwarded_for: Option<&'a [u8]>,
}

/// Those fields, kept. The default has none of them.
#[derive(Debug, Default)]
pub struct Noted {
    buffer: Vec<u8>,
    method: Option<Range<usize>>,
    path: Option<Range<usize>>,
    authority: Option<Range<usize>>,
    user_agent: Option<Range<usize>>,
    request_id: Option<Range<usize>>,
    forwarded_for: Option<Range<usize>>,
}

impl Noted {
    /// Copies the facts into `buffer`, whose old contents are discarded.
    pub fn take(mut buffer: Vec<u8>, facts: RequestFacts<'_>) -> Self {
        buffer.clear();
        Self {
            method: keep(&mut buffer, Some(facts.method)),
            path: keep(&mut buffer, Some(facts.path)),
            authority: keep(&mut buffer, facts.authority),
            user_agent: keep(&mut buffer, facts.user_agent),
            request_id: keep(&mut buffer, facts.request_id),
            forwarded_for: keep(&mut buffer, facts.forwarded_for),
            buffer,
        }
    }

    /// Gives the buffer back, for the next request.
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Request method.
    pub fn method(&self) -> Option<&[u8]> {
        self.field(&self.method)
    }

    /// Request target.
    pub fn path(&self) -> Option<&[u8]> {
        self.field(&self.path)
    }

    /// `Host` or `:authority`.
    pub fn authority(&self) -> Option<&[u8]> {
        self.field(&self.authority)
    }

    /// `User-Agent`.
    pub fn user_agent(&self) -> Option<&[u8]> {
        self.field(&self.user_agent)
    }

    /// `X-Request-Id`.
    pub fn request_id(&self) -> Option<&[u8]> {
        self.field(&self.request_id)
    }

    /// `X-Forwarded-For`.
    pub fn forwarded_for(&self) -> Option<&[u8]> {
        self.field(&self.forwarded_for)
    }

    fn field(&self, range: &Option<Range<usize>>) -> Option<&[u8]> {
        range.clone().map(|range| &self.buffer[range])
    }
}

/// Appends a field; an absent or empty one is not kept, since the log prints both as `-`.
fn keep(buffer: &mut Vec<u8>, field: Option<&[u8]>) -> Option<Range<usize>> {
    let field = field.filter(|field| !field.is_empty())?;
    let start = buffer.len();
    if field.len() <= FIELD_BYTES_MAX {
        buffer.extend_from_slice(field);
    } else {
        buffer.extend_from_slice(&field[..FIELD_BYTES_MAX]);
        buffer.extend_from_slice(CUT);
    }
    Some(start..buffer.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_kept_and_absent_ones_stay_absent() {
        let facts = RequestFacts {
            method: b"GET",
            path: b"/a?b",
            authority: Some(b"edition.cnn.com"),
            user_agent: Some(b""),
            ..RequestFacts::default()
        };
        let noted = Noted::take(b"old contents".to_vec(), facts);
        assert_eq!(noted.method(), Some(&b"GET"[..]));
        assert_eq!(noted.path(), Some(&b"/a?b"[..]));
        assert_eq!(noted.authority(), Some(&b"edition.cnn.com"[..]));
        assert_eq!(noted.user_agent(), None);
        assert_eq!(noted.request_id(), None);
        assert_eq!(noted.into_buffer(), b"GET/a?bedition.cnn.com");
    }

    #[test]
    fn a_long_field_is_cut_and_says_so() {
        let path = vec![b'a'; FIELD_BYTES_MAX + 1];
        let facts = RequestFacts { path: &path, ..RequestFacts::default() };
        let noted = Noted::take(Vec::new(), facts);
        let kept = noted.path().unwrap();
        assert_eq!(kept.len(), FIELD_BYTES_MAX + 3);
        assert!(kept.ends_with(b"aaa..."));
    }

    #[test]
    fn a_buffer_that_was_used_once_is_not_grown_again() {
        let facts = RequestFacts { method: b"GET", path: b"/", ..RequestFacts::default() };
        let buffer = Noted::take(Vec::new(), facts).into_buffer();
        let (at, capacity) = (buffer.as_ptr(), buffer.capacity());
        let buffer = Noted::take(buffer, facts).into_buffer();
        assert_eq!((buffer.as_ptr(), buffer.capacity()), (at, capacity));
    }
}
