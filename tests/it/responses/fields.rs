//! The syntax of fields, which of them go on, and which concern one hop only.

use super::case::{Ask, Case, Then, refused, whole};
use super::envoy::{FOLD, HTTP_10, KEEP_ALIVE, SIZE, STRAY_CR};

/// The rows.
pub fn cases() -> Vec<Case> {
    [syntax(), hop_by_hop()].into_iter().flatten().collect()
}

#[rustfmt::skip] // a table reads best as one
fn syntax() -> Vec<Case> {
    let with = |lines: &str| format!("HTTP/1.1 200 OK|{lines}|Content-Length: 2||ok");
    let many = |count: usize| with(&vec!["X-A: 1"; count].join("|"));
    vec![
        whole("cookies keep their lines", &with("Set-Cookie: a=1; Path=/|Set-Cookie: b=2, c=3|set-cookie: d"), 200, "ok")
            .has("Set-Cookie: a=1; Path=/").has("Set-Cookie: b=2, c=3").has("set-cookie: d"),
        whole("high bytes stay as they are", &with("X-High: \u{e9}\u{ff}\u{80}\u{a0}"), 200, "ok").has("X-High: \u{e9}\u{ff}\u{80}\u{a0}"),
        whole("case stays as it is", &with("x-LOUD-quiet: YES no"), 200, "ok").has("x-LOUD-quiet: YES no"),
        whole("Server and Date pass through", &with("Server: origin/1|Date: Thu, 01 Jan 1970 00:00:00 GMT"), 200, "ok")
            .has("Server: origin/1").has("Date: Thu, 01 Jan 1970 00:00:00 GMT"),
        whole("repeated lines stay apart", &with("Vary: a|Vary: b"), 200, "ok").has("Vary: a").has("Vary: b"),
        whole("an empty value", &with("X-Empty:"), 200, "ok").has("X-Empty: "),
        whole("blanks around a value", &with("X-Blank: \t a b \t"), 200, "ok").has("X-Blank: a b"),
        whole("no blank before a value", &with("X-Tight:a"), 200, "ok").has("X-Tight: a"),
        whole("a tab within a value", &with("X-Tab: a\tb"), 200, "ok").has("X-Tab: a\tb"),
        whole("a colon within a value", &with("X-Colon: a: b:"), 200, "ok").has("X-Colon: a: b:"),
        whole("odd but proper names", &with("!#$%&'*+-.^_`~1: a"), 200, "ok").has("!#$%&'*+-.^_`~1: a"),
        whole("a long value", &with(&format!("X-Long: {}", "x".repeat(50_000))), 200, "ok"),
        whole("ninety-nine fields and a length", &many(99), 200, "ok"),
        refused("a hundred fields and a length", &many(100)),
        refused("a thousand fields", &many(1000)),
        refused("too long a value", &with(&format!("X-Long: {}", "x".repeat(70_000)))).unlike_envoy(SIZE),
        refused("an endless head", &format!("HTTP/1.1 200 OK|{}", "X-A: 1234567890|".repeat(6_000))),
        refused("an endless name", &format!("HTTP/1.1 200 OK|{}", "x".repeat(70_000))).unlike_envoy(SIZE),
        refused("a folded value", &with("X-Fold: a| b")).unlike_envoy(FOLD),
        refused("a value folded with a tab", &with("X-Fold: a|\tb")).unlike_envoy(FOLD),
        refused("a fold in the first line", "HTTP/1.1 200 OK| X-A: 1|Content-Length: 2||ok"),
        refused("a folded length", "HTTP/1.1 200 OK|Content-Length:| 2||ok").unlike_envoy(FOLD),
        refused("a folded coding", "HTTP/1.1 200 OK|Transfer-Encoding:| chunked||2|ok|0||").unlike_envoy(FOLD),
        refused("a blank before the colon", &with("X-A : 1")),
        refused("a tab before the colon", &with("X-A\t: 1")),
        refused("a blank before the length's colon", "HTTP/1.1 200 OK|Content-Length : 2||ok"),
        refused("a blank before the coding's colon", "HTTP/1.1 200 OK|Transfer-Encoding : chunked||2|ok|0||"),
        refused("a blank within a name", &with("X A: 1")),
        refused("no colon", &with("X-A")),
        refused("no name", &with(": 1")),
        refused("a NUL in a name", &with("X\0A: 1")),
        refused("a NUL in a value", &with("X-A: 1\0")),
        refused("a control character in a value", &with("X-A: 1\u{1}")),
        refused("a backspace in a value", &with("X-A: 1\u{8}")),
        refused("a vertical tab in a value", &with("X-A: 1\u{b}2")),
        refused("an escape in a value", &with("X-A: \u{1b}[2J")),
        refused("a DEL in a value", &with("X-A: \u{7f}")),
        refused("a stray CR in a value", &with("X-A: 1\rX-B: 2")).unlike_envoy(STRAY_CR),
        refused("a stray CR before the end of a line", &with("X-A: 1\r")).unlike_envoy(STRAY_CR),
        refused("a stray CR that hides a length", "HTTP/1.1 200 OK|X-A: 1\rContent-Length: 9|Content-Length: 2||ok").unlike_envoy(STRAY_CR),
        refused("a high byte in a name", &with("X-\u{e9}: 1")),
        refused("a bracket in a name", &with("X(A): 1")),
        refused("a quote in a name", &with("\"X-A\": 1")),
    ]
}

#[rustfmt::skip] // a table reads best as one
fn hop_by_hop() -> Vec<Case> {
    let with = |lines: &str| format!("HTTP/1.1 200 OK|{lines}|Content-Length: 2||ok");
    vec![
        whole("hop-by-hop fields stay behind", &with("Connection: x-hop, close-not|X-Hop: 1|Keep-Alive: timeout=60|Proxy-Connection: x|Upgrade: h2c|Proxy-Authenticate: Basic|X-Stays: 1"), 200, "ok")
            .has("X-Stays: 1").lacks("connection").lacks("x-hop").lacks("keep-alive").lacks("proxy-connection").lacks("upgrade").lacks("proxy-authenticate"),
        whole("options in several lines", &with("Connection: x-one|X-One: 1|connection: X-TWO|X-Two: 2"), 200, "ok").lacks("x-one").lacks("x-two").lacks("connection"),
        whole("Connection names the length", &with("Connection: content-length"), 200, "ok").has("Content-Length: 2").lacks("connection"),
        whole("Connection names the coding", "HTTP/1.1 200 OK|Connection: transfer-encoding|Transfer-Encoding: chunked||2|ok|0||", 200, "ok").lacks("connection"),
        whole("Connection names everything else", &with("Connection: server, x-a|X-A: 1|Server: y"), 200, "ok").lacks("server").lacks("x-a"),
        whole("Connection names far too much", &with(&format!("Connection: x-a, {}|X-A: 1|Keep-Alive: timeout=9|Upgrade: h2c", vec!["o"; 200].join(", "))), 200, "ok")
            .lacks("connection").lacks("keep-alive").lacks("upgrade").lacks("x-a"),
        whole("Connection is empty", &with("Connection:"), 200, "ok").lacks("connection"),
        whole("the connection is to close", &with("Connection: close"), 200, "ok").lacks("connection").dropped(),
        whole("the connection is to close, loudly", &with("CONNECTION: keep-alive, CLOSE"), 200, "ok").lacks("connection").dropped(),
        whole("the connection is said to close and ends", &with("Connection: close"), 200, "ok").then(Then::Ends).dropped(),
        whole("the connection ends unannounced", &with("X-A: 1"), 200, "ok").then(Then::Ends).dropped(),
        whole("the connection is reset after the answer", &with("X-A: 1"), 200, "ok").then(Then::Resets).dropped(),
        whole("kept for no time", &with("Keep-Alive: timeout=0"), 200, "ok").lacks("keep-alive").dropped().unlike_envoy(KEEP_ALIVE),
        whole("kept for a second", &with("Keep-Alive: timeout=1"), 200, "ok").lacks("keep-alive").dropped().unlike_envoy(KEEP_ALIVE),
        whole("kept for a minute", &with("Keep-Alive: timeout=60, max=100"), 200, "ok").lacks("keep-alive"),
        whole("kept for no proper time", &with("Keep-Alive: timeout=soon"), 200, "ok").lacks("keep-alive"),
        whole("kept without end", &with("Keep-Alive: timeout=99999999999999999999"), 200, "ok").lacks("keep-alive"),
        whole("Proxy-Connection says nothing", &with("Proxy-Connection: close"), 200, "ok").lacks("proxy-connection").unlike_envoy("Envoy heeds it; RFC 9112, appendix C.2.2, gives it no meaning"),
        whole("the client's connection of HTTP/1.0 is kept", &with("X-A: 1"), 200, "ok").ask(Ask::OldKeepAlive).has("connection: keep-alive").unlike_envoy(HTTP_10),
        whole("the client's connection of HTTP/1.0 ends", &with("X-A: 1"), 200, "ok").ask(Ask::Old).closed().has("connection: close").unlike_envoy(HTTP_10),
        whole("the origin closes towards HTTP/1.0 that keeps", &with("Connection: close"), 200, "ok").ask(Ask::OldKeepAlive).has("connection: keep-alive").dropped().unlike_envoy(HTTP_10),
    ]
}
