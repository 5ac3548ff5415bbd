//! The header policy: what a head says of the client and of the gateway once it has passed through.
//!
//! Pure data. How it is applied is `proxy::headers`; today one policy is in force for a whole process,
//! but nothing here knows that, so that a route may bring its own.

use std::collections::BTreeMap;

/// What is told about the client and the gateway. The default tells an origin nothing of the inside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderPolicy {
    /// What becomes of the client's address.
    pub xff: Xff,
    /// The scheme that origins are told the client used.
    pub forwarded_proto: ForwardedProto,
    /// What becomes of a request's identity.
    pub request_id: RequestId,
    /// The name put into `Via` on requests and responses (RFC 9110, section 7.6.3); `None`: no line.
    pub via: Option<String>,
    /// The `Server` of every response, in place of the origin's; `None`: the origin's passes, and
    /// replies of our own say `egret`.
    pub server: Option<String>,
    /// Whether redirects to hosts that we originate TLS for are led back through us.
    pub location: Location,
    /// The cdn-id of RFC 8586 by which this gateway, all its replicas included, knows a request that
    /// has come around; empty: none.
    pub loop_mark: String,
}

/// What becomes of `X-Forwarded-For`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Xff {
    /// It is removed, and `Forwarded` (RFC 7239) with it: both tell addresses of the inside.
    #[default]
    Remove,
    /// The client's address is appended, as Envoy does with `use_remote_address`; `Forwarded` stays.
    Append,
}

/// What becomes of `X-Forwarded-Proto`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ForwardedProto {
    /// It says `https` where TLS is originated, or else the origin sends the client from `http` to
    /// `https` for ever (istio/istio#5969); towards plain upstreams the client's stays.
    #[default]
    Https,
    /// The client's stays.
    Preserve,
    /// It says `http`, in which the client spoke to us, as Envoy does.
    Downstream,
    /// It is removed.
    Strip,
}

/// What becomes of `X-Request-Id`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RequestId {
    /// The client's stays; none is made.
    #[default]
    Keep,
    /// The client's stays; a request without one gets one, in the log too.
    Make,
    /// It goes no further than the log.
    Strip,
}

/// What becomes of a response's `Location`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Location {
    /// It stays as the origin wrote it.
    #[default]
    Pass,
    /// `https://host` becomes `http://host` where this listener would originate TLS for that host.
    Rewrite,
}

/// The loop mark of a gateway: a pseudonym out of its namespace and labels, so that all replicas with
/// the same settings bear the same, and that tells neither of them to those who see it.
///
/// It is `egret-` and the 64-bit FNV-1a hash of `namespace`, then `\0name=value` for each label in the
/// order of the names, in hexadecimal.
pub fn loop_mark(namespace: &str, labels: &BTreeMap<String, String>) -> String {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let labels = labels.iter().flat_map(|(name, value)| ["\0", name, "=", value]);
    let text = std::iter::once(namespace).chain(labels);
    let hash = text
        .flat_map(str::bytes)
        .fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    format!("egret-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_mark_is_the_same_for_the_same_gateway_and_another_for_any_other() {
        let labels = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
        };
        let gateway = [("istio", "egressgateway"), ("app", "out")];
        let mark = loop_mark("istio-system", &labels(&gateway));
        assert_eq!(mark, "egret-d169e2716861a567", "replicas of two versions must agree");
        for (namespace, others) in [
            ("egress", &gateway[..]),
            ("istio-system", &gateway[..1]),
            ("istio-system", &[("istio", "egress"), ("app", "gatewayout")]),
        ] {
            assert_ne!(loop_mark(namespace, &labels(others)), mark, "{namespace} {others:?}");
        }
    }
}
