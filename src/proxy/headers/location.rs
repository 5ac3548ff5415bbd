//! Redirects led back through the gateway: `https://host` becomes `http://host` where that is where the
//! client would have to ask.
//!
//! An origin that is spoken to over TLS redirects to `https`, which would take its client around the
//! gateway. Only `Location` is rewritten; `Refresh`, `Link` and bodies are left alone.

use crate::downstream::Ends;
use crate::model::{Authority, Security};
use crate::snapshot::{Asked, Destination, Rule, Snapshot};
use crate::upstream::Upstream;
use crate::wire::Head;

/// The port of `https` (RFC 9110, section 4.2.2).
const HTTPS_PORT: u16 = 443;
/// The port of `http` (RFC 9110, section 4.2.1).
const HTTP_PORT: u16 = 80;

/// Rewrites the Location of a response, if it leads to a host that the listener would originate TLS to.
/// `port` is the one that the client's Host names, and is named again. `request` has been answered; it
/// becomes the one that the client would come back with.
pub fn rewrite(
    response: &mut Head,
    port: Option<u16>,
    request: &mut Head,
    ends: Ends,
    snapshot: &Snapshot,
) {
    let Some(location) = response.find_named(b"location") else { return };
    if let Some(rewritten) = rewritten(location, port, request, ends, snapshot) {
        response.set(b"location", &rewritten);
    }
}

/// Tells once when an origin redirects a request that came over TLS to the very URL it was for: it goes
/// by `X-Forwarded-Proto`, and its client would be sent round for ever (EG020). `request` is as it was sent.
pub fn tell_of_loop(response: &Head, request: &Head, upstream: &Upstream) {
    if !matches!(upstream.key.security, Security::Tls(_)) {
        return;
    }
    let (location, host) = (response.find_named(b"location"), request.find_named(b"host"));
    if let (Some(location), Some(host)) = (location, host)
        && is_itself(location, host, request.target())
    {
        upstream.warn_of_redirect_to_itself(response.status());
    }
}

/// Whether a Location is the URL in https of a request with this Host and target.
fn is_itself(location: &[u8], host: &[u8], target: &[u8]) -> bool {
    let bare = |authority: &[u8]| {
        let bare = authority.strip_suffix(b":443").unwrap_or(authority);
        bare.to_ascii_lowercase()
    };
    let Some(rest) = strip_https(location) else { return false };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
    bare(name) == bare(host) && self::target(after) == target
}

fn rewritten(
    location: &[u8],
    port: Option<u16>,
    request: &mut Head,
    ends: Ends,
    snapshot: &Snapshot,
) -> Option<Vec<u8>> {
    let rest = strip_https(location)?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
    let authority = Authority::parse(name)?;
    request.set(b"Host", name);
    request.set_target(&target(after));
    let asked = Asked { head: request, scheme: "http" };
    let found = snapshot.routes.find((ends.local, ends.port), authority.host(), asked)?;
    if !originates_tls(found.rule?, authority.port.unwrap_or(HTTPS_PORT)) {
        return None;
    }
    let mut rewritten = b"http://".to_vec();
    rewritten.extend_from_slice(without_port(name));
    if let Some(port) = port.filter(|port| *port != HTTP_PORT) {
        rewritten.extend_from_slice(format!(":{port}").as_bytes());
    }
    rewritten.extend_from_slice(after);
    Some(rewritten)
}

/// Path and query of what follows an authority, in origin-form.
fn target(after: &[u8]) -> Vec<u8> {
    let end = memchr::memchr(b'#', after).unwrap_or(after.len());
    match after.first() {
        Some(b'/') => after[..end].to_vec(),
        _ => [b"/", &after[..end]].concat(),
    }
}

fn strip_https(location: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = location.split_at_checked(b"https://".len())?;
    scheme.eq_ignore_ascii_case(b"https://").then_some(rest)
}

/// Whether the rule leads to what `https` means on this port, wherever it leads: over TLS, and to the
/// same port unless that is the default, by which an origin on any port may call itself.
fn originates_tls(rule: &Rule, port: u16) -> bool {
    let leads_there = |to: &Destination| match to {
        Destination::Upstream(upstream) => {
            matches!(upstream.key.security, Security::Tls(_))
                && (port == HTTPS_PORT || port == upstream.key.port)
        }
        Destination::Missing(_) => false,
    };
    !rule.onward.is_empty() && rule.onward.iter().all(|onward| leads_there(&onward.to))
}

/// The host of an authority as it is written.
fn without_port(authority: &[u8]) -> &[u8] {
    match memchr::memrchr(b':', authority) {
        Some(colon) if !authority[colon..].contains(&b']') => &authority[..colon],
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_itself_whatever_the_case_of_its_host_and_with_the_port_that_goes_without_saying() {
        for (location, is_itself) in [
            ("https://a.com/x?y", true),
            ("https://A.com:443/x?y", true),
            ("https://a.com/x?y#z", true),
            ("https://a.com/x", false),
            ("https://www.a.com/x?y", false),
            ("https://a.com:8443/x?y", false),
            ("http://a.com/x?y", false),
            ("/x?y", false),
        ] {
            let found = super::is_itself(location.as_bytes(), b"a.com", b"/x?y");
            assert_eq!(found, is_itself, "{location}");
        }
        assert!(is_itself(b"https://a.com", b"a.com:443", b"/"));
    }
}
