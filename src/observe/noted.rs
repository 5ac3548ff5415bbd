//! What the access log wants of a request head, copied before the head is edited in place.
//!
//! One flat buffer that the lane lends and takes back, so that noting a request allocates nothing
//! in steady state. Not used at all when the log is off.

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
    /// One after the other.
    buffer: Vec<u8>,
    /// Where each ends.
    ends: [u16; Field::COUNT],
}

/// The fields, in their order.
#[derive(Debug, Clone, Copy)]
enum Field {
    Method,
    Path,
    Authority,
    UserAgent,
    RequestId,
    ForwardedFor,
}

impl Field {
    const COUNT: usize = Self::ForwardedFor as usize + 1;
}

impl Noted {
    /// Copies the facts into `buffer`, whose old contents are discarded.
    pub fn take(mut buffer: Vec<u8>, facts: RequestFacts<'_>) -> Self {
        buffer.clear();
        let ends = [
            Some(facts.method),
            Some(facts.path),
            facts.authority,
            facts.user_agent,
            facts.request_id,
            facts.forwarded_for,
        ]
        .map(|field| keep(&mut buffer, field.unwrap_or_default()));
        Self { buffer, ends }
    }

    /// Gives the buffer back, for the next request.
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Request method.
    pub fn method(&self) -> Option<&[u8]> {
        self.field(Field::Method)
    }

    /// Request target.
    pub fn path(&self) -> Option<&[u8]> {
        self.field(Field::Path)
    }

    /// `Host` or `:authority`.
    pub fn authority(&self) -> Option<&[u8]> {
        self.field(Field::Authority)
    }

    /// `User-Agent`.
    pub fn user_agent(&self) -> Option<&[u8]> {
        self.field(Field::UserAgent)
    }

    /// `X-Request-Id`.
    pub fn request_id(&self) -> Option<&[u8]> {
        self.field(Field::RequestId)
    }

    /// `X-Forwarded-For`.
    pub fn forwarded_for(&self) -> Option<&[u8]> {
        self.field(Field::ForwardedFor)
    }

    /// An absent or empty one is `None`, since the log prints both as `-`.
    fn field(&self, field: Field) -> Option<&[u8]> {
        let index = field as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        let bytes = &self.buffer[start.into()..self.ends[index].into()];
        (!bytes.is_empty()).then_some(bytes)
    }
}

/// Appends a field; the end of it, which fits as long as [`FIELD_BYTES_MAX`] of each do.
fn keep(buffer: &mut Vec<u8>, field: &[u8]) -> u16 {
    if field.len() <= FIELD_BYTES_MAX {
        buffer.extend_from_slice(field);
    } else {
        buffer.extend_from_slice(&field[..FIELD_BYTES_MAX]);
        buffer.extend_from_slice(CUT);
    }
    buffer.len() as u16
}

const _: () = assert!(Field::COUNT * (FIELD_BYTES_MAX + CUT.len()) <= u16::MAX as usize);

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
