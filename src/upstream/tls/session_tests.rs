//! Sessions with a rustls server whose records arrive in whatever pieces a test says.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::*;

pub const NAME: &str = "origin.test";

/// A server and the client that trusts it, of these versions of TLS.
pub fn configs(
    versions: &[&'static SupportedProtocolVersion],
) -> (ServerConfig, Arc<ClientConfig>) {
    let leaf = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(leaf.cert.der().clone()).expect("it is its own authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivatePkcs8KeyDer::from(leaf.signing_key.serialize_der());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.cert.der().clone()], key.into())
        .expect("a key that fits");
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, Arc::new(client))
}

/// The server's end: rustls without a socket, and a socket.
struct Server {
    tls: ServerConnection,
    tcp: TcpStream,
}

impl Server {
    /// That of the connection which comes next.
    async fn meet(listener: &TcpListener, config: ServerConfig) -> Self {
        let (tcp, _) = listener.accept().await.expect("the client comes");
        tcp.set_nodelay(true).expect("a socket");
        let tls = ServerConnection::new(Arc::new(config)).expect("a server");
        Self { tls, tcp }
    }

    /// What it has to send, as bytes that were not sent.
    fn take_records(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut records).expect("a Vec takes all");
        }
        records
    }

    /// Sends these bytes one by one.
    async fn trickle(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.tcp.write_all(&[*byte]).await.expect("the client is there");
            tokio::task::yield_now().await;
        }
    }

    async fn send(&mut self, plaintext: &[u8]) {
        self.tls.writer().write_all(plaintext).expect("there is room");
        let records = self.take_records();
        self.tcp.write_all(&records).await.expect("the client is there");
    }

    /// Takes whatever comes, until this much plaintext is there.
    async fn receive(&mut self, count: usize) -> Vec<u8> {
        let mut plaintext = Vec::new();
        while plaintext.len() < count {
            self.take_in().await;
            let mut some = [0; 4096];
            while let Ok(read @ 1..) = self.tls.reader().read(&mut some) {
                plaintext.extend_from_slice(&some[..read]);
            }
        }
        plaintext
    }

    async fn take_in(&mut self) {
        let mut bytes = [0; 4096];
        let read = self.tcp.read(&mut bytes).await.expect("the client is there");
        assert_ne!(read, 0, "the client has left");
        let mut bytes = &bytes[..read];
        while !bytes.is_empty() {
            self.tls.read_tls(&mut bytes).expect("a slice gives all");
            self.tls.process_new_packets().expect("what the client says is good");
        }
    }

    /// Shakes hands, sending one byte after the other; the tickets of TLS 1.3, which come afterwards, are not
    /// sent.
    async fn shake_hands(&mut self) {
        while self.tls.is_handshaking() {
            let records = self.take_records();
            self.trickle(&records).await;
            self.take_in().await;
        }
        if self.tls.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_2) {
            let records = self.take_records();
            self.trickle(&records).await;
        }
    }
}

/// A client and a server that have shaken hands.
async fn pair(
    adjust: impl FnOnce(&mut ServerConfig),
    versions: &[&'static SupportedProtocolVersion],
) -> (Session, Server) {
    let (mut config, client) = configs(versions);
    adjust(&mut config);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let shaken = async {
        let mut server = Server::meet(&listener, config).await;
        server.shake_hands().await;
        server
    };
    let begun = async {
        let tcp = TcpStream::connect(address).await.expect("the server listens");
        let name = ServerName::try_from(NAME).expect("a name");
        Session::begin(tcp, client, name, Rc::default()).await.expect("it is trusted")
    };
    tokio::join!(begun, shaken)
}

impl Session {
    /// Reads into so much room.
    async fn read_some(&mut self, room: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; room];
        let mut buffer = ReadBuf::new(&mut bytes);
        poll_fn(|cx| self.poll_read(cx, &mut buffer)).await?;
        Ok(buffer.filled().to_vec())
    }

    async fn read_all(&mut self, count: usize, room: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < count {
            let some = self.read_some(room.min(count - all.len())).await.expect("more comes");
            assert!(!some.is_empty(), "it ends after {} of {count}", all.len());
            all.extend_from_slice(&some);
        }
        all
    }

    async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = poll_fn(|cx| self.poll_write(cx, bytes)).await?;
            bytes = &bytes[written..];
        }
        poll_fn(|cx| self.poll_flush(cx)).await
    }
}

fn numbered(count: usize) -> Vec<u8> {
    (0..count).map(|number| (number % 251) as u8).collect()
}

const BOTH: [&[&SupportedProtocolVersion]; 2] = [&[&version::TLS12], &[&version::TLS13]];

#[tokio::test]
async fn it_does_not_matter_in_which_pieces_records_come() {
    for versions in BOTH {
        for fragment in [None, Some(64)] {
            let (mut client, mut server) =
                pair(|config| config.max_fragment_size = fragment, versions).await;
            let said = numbered(2000);
            server.tls.writer().write_all(&said).expect("there is room");
            let records = server.take_records();
            let (heard, ()) = tokio::join!(client.read_all(2000, 300), server.trickle(&records));
            assert!(heard == said);
            client.write_all(&said).await.expect("the server is there");
            assert!(server.receive(2000).await == said);
        }
    }
}

/// A message of TLS's own in several records is half here when the client writes.
#[tokio::test]
async fn requests_go_out_while_tickets_are_coming_in() {
    let tickets = |config: &mut ServerConfig| {
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().expect("random numbers");
        config.max_fragment_size = Some(64);
    };
    let whole = {
        let (_client, mut server) = pair(tickets, BOTH[1]).await;
        server.take_records().len()
    };
    assert!(whole > 256, "tickets in several records, {whole} bytes");
    for part in (1..whole).step_by(13) {
        let (mut client, mut server) = pair(tickets, BOTH[1]).await;
        let records = server.take_records();
        let (first, rest) = records.split_at(part.min(records.len()));
        server.tcp.write_all(first).await.expect("the client is there");
        let mut nothing = [0; 8];
        client.tcp.readable().await.expect("open");
        let polled =
            poll_fn(|cx| Poll::Ready(client.poll_read(cx, &mut ReadBuf::new(&mut nothing))));
        assert!(polled.await.is_pending(), "{part}");
        client.write_all(b"GET").await.expect("the server is there");
        assert_eq!(server.receive(3).await, b"GET", "{part}");
        server.tcp.write_all(rest).await.expect("the client is there");
        server.send(b"200").await;
        assert_eq!(client.read_all(3, 8).await, b"200", "{part}");
    }
}

#[tokio::test]
async fn new_keys_are_taken_up_on_either_side() {
    let (mut client, mut server) = pair(|_| {}, BOTH[1]).await;
    for _ in 0..3 {
        server.tls.refresh_traffic_keys().expect("TLS 1.3 can");
        server.send(b"new keys").await;
        assert_eq!(client.read_all(8, 100).await, b"new keys");
        client.write_all(b"as you like").await.expect("the server is there");
        assert_eq!(server.receive(11).await, b"as you like");
    }
}

#[tokio::test]
async fn a_server_may_speak_before_it_has_heard_the_last_of_the_handshake() {
    let (mut server, client) = configs(BOTH[1]);
    server.send_half_rtt_data = true;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let serving = async {
        let mut server = Server::meet(&listener, server).await;
        server.take_in().await;
        server.send(b"SETTINGS").await;
        server.shake_hands().await;
        server
    };
    let asking = async {
        let tcp = TcpStream::connect(address).await.expect("the server listens");
        let name = ServerName::try_from(NAME).expect("a name");
        let mut client = Session::begin(tcp, client, name, Rc::default()).await.expect("trusted");
        assert_eq!(client.read_all(8, 3).await, b"SETTINGS");
    };
    tokio::join!(asking, serving);
}

#[tokio::test]
async fn an_end_is_told_from_a_cut() {
    for versions in BOTH {
        let (mut client, mut server) = pair(|_| {}, versions).await;
        server.send(b"all").await;
        server.tls.send_close_notify();
        let records = server.take_records();
        server.tcp.write_all(&records).await.expect("the client is there");
        assert_eq!(client.read_all(3, 100).await, b"all");
        assert_eq!(client.read_some(100).await.expect("an end"), b"");
        assert_eq!(client.read_some(100).await.expect("the same end"), b"");
        client.write_all(b"still here").await.expect("one side is open");
        assert_eq!(server.receive(10).await, b"still here");

        let (mut client, mut server) = pair(|_| {}, versions).await;
        server.send(b"part").await;
        drop(server);
        assert_eq!(client.read_all(4, 100).await, b"part");
        let error = client.read_some(100).await.expect_err("it was cut");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn what_came_before_rubbish_is_read_and_nothing_after_it() {
    for versions in BOTH {
        for rubbish in [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &[23, 3, 3, 0, 32], &[0xff; 70_000]] {
            let (mut client, mut server) = pair(|_| {}, versions).await;
            server.tls.writer().write_all(b"good").expect("there is room");
            let mut records = server.take_records();
            records.extend_from_slice(rubbish);
            records.extend_from_slice(&[7; 64]);
            let (mut from_client, mut to_client) = server.tcp.into_split();
            let sent = async {
                let _ = to_client.write_all(&records).await; // the client need not take all
                let mut answer = Vec::new();
                let _ = from_client.read_to_end(&mut answer).await;
                answer
            };
            let read = async {
                assert_eq!(client.read_all(4, 100).await, b"good");
                for _ in 0..2 {
                    let error = client.read_some(100).await.expect_err("rubbish");
                    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
                    let error = client.write_all(b"more").await.expect_err("it is over");
                    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
                }
                drop(client);
            };
            let (answer, ()) = tokio::join!(sent, read);
            assert!(!answer.is_empty(), "an alert says why");
        }
    }
}

#[tokio::test]
async fn what_a_server_does_not_take_waits_and_arrives() {
    let (mut client, mut server) = pair(|_| {}, BOTH[1]).await;
    socket2::SockRef::from(&client.tcp).set_send_buffer_size(16 * 1024).expect("a socket");
    let said = numbered(8_000_000);
    let mut written = 0;
    // As much as the sockets and one set of records hold.
    poll_fn(|cx| {
        while written < said.len()
            && let Poll::Ready(more) = client.poll_write(cx, &said[written..])
        {
            written += more.expect("open");
        }
        Poll::Ready(())
    })
    .await;
    assert!(written < said.len(), "nobody has read");
    assert!(client.unsent.len() <= 2 * PAYLOAD_BYTES_MAX);
    let (heard, ()) = tokio::join!(server.receive(said.len()), async {
        client.write_all(&said[written..]).await.expect("the server reads now");
    });
    assert!(heard == said);
    assert_eq!((client.unsent.capacity(), client.unfinished.capacity()), (0, 0), "nothing is held");
}

/// Whatever a server says instead of its part of the handshake, the client ends with an error.
#[tokio::test]
async fn a_handshake_that_is_tampered_with_comes_to_nothing() {
    for versions in BOTH {
        let mut refused = 0;
        for place in (0..900).step_by(9) {
            let (server, client) = configs(versions);
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("bound");
            let serving = async {
                let mut server = Server::meet(&listener, server).await;
                server.take_in().await;
                let mut records = server.take_records();
                let place = place % records.len();
                records[place] ^= 1 << (place % 8);
                let _ = server.tcp.write_all(&records).await; // the client may have had enough
                let _ = server.tcp.shutdown().await;
            };
            let asking = async {
                let tcp = TcpStream::connect(address).await.expect("the server listens");
                let name = ServerName::try_from(NAME).expect("a name");
                Session::begin(tcp, client, name, Rc::default()).await
            };
            let (begun, ()) = tokio::join!(asking, serving);
            refused += u32::from(begun.is_err());
        }
        // A legacy version in front of a plain record may be anything.
        assert!(refused >= 98, "{refused} of 100");
    }
}
