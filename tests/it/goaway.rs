//! What an HTTP/2 origin has processed when it goes away, and what is sent again: frames as bytes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use crate::harness::article::Egress;
use crate::harness::{Gateway, PATIENCE, Setup, Watched};

const HOST: &str = "api.example.com";
const PROTOCOL_ERROR: u32 = 1;

/// An origin that answers the first connection's first request with these frames and the connection's end,
/// and those of all others with 200.
struct Leaving {
    port: u16,
    /// Requests that came in full.
    requests: Arc<Watched<usize>>,
}

impl Leaving {
    fn with(farewell: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let requests = Arc::<Watched<usize>>::default();
        let counted = Arc::clone(&requests);
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let (counted, farewell) = (Arc::clone(&counted), farewell.clone());
                std::thread::spawn(move || {
                    let farewell = (number == 0).then_some(farewell);
                    // However the gateway leaves the connection, the test looks at what was counted.
                    let _ = serve(stream, farewell.as_deref(), &counted);
                });
            }
        });
        Self { port, requests }
    }

    fn gateway(&self) -> Gateway {
        let egress = Egress::plain(HOST)
            .protocol("HTTP2")
            .rule("retries: {attempts: 2, retryOn: '5xx,reset'}");
        let to = format!("{HOST}:80::{}", self.port);
        Setup::new(&egress.yaml()).flags(&["--connect-to", &to]).start()
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn goaway(last: u32, code: u32) -> Vec<u8> {
    frame(7, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}

fn serve(
    mut stream: TcpStream,
    farewell: Option<&[u8]>,
    counted: &Watched<usize>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.read_exact(&mut [0; 24])?; // the preface
    stream.write_all(&frame(4, 0, 0, &[]))?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        stream.read_exact(&mut vec![0; length])?;
        let (kind, flags) = (head[3], head[4]);
        if kind == 4 && flags == 0 {
            stream.write_all(&frame(4, 1, 0, &[]))?;
        }
        let ends_request = matches!(kind, 0 | 1) && flags & 1 == 1;
        if !ends_request {
            continue;
        }
        counted.change(|count| *count += 1);
        if let Some(farewell) = farewell {
            stream.write_all(farewell)?;
            stream.shutdown(std::net::Shutdown::Write)?;
            std::io::copy(&mut stream, &mut std::io::sink())?;
            return Ok(());
        }
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        stream.write_all(&frame(1, 5, id, &[0x88]))?; // :status: 200, and the end
    }
}

#[test]
fn a_post_is_sent_again_only_where_the_origin_says_that_it_was_not_processed() {
    let refused = frame(3, 0, 1, &7u32.to_be_bytes());
    let cases = [
        ("not processed, and no error", goaway(0, 0), 2),
        ("not processed, and an error", goaway(0, PROTOCOL_ERROR), 2),
        ("the stream refused", refused, 2),
        ("perhaps processed", goaway(1, 0), 1),
        ("perhaps processed, and an error", goaway(1, PROTOCOL_ERROR), 1),
        ("all that may come", goaway(0x7fff_ffff, 0), 1),
        ("refined to what was not processed", [goaway(0x7fff_ffff, 0), goaway(0, 0)].concat(), 2),
        ("nothing said", Vec::new(), 1),
        ("the stream reset", frame(3, 0, 1, &2u32.to_be_bytes()), 1),
        ("not HTTP/2", frame(1, 4, 0, &[0x88]), 1),
    ];
    for (what, farewell, sent) in cases {
        let origin = Leaving::with(farewell);
        let gateway = origin.gateway();
        let response = gateway.client().post(HOST, "/pay", "pay 1");
        assert_eq!(origin.requests.look(|count| *count), sent, "{what}");
        assert_eq!(response.status == 200, sent == 2, "{what}: {}", response.head);
    }
}

#[test]
fn a_get_is_sent_again_either_way() {
    for farewell in [goaway(0, 0), goaway(1, PROTOCOL_ERROR), Vec::new()] {
        let origin = Leaving::with(farewell);
        let gateway = origin.gateway();
        assert_eq!(gateway.get(HOST, "/").status, 200);
        assert_eq!(origin.requests.look(|count| *count), 2);
    }
}
