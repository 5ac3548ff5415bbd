//! Origins that fail before HTTP begins, or as no HTTP server would.

use std::any::Any;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::Failing;
use crate::harness::article::Egress;
use crate::harness::until;

/// Sends `HOST`, on the port of `egress`, to an address on loopback.
fn towards(egress: &Egress, at: SocketAddr, keep: Vec<Box<dyn Any>>) -> Failing {
    let to = format!("{}:{}:{}:{}", egress.host, egress.port, at.ip(), at.port());
    Failing::with(egress, &["--connect-to", &to], keep)
}

/// An origin that does this with each connection.
pub fn scripted(egress: &Egress, script: fn(TcpStream)) -> Failing {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            script(stream);
        }
    });
    towards(egress, at, Vec::new())
}

/// Reads a TLS ClientHello whole, so that closing resets nothing.
pub fn read_hello(stream: &mut TcpStream) {
    let mut header = [0; 5];
    stream.read_exact(&mut header).expect("a TLS record");
    let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
    stream.read_exact(&mut vec![0; length]).expect("the rest of it");
}

/// Answers the hello with these bytes and ends.
pub fn answer_hello(mut stream: TcpStream, answer: &[u8]) {
    read_hello(&mut stream);
    stream.write_all(answer).expect("an open connection");
}

/// Reads something and resets the connection.
pub fn reset(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 4096]).expect("something");
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket");
}

/// Takes connections and never says a word.
pub fn mute(egress: &Egress) -> Failing {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("bound");
    towards(egress, at, vec![Box::new(listener)])
}

/// Answers no connection attempt: its queue is full.
pub fn blackhole(egress: &Egress) -> Failing {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    socket.listen(1).expect("a bound socket");
    let listener = TcpListener::from(socket);
    let at = listener.local_addr().expect("bound");
    let mut held: Vec<Box<dyn Any>> = vec![Box::new(listener)];
    while let Ok(stream) = TcpStream::connect_timeout(&at, Duration::from_millis(200)) {
        held.push(Box::new(stream));
    }
    towards(egress, at, held)
}

/// Two addresses, one port, and nobody listens.
pub fn refusing(egress: Egress) -> Failing {
    let bound = |last: u8, port: u16| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
        socket.bind(&SocketAddr::from(([127, 0, 0, last], port)).into()).ok()?;
        Some(socket) // bound but not listening: refuses as long as it lives
    };
    let (first, second, port) = until("a port that is free on two addresses", || {
        let first = bound(1, 0)?;
        let port = first.local_addr().ok()?.as_socket()?.port();
        Some((first, bound(2, port)?, port))
    });
    let egress = Egress { port, ..egress };
    let to = format!("{}:{port}:127.0.0.1,127.0.0.2", egress.host);
    Failing::with(&egress, &["--resolve", &to], vec![Box::new(first), Box::new(second)])
}

/// The broadcast address of loopback: TCP knows no way there.
pub fn unroutable(egress: &Egress) -> Failing {
    let to = format!("{}:{}:127.255.255.255", egress.host, egress.port);
    Failing::with(egress, &["--resolve", &to], Vec::new())
}
