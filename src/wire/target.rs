//! Who a request is for: its target and its Host, in every form a target can have.
//!
//! Which of them has a route is not known here.

use super::{Head, Name, Refusal, Version};
use crate::model::{Authority, Failure, UpstreamKey};

/// Who is asked for, and how.
#[derive(Debug)]
pub struct Target {
    /// Host and port, as the request names them.
    pub authority: Authority,
    /// The scheme that the target bears.
    pub scheme: Scheme,
}

/// The scheme that a target bears; most bear none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    None,
    Http,
    Https,
}

impl Target {
    /// Reads who is asked for and leaves the target in origin-form (RFC 9112, section 3.2). The authority of
    /// an absolute-form target takes the place of Host, as section 3.2.2 demands; Host must be right all the same.
    pub fn take(head: &mut Head) -> Result<Self, Failure> {
        check_characters(head.target())?;
        if head.method() == b"CONNECT" || head.target() == b"*" {
            return Err(without_path(head));
        }
        if head.target().first() == Some(&b'/') {
            let host = sole_host(head)?.ok_or(Refusal::HostMissing)?;
            let authority = Authority::parse(host).ok_or(Refusal::HostInvalid)?;
            return Ok(Self { authority, scheme: Scheme::None });
        }
        let (scheme, rest) = split_scheme(head.target()).ok_or(Refusal::BadTarget)?;
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
        let (name, path) = (rest[..end].to_vec(), rest[end..].to_vec());
        let authority = Authority::parse(&name).ok_or(Refusal::HostInvalid)?;
        match sole_host(head)? {
            None if head.version() == Version::Http11 => return Err(Refusal::HostMissing.into()),
            Some(host) if !host.is_empty() && Authority::parse(host).is_none() => {
                return Err(Refusal::HostInvalid.into());
            }
            _ => {}
        }
        head.set(b"Host", &name);
        match path.first() {
            Some(b'/') => head.set_target(&path),
            _ => head.set_target(&[b"/", &path[..]].concat()),
        }
        Ok(Self { authority, scheme })
    }

    /// Errors: the target says https, so that the request must not leave in plain text.
    pub fn may_be_sent_to(&self, upstream: &UpstreamKey) -> Result<(), Failure> {
        if self.scheme == Scheme::Https && upstream.security.is_plain() {
            let reason = "the request's target says https, but the upstream is plain text";
            return Err(Failure::Misconfigured(reason.into()));
        }
        Ok(())
    }
}

/// Refuses a fragment and what is not ASCII, neither of which a target has; other characters that RFC 3986
/// would have encoded are passed on as they are, where the next hop can carry them.
fn check_characters(target: &[u8]) -> Result<(), Refusal> {
    match target.is_ascii() && memchr::memchr(b'#', target).is_none() {
        true => Ok(()),
        false => Err(Refusal::BadTarget),
    }
}

/// What becomes of a request without a path: CONNECT in authority-form (RFC 9112, section 3.2.3) and OPTIONS in
/// asterisk-form (section 3.2.4) have no route, and no other request has these forms.
fn without_path(head: &Head) -> Failure {
    let well_formed = match head.method() {
        b"CONNECT" if head.version() == Version::Http2 => true, // it has no target there
        b"CONNECT" => Authority::parse(head.target()).is_some_and(|asked| asked.port.is_some()),
        method => method == b"OPTIONS",
    };
    if well_formed { Failure::NoRoute } else { Refusal::BadTarget.into() }
}

/// The value of Host, of which there is one at most.
fn sole_host(head: &Head) -> Result<Option<&[u8]>, Refusal> {
    if head.has_several(Name::Host) {
        Err(Refusal::HostDuplicate)
    } else {
        Ok(head.find(Name::Host))
    }
}

impl Scheme {
    /// As conditions and redirects see it: the listener's own where the target bears none.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None | Self::Http => "http",
            Self::Https => "https",
        }
    }
}

fn split_scheme(target: &[u8]) -> Option<(Scheme, &[u8])> {
    let colon = memchr::memmem::find(target, b"://")?;
    let scheme = match &target[..colon] {
        scheme if scheme.eq_ignore_ascii_case(b"http") => Scheme::Http,
        scheme if scheme.eq_ignore_ascii_case(b"https") => Scheme::Https,
        _ => return None,
    };
    Some((scheme, &target[colon + 3..]))
}
