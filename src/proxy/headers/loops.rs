//! The loop guard: our mark on requests that could come back, and the refusal of one that has.
//!
//! A request comes back only where another proxy carries it: in plain text, or from an address that is
//! not on the public internet. Origins that TLS is originated to on the public internet see no mark.
//! Addresses that are our own are `upstream::guard`'s business.

use super::append_member;
use crate::model::{HeaderPolicy, Security};
use crate::upstream::endpoints::Endpoint;
use crate::upstream::guard::Class;
use crate::wire::{Head, Name, Names, fields};

/// Whether a request has been here before: it bears this gateway's cdn-id (RFC 8586), or its name in Via.
pub fn has_come_around(head: &Head, policy: &HeaderPolicy) -> bool {
    if !head.may_have_any(MARKS) {
        return false;
    }
    let named = |hop: &[u8]| {
        policy.via.as_ref().is_some_and(|name| received_by(hop) == Some(name.as_bytes()))
    };
    bears(head, &policy.loop_mark) || head.all(Name::Via).flat_map(fields::tokens).any(named)
}

const MARKS: Names = Names::of(&[Name::CdnLoop, Name::Via]);

/// Sets the mark for a request that goes to this endpoint, or takes it off again: an attempt before
/// may have gone to an endpoint of another kind.
pub fn mark(head: &mut Head, policy: &HeaderPolicy, security: &Security, endpoint: &Endpoint) {
    let far = endpoint.class == Class::Public && !security.is_plain();
    let mark = &policy.loop_mark;
    if !head.may_have_any(Names::of(&[Name::CdnLoop])) {
        if !far && !mark.is_empty() {
            head.append(b"cdn-loop", mark.as_bytes());
        }
        return;
    }
    match (far, bears(head, mark)) {
        (false, false) if !mark.is_empty() => append_member(head, b"cdn-loop", mark.as_bytes()),
        (true, true) => take_off(head, mark),
        _ => {}
    }
}

/// Whether one of the CDN-Loop lines lists this cdn-id; parameters behind it do not count.
fn bears(head: &Head, mark: &str) -> bool {
    let is_ours = |info: &[u8]| {
        let id = info.split(|byte| *byte == b';').next().unwrap_or_default();
        !mark.is_empty() && id.trim_ascii().eq_ignore_ascii_case(mark.as_bytes())
    };
    head.all(Name::CdnLoop).flat_map(fields::tokens).any(is_ours)
}

/// Who passed a message on, by a member of Via: `[protocol/]version received-by [comment]`.
fn received_by(hop: &[u8]) -> Option<&[u8]> {
    hop.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty()).nth(1)
}

/// Our mark is the last member of the one line: it was put there by [`mark`].
fn take_off(head: &mut Head, mark: &str) {
    let line = head.find(Name::CdnLoop).unwrap_or_default();
    let rest = line.strip_suffix(mark.as_bytes()).unwrap_or(line);
    match rest.strip_suffix(b", ").map(<[u8]>::to_vec) {
        Some(others) => head.set(b"cdn-loop", &others),
        None => head.remove(b"cdn-loop"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::upstream::{Roots, TlsSpec};
    use crate::wire::{HeadMemory, Version};

    const MARK: &str = "egret-0123456789abcdef";

    fn policy(via: Option<&str>) -> HeaderPolicy {
        HeaderPolicy { loop_mark: MARK.into(), via: via.map(Into::into), ..HeaderPolicy::default() }
    }

    fn head(lines: &[(&str, &str)]) -> Head {
        let mut head = Head::request(HeadMemory::default(), Version::Http11, b"GET", b"/");
        lines.iter().for_each(|(name, value)| head.append(name.as_bytes(), value.as_bytes()));
        head
    }

    fn marks(head: &Head) -> Vec<String> {
        let lines = head.all(Name::CdnLoop);
        lines.map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }

    #[test]
    fn our_own_mark_is_known_among_others() {
        for (name, value, come_around) in [
            ("CDN-Loop", MARK, true),
            ("cdn-loop", "a.example, EGRET-0123456789ABCDEF", true),
            ("CDN-Loop", "egret-0123456789abcdef; by=\"x\", b", true),
            ("CDN-Loop", "egret-0123456789abcdef0", false),
            ("CDN-Loop", "b; id=egret-0123456789abcdef", false),
            ("X-CDN-Loop", MARK, false),
            ("Via", "1.0 fred, 1.1 edge (comment)", true),
            ("Via", "HTTP/1.1  edge", true),
            ("Via", "1.1 edge-2, 1.1 fred (edge)", false),
        ] {
            let found = has_come_around(&head(&[(name, value)]), &policy(Some("edge")));
            assert_eq!(found, come_around, "{name}: {value}");
        }
        assert!(!has_come_around(&head(&[("Via", "1.1 edge")]), &policy(None)));
    }

    #[test]
    fn the_mark_goes_to_plain_and_inside_endpoints_alone_and_never_twice() {
        let tls = Security::Tls(Arc::new(TlsSpec {
            sni: None,
            subject_alt_names: vec![],
            service_alt_names: vec![],
            roots: Roots::Web,
            revoked: None,
            identity: None,
            skip_verify: false,
        }));
        let endpoint = |address: &str| Endpoint::new(address.parse().expect("an address"));
        let (inside, far) = (endpoint("10.0.0.1:443"), endpoint("93.184.216.34:443"));
        for others in [&[][..], &["a, b; c=d"], &["a", "b; c=d"]] {
            let lines: Vec<(&str, &str)> =
                others.iter().map(|value| ("CDN-Loop", *value)).collect();
            let joined = ["a, b; c=d, ", MARK].concat();
            let marked = if others.is_empty() { MARK } else { &joined };
            let mut head = head(&lines);
            mark(&mut head, &policy(None), &tls, &far);
            assert_eq!(marks(&head), others, "far away nothing is touched");
            for (security, endpoint) in [
                (&tls, &inside),
                (&tls, &inside),
                (&Security::Plain, &far),
                (&Security::Plain, &inside),
            ] {
                mark(&mut head, &policy(None), security, endpoint);
                assert_eq!(marks(&head), [marked]);
            }
            mark(&mut head, &policy(None), &tls, &far);
            let left = if others.is_empty() { vec![] } else { vec!["a, b; c=d".to_owned()] };
            assert_eq!(marks(&head), left, "a later attempt that goes far away");
        }
    }
}
