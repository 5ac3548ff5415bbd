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
    /// Recognises a name, whatever its case. This runs for every line: a jump by length, and the comparison of
    /// a word or two where a known name is as long.
    #[rustfmt::skip] // a table reads best as one
    pub fn of(name: &[u8]) -> Self {
        match name.len() {
            2 if is(name, b"te") => Self::Te,
            3 if is(name, b"via") => Self::Via,
            4 if is(name, b"host") => Self::Host,
            4 if is(name, b"date") => Self::Date,
            6 if is(name, b"accept") => Self::Accept,
            6 if is(name, b"cookie") => Self::Cookie,
            6 if is(name, b"expect") => Self::Expect,
            6 if is(name, b"server") => Self::Server,
            7 if is(name, b"trailer") => Self::Trailer,
            7 if is(name, b"upgrade") => Self::Upgrade,
            8 if is(name, b"cdn-loop") => Self::CdnLoop,
            9 if is(name, b"forwarded") => Self::Forwarded,
            10 if is(name, b"connection") => Self::Connection,
            10 if is(name, b"keep-alive") => Self::KeepAlive,
            10 if is(name, b"set-cookie") => Self::SetCookie,
            10 if is(name, b"user-agent") => Self::UserAgent,
            12 if is(name, b"content-type") => Self::ContentType,
            12 if is(name, b"max-forwards") => Self::MaxForwards,
            12 if is(name, b"x-request-id") => Self::XRequestId,
            13 if is(name, b"authorization") => Self::Authorization,
            13 if is(name, b"cache-control") => Self::CacheControl,
            13 if is(name, b"content-range") => Self::ContentRange,
            14 if is(name, b"content-length") => Self::ContentLength,
            14 if is(name, b"http2-settings") => Self::Http2Settings,
            15 if is(name, b"x-forwarded-for") => Self::XForwardedFor,
            16 if is(name, b"content-encoding") => Self::ContentEncoding,
            16 if is(name, b"proxy-connection") => Self::ProxyConnection,
            16 if is(name, b"x-forwarded-host") => Self::XForwardedHost,
            17 if is(name, b"transfer-encoding") => Self::TransferEncoding,
            17 if is(name, b"x-forwarded-proto") => Self::XForwardedProto,
            18 if is(name, b"proxy-authenticate") => Self::ProxyAuthenticate,
            19 if is(name, b"proxy-authorization") => Self::ProxyAuthorization,
            23 if is(name, b"x-forwarded-client-cert") => Self::XForwardedClientCert,
            8.. if is(name, b"x-envoy-") => Self::XEnvoy,
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

    /// Whether a name is in both.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Which names have come by, and which of them more than once.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Seen {
    pub(super) once: Names,
    pub(super) again: Names,
}

impl Seen {
    /// One comes by. This runs for every line, and so without a branch.
    pub(super) fn note(&mut self, name: Name) {
        let name = Names::of(&[name]);
        self.again.0 |= self.once.0 & name.0;
        self.once.0 |= name.0;
    }
}

/// Whether a name begins with this one, which is in lower case. Setting a byte's bit of 32 makes a capital small
/// and turns nothing else that a name may hold into a letter, a digit or `-`; and since no byte is looked at
/// before the others, the compiler compares words.
fn is<const LENGTH: usize>(name: &[u8], lower: &[u8; LENGTH]) -> bool {
    let Some(front) = name.first_chunk::<LENGTH>() else { return false };
    let differing = |(byte, lower): (&u8, &u8)| (byte | 0x20) ^ lower;
    front.iter().zip(lower).map(differing).fold(0, |all, one| all | one) == 0
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
