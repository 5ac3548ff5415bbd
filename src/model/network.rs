//! Ranges of addresses, and which of them may be dialled: what the settings of the address guard say.
//!
//! What kind of network an address is of, and the judging itself, are `upstream::guard`'s.

use std::fmt;
use std::net::IpAddr;

/// A range of addresses, `10.0.0.0/8` or `fd00::/8`; one address alone is a range too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Its first address, of IPv4 as such.
    address: IpAddr,
    /// Leading bits that are the same for all of it.
    bits: u8,
}

impl Network {
    /// Reads `ADDRESS/BITS` or `ADDRESS`.
    ///
    /// Errors: a sentence saying what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("\"{text}\" is not a range of addresses; write one, as in 10.1.0.0/16 or ::1")
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => width,
            // Not "+8" and not "08", of which nobody knows what was meant.
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|number: &u8| *number <= width && number.to_string() == bits)
                .ok_or_else(wrong)?,
        };
        // An IPv4 address is judged as such, in whatever way it came; so a range of them is one of IPv4.
        let network = match address {
            IpAddr::V6(v6) if bits >= 96 && v6.to_ipv4_mapped().is_some() => {
                Self { address: address.to_canonical(), bits: bits - 96 }
            }
            _ => Self { address, bits },
        };
        let Self { address, bits } = network;
        let first = Self { address: network.masked(address), bits };
        if first != network {
            return Err(format!(
                "\"{text}\" has bits beyond its first {bits}; write {first}, or the address alone"
            ));
        }
        Ok(first)
    }

    /// Whether the address is of this range. An IPv4 address is in no IPv6 range, and the other way round.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && self.masked(address) == self.address
    }

    fn masked(&self, address: IpAddr) -> IpAddr {
        let bits = u32::from(self.bits);
        match address {
            IpAddr::V4(v4) => {
                IpAddr::V4((v4.to_bits() & u32::MAX.checked_shl(32 - bits).unwrap_or(0)).into())
            }
            IpAddr::V6(v6) => {
                IpAddr::V6((v6.to_bits() & u128::MAX.checked_shl(128 - bits).unwrap_or(0)).into())
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Which addresses may be dialled. On routes whose destination is the request's own host the guard is
/// always on; the mode is about the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuardPolicy {
    /// What becomes of an address inside the network on a route to hosts that were named.
    pub mode: GuardMode,
    /// Addresses that may be dialled although they are inside a network.
    pub allow: Vec<Network>,
    /// Addresses that are never dialled, whatever `allow` and `mode` say.
    pub deny: Vec<Network>,
}

/// What becomes of an address inside the network on a route to hosts that were named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GuardMode {
    /// It is dialled, and the log says so once.
    #[default]
    Warn,
    /// It is not dialled.
    Enforce,
    /// It is dialled.
    Off,
}

impl GuardMode {
    /// The word for it in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Enforce => "enforce",
            Self::Off => "off",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_the_addresses_that_begin_with_its_bits() {
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", false), // whoever asks takes it apart before
            ("::ffff:10.0.0.0/104", "10.255.0.1", true),
            ("::ffff:192.0.2.7", "192.0.2.8", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "2001:db8::1", true),
            ("::1", "::1", true),
        ] {
            let network = Network::parse(network).expect("a range");
            let address = address.parse().expect("an address");
            assert_eq!(network.contains(address), inside, "{network} {address}");
        }
    }

    #[test]
    fn what_is_not_a_range_is_refused_with_what_to_write() {
        for (text, told) in [
            ("", "write one, as in 10.1.0.0/16"),
            ("10.0.0.0/33", "write one"),
            ("10.0.0.0/+8", "write one"),
            ("10.0.0.0/08", "write one"),
            ("10.0.0", "write one"),
            ("fd00::/129", "write one"),
            ("example.com", "write one"),
            ("10.1.2.3/8", "write 10.0.0.0/8"),
            ("fd12::/8", "write fd00::/8"),
        ] {
            let why = Network::parse(text).expect_err(text);
            assert!(why.contains(told), "{text}: {why}");
        }
    }
}
