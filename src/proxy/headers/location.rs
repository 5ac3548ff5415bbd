//! Redirects led back through the gateway: `https://host` becomes `http://host` where that is where the
//! client would have to ask.
//!
//! An origin that is spoken to over TLS redirects to `https`, which would take its client around the
//! gateway. Only `Location` is rewritten; `Refresh`, `Link` and bodies are left alone.

use crate::downstream::Ends;
use crate::model::{Authority, Security};
use crate::snapshot::{Asked, Destination, Rule, Snapshot};
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
