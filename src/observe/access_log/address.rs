//! Socket addresses as the log prints them: `10.0.0.1:443`, `[2001:db8::1]:443`.
//!
//! IPv4 by hand, since four of them are in every line: by the standard formatting they alone would
//! be half its cost.

use std::io::Write;
use std::net::{SocketAddr, SocketAddrV4};

/// Appends an address and its port.
pub(super) fn write(out: &mut Vec<u8>, address: &SocketAddr) {
    match address {
        SocketAddr::V4(v4) => write_v4(out, *v4),
        SocketAddr::V6(v6) => write!(out, "{v6}").expect("a Vec takes every write"),
    }
}

fn write_v4(out: &mut Vec<u8>, address: SocketAddrV4) {
    let mut text = [0; "255.255.255.255:".len()];
    let mut length = 0;
    for octet in address.ip().octets() {
        let (dotted, used) = OCTETS[usize::from(octet)];
        text[length..length + dotted.len()].copy_from_slice(&dotted);
        length += used;
    }
    text[length - 1] = b':';
    out.extend_from_slice(&text[..length]);

    let port = address.port();
    let digits = [port / 10_000, port / 1000, port / 100, port / 10, port]
        .map(|upper| b'0' + (upper % 10) as u8);
    let leading = [10_000, 1000, 100, 10].map(|least| usize::from(port < least));
    out.extend_from_slice(&digits[leading.iter().sum()..]);
}

/// `0.` to `255.`, and how long each is.
static OCTETS: [([u8; 4], usize); 256] = {
    let mut octets = [([0; 4], 0); 256];
    let mut octet = 0;
    while octet < 256 {
        octets[octet] = dotted(octet as u8);
        octet += 1;
    }
    octets
};

const fn dotted(octet: u8) -> ([u8; 4], usize) {
    let (hundreds, tens, ones) = (b'0' + octet / 100, b'0' + octet / 10 % 10, b'0' + octet % 10);
    match octet {
        0..10 => ([ones, b'.', 0, 0], 2),
        10..100 => ([tens, ones, b'.', 0], 3),
        100.. => ([hundreds, tens, ones, b'.'], 4),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    #[test]
    fn addresses_are_those_of_the_standard_library() {
        let octets = (0..=255).map(|n| SocketAddr::from((Ipv4Addr::new(n, 1, 255 - n, n), 443)));
        let ports = (0..=u16::MAX).map(|port| SocketAddr::from(([255; 4], port)));
        let v6 = ["[::]:0", "[2001:db8::1]:443", "[::ffff:10.0.0.1]:8080"];
        for address in octets.chain(ports).chain(v6.map(|text| text.parse().unwrap())) {
            let mut out = Vec::new();
            super::write(&mut out, &address);
            assert_eq!(String::from_utf8(out).unwrap(), address.to_string());
        }
    }
}
