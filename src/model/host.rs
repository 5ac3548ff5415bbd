//! Host names, host patterns and authorities: parsed once, compared cheaply.
//!
//! Matching follows Envoy's rules for virtual host domains with the port ignored: case does not
//! count, an exact name beats a wildcard, the longest suffix beats a shorter one, and `*` is last.

use std::borrow::Borrow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

/// The longest host name in text form (RFC 1035, section 2.3.4).
const HOST_LENGTH_MAX: usize = 253;

/// A host name or IP literal: lower case, no port, no trailing dot, no brackets.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(Arc<str>);

impl Host {
    /// Reads a name or an IP literal (an IPv6 one with or without brackets).
    ///
    /// Errors: a sentence saying what is wrong, for a configuration problem.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(Self(ip.to_string().into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        match check_name(name.as_bytes()) {
            Ok(()) => Ok(Self(name.into())),
            Err(why) => Err(format!("\"{text}\" is not a host name: {why}")),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address, when the host is an IP literal.
    pub fn ip(&self) -> Option<IpAddr> {
        self.0.parse().ok()
    }
}

/// A table of hosts is asked with text; equal hosts are equal texts, and hash alike.
impl Borrow<str> for Host {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// What a virtual host answers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This very name.
    Exact(Host),
    /// `*.example.com`: any name with at least one character before `.example.com`.
    Suffix(Host),
    /// `*`: every name.
    Any,
}

impl HostPattern {
    /// Reads `name`, `*.name` or `*`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        match text.strip_prefix("*.") {
            Some(rest) => Host::parse(rest).map(Self::Suffix),
            None => Host::parse(text).map(Self::Exact),
        }
    }

    /// The pattern as text; that of a name alone is shared with the name.
    pub fn text(&self) -> Arc<str> {
        match self {
            Self::Exact(name) => Arc::clone(&name.0),
            Self::Suffix(_) | Self::Any => self.to_string().into(),
        }
    }

    /// Whether this pattern covers the (lower-case, dot-less) host.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name.as_str() == host,
            Self::Suffix(name) => host
                .strip_suffix(name.as_str())
                .and_then(|front| front.strip_suffix('.'))
                .is_some_and(|front| !front.is_empty()),
            Self::Any => true,
        }
    }

    /// Whether every host that `other` covers is covered by this pattern too.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Any) => false,
            (_, Self::Exact(name)) => self.matches(name.as_str()),
            (Self::Exact(_), Self::Suffix(_)) => false,
            (Self::Suffix(mine), Self::Suffix(theirs)) => {
                mine == theirs || self.matches(theirs.as_str())
            }
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => write!(f, "{name}"),
            Self::Suffix(name) => write!(f, "*.{name}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// Who a request asks for: the host, normalised for matching, and the port if one was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    host: SmallVec<[u8; 64]>,
    /// The port written after the host.
    pub port: Option<u16>,
}

impl Authority {
    /// Reads `host[:port]` as it stands in a Host header, an `:authority` or an absolute target.
    ///
    /// Refused (`None`): nothing at all, userinfo, a port that is not 1 to 65535, and every byte a
    /// host cannot have (RFC 9110, section 4.2.4; RFC 3986, section 3.2).
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (name, port) = split_port(bytes)?;
        let mut host: SmallVec<[u8; 64]> = SmallVec::from_slice(name);
        host.make_ascii_lowercase();
        if host.last() == Some(&b'.') {
            host.pop();
        }
        let valid = match host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")) {
            Some(literal) => {
                let ip: std::net::Ipv6Addr = std::str::from_utf8(literal).ok()?.parse().ok()?;
                host = SmallVec::from_slice(ip.to_string().as_bytes());
                true
            }
            None => check_name(&host).is_ok(),
        };
        valid.then_some(Self { host, port })
    }

    /// The host, lower case, without port, trailing dot or brackets.
    pub fn host(&self) -> &str {
        // `parse` lets only ASCII through.
        std::str::from_utf8(&self.host).unwrap_or_default()
    }
}

/// Splits `host:port`; `None` when the port is not a number from 1 to 65535.
fn split_port(bytes: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let after_literal = if bytes.first() == Some(&b'[') { memchr::memchr(b']', bytes)? } else { 0 };
    // Names are too short for what `memchr` has to set up.
    let Some(colon) = bytes[after_literal..].iter().position(|byte| *byte == b':') else {
        return Some((bytes, None));
    };
    let (name, digits) = (&bytes[..after_literal + colon], &bytes[after_literal + colon + 1..]);
    if digits.is_empty() {
        return Some((name, None)); // "host:" is an empty port (RFC 3986, section 3.2.3)
    }
    if digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let port = digits.iter().fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    u16::try_from(port).ok().filter(|port| *port != 0).map(|port| (name, Some(port)))
}

/// Checks a lower-case name without trailing dot: labels of letters, digits, `-` and `_`.
fn check_name(name: &[u8]) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("it is empty");
    }
    if name.len() > HOST_LENGTH_MAX {
        return Err("it is longer than 253 characters");
    }
    let mut label = 0;
    for &byte in name {
        match KINDS[usize::from(byte)] {
            Kind::Label => label += 1,
            Kind::Dot => {
                check_label(label)?;
                label = 0;
            }
            Kind::Other => return Err(misplaced(byte)),
        }
    }
    check_label(label)
}

fn check_label(length: usize) -> Result<(), &'static str> {
    match length {
        0 => Err("it has an empty label"),
        1..=63 => Ok(()),
        _ => Err("it has a label longer than 63 characters"),
    }
}

fn misplaced(byte: u8) -> &'static str {
    match byte {
        b':' => "it has a port or a scheme; write the name alone",
        b'*' => "a wildcard may only be the whole first label, as in *.example.com",
        _ => "it has a character that a host name cannot have",
    }
}

/// What a byte is to a name in lower case.
#[derive(Clone, Copy)]
enum Kind {
    Label,
    Dot,
    Other,
}

/// Looked up, since every request's Host is checked.
static KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Other; 256];
    let mut byte = 0;
    while byte < kinds.len() {
        kinds[byte] = match byte as u8 {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => Kind::Label,
            b'.' => Kind::Dot,
            _ => Kind::Other,
        };
        byte += 1;
    }
    kinds
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_normalised_for_matching() {
        for (text, host, port) in [
            ("edition.cnn.com", "edition.cnn.com", None),
            ("EDITION.CNN.COM:443", "edition.cnn.com", Some(443)),
            ("edition.cnn.com.", "edition.cnn.com", None),
            ("edition.cnn.com.:80", "edition.cnn.com", Some(80)),
            ("edition.cnn.com:", "edition.cnn.com", None),
            ("[::0001]:8443", "::1", Some(8443)),
            ("10.0.0.1", "10.0.0.1", None),
            ("my_service", "my_service", None),
        ] {
            let authority = Authority::parse(text.as_bytes()).expect(text);
            assert_eq!((authority.host(), authority.port), (host, port), "{text}");
        }
    }

    #[test]
    fn impossible_authorities_are_refused() {
        for text in [
            "",
            ":443",
            "user@edition.cnn.com",
            "a b",
            "a/b",
            "a:-1",
            "a:0",
            "a:65536",
            "a:abc",
            "a..b",
            ".",
            "[::1",
            "[nonsense]",
            "a,b",
            "\u{e9}.com",
            "http://a",
        ] {
            assert_eq!(Authority::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_suffix_needs_something_before_it() {
        let pattern = HostPattern::parse("*.Foo.com").expect("valid");
        assert!(pattern.matches("a.b.foo.com"));
        for host in ["foo.com", ".foo.com", "xfoo.com", "foo.com.evil"] {
            assert!(!pattern.matches(host), "{host}");
        }
    }

    #[test]
    fn covering_follows_matching() {
        let pattern = |text| HostPattern::parse(text).expect("valid");
        assert!(pattern("*").covers(&pattern("*.a.com")));
        assert!(pattern("*.a.com").covers(&pattern("*.b.a.com")));
        assert!(pattern("*.a.com").covers(&pattern("b.a.com")));
        assert!(!pattern("*.a.com").covers(&pattern("a.com")));
        assert!(!pattern("*.b.a.com").covers(&pattern("*.a.com")));
        assert!(!pattern("a.com").covers(&pattern("*")));
    }
}
