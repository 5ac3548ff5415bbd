//! How long a body is said to be, and what contradicts itself.

use super::case::{Ask, Case, Then, refused, whole};

/// The rows.
pub fn cases() -> Vec<Case> {
    [lengths_and_codings(), no_body()].into_iter().flatten().collect()
}

#[rustfmt::skip] // a table reads best as one
fn lengths_and_codings() -> Vec<Case> {
    let lengths = |lengths: &str| format!("HTTP/1.1 200 OK|{lengths}||ok");
    let coded = |coding: &str| format!("HTTP/1.1 200 OK|Transfer-Encoding: {coding}||2|ok|0||");
    vec![
        whole("length zero", "HTTP/1.1 200 OK|Content-Length: 0||", 200, "").has("Content-Length: 0"),
        whole("length with leading zeros", &lengths("Content-Length: 0002"), 200, "ok"),
        whole("length in odd letters", &lengths("cOnTeNt-LeNgTh: 2"), 200, "ok").has("cOnTeNt-LeNgTh: 2"),
        whole("length with blanks around", &lengths("Content-Length: \t 2 \t "), 200, "ok"),
        refused("two lengths that differ", &lengths("Content-Length: 2|Content-Length: 3")),
        refused("two lengths that agree", &lengths("Content-Length: 2|Content-Length: 2")),
        refused("a list of lengths that agree", &lengths("Content-Length: 2, 2")),
        refused("a list of lengths that differ", &lengths("Content-Length: 2, 3")),
        refused("a list of one length", &lengths("Content-Length: 2,")),
        refused("an empty length", &lengths("Content-Length:")),
        refused("a length with a plus", &lengths("Content-Length: +2")),
        refused("a length with a minus", &lengths("Content-Length: -2")),
        refused("a length in hexadecimal", &lengths("Content-Length: 0x2")),
        refused("a length with a fraction", &lengths("Content-Length: 2.0")),
        refused("a length with a blank within", &lengths("Content-Length: 2 2")),
        refused("a length in words", &lengths("Content-Length: two")),
        refused("a length with an underscore", &lengths("Content-Length: 2_0")),
        refused("a length in quotes", &lengths("Content-Length: \"2\"")),
        refused("a length beyond 64 bits", &lengths("Content-Length: 18446744073709551616")),
        refused("a length of forty digits", &lengths("Content-Length: 1000000000000000000000000000000000000000")),
        whole("chunks", &coded("chunked"), 200, "ok"),
        whole("chunks in odd letters", &coded("ChUnKeD"), 200, "ok"),
        whole("chunks after a tab", &coded("\tchunked"), 200, "ok"),
        refused("chunks and a length", "HTTP/1.1 200 OK|Content-Length: 2|Transfer-Encoding: chunked||2|ok|0||"),
        refused("a length and chunks", "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Content-Length: 5||2|ok|0||"),
        refused("chunks and length zero", "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Content-Length: 0||2|ok|0||"),
        refused("chunks and a bad length", "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Content-Length: x||2|ok|0||"),
        refused("gzip and a length", "HTTP/1.1 200 OK|Transfer-Encoding: gzip|Content-Length: 2||ok"),
        refused("gzip alone", &coded("gzip")),
        refused("gzip in chunks", &coded("gzip, chunked")),
        refused("chunks in gzip", &coded("chunked, gzip")),
        refused("chunks twice in one line", &coded("chunked, chunked")),
        refused("chunks twice in two lines", &coded("chunked|Transfer-Encoding: chunked")),
        refused("gzip and chunks in two lines", &coded("gzip|Transfer-Encoding: chunked")),
        refused("identity", &coded("identity")),
        refused("identity in chunks", &coded("identity, chunked")),
        refused("an empty coding", &coded("")),
        refused("a coding that looks alike", &coded("xchunked")),
        refused("a coding that begins alike", &coded("chunked1")),
        refused("a coding with a parameter", &coded("chunked;q=1")),
        refused("a coding in quotes", &coded("\"chunked\"")),
        refused("a coding and a comma", &coded("chunked,")),
        refused("a comma and a coding", &coded(",chunked")),
        refused("a vertical tab before the coding", &coded("\u{b}chunked")),
        refused("a coding in HTTP/1.0", "HTTP/1.0 200 OK|Transfer-Encoding: chunked||2|ok|0||").unlike_envoy("Envoy trusts it; RFC 9112, section 6.1, calls such framing faulty"),
        refused("gzip until the end", "HTTP/1.1 200 OK|Transfer-Encoding: gzip|Connection: close||ok").then(Then::Ends),
        whole("chunks and a close", "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Connection: close||2|ok|0||", 200, "ok").then(Then::Ends).dropped().lacks("connection"),
    ]
}

#[rustfmt::skip] // a table reads best as one
fn no_body() -> Vec<Case> {
    vec![
        whole("204", "HTTP/1.1 204 No Content||", 204, "").lacks("content-length").lacks("transfer-encoding"),
        whole("204 of length zero", "HTTP/1.1 204 No Content|Content-Length: 0||", 204, "").lacks("content-length"),
        refused("204 with a length", "HTTP/1.1 204 No Content|Content-Length: 2||ok"),
        refused("204 in chunks", "HTTP/1.1 204 No Content|Transfer-Encoding: chunked||0||"),
        whole("204 and bytes after it", "HTTP/1.1 204 No Content||HTTP/1.1 200 OK|Content-Length: 4||evil", 204, "").dropped(),
        whole("304", "HTTP/1.1 304 Not Modified|ETag: \"a\"||", 304, "").has("ETag: \"a\""),
        whole("304 with the length it would have", "HTTP/1.1 304 Not Modified|Content-Length: 9||", 304, "").has("Content-Length: 9"),
        whole("304 in chunks it would have", "HTTP/1.1 304 Not Modified|Transfer-Encoding: chunked||", 304, "").lacks("transfer-encoding"),
        whole("304 and a body all the same", "HTTP/1.1 304 Not Modified|Content-Length: 4||evil", 304, "").dropped(),
        whole("304 and chunks all the same", "HTTP/1.1 304 Not Modified|Transfer-Encoding: chunked||4|evil|0||", 304, "").dropped(),
        refused("304 with two lengths", "HTTP/1.1 304 Not Modified|Content-Length: 9|Content-Length: 9||"),
        whole("205 of length zero", "HTTP/1.1 205 Reset Content|Content-Length: 0||", 205, ""),
        whole("205 in no chunks", "HTTP/1.1 205 Reset Content|Transfer-Encoding: chunked||0||", 205, ""),
        whole("205 with a body", "HTTP/1.1 205 Reset Content|Content-Length: 2||ok", 205, "ok"),
        whole("HEAD with a length", "HTTP/1.1 200 OK|Content-Length: 9||", 200, "").ask(Ask::Head).has("Content-Length: 9"),
        whole("HEAD without a length", "HTTP/1.1 200 OK||", 200, "").ask(Ask::Head).lacks("content-length"),
        whole("HEAD in chunks", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||", 200, "").ask(Ask::Head),
        whole("HEAD and a body all the same", "HTTP/1.1 200 OK|Content-Length: 4||evil", 200, "").ask(Ask::Head).dropped().has("Content-Length: 4"),
        whole("HEAD and chunks all the same", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||4|evil|0||", 200, "").ask(Ask::Head).dropped(),
        whole("HEAD and a second answer", "HTTP/1.1 200 OK|Content-Length: 4||HTTP/1.1 200 OK|Content-Length: 4||evil", 200, "").ask(Ask::Head).dropped(),
        whole("HEAD that closes", "HTTP/1.1 200 OK|Connection: close|Content-Length: 4||", 200, "").ask(Ask::Head).then(Then::Ends).dropped(),
        whole("HEAD of an error", "HTTP/1.1 500 Oops|Content-Length: 4||", 500, "").ask(Ask::Head),
        whole("HEAD and 204", "HTTP/1.1 204 No Content||", 204, "").ask(Ask::Head),
        refused("HEAD with both", "HTTP/1.1 200 OK|Content-Length: 4|Transfer-Encoding: chunked||").ask(Ask::Head),
        refused("HEAD with two lengths", "HTTP/1.1 200 OK|Content-Length: 4|Content-Length: 5||").ask(Ask::Head),
        refused("HEAD with a bad length", "HTTP/1.1 200 OK|Content-Length: 4x||").ask(Ask::Head),
        refused("HEAD with a bad coding", "HTTP/1.1 200 OK|Transfer-Encoding: gzip||").ask(Ask::Head),
    ]
}
