//! Flow control holds memory: who doesn't read makes the other side wait, not the gateway hold.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::harness::article::Egress;
use crate::harness::frames::*;
use crate::harness::{Gateway, Origin, Setup, Tls};

const HOST: &str = "api.example.com";
/// Streams, or connections, at once.
const MANY: u32 = 100;
/// What a hundred of them may cost the gateway, bytes.
const GROWTH_MAX: f64 = 16.0 * 1024.0 * 1024.0;
const WIDE: u32 = i32::MAX as u32;

/// What the clients of a case keep open.
#[expect(dead_code, reason = "held so that the connections stay open")]
enum Clients {
    H1(Vec<TcpStream>),
    H2(Raw),
}

/// How the clients of a case come.
type Come = fn(SocketAddr) -> Clients;

fn origins() -> [(&'static str, Origin, Egress); 2] {
    let h2 = Origin::with(Tls { alpn: &["h2"], ..Tls::new(&[HOST]) });
    [("HTTP/1.1", Origin::plain(), Egress::plain(HOST)), ("HTTP/2", h2, Egress::tls(HOST))]
}

fn request(stream: u32, flags: u8, method: &str, path: &str) -> Vec<u8> {
    let fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", HOST)];
    headers(stream, flags, &fields)
}

/// Lets each kind of clients come, and measures until the gateway's memory has settled.
fn check(kinds: &[(&str, Come)]) {
    for (to, origin, egress) in origins() {
        for (what, clients) in kinds {
            let setup = Setup::new(&egress.yaml()).log_format("off");
            let gateway = setup.origin(HOST, egress.port, &origin).start();
            assert_eq!(gateway.get(HOST, "/politics").status, 200);
            let before = resident(&gateway);
            let came = origin.seen(|seen| seen.requests.len());
            let clients = clients(gateway.port(443));
            origin.wait("all requests", |seen| {
                (seen.requests.len() >= came + MANY as usize).then_some(())
            });
            let growth = settled(&gateway) - before;
            assert!(growth < GROWTH_MAX, "{what}, {to}: {:.1} MB", growth / 1048576.0);
            assert_eq!(
                gateway.get(HOST, "/politics").status,
                200,
                "{what}, {to}: others are served"
            );
            drop(clients);
        }
    }
}

fn resident(gateway: &Gateway) -> f64 {
    gateway.metric("process_resident_memory_bytes", &[])
}

/// The most it was until it had not grown for a while.
fn settled(gateway: &Gateway) -> f64 {
    let (mut most, mut still) = (0.0, 0);
    while still < 20 {
        std::thread::park_timeout(Duration::from_millis(50)); // between two samples of a measurement
        let now = resident(gateway);
        still = if now > most { 0 } else { still + 1 };
        most = now.max(most);
    }
    most
}

#[test]
fn downloads_that_nobody_reads_are_not_held() {
    check(&[
        ("streams without a window", |at| {
            let mut raw = Raw::connect(at, &[(4, 0)]);
            raw.send(
                (0..MANY)
                    .flat_map(|n| request(n * 2 + 1, END_STREAM, "GET", "/huge"))
                    .collect::<Vec<_>>(),
            );
            Clients::H2(raw)
        }),
        ("streams with all windows open on a socket that is not read", |at| {
            let mut raw = Raw::connect(at, &[(4, WIDE)]);
            raw.send(window(0, WIDE - 65_535));
            raw.send(
                (0..MANY)
                    .flat_map(|n| request(n * 2 + 1, END_STREAM, "GET", "/huge"))
                    .collect::<Vec<_>>(),
            );
            Clients::H2(raw)
        }),
        ("HTTP/1.1 connections that are not read", |at| {
            let get = format!("GET /huge HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
            Clients::H1((0..MANY).map(|_| sending(at, get.as_bytes())).collect())
        }),
    ]);
}

#[test]
fn uploads_that_no_origin_reads_are_not_held() {
    check(&[
        ("streams as wide as their windows", |at| {
            let mut raw = Raw::connect(at, &[]);
            raw.until(WINDOW_UPDATE); // the connection's own, to all of its 4 MB
            for number in 0..MANY {
                let stream = number * 2 + 1;
                raw.send(request(stream, 0, "POST", "/silent"));
                raw.send(frame(DATA, 0, stream, &[b'x'; 16_384]).repeat(2)); // 3.2 of the 4 MB
            }
            Clients::H2(raw)
        }),
        ("HTTP/1.1 connections that send what is taken", |at| {
            let post = format!(
                "POST /silent HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 104857600\r\n\r\n"
            );
            let upload = || {
                let mut client = sending(at, post.as_bytes());
                client.set_nonblocking(true).expect("a socket");
                while matches!(client.write(&[b'x'; 65_536]), Ok(count) if count > 0) {}
                client
            };
            let clients: Vec<TcpStream> = (0..MANY).map(|_| upload()).collect();
            for _ in 0..20 {
                std::thread::park_timeout(Duration::from_millis(20)); // the gateway's time to take more
                clients
                    .iter()
                    .for_each(|mut client| while client.write(&[b'x'; 65_536]).is_ok() {});
            }
            Clients::H1(clients)
        }),
    ]);
}

fn sending(at: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(at).expect("the listener accepts");
    client.write_all(bytes).expect("room for a head");
    client
}
