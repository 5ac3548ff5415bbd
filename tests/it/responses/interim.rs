//! Interim responses, and switches of protocol.

use super::case::{Ask, Case, Gets, Then, lost, refused, whole};
use super::envoy::{HTTP_10, SWITCH};

/// A switch to the client's WebSocket, and bytes in it.
fn switched(name: &'static str, answer: &str, bytes: &'static str) -> Case {
    let case = whole(name, answer, 0, "").ask(Ask::WebSocket).then(Then::Ends).dropped().closed();
    Case { gets: Gets::Switched(bytes), ..case }
}

/// An answer to a wish for a WebSocket that is refused.
fn unfit(name: &'static str, answer: &str) -> Case {
    refused(name, answer).ask(Ask::WebSocket).closed()
}

#[rustfmt::skip] // a table reads best as one
pub fn cases() -> Vec<Case> {
    let ok = |before: &str| format!("{before}HTTP/1.1 200 OK|Content-Length: 2||ok");
    vec![
        whole("a 100 that nobody waited for", &ok("HTTP/1.1 100 Continue||"), 200, "ok").after(&[100]),
        whole("a 100 before the body is asked for", &ok("HTTP/1.1 100 Continue||"), 200, "ok").ask(Ask::Post).after(&[100]),
        whole("a 102", &ok("HTTP/1.1 102 Processing||"), 200, "ok").after(&[102]),
        whole("a 103 with links", &ok("HTTP/1.1 103 Early Hints|Link: </a.css>||"), 200, "ok").after(&[103]),
        whole("an interim response unheard of", &ok("HTTP/1.1 199 So||"), 200, "ok").after(&[199]).unlike_envoy("Envoy knows 100, 102, 103 and 104; RFC 9110, section 15.2, has a proxy pass on all"),
        whole("several", &ok("HTTP/1.1 100 Continue||HTTP/1.1 103 Early Hints||HTTP/1.1 103 Early Hints||"), 200, "ok").after(&[100, 103, 103])
            .unlike_envoy("Envoy passes on one of each kind; each may bear other links (RFC 8297)"),
        whole("in pieces of their own", &ok("HTTP/1.1 100 Con¦tinue||¦HTTP/1.1 103 Early Hints|¦|"), 200, "ok").after(&[100, 103]).unlike_envoy("Envoy passes on one interim response alone"),
        whole("hop-by-hop lines in an interim response", &ok("HTTP/1.1 103 Early Hints|Connection: close, x-a|X-A: 1|Keep-Alive: timeout=1|Link: </b>||"), 200, "ok").after(&[103])
            .lacks("connection").lacks("keep-alive").lacks("x-a"),
        whole("an interim response to HTTP/1.0", &ok("HTTP/1.1 103 Early Hints||"), 200, "ok").ask(Ask::Old).closed().unlike_envoy(HTTP_10),
        whole("an interim response to HEAD", "HTTP/1.1 103 Early Hints||HTTP/1.1 200 OK|Content-Length: 9||", 200, "").ask(Ask::Head).after(&[103]),
        whole("an interim response of length zero", &ok("HTTP/1.1 103 Early Hints|Content-Length: 0||"), 200, "ok").after(&[103]),
        refused("an interim response with a length", "HTTP/1.1 103 Early Hints|Content-Length: 5||helloHTTP/1.1 200 OK|Content-Length: 2||ok"),
        refused("an interim response in chunks", "HTTP/1.1 103 Early Hints|Transfer-Encoding: chunked||0||HTTP/1.1 200 OK|Content-Length: 2||ok"),
        refused("bytes after an interim response", "HTTP/1.1 100 Continue||helloHTTP/1.1 200 OK|Content-Length: 2||ok").after(&[100]),
        refused("a malformed interim response", "HTTP/1.1 103 Early Hints|Bad Name: 1||HTTP/1.1 200 OK|Content-Length: 2||ok"),
        refused("endless interim responses", &"HTTP/1.1 102 Processing||".repeat(300)).after(&[102; 256]).unlike_envoy("Envoy waits on; there is an end to what may wait for a client"),
        refused("endless interim bytes", &format!("HTTP/1.1 103 Early Hints|Link: {}||", "x".repeat(30_000)).repeat(20)).after(&[103; 8]).unlike_envoy("Envoy waits on; there is an end to what may wait for a client"),
        lost("an interim response and nothing else", "HTTP/1.1 100 Continue||", Then::Ends).after(&[100]),
        lost("an interim response and a reset", "HTTP/1.1 100 Continue||", Then::Resets).after(&[100]),
        refused("a switch that nobody asked for", "HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: websocket||").unlike_envoy(SWITCH),
        refused("a bare switch that nobody asked for", "HTTP/1.1 101 Switching Protocols||HTTP/1.1 200 OK|Content-Length: 2||ok").unlike_envoy(SWITCH),
        refused("a switch that an upload did not ask for", "HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: websocket||").ask(Ask::Post).unlike_envoy(SWITCH),
        switched("the switch asked for", "HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: websocket||frames", "frames")
            .has("HTTP/1.1 101 Switching Protocols").has("connection: upgrade").has("upgrade: websocket"),
        switched("the switch in other letters", "HTTP/1.1 101 Switching Protocols|Connection: keep-alive, UPGRADE|Upgrade: WebSocket||frames", "frames"),
        switched("the switch after a hint", "HTTP/1.1 103 Early Hints||HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: websocket||frames", "frames").after(&[103]),
        switched("the switch with length zero", "HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: websocket|Content-Length: 0||frames", "frames").lacks("content-length"),
        unfit("a switch to another protocol", "HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: chat||frames").unlike_envoy(SWITCH),
        unfit("a switch to two protocols", "HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: websocket, chat||frames").unlike_envoy(SWITCH),
        unfit("a switch to nothing", "HTTP/1.1 101 Switching Protocols|Connection: Upgrade||frames").unlike_envoy(SWITCH),
        unfit("a switch without Connection", "HTTP/1.1 101 Switching Protocols|Upgrade: websocket||frames").unlike_envoy(SWITCH),
        unfit("a switch with a length", "HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: websocket|Content-Length: 6||frames"),
        unfit("a switch in chunks", "HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: websocket|Transfer-Encoding: chunked||0||"),
        unfit("a switch in HTTP/1.0", "HTTP/1.0 101 Switching Protocols|Connection: Upgrade|Upgrade: websocket||frames").unlike_envoy(SWITCH),
        whole("a WebSocket that is declined", "HTTP/1.1 404 Not Found|Content-Length: 2||no", 404, "no").ask(Ask::WebSocket).closed().unlike_envoy("Envoy ends the origin's connection; nothing of another protocol went over it"),
    ]
}
