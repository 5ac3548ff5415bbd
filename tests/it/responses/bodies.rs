//! Bodies: whole, cut short, malformed, and what comes behind them.

use super::case::{Ask, Case, Then, cut, lost, refused, whole};
use super::envoy::{CHUNKS, HTTP_10};

/// The rows.
pub fn cases() -> Vec<Case> {
    [whole_bodies(), cut_bodies(), bad_chunks(), bytes_behind()].into_iter().flatten().collect()
}

#[rustfmt::skip] // a table reads best as one
fn whole_bodies() -> Vec<Case> {
    let chunks = |body: &str| format!("HTTP/1.1 200 OK|Transfer-Encoding: chunked||{body}");
    let open = |body: &str| format!("HTTP/1.1 200 OK||{body}");
    vec![
        whole("a body byte by byte", "HTTP/1.1 200 OK|Content-Length: 5||¦h¦e¦l¦l¦o", 200, "hello"),
        whole("chunks byte by byte", &chunks("¦5¦|¦h¦e¦l¦l¦o¦|¦0¦|¦|"), 200, "hello"),
        whole("several chunks", &chunks("2|he|3|llo|0||"), 200, "hello"),
        whole("chunk sizes in any case and with zeros", &chunks("00a|0123456789|A|0123456789|000||"), 200, "01234567890123456789"),
        whole("chunk extensions", &chunks("2;a=b|he|3;c=\"d;e\";f|llo|0;g||"), 200, "hello"),
        whole("blanks after a size", &chunks("2 |he|3\t|llo|0 ||"), 200, "hello"),
        whole("line ends in a chunk", &chunks("4||||0||"), 200, "\r\n\r\n"),
        whole("an empty body in chunks", &chunks("0||"), 200, ""),
        whole("trailers that nobody takes", &chunks("2|ok|0|X-Sum: 5||"), 200, "ok").trailers(""),
        whole("trailers that are taken", &chunks("2|ok|0|X-Sum: 5|X-Also: 6||"), 200, "ok").ask(Ask::GetTrailers).trailers("X-Sum: 5\nX-Also: 6\n")
            .unlike_envoy("Envoy drops them; gRPC and checksums need them (RFC 9110, section 6.5)"),
        whole("trailers that belong in a head", &chunks("2|ok|0|Content-Length: 9|Transfer-Encoding: gzip|Host: a|Set-Cookie: a|X-Sum: 5||"), 200, "ok")
            .ask(Ask::GetTrailers).trailers("X-Sum: 5\n").unlike_envoy("Envoy drops all trailers"),
        whole("a body until the end", &open("until the end"), 200, "until the end").then(Then::Ends).dropped(),
        whole("an empty body until the end", &open(""), 200, "").then(Then::Ends).dropped(),
        whole("a body until the end in pieces", &open("until¦ the¦ end"), 200, "until the end").then(Then::Ends).dropped(),
        whole("a body until the end to HTTP/1.0", &open("until the end"), 200, "until the end").ask(Ask::Old).then(Then::Ends).dropped().closed().lacks("transfer-encoding").unlike_envoy(HTTP_10),
        whole("a body until the end to HTTP/1.0 that keeps", &open("until the end"), 200, "until the end").ask(Ask::OldKeepAlive).then(Then::Ends).dropped().closed().has("connection: close").unlike_envoy(HTTP_10),
        whole("chunks to HTTP/1.0", &chunks("5|hello|0||"), 200, "hello").ask(Ask::Old).closed().lacks("transfer-encoding").unlike_envoy(HTTP_10),
        whole("chunks to HTTP/1.0 that keeps", &chunks("5|hello|0||"), 200, "hello").ask(Ask::OldKeepAlive).closed().lacks("transfer-encoding").unlike_envoy(HTTP_10),
        whole("what looks like an answer in a body until the end", &open("HTTP/1.1 200 OK|Content-Length: 4||evil"), 200, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").then(Then::Ends).dropped(),
    ]
}

#[rustfmt::skip] // a table reads best as one
fn cut_bodies() -> Vec<Case> {
    let chunks = |body: &str| format!("HTTP/1.1 200 OK|Transfer-Encoding: chunked||{body}");
    let open = |body: &str| format!("HTTP/1.1 200 OK||{body}");
    vec![
        cut("no byte of a body", "HTTP/1.1 200 OK|Content-Length: 9||", Then::Ends),
        cut("half a body", "HTTP/1.1 200 OK|Content-Length: 9||half", Then::Ends),
        cut("all but a byte", "HTTP/1.1 200 OK|Content-Length: 9||12345678", Then::Ends),
        cut("half a body and a reset", "HTTP/1.1 200 OK|Content-Length: 9||half", Then::Resets),
        cut("a body that was said to be huge", "HTTP/1.1 200 OK|Content-Length: 18446744073709551615||half", Then::Ends),
        cut("half a body to HTTP/1.0", "HTTP/1.1 200 OK|Content-Length: 9||half", Then::Ends).ask(Ask::Old).unlike_envoy(HTTP_10),
        cut("half a body in pieces", "HTTP/1.1 200 OK|Content-Length: 9||¦ha¦lf", Then::Ends),
        cut("half a body though it closes", "HTTP/1.1 200 OK|Connection: close|Content-Length: 9||half", Then::Ends),
        cut("half a body in HTTP/1.0", "HTTP/1.0 200 OK|Content-Length: 9||half", Then::Ends),
        cut("half a body for a POST", "HTTP/1.1 200 OK|Content-Length: 9||half", Then::Ends).ask(Ask::Post),
        cut("a body until a reset", &open("half"), Then::Resets).unlike_envoy("Envoy takes a reset for the body's end; it was cut short"),
        cut("a body until a reset to HTTP/1.0", &open("half"), Then::Resets).ask(Ask::Old).unlike_envoy(HTTP_10),
        cut("no chunk", &chunks(""), Then::Ends),
        cut("half a size", &chunks("1"), Then::Ends),
        cut("a size without a chunk", &chunks("5|"), Then::Ends),
        cut("half a chunk", &chunks("5|hel"), Then::Ends),
        cut("half a chunk and a reset", &chunks("5|hel"), Then::Resets),
        cut("half a chunk to HTTP/1.0", &chunks("5|hel"), Then::Ends).ask(Ask::Old).unlike_envoy(HTTP_10),
        cut("a chunk without its line end", &chunks("5|hello"), Then::Ends),
        cut("no last chunk", &chunks("5|hello|"), Then::Ends),
        cut("no last chunk and a reset", &chunks("5|hello|"), Then::Resets),
        cut("no last chunk to HTTP/1.0", &chunks("5|hello|"), Then::Ends).ask(Ask::Old).unlike_envoy(HTTP_10),
        cut("a last chunk without its line end", &chunks("5|hello|0"), Then::Ends),
        cut("no empty line after the last chunk", &chunks("5|hello|0|"), Then::Ends),
        cut("half a trailer", &chunks("5|hello|0|X-Su"), Then::Ends),
        cut("a trailer without the empty line", &chunks("5|hello|0|X-Sum: 1|"), Then::Ends),
    ]
}

#[rustfmt::skip] // a table reads best as one
fn bad_chunks() -> Vec<Case> {
    let bad = |name, body: &str| cut(name, &format!("HTTP/1.1 200 OK|Transfer-Encoding: chunked||{body}"), Then::Waits);
    vec![
        bad("a size in no digits", "zz|hello|0||"),
        bad("an empty size", "|hello|0||"),
        bad("a size with a minus", "-5|hello|0||"),
        bad("a size with a plus", "+5|hello|0||"),
        bad("a size with 0x", "0x5|hello|0||"),
        bad("a size after a blank", " 5|hello|0||"),
        bad("a size beyond 64 bits", "10000000000000005|hello|0||"),
        bad("a size of thirty zeros", "000000000000000000000000000005|hello|0||").unlike_envoy(CHUNKS),
        bad("a size and a letter", "5 x|hello|0||").unlike_envoy(CHUNKS),
        bad("a bare line feed after a size", "5\nhello|0||"),
        bad("a bare line feed after a chunk", "5|hello\n0||").unlike_envoy(CHUNKS),
        bad("a chunk that is longer than said", "3|hello|0||").unlike_envoy(CHUNKS),
        bad("a chunk that is shorter than said", "7|hello|0||"),
        bad("a NUL in an extension", "5;\0|hello|0||").unlike_envoy(CHUNKS),
        bad("a bare line feed in an extension", "5;a\n|hello|0||"),
        bad("extensions without end", &format!("5;{}|hello|0||", "x".repeat(5_000))).unlike_envoy(CHUNKS),
        bad("a bad trailer", "5|hello|0|Bad Name: 1||"),
        bad("a folded trailer", "5|hello|0|X-A: 1| b||").unlike_envoy(CHUNKS),
        bad("a trailer with a NUL", "5|hello|0|X-A: \0||"),
        bad("a bare line feed after a trailer", "5|hello|0|X-A: 1\n|").unlike_envoy(CHUNKS),
        bad("trailers without end", &format!("5|hello|0|{}|", "X-A: 1|".repeat(2_000))).unlike_envoy(CHUNKS),
    ]
}

#[rustfmt::skip] // a table reads best as one
fn bytes_behind() -> Vec<Case> {
    let chunks = |body: &str| format!("HTTP/1.1 200 OK|Transfer-Encoding: chunked||{body}");
    vec![
        whole("bytes after a body", "HTTP/1.1 200 OK|Content-Length: 2||okmore", 200, "ok").dropped(),
        whole("a line end after a body", "HTTP/1.1 200 OK|Content-Length: 2||ok|", 200, "ok").dropped(),
        whole("a NUL after a body", "HTTP/1.1 200 OK|Content-Length: 2||ok\0", 200, "ok").dropped(),
        whole("bytes after length zero", "HTTP/1.1 200 OK|Content-Length: 0||more", 200, "").dropped(),
        whole("bytes after chunks", &chunks("2|ok|0||more"), 200, "ok").dropped(),
        whole("bytes after trailers", &chunks("2|ok|0|X-A: 1||more"), 200, "ok").dropped(),
        whole("a second answer", "HTTP/1.1 200 OK|Content-Length: 2||okHTTP/1.1 200 OK|Content-Length: 4||evil", 200, "ok").dropped(),
        whole("a second answer after chunks", &chunks("2|ok|0||HTTP/1.1 200 OK|Content-Length: 4||evil"), 200, "ok").dropped(),
        whole("half a second answer", "HTTP/1.1 200 OK|Content-Length: 2||okHTTP/1.1 200", 200, "ok").dropped(),
        whole("many more answers", &"HTTP/1.1 200 OK|Content-Length: 2||ok".repeat(500), 200, "ok").dropped(),
        whole("an interim response after the answer", "HTTP/1.1 200 OK|Content-Length: 2||okHTTP/1.1 100 Continue||", 200, "ok").dropped(),
    ]
}

/// Rows for an origin that speaks TLS.
#[rustfmt::skip] // a table reads best as one
pub fn tls_cases() -> Vec<Case> {
    vec![
        cut("a body until the end of TCP alone", "HTTP/1.1 200 OK||half", Then::Vanishes),
        cut("half a body until the end of TCP alone", "HTTP/1.1 200 OK|Content-Length: 9||half", Then::Vanishes),
        cut("half a chunk until the end of TCP alone", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hel", Then::Vanishes),
        whole("a whole body and the end of TCP alone", "HTTP/1.1 200 OK|Content-Length: 2||ok", 200, "ok").then(Then::Vanishes).dropped(),
        whole("whole chunks and the end of TCP alone", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||2|ok|0||", 200, "ok").then(Then::Vanishes).dropped(),
        lost("nothing but the end of TCP alone", "", Then::Vanishes),
        refused("half a head and the end of TCP alone", "HTTP/1.1 200 OK|Content-").then(Then::Vanishes),
    ]
}
