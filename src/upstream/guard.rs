//! May this address be dialled? Never one that leads back to our own listeners.
//!
//! Addresses inside a network are only told apart here ([`classify`]); whether they are refused or
//! warned about is up to the caller.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use arc_swap::ArcSwap;

use crate::model::Failure;

/// Any port at all; nothing is sent to it.
const DISCARD_PORT: u16 = 9;

/// The addresses we listen on, and the refusal to dial them.
#[derive(Debug, Default)]
pub struct Guard {
    listening: ArcSwap<Vec<SocketAddr>>,
}

impl Guard {
    /// Says which sockets this process listens on, as bound.
    pub fn set_listening(&self, addresses: Vec<SocketAddr>) {
        self.listening.store(addresses.into());
    }

    /// Refuses an address that one of our own listeners answers at.
    ///
    /// Errors: [`Failure::Loop`].
    pub fn check(&self, address: SocketAddr) -> Result<(), Failure> {
        let ip = address.ip().to_canonical();
        let listening = self.listening.load();
        let answers = |listener: &&SocketAddr| {
            listener.port() == address.port() && accepts(listener.ip().to_canonical(), ip)
        };
        match listening.iter().find(answers) {
            Some(listener) if is_ours(ip) => {
                Err(Failure::Loop(format!("{address} is our own listener {listener}")))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a listener bound to `bound` takes connections to `ip`, if `ip` is this machine's.
fn accepts(bound: IpAddr, ip: IpAddr) -> bool {
    if ip.is_unspecified() {
        return bound.is_unspecified() || bound.is_loopback(); // the kernel dials loopback
    }
    match bound {
        IpAddr::V6(bound) if bound.is_unspecified() => true, // dual stack
        IpAddr::V4(bound) if bound.is_unspecified() => ip.is_ipv4(),
        _ => bound == ip,
    }
}

/// Whether the address is this machine's now: a socket can be bound to it. The kernel is asked each time,
/// so an address that comes or goes is known at once.
///
/// Where `net.ipv4.ip_nonlocal_bind` lets a socket be bound to anything, an address is ours if packets to
/// it would come from it; of those given to an interface besides its first, that need not be true.
fn is_ours(ip: IpAddr) -> bool {
    if ip.is_unspecified() || ip.is_loopback() {
        return true;
    }
    can_be_bound(ip) && (is_own_source(ip) || !can_be_bound(nobodys(ip)))
}

fn can_be_bound(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// Whether the kernel would send packets to this address from it. None is sent.
fn is_own_source(ip: IpAddr) -> bool {
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((ip, DISCARD_PORT))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}

/// An address that no interface has: reserved for ever (RFC 1112), or for discarding (RFC 6666).
fn nobodys(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::new(240, 0, 0, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1).into(),
    }
}

/// What kind of network an address is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Anything that is none of the following.
    Public,
    /// `0.0.0.0/8` and `::`.
    Unspecified,
    /// `127.0.0.0/8` and `::1`.
    Loopback,
    /// RFC 1918.
    Private,
    /// `fc00::/7` (RFC 4193), and the site-local addresses before it.
    UniqueLocal,
    /// `169.254.0.0/16` and `fe80::/10`.
    LinkLocal,
    /// A cloud's metadata service: it hands out credentials.
    Metadata,
    /// `100.64.0.0/10`: behind a carrier's NAT (RFC 6598).
    Shared,
    /// Multicast and broadcast.
    Multicast,
    /// Documentation, benchmarks and other ranges never routed (RFC 6890).
    Reserved,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::UniqueLocal => "unique local",
            Self::LinkLocal => "link-local",
            Self::Metadata => "cloud metadata",
            Self::Shared => "carrier NAT",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
        })
    }
}

/// Tells what kind of network an address is of; an IPv4 address inside an IPv6 one counts as itself.
pub fn classify(ip: IpAddr) -> Class {
    match ip {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => classify_v4(v4),
            None => classify_v6(v6),
        },
    }
}

fn classify_v4(ip: Ipv4Addr) -> Class {
    match ip.octets() {
        // AWS, GCP and Azure; Alibaba; Oracle; Azure's wire server.
        [169, 254, 169, 254] | [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => {
            Class::Metadata
        }
        [169, 254, 170, 2 | 23] => Class::Metadata, // ECS and EKS task credentials
        [0, ..] => Class::Unspecified,
        [127, ..] => Class::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private,
        [169, 254, ..] => Class::LinkLocal,
        [100, 64..=127, ..] => Class::Shared,
        [224..=239, ..] | [255, 255, 255, 255] => Class::Multicast,
        [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => {
            Class::Reserved
        }
        [240..=255, ..] => Class::Reserved,
        _ => Class::Public,
    }
}

fn classify_v6(ip: Ipv6Addr) -> Class {
    match ip.segments() {
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254 | 0x0023] => Class::Metadata, // AWS, EKS
        [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => Class::Metadata,          // GCP
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Loopback,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Class::UniqueLocal,
        [0xfe80..=0xfebf, ..] => Class::LinkLocal,
        [0xff00..=0xffff, ..] => Class::Multicast,
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] | [0x0100, 0, 0, 0, ..] => Class::Reserved,
        _ => Class::Public,
    }
}

/// The IPv4 address that a packet to this one ends at: mapped and compatible addresses (RFC 4291),
/// NAT64 (RFC 6052, RFC 8215) and 6to4 (RFC 3056).
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => from(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => from(high, low),
        [0x64, 0xff9b, 1, _, _, _, high, low] => from(high, low),
        [0x2002, high, low, ..] => from(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_listeners_are_refused() {
        // what we listen on, what would be dialled, whether that is a loop
        for (listening, address, refused) in [
            ("0.0.0.0:443", "127.0.0.1:443", true),
            ("0.0.0.0:443", "0.0.0.0:443", true),
            ("0.0.0.0:443", "[::ffff:127.0.0.1]:443", true),
            ("[::]:443", "127.0.0.1:443", true),
            ("[::]:443", "[::1]:443", true),
            ("127.0.0.1:443", "127.0.0.1:443", true),
            ("127.0.0.1:443", "0.0.0.0:443", true),
            ("127.0.0.1:443", "127.0.0.2:443", false),
            ("0.0.0.0:443", "127.0.0.1:8443", false),
            ("0.0.0.0:443", "[::1]:443", false),
            ("0.0.0.0:443", "192.0.2.1:443", false), // not an address of this machine
        ] {
            let guard = Guard::default();
            guard.set_listening(vec![listening.parse().expect("an address")]);
            let verdict = guard.check(address.parse().expect("an address"));
            assert_eq!(verdict.is_err(), refused, "{listening} {address}");
            assert!(matches!(verdict, Ok(()) | Err(Failure::Loop(_))));
        }
    }

    #[test]
    fn every_way_to_write_an_inside_address_is_known() {
        for (text, class) in [
            ("93.184.216.34", Class::Public),
            ("2606:2800:220:1::", Class::Public),
            ("172.15.0.1", Class::Public),
            ("172.16.0.1", Class::Private),
            ("10.1.2.3", Class::Private),
            ("192.168.0.1", Class::Private),
            ("127.1.2.3", Class::Loopback),
            ("::1", Class::Loopback),
            ("0.0.0.0", Class::Unspecified),
            ("::", Class::Unspecified),
            ("169.254.1.1", Class::LinkLocal),
            ("fe80::1", Class::LinkLocal),
            ("169.254.169.254", Class::Metadata),
            ("fd00:ec2::254", Class::Metadata),
            ("100.64.0.1", Class::Shared),
            ("100.100.100.200", Class::Metadata),
            ("fd12::1", Class::UniqueLocal),
            ("224.0.0.1", Class::Multicast),
            ("ff02::1", Class::Multicast),
            ("192.0.2.1", Class::Reserved),
            ("2001:db8::1", Class::Reserved),
            ("::ffff:10.0.0.1", Class::Private),
            ("::10.0.0.1", Class::Private),
            ("64:ff9b::a9fe:a9fe", Class::Metadata),
            ("64:ff9b:1::a00:1", Class::Private),
            ("2002:7f00:1::", Class::Loopback),
            ("64:ff9b::5db8:d822", Class::Public),
        ] {
            assert_eq!(classify(text.parse().expect("an address")), class, "{text}");
        }
    }
}
