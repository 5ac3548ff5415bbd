//! Answers that come while the upload still goes on.

use super::case::{Ask, Case, Then, cut, lost, refused, whole};
use super::envoy::SWITCH;

#[rustfmt::skip] // a table reads best as one
pub fn cases() -> Vec<Case> {
    let early = |name, answer: &str, status, body| {
        let why = "Envoy ends both connections; the rest of an upload is harmless where its length is known";
        whole(name, answer, status, body).ask(Ask::Upload).early().unlike_envoy(why)
    };
    vec![
        early("an early 200", "HTTP/1.1 200 OK|Content-Length: 2||ok", 200, "ok"),
        early("an early 200 in chunks", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||2|ok|0||", 200, "ok"),
        early("an early 204", "HTTP/1.1 204 No Content||", 204, ""),
        early("an early 413 that reads on", "HTTP/1.1 413 Content Too Large|Content-Length: 2||no", 413, "no"),
        early("an early 413 that closes", "HTTP/1.1 413 Content Too Large|Connection: close|Content-Length: 2||no", 413, "no").then(Then::Ends).dropped(),
        early("an early 413 that ends unannounced", "HTTP/1.1 413 Content Too Large|Content-Length: 2||no", 413, "no").then(Then::Ends).dropped(),
        early("an early 200 until the end", "HTTP/1.1 200 OK||until the end", 200, "until the end").then(Then::Ends).dropped(),
        early("an early 417", "HTTP/1.1 417 Expectation Failed|Connection: close|Content-Length: 0||", 417, "").then(Then::Ends).dropped(),
        early("an early 100 and 200", "HTTP/1.1 100 Continue||HTTP/1.1 200 OK|Content-Length: 2||ok", 200, "ok").after(&[100]),
        early("an early answer and bytes after it", "HTTP/1.1 200 OK|Content-Length: 2||okmore", 200, "ok").dropped(),
        early("an early answer and a second one", "HTTP/1.1 200 OK|Content-Length: 2||okHTTP/1.1 200 OK|Content-Length: 4||evil", 200, "ok").dropped(),
        cut("an early answer that is cut", "HTTP/1.1 200 OK|Content-Length: 9||half", Then::Ends).ask(Ask::Upload).early(),
        cut("an early answer that is malformed", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||zz|", Then::Waits).ask(Ask::Upload).early(),
        refused("an early answer that is no HTTP", "oops|").ask(Ask::Upload).early().closed(),
        refused("an early switch of protocols", "HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: websocket||").ask(Ask::Upload).early().closed().unlike_envoy(SWITCH),
        lost("an early end", "", Then::Ends).ask(Ask::Upload).early().closed(),
        lost("an early reset", "", Then::Resets).ask(Ask::Upload).early().closed(),
        refused("an early half of a head", "HTTP/1.1 200").then(Then::Ends).ask(Ask::Upload).early().closed(),
    ]
}
