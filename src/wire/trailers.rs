//! Fields after a body, and which may stand there.
//!
//! How they are read and written is the chunked coding's business, or HTTP/2's.

use super::{Name, fields};

/// Fields after a body, as name and value, in order.
///
/// Names that frame, route, authenticate or describe the message, or concern one hop, cannot get
/// in: they mean something only in a head (RFC 9110, section 6.5.1), and a recipient that merges
/// trailers into the head must not be led astray.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trailers(Vec<(Vec<u8>, Vec<u8>)>);

impl Trailers {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// Adds a field, unless its name belongs in a head. Neither part may hold a CR, LF or NUL.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        if !belongs_in_head(Name::of(name)) && !is_request_modifier(name) {
            self.0.push((name.to_vec(), value.to_vec()));
        }
    }
}

/// Names that decide what a request asks for, but that nothing else here acts on.
fn is_request_modifier(name: &[u8]) -> bool {
    const MODIFIERS: [&[u8]; 6] = [
        b"range",
        b"if-match",
        b"if-none-match",
        b"if-modified-since",
        b"if-unmodified-since",
        b"if-range",
    ];
    MODIFIERS.iter().any(|modifier| name.eq_ignore_ascii_case(modifier))
}

fn belongs_in_head(name: Name) -> bool {
    fields::is_hop_by_hop(name)
        || matches!(
            name,
            Name::Authorization
                | Name::CacheControl
                | Name::ContentEncoding
                | Name::ContentLength
                | Name::ContentRange
                | Name::ContentType
                | Name::Cookie
                | Name::Expect
                | Name::Forwarded
                | Name::Host
                | Name::MaxForwards
                | Name::SetCookie
                | Name::Te
                | Name::Trailer
                | Name::XForwardedClientCert
                | Name::XForwardedFor
                | Name::XForwardedHost
                | Name::XForwardedProto
                | Name::XEnvoy
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_are_kept_unless_they_belong_in_a_head() {
        let mut trailers = Trailers::default();
        for name in [
            "Grpc-Status",
            "content-length",
            "Host",
            "Transfer-Encoding",
            "trailer",
            "Authorization",
            "X-Forwarded-For",
            "Range",
            "If-None-Match",
            "X-Checksum",
            "If",
        ] {
            trailers.push(name.as_bytes(), b"x");
        }
        let kept: Vec<_> = trailers.iter().map(|(name, _)| name).collect();
        assert_eq!(kept, [&b"Grpc-Status"[..], b"X-Checksum", b"If"]);
    }
}
