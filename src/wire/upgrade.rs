//! Which changes of protocol are made.
//!
//! How a message asks for one is read in `fields`.

use super::{Framing, Head, Name, fields};
use crate::model::Refused;

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
        // Several are a list, like one line with commas: there is one to be sure about, or none.
        Some(_) if head.all(Name::Upgrade).nth(1).is_some() => {
            Err(Refused { status: 403, details: "upgrade_failed" })
        }
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
