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

const ENVOY_PREFIX: &[u8] = b"x-envoy-";

impl Name {
    /// Recognises a name, whatever its case.
    #[rustfmt::skip] // a table reads best as one
    pub fn of(name: &[u8]) -> Self {
        let candidates: &[(&[u8], Name)] = match name.len() {
            2 => &[(b"te", Name::Te)],
            3 => &[(b"via", Name::Via)],
            4 => &[(b"host", Name::Host), (b"date", Name::Date)],
            6 => &[(b"accept", Name::Accept), (b"server", Name::Server), (b"cookie", Name::Cookie), (b"expect", Name::Expect)],
            7 => &[(b"upgrade", Name::Upgrade), (b"trailer", Name::Trailer)],
            9 => &[(b"forwarded", Name::Forwarded)],
            10 => &[(b"user-agent", Name::UserAgent), (b"connection", Name::Connection), (b"set-cookie", Name::SetCookie), (b"keep-alive", Name::KeepAlive)],
            12 => &[(b"content-type", Name::ContentType), (b"x-request-id", Name::XRequestId), (b"max-forwards", Name::MaxForwards)],
            13 => &[(b"cache-control", Name::CacheControl), (b"authorization", Name::Authorization), (b"content-range", Name::ContentRange)],
            14 => &[(b"content-length", Name::ContentLength), (b"http2-settings", Name::Http2Settings)],
            15 => &[(b"x-forwarded-for", Name::XForwardedFor)],
            16 => &[(b"content-encoding", Name::ContentEncoding), (b"x-forwarded-host", Name::XForwardedHost), (b"proxy-connection", Name::ProxyConnection)],
            17 => &[(b"transfer-encoding", Name::TransferEncoding), (b"x-forwarded-proto", Name::XForwardedProto)],
            18 => &[(b"proxy-authenticate", Name::ProxyAuthenticate)],
            19 => &[(b"proxy-authorization", Name::ProxyAuthorization)],
            23 => &[(b"x-forwarded-client-cert", Name::XForwardedClientCert)],
            _ => &[],
        };
        match candidates.iter().find(|(text, _)| name.eq_ignore_ascii_case(text)) {
            Some((_, found)) => *found,
            None if has_prefix(name, ENVOY_PREFIX) => Name::XEnvoy,
            None => Name::Other,
        }
    }

    /// Whether this value stands for exactly one name, so that two lines with it have the same name.
    pub(super) fn is_one_name(self) -> bool {
        !matches!(self, Self::Other | Self::XEnvoy)
    }
}

fn has_prefix(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|front| front.eq_ignore_ascii_case(prefix))
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
            ("", Name::Other),
        ] {
            assert_eq!(Name::of(text.as_bytes()), name, "{text}");
        }
    }
}
