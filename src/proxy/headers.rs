//! What is changed in a head on its way: hop-by-hop lines out, the Host right, nothing internal leaked,
//! then the route's own edits.
//!
//! The rules are those of the header policy towards external hosts; framing lines are set where a
//! message is sent, since they depend on the connection it gets.

use crate::model::{Forward, HeaderEdits, Refused, Security, Share, UpstreamKey};
use crate::wire::{Framing, Head, Name, Names, Refusal, fields};

/// What a request asks its connection to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// Nothing.
    None,
    /// A WebSocket, which is tunnelled once the origin agrees.
    WebSocket,
}

/// What a request wants upgraded; anything but a WebSocket is refused, as Envoy does. `h2c` is not a
/// wish we have to grant (RFC 9110, section 7.8): the request is served in HTTP/1.1. Nor is one with a
/// body, whose end and the first bytes of the new protocol are too easily taken for one another.
pub fn upgrade(head: &Head, framing: Framing) -> Result<Upgrade, Refused> {
    match fields::upgrade(head) {
        None => Ok(Upgrade::None),
        Some(protocol)
            if protocol.eq_ignore_ascii_case(b"websocket") && framing != Framing::Empty =>
        {
            Ok(Upgrade::None)
        }
        Some(protocol) if protocol.eq_ignore_ascii_case(b"websocket") => Ok(Upgrade::WebSocket),
        Some(protocol) if protocol.eq_ignore_ascii_case(b"h2c") => Ok(Upgrade::None),
        Some(_) => Err(Refused { status: 403, details: "upgrade_failed" }),
    }
}

/// Makes a client's head fit to be sent to an upstream.
pub fn outbound(
    head: &mut Head,
    forward: &Forward,
    share: &Share,
    upstream: &UpstreamKey,
    upgrade: Upgrade,
) -> Result<(), Refusal> {
    fields::strip_hop_by_hop(head)?;
    if head.may_have_any(INTERNAL) {
        head.retain(|name, _, _| !INTERNAL.meets(Names::of(&[name])));
    }
    let tls = upstream.security != Security::Plain;
    match forward.host_sent(share) {
        Some(host) => head.set(b"host", host.as_bytes()),
        None if tls => drop_default_port(head, upstream.port),
        None => {}
    }
    if tls {
        head.set(b"x-forwarded-proto", b"https");
    }
    if upgrade == Upgrade::WebSocket {
        head.set(b"connection", b"upgrade");
        head.set(b"upgrade", b"websocket");
    }
    edit(head, &share.request);
    edit(head, &forward.request);
    Ok(())
}

/// Makes an origin's head fit to be sent to the client, in the order of the edits.
pub fn inbound<'e>(head: &mut Head, edits: impl IntoIterator<Item = &'e HeaderEdits>) {
    // A response may name what it likes in its Connection line: what is essential stays.
    let _ = fields::strip_hop_by_hop(head);
    edits.into_iter().for_each(|edits| edit(head, edits));
}

/// Applies a route's edits: remove, then set, then append.
pub fn edit(head: &mut Head, edits: &HeaderEdits) {
    if edits.is_empty() {
        return;
    }
    edits.remove.iter().for_each(|name| head.remove(name.as_bytes()));
    edits.set.iter().for_each(|line| head.set(line.name.as_bytes(), line.value.as_bytes()));
    edits.add.iter().for_each(|line| head.append(line.name.as_bytes(), line.value.as_bytes()));
}

/// Lines that say something about the inside of the cluster.
const INTERNAL: Names = Names::of(&[Name::XEnvoy, Name::XForwardedFor, Name::XForwardedClientCert]);

/// `Host: name:80` or `name:443` on its way to TLS on 443 is `Host: name`: an origin that compares it
/// with its own name must find that name.
fn drop_default_port(head: &mut Head, upstream_port: u16) {
    let Some(host) = head.find(Name::Host) else { return };
    let bare = [&b":443"[..], b":80"].into_iter().find_map(|port| host.strip_suffix(port));
    if upstream_port == 443
        && let Some(bare) = bare.map(<[u8]>::to_vec)
    {
        head.set(b"host", &bare);
    }
}
