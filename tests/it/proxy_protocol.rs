//! Connections that tell the origin, before anything else, of the client they are for.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use crate::harness::article::Egress;
use crate::harness::client::h2_request;
use crate::harness::{Gateway, H2Client, Origin, Setup, Tls, Watched};

const HOST: &str = "api.example.com";

/// Takes the PROXY header off each connection and passes the rest on to an origin.
struct Relay {
    port: u16,
    headers: Arc<Watched<Vec<Vec<u8>>>>,
}

impl Relay {
    fn before(origin: &Origin) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket on loopback");
        let port = listener.local_addr().expect("bound").port();
        let headers = Arc::new(Watched::<Vec<Vec<u8>>>::default());
        let (seen, origin) = (Arc::clone(&headers), origin.address);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || relay(stream, origin, &seen));
            }
        });
        Self { port, headers }
    }

    /// The headers so far, in the order of their connections.
    fn headers(&self) -> Vec<Vec<u8>> {
        self.headers.look(Clone::clone)
    }
}

fn relay(mut stream: TcpStream, origin: SocketAddr, seen: &Watched<Vec<Vec<u8>>>) {
    let mut header = vec![0; 16];
    stream.read_exact(&mut header).expect("the beginning of a header");
    if header.starts_with(b"PROXY ") {
        while !header.ends_with(b"\r\n") {
            let mut next = [0];
            stream.read_exact(&mut next).expect("the rest of the line");
            header.extend_from_slice(&next);
        }
    } else {
        let mut rest = vec![0; usize::from(u16::from_be_bytes([header[14], header[15]]))];
        stream.read_exact(&mut rest).expect("the addresses");
        header.extend_from_slice(&rest);
    }
    seen.change(|seen| seen.push(header));
    let origin = TcpStream::connect(origin).expect("the origin listens");
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write); // either side may have ended already
    };
    let cloned = |stream: &TcpStream| stream.try_clone().expect("a second handle");
    let (up, down) = (cloned(&stream), cloned(&origin));
    std::thread::spawn(move || copy(up, origin));
    copy(down, stream);
}

fn start(egress: &Egress, relay: &Relay) -> Gateway {
    let to = format!("{HOST}:{}::{}", egress.port, relay.port);
    Setup::new(&egress.yaml()).flags(&["--connect-to", &to, "--workers", "1"]).start()
}

/// The header for the client of a request that is in the access log, in version 1.
fn expected(gateway: &Gateway, path: &str) -> Vec<u8> {
    let logged = gateway.access(path);
    let address = |name: &str| -> SocketAddr {
        logged[name].as_str().expect("an address").parse().expect("an address")
    };
    let (client, local) =
        (address("downstream_remote_address"), address("downstream_local_address"));
    let (from, to) = (client.ip(), local.ip());
    format!("PROXY TCP4 {from} {to} {} {}\r\n", client.port(), local.port()).into_bytes()
}

#[test]
fn a_connection_is_one_clients_and_tells_of_it_before_tls_begins() {
    let h2 = || Tls { alpn: &["h2"], ..Tls::new(&[HOST]) };
    for (egress, origin) in [
        (Egress::plain(HOST), Origin::plain()),
        (Egress::tls(HOST), Origin::tls(&[HOST])),
        (Egress::tls(HOST), Origin::with(h2())),
    ] {
        let relay = Relay::before(&origin);
        let gateway = start(&egress.policy("proxyProtocol: {version: V1}"), &relay);
        let mut clients = [gateway.client(), gateway.client()];
        for (client, path) in [(0, "/a"), (1, "/b"), (0, "/c"), (1, "/d")] {
            assert_eq!(clients[client].get(HOST, path).status, 200, "{path}");
        }
        let told = [expected(&gateway, "/a"), expected(&gateway, "/b")];
        assert_ne!(told[0], told[1]);
        assert_eq!([expected(&gateway, "/c"), expected(&gateway, "/d")], told);
        assert_eq!(relay.headers(), told, "a connection for each client, and used again");
    }
}

#[test]
fn streams_of_one_client_share_its_connection() {
    let origin = Origin::with(Tls { alpn: &["h2"], ..Tls::new(&[HOST]) });
    let relay = Relay::before(&origin);
    let gateway = start(&Egress::tls(HOST).policy("proxyProtocol: {}"), &relay);
    let (one, other) = (H2Client::connect(gateway.port(443)), H2Client::connect(gateway.port(443)));
    for (client, path) in [(&one, "/a"), (&one, "/b"), (&other, "/c")] {
        let response = client.request(h2_request("GET", HOST, path, &[]), "");
        assert_eq!(response.status, 200, "{path}");
    }
    assert_eq!(relay.headers(), [expected(&gateway, "/a"), expected(&gateway, "/c")]);
}

#[test]
fn version_2_is_binary_and_a_mirrors_copy_is_the_gateways_own() {
    let (origin, mirrored) = (Origin::plain(), Origin::plain());
    let (relay, copies) = (Relay::before(&origin), Relay::before(&mirrored));
    let config = "routes:\n- hosts: [api.example.com]\n  to: http://api.example.com\n  proxyProtocol: v2\n  \
                  mirrors: [{ to: copy }]\nupstreams:\n- { name: copy, to: http://copy.example.com, proxyProtocol: v2 }\n";
    let connect = |host: &str, port: u16| format!("{host}:80::{port}");
    let gateway = Setup::new(config)
        .flags(&["--connect-to", &connect(HOST, relay.port)])
        .flags(&["--connect-to", &connect("copy.example.com", copies.port)])
        .start();
    assert_eq!(gateway.get(HOST, "/a").status, 200);
    mirrored.wait("the copy", |seen| (!seen.requests.is_empty()).then_some(()));
    let told = relay.headers().remove(0);
    let line = String::from_utf8(expected(&gateway, "/a")).expect("text");
    let ports: Vec<u16> = line.split_whitespace().filter_map(|part| part.parse().ok()).collect();
    let mut binary =
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01".to_vec();
    ports.iter().for_each(|port| binary.extend_from_slice(&port.to_be_bytes()));
    assert_eq!(told, binary);
    assert_eq!(copies.headers(), [b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"]);
}

#[test]
fn asking_for_it_later_opens_new_connections() {
    let origin = Origin::plain();
    let gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    let mut client = gateway.client();
    client.get(HOST, "/a");
    gateway.reconfigure(&Egress::plain(HOST).policy("proxyProtocol: {version: V1}").yaml());
    client.get(HOST, "/b");
    assert_eq!(origin.connections(), 2);
    let head = origin.last_head();
    assert!(head.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "), "{head}");
}
