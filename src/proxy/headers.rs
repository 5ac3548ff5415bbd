//! What is changed in a head on its way: hop-by-hop lines out, the Host right, nothing internal leaked,
//! what the policy says of client and gateway, then the route's own edits.
//!
//! Framing lines are set where a message is sent, since they depend on the connection it gets; so is the
//! loop mark ([`loops`]), which depends on where that leads.

pub mod location;
pub mod loops;
pub mod values;

use std::net::IpAddr;

use crate::model::headers::{ForwardedProto, RequestId, Xff};
use crate::model::{Forward, HeaderEdits, HeaderPolicy, Share, UpstreamKey};
use crate::snapshot::rewrite;
use crate::wire::upgrade::Upgrade;
use crate::wire::{Head, Name, Names, Refusal, Version, fields};
use values::{Values, value_of};

/// Gives a request without an identity one: a random UUID (RFC 9562, section 5.4).
pub fn make_request_id(head: &mut Head, random: &mut fastrand::Rng) {
    if head.find(Name::XRequestId).is_some() {
        return;
    }
    let bits = (random.u128(..) & !(0xf << 76 | 0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let id = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
    head.append(b"x-request-id", id.as_bytes());
}

/// Makes a client's head fit to be sent to an upstream, but for the edits of the route.
pub fn outbound(
    head: &mut Head,
    policy: &HeaderPolicy,
    client: IpAddr,
    forward: &Forward,
    share: &Share,
    upstream: &UpstreamKey,
    upgrade: Upgrade,
) -> Result<(), Refusal> {
    fields::strip_hop_by_hop(head)?;
    remove_internal(head, policy.xff);
    let tls = !upstream.security.is_plain();
    rewrite::host(head, forward, share, upstream);
    match policy.forwarded_proto {
        ForwardedProto::Https if tls => head.set(b"x-forwarded-proto", b"https"),
        ForwardedProto::Https | ForwardedProto::Preserve => {}
        ForwardedProto::Downstream => head.set(b"x-forwarded-proto", b"http"),
        ForwardedProto::Strip => head.remove(b"x-forwarded-proto"),
    }
    if policy.xff == Xff::Append {
        let client = client.to_canonical().to_string();
        append_member(head, b"x-forwarded-for", client.as_bytes());
    }
    if policy.request_id == RequestId::Strip {
        head.remove(b"x-request-id");
    }
    if let Some(name) = &policy.via {
        append_via(head, name);
    }
    if head.version() == Version::Http10 {
        head.remove(b"expect"); // RFC 9110, section 10.1.1: what such a client says there is ignored
    }
    if upgrade == Upgrade::WebSocket {
        head.set(b"connection", b"upgrade");
        head.set(b"upgrade", b"websocket");
    }
    Ok(())
}

/// Makes an origin's final head fit to be sent to the client, with the edits of the route last; `date` is
/// the time now, as HTTP writes it.
pub fn inbound(
    head: &mut Head,
    policy: &HeaderPolicy,
    edits: [&HeaderEdits; 2],
    values: Option<&Values>,
    date: &str,
) {
    interim(head);
    if !head.may_have_any(Names::of(&[Name::Date])) {
        head.append(b"date", date.as_bytes());
    }
    if let Some(server) = &policy.server {
        head.set(b"server", server.as_bytes());
    }
    if let Some(name) = &policy.via {
        append_via(head, name);
    }
    edit(head, edits, values);
}

/// Makes an origin's interim head fit to be sent to the client.
pub fn interim(head: &mut Head) {
    // A response may name what it likes in its Connection line: what is essential stays.
    let _ = fields::strip_hop_by_hop(head);
}

/// Makes edits one list after the other: of each remove, then set, then append. `values` are those of the
/// lines that have a format.
pub fn edit(head: &mut Head, edits: [&HeaderEdits; 2], values: Option<&Values>) {
    for (index, edits) in edits.into_iter().enumerate() {
        if edits.is_empty() {
            continue;
        }
        let mut values = values.map_or(&[][..], |values| values.list(index)).iter();
        edits.remove.iter().for_each(|name| head.remove(name.as_bytes()));
        for line in &edits.set {
            if let Some(value) = value_of(line, &mut values) {
                head.set(line.name.as_bytes(), value);
            }
        }
        for line in &edits.add {
            if let Some(value) = value_of(line, &mut values) {
                head.append(line.name.as_bytes(), value);
            }
        }
    }
}

/// Lines that say something about the inside of the cluster.
const INTERNAL: Names = Names::of(&[Name::XEnvoy, Name::XForwardedClientCert]);
/// Those, and the lines that tell the client's address (RFC 7239, section 8.3).
const INTERNAL_AND_CLIENT: Names =
    Names::of(&[Name::XEnvoy, Name::XForwardedClientCert, Name::XForwardedFor, Name::Forwarded]);

fn remove_internal(head: &mut Head, xff: Xff) {
    let gone = match xff {
        Xff::Remove => INTERNAL_AND_CLIENT,
        Xff::Append => INTERNAL,
    };
    if head.may_have_any(gone) {
        head.retain(|name, _, _| !gone.meets(Names::of(&[name])));
    }
}

/// Names the gateway as one that passed the message on, with the version in which it came.
fn append_via(head: &mut Head, name: &str) {
    let version = match head.version() {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
        Version::Http2 => "2",
    };
    append_member(head, b"via", format!("{version} {name}").as_bytes());
}

/// Appends a member to a field that is a list and has a known name. All of it is one line then: who
/// looks for the last member must not miss ours for reading one line alone.
fn append_member(head: &mut Head, name: &[u8], member: &[u8]) {
    let known = Name::of(name);
    let mut list = Vec::new();
    for line in head.all(known).filter(|line| !line.is_empty()) {
        list.extend_from_slice(line);
        list.extend_from_slice(b", ");
    }
    if list.is_empty() {
        return head.set(name, member);
    }
    list.extend_from_slice(member);
    head.set(name, &list);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::HeadMemory;

    #[test]
    fn a_made_identity_is_a_random_uuid_and_one_that_is_there_stays() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut made = Vec::new();
        for _ in 0..100 {
            let mut head = Head::request(HeadMemory::default(), Version::Http11, b"GET", b"/");
            make_request_id(&mut head, &mut random);
            let id = head.find(Name::XRequestId).expect("made").to_vec();
            let dashes = [8, 13, 18, 23].map(|at| id[at]);
            assert_eq!((id.len(), dashes, id[14]), (36, [b'-'; 4], b'4'));
            assert!(b"89ab".contains(&id[19]), "{}", id.escape_ascii());
            make_request_id(&mut head, &mut random);
            assert_eq!(head.find(Name::XRequestId), Some(&id[..]));
            made.push(id);
        }
        made.sort();
        made.dedup();
        assert_eq!(made.len(), 100);
    }
}
