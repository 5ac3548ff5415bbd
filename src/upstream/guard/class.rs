//! What kind of network an address is of, however it is written.
//!
//! Whether such an address may be dialled is decided in `guard`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

/// Tells what kind of network an address is of; of an IPv6 address that leads to an IPv4 one, the worse
/// of both.
pub fn classify(ip: IpAddr) -> Class {
    match ip {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6).map(classify_v4) {
            Some(inside) if inside != Class::Public => inside,
            _ => classify_v6(v6),
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
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => Class::Reserved,
        [198, 51, 100, _] | [203, 0, 113, _] | [240..=255, ..] => Class::Reserved,
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
        // What a translator makes of a public IPv4 address; a network's own translator may do anything.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Class::Public,
        // Special purposes, Teredo and benchmarks among them (RFC 2928); documentation.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => {
            Class::Reserved
        }
        [0x2000..=0x3fff, ..] => Class::Public, // all that is given out (RFC 4291, section 2.4)
        _ => Class::Reserved,
    }
}

/// The IPv4 address that a packet to this one ends at: mapped, translated and compatible addresses
/// (RFC 4291, RFC 2765), NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056), Teredo (RFC 4380), ISATAP (RFC 5214).
pub(super) fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => from(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => from(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => from(high, low),
        [0x64, 0xff9b, 1, _, _, _, high, low] => from(high, low),
        [0x2002, high, low, ..] => from(high, low),
        [0x2001, 0, .., high, low] => from(!high, !low),
        [.., 0 | 0x0200, 0x5efe, high, low] => from(high, low),
        _ => None,
    }
}
