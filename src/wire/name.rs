//! The field names the gateway itself acts on, recognised once so that later passes compare a byte.
//!
//! Names that are only matched by configuration are not here; they stay [`Name::Other`].

/// A field name that means something to the gateway.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Name {
    /// Every name not listed below.
    Other,
    Accept,
    Authorization,
    CacheControl,
    CdnLoop,
    Connection,
    ContentEncoding,
    ContentLength,
    ContentRange,
    ContentType,
    Cookie,
    Date,
    Expect,
    Forwarded,
    Host,
    Http2Settings,
    KeepAlive,
    MaxForwards,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    Server,
    SetCookie,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    UserAgent,
    Via,
    XForwardedClientCert,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
    XRequestId,
    /// Any name that starts with `x-envoy-`.
    XEnvoy,
}

impl Name {
    /// Recognises a name, whatever its case. This runs for every line: one copy, lower-cased at once,
    /// then a jump by length and a comparison of words or two.
    #[rustfmt::skip] // a table reads best as one
    pub fn of(name: &[u8]) -> Self {
        let lower = &LowerCase::of(name);
        match name.len() {
            2 if lower.is(b"te") => Self::Te,
            3 if lower.is(b"via") => Self::Via,
            4 if lower.is(b"host") => Self::Host,
            4 if lower.is(b"date") => Self::Date,
            6 if lower.is(b"accept") => Self::Accept,
            6 if lower.is(b"cookie") => Self::Cookie,
            6 if lower.is(b"expect") => Self::Expect,
            6 if lower.is(b"server") => Self::Server,
            7 if lower.is(b"trailer") => Self::Trailer,
            7 if lower.is(b"upgrade") => Self::Upgrade,
            8 if lower.is(b"cdn-loop") => Self::CdnLoop,
            9 if lower.is(b"forwarded") => Self::Forwarded,
            10 if lower.is(b"connection") => Self::Connection,
            10 if lower.is(b"keep-alive") => Self::KeepAlive,
            10 if lower.is(b"set-cookie") => Self::SetCookie,
            10 if lower.is(b"user-agent") => Self::UserAgent,
            12 if lower.is(b"content-type") => Self::ContentType,
            12 if lower.is(b"max-forwards") => Self::MaxForwards,
            12 if lower.is(b"x-request-id") => Self::XRequestId,
            13 if lower.is(b"authorization") => Self::Authorization,
            13 if lower.is(b"cache-control") => Self::CacheControl,
            13 if lower.is(b"content-range") => Self::ContentRange,
            14 if lower.is(b"content-length") => Self::ContentLength,
            14 if lower.is(b"http2-settings") => Self::Http2Settings,
            15 if lower.is(b"x-forwarded-for") => Self::XForwardedFor,
            16 if lower.is(b"content-encoding") => Self::ContentEncoding,
            16 if lower.is(b"proxy-connection") => Self::ProxyConnection,
            16 if lower.is(b"x-forwarded-host") => Self::XForwardedHost,
            17 if lower.is(b"transfer-encoding") => Self::TransferEncoding,
            17 if lower.is(b"x-forwarded-proto") => Self::XForwardedProto,
            18 if lower.is(b"proxy-authenticate") => Self::ProxyAuthenticate,
            19 if lower.is(b"proxy-authorization") => Self::ProxyAuthorization,
            23 if lower.is(b"x-forwarded-client-cert") => Self::XForwardedClientCert,
            8.. if lower.is(b"x-envoy-") => Self::XEnvoy,
            _ => Self::Other,
        }
    }

    /// Whether this value stands for exactly one name, so that two lines with it have the same name.
    pub(super) fn is_one_name(self) -> bool {
        !matches!(self, Self::Other | Self::XEnvoy)
    }
}

/// A set of names.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Names(u64);

impl Names {
    /// These names.
    pub const fn of(names: &[Name]) -> Self {
        let (mut set, mut index) = (0, 0);
        while index < names.len() {
            set |= 1 << names[index] as u64;
            index += 1;
        }
        Self(set)
    }

    /// Adds a name.
    pub fn insert(&mut self, name: Name) {
        self.0 |= 1 << name as u64;
    }

    /// Whether a name is in both.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The front of a name in lower case: the longest name above fits, and so do two vector registers,
/// which lower-case in a quarter of the instructions that 23 bytes take.
struct LowerCase([u8; 32]);

impl LowerCase {
    fn of(name: &[u8]) -> Self {
        let mut front = [0; 32];
        let length = name.len().min(front.len());
        front[..length].copy_from_slice(&name[..length]);
        front.make_ascii_lowercase();
        Self(front)
    }

    fn is<const LENGTH: usize>(&self, text: &[u8; LENGTH]) -> bool {
        self.0[..LENGTH] == text[..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_recognised_in_any_case_and_nothing_else_is() {
        for (text, name) in [
            ("host", Name::Host),
            ("HOST", Name::Host),
            ("Transfer-Encoding", Name::TransferEncoding),
            ("transfer_encoding", Name::Other),
            ("content-length", Name::ContentLength),
            ("Content-Lengthy", Name::Other),
            ("X-Envoy-Retry-On", Name::XEnvoy),
            ("x-envoy-", Name::XEnvoy),
            ("x-envoy", Name::Other),
            ("x-forwarded-client-cert", Name::XForwardedClientCert),
            ("X-Envoy-Upstream-Rq-Per-Try-Timeout-Ms", Name::XEnvoy),
            ("x-forwarded-client-certificate", Name::Other),
            ("host\0", Name::Other),
            ("", Name::Other),
        ] {
            assert_eq!(Name::of(text.as_bytes()), name, "{text}");
        }
    }
}
