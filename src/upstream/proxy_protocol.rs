//! What a connection tells the origin, before anything else, of the client that it is for.
//!
//! HAProxy's PROXY protocol (proxy-protocol.txt, sections 2.1 and 2.2), as Envoy writes it. Such a connection
//! is its client's alone: who may share it is the pool's business, by the name in [`Told`].

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::model::upstream::ProxyProtocol;

/// The beginning of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, and what it is: about the proxy's own connection, or about a client's.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
/// TCP over either version of IP.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

/// Both ends of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientEnds {
    /// The client's.
    pub client: SocketAddr,
    /// The one that it knocked at.
    pub local: SocketAddr,
}

/// What the connections for one client tell of it.
#[derive(Debug, Clone)]
pub struct Told {
    /// Whose they are.
    pub ends: ClientEnds,
    /// What they are kept by: the server name, then the client's ends. No host has a blank in it.
    pub name: String,
}

impl Told {
    /// Of this client, under the name that connections depend on anyhow.
    pub fn new(ends: ClientEnds, server_name: &str) -> Self {
        Self { ends, name: format!("{server_name} {} {}", ends.client, ends.local) }
    }
}

/// The server name that a pool's name begins with.
pub fn server_name(name: &str) -> &str {
    name.split(' ').next().unwrap_or_default()
}

/// Writes the header. Without a client it is about the connection itself, as Envoy's is for what it asks
/// on its own.
pub async fn write(
    stream: &mut TcpStream,
    version: ProxyProtocol,
    ends: Option<ClientEnds>,
) -> io::Result<()> {
    let own =
        || io::Result::Ok(ClientEnds { client: stream.local_addr()?, local: stream.peer_addr()? });
    let header = match (version, ends) {
        (ProxyProtocol::V1, Some(ends)) => version_1(ends),
        (ProxyProtocol::V1, None) => version_1(own()?),
        (ProxyProtocol::V2, ends) => version_2(ends),
    };
    stream.write_all(&header).await
}

fn version_1(ends: ClientEnds) -> Vec<u8> {
    let (source, destination) = of_one_family(ends);
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
}

fn version_2(ends: Option<ClientEnds>) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    let Some(ends) = ends else {
        header.extend_from_slice(&[LOCAL, 0, 0, 0]);
        return header;
    };
    let (source, destination) = of_one_family(ends);
    let mut addresses = Vec::with_capacity(36);
    for address in [source, destination] {
        match address.ip() {
            IpAddr::V4(ip) => addresses.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => addresses.extend_from_slice(&ip.octets()),
        }
    }
    for address in [source, destination] {
        addresses.extend_from_slice(&address.port().to_be_bytes());
    }
    let family = if source.is_ipv4() { TCP4 } else { TCP6 };
    header.extend_from_slice(&[PROXY, family, 0, addresses.len() as u8]);
    header.extend_from_slice(&addresses);
    header
}

/// Both addresses as IPv4 where both are, mapped ones too; else as IPv6.
fn of_one_family(ends: ClientEnds) -> (SocketAddr, SocketAddr) {
    let canonical =
        |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (client, local) = (canonical(ends.client), canonical(ends.local));
    let mapped = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    match client.is_ipv4() == local.is_ipv4() {
        true => (client, local),
        false => (mapped(client), mapped(local)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(client: &str, local: &str) -> ClientEnds {
        let address = |text: &str| text.parse().expect("an address");
        ClientEnds { client: address(client), local: address(local) }
    }

    #[test]
    fn version_1_is_a_line() {
        for (client, local, line) in [
            ("192.0.2.1:4711", "10.0.0.7:443", "PROXY TCP4 192.0.2.1 10.0.0.7 4711 443\r\n"),
            ("[::ffff:192.0.2.1]:1", "10.0.0.7:443", "PROXY TCP4 192.0.2.1 10.0.0.7 1 443\r\n"),
            ("[2001:db8::1]:9", "[fd00::7]:443", "PROXY TCP6 2001:db8::1 fd00::7 9 443\r\n"),
            ("[2001:db8::1]:9", "10.0.0.7:443", "PROXY TCP6 2001:db8::1 ::ffff:10.0.0.7 9 443\r\n"),
        ] {
            assert_eq!(String::from_utf8(version_1(ends(client, local))).as_deref(), Ok(line));
        }
    }

    #[test]
    fn version_2_is_binary() {
        let header = version_2(Some(ends("127.0.0.1:39616", "127.0.0.1:35771")));
        assert_eq!(
            header,
            *b"\r\n\r\n\x00\r\nQUIT\n!\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\x9a\xc0\x8b\xbb"
        );
        let header = version_2(Some(ends("[2001:db8::1]:9", "[fd00::7]:443")));
        assert_eq!(header[..16], *b"\r\n\r\n\x00\r\nQUIT\n!\x21\x00\x24");
        assert_eq!((header.len(), &header[48..]), (52, &b"\x00\x09\x01\xbb"[..]));
        assert_eq!(version_2(None), *b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00");
    }
}
