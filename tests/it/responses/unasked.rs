//! What an origin says unasked, on a connection that rests between two requests, is nobody's answer.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::client::HOST;
use super::gateway_before;
use crate::harness::article::Egress;

/// What it does.
#[derive(Clone, Copy, Debug)]
enum Unasked {
    Says(&'static str),
    SaysAndEnds(&'static str),
    Ends,
    Resets,
}

const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

#[test]
fn what_is_said_unasked_answers_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket on loopback");
    let port = listener.local_addr().expect("bound").port();
    let (ask, asked) = channel();
    let (tell, told) = channel();
    std::thread::spawn(move || serve(&listener, &asked, &tell));
    let gateway = gateway_before(&Egress::plain(HOST), port);
    for unasked in [
        Unasked::Says(EVIL),
        Unasked::Says(
            "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        ),
        Unasked::Says("HTTP/1.1 100 Continue\r\n\r\n"),
        Unasked::Says("HTTP/1.1 2"),
        Unasked::Says("\r\n"),
        Unasked::Says("\0"),
        Unasked::SaysAndEnds(EVIL),
        Unasked::Ends,
        Unasked::Resets,
    ] {
        for method in ["GET", "POST"] {
            let mut client = gateway.client();
            assert_eq!(client.get(HOST, "/").text(), "proper", "{unasked:?}");
            ask.send(unasked).expect("the origin listens");
            told.recv_timeout(Duration::from_secs(10)).expect("the origin has done it");
            client
                .send(format!("{method} / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n"));
            let response = client.response();
            assert_eq!(
                (response.status, response.text()),
                (200, "proper".into()),
                "{unasked:?} {method}"
            );
            // Whatever the origin does next, it does to the connection that served this.
            ask.send(Unasked::Ends).expect("the origin listens");
            told.recv_timeout(Duration::from_secs(10)).expect("the origin has done it");
        }
    }
}

/// One connection at a time: an answer, then what the test wishes, and on to the next connection.
fn serve(listener: &TcpListener, wishes: &Receiver<Unasked>, tell: &Sender<()>) -> Option<()> {
    let mut spoken = Vec::new(); // kept open: closing would tell the gateway more
    for stream in listener.incoming() {
        let mut stream = stream.ok()?;
        read_head(&mut stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nproper").ok()?;
        match wishes.recv().ok()? {
            Unasked::Says(bytes) => stream.write_all(bytes.as_bytes()).ok()?,
            Unasked::SaysAndEnds(bytes) => {
                stream.write_all(bytes.as_bytes()).ok()?;
                stream.shutdown(std::net::Shutdown::Write).ok()?;
            }
            Unasked::Ends => stream.shutdown(std::net::Shutdown::Write).ok()?,
            Unasked::Resets => {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).ok()?;
                drop(stream);
                tell.send(()).ok()?;
                continue;
            }
        }
        spoken.push(stream);
        tell.send(()).ok()?;
    }
    None
}

fn read_head(stream: &mut TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    Some(())
}
