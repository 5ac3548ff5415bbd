//! A GET with a body, of which no client says how long it is.

use bytes::Bytes;

use super::client::HOST;
use crate::harness::article::Egress;
use crate::harness::client::{h2_request, head};
use crate::harness::{Client, H2Client, Origin, Setup, Tls};

#[test]
fn a_get_keeps_its_body_of_unknown_length() {
    let h2 = || Origin::with(Tls { alpn: &["h2"], ..Tls::new(&[HOST]) });
    for (egress, origin) in [(Egress::plain(HOST), Origin::plain()), (Egress::tls(HOST), h2())] {
        let gateway = Setup::new(&egress.yaml()).origin(HOST, egress.port, &origin).start();
        let arrived = |count: usize| {
            origin.wait("a GET with its whole body", |seen| {
                let request = seen.requests.get(count)?;
                (request.body == b"a body")
                    .then(|| request.head.starts_with("GET "))
                    .filter(|get| *get)
            });
        };
        let mut client = Client::connect(gateway.port(443));
        client
            .send(format!("GET /x HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"));
        client.send("2\r\na \r\n4\r\nbody\r\n0\r\n\r\n");
        assert_eq!(client.response().status, 200);
        arrived(0);
        let client = H2Client::connect(gateway.port(443));
        let mut stream = client.open(h2_request("GET", HOST, "/x", &[]));
        stream.send.send_data(Bytes::from_static(b"a "), false).expect("an open stream");
        stream.send.send_data(Bytes::from_static(b"body"), true).expect("an open stream");
        assert_eq!(head(stream.split().1).0.status, 200);
        arrived(1);
    }
}
