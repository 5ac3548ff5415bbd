//! Section 8: requests as messages.

use super::*;

#[test]
fn fields() {
    let mut cases = vec![
        Case("8.2 te: trailers", with(&[("te", "trailers")]), Answer(404)),
        Case("8.2.1 a value with a blank in front", with(&[("x", " y")]), Answer(400)),
        Case("8.2.1 a value with a tab behind", with(&[("x", "y\t")]), Answer(400)),
        Case("8.2.1 an empty value", with(&[("x", "")]), Answer(404)),
        Case(
            "8.2.3 a cookie in pieces",
            with(&[("cookie", "a=1"), ("cookie", "b=2")]),
            Answer(404),
        ),
        Case("8.2.2 te: gzip", with(&[("te", "gzip")]), Reset(PROTOCOL)),
        Case("8.2.2 te: trailers, gzip", with(&[("te", "trailers, gzip")]), Reset(PROTOCOL)),
    ];
    for (name, value) in [
        ("connection", "close"),
        ("connection", "x"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
    ] {
        cases.push(Case(name, with(&[(name, value)]), Reset(PROTOCOL)));
    }
    for name in ["X-Upper", "a b", "a:b", "", "a\u{0}b", "ä", "a\r\nb: c"] {
        cases.push(Case(
            "8.2.1 a name that is none",
            with(&[(name, "x")]),
            Err(&[PROTOCOL, COMPRESSION]),
        ));
    }
    for value in ["a\u{0}b", "a\rb", "a\nb", "a\r\nb: c", "\u{7f}"] {
        cases.push(Case(
            "8.2.1 a value that is none",
            with(&[("x", value)]),
            Err(&[PROTOCOL, COMPRESSION]),
        ));
    }
    check(cases);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table reads best as one")]
fn pseudo_header_fields() {
    let mut cases = vec![
        Case("8.3 an unknown one", only(&[&GET[..], &[(":test", "x")]].concat()), Err(&[PROTOCOL])),
        Case(
            "8.3 that of a response",
            only(&[&GET[..], &[(":status", "200")]].concat()),
            Reset(PROTOCOL),
        ),
        Case("8.3 after a field", only(&[&[("x", "y")], &GET[..]].concat()), Reset(PROTOCOL)),
        Case("8.3.1 a :scheme of another kind", instead(":scheme", "ftp"), Answer(400)),
        Case("8.3.1 a :scheme that is none", instead(":scheme", "a b"), Reset(PROTOCOL)),
        Case("8.3.1 :scheme https", instead(":scheme", "https"), Answer(404)),
        Case("8.3.1 an empty :path", instead(":path", ""), Reset(PROTOCOL)),
        Case("8.3.1 a :path without its slash", instead(":path", "x"), Reset(PROTOCOL)),
        Case(
            "8.3.1 a :path that is absolute",
            instead(":path", "http://other.example/"),
            Reset(PROTOCOL),
        ),
        Case("8.3.1 a :path that begins with a query", instead(":path", "?x"), Reset(PROTOCOL)),
        Case("8.3.1 a :path with a blank", instead(":path", "/a b"), Reset(PROTOCOL)),
        Case("8.3.1 GET *", instead(":path", "*"), Reset(PROTOCOL)),
        Case(
            "8.3.1 a method that is none",
            instead(":method", "GE T"),
            Err(&[PROTOCOL, COMPRESSION]),
        ),
        Case("8.3.1 an empty method", instead(":method", ""), Err(&[PROTOCOL, COMPRESSION])),
        Case("8.3.1 a method nobody knows", instead(":method", "FROB"), Answer(404)),
        Case("8.3.1 neither :authority nor Host", without(":authority"), Answer(400)),
        Case(
            "8.3.1 Host alone",
            headers(1, 1, &[&GET[..3], &[("host", "unknown.example")]].concat()),
            Answer(404),
        ),
        Case(
            "8.3.1 two Hosts",
            headers(1, 1, &[&GET[..3], &[("host", "a.example"), ("host", "a.example")]].concat()),
            Answer(400),
        ),
        Case(
            "8.3.1 neither :authority nor :path",
            headers(1, 1, &[&GET[..2], &[("host", "a.example")]].concat()),
            Reset(PROTOCOL),
        ),
        Case("8.3.1 Host as :authority", with(&[("host", "unknown.example")]), Answer(404)),
        Case(
            "8.3.1 Host as :authority but for case",
            with(&[("host", "Unknown.Example")]),
            Answer(404),
        ),
        Case("8.3.1 Host unlike :authority", with(&[("host", "other.example")]), Answer(400)),
        Case(
            "8.3.1 a second Host unlike :authority",
            with(&[("host", "unknown.example"), ("host", "other.example")]),
            Answer(400),
        ),
        Case("8.3.1 an empty :authority", instead(":authority", ""), Err(&[PROTOCOL])),
        Case("8.3.1 userinfo", instead(":authority", "me@unknown.example"), Answer(400)),
        Case(
            "8.3.1 a port that is none",
            instead(":authority", "unknown.example:port"),
            Answer(400),
        ),
        Case(
            "8.5 CONNECT",
            only(&[(":method", "CONNECT"), (":authority", "a.example:443")]),
            Answer(404),
        ),
        Case(
            "8.5 CONNECT with :path and :scheme",
            only(&[
                (":method", "CONNECT"),
                (":authority", "a.example:443"),
                (":scheme", "http"),
                (":path", "/"),
            ]),
            Reset(PROTOCOL),
        ),
        Case("8.5 CONNECT without :authority", only(&[(":method", "CONNECT")]), Reset(PROTOCOL)),
        Case(
            "RFC 8441 is not offered",
            only(&[&[(":method", "CONNECT"), (":protocol", "websocket")], &GET[1..]].concat()),
            Reset(PROTOCOL),
        ),
        Case(
            "OPTIONS *",
            only(&[&[(":method", "OPTIONS"), (":path", "*")], &[GET[1], GET[3]][..]].concat()),
            Answer(404),
        ),
    ];
    for (name, _) in &GET[..3] {
        cases.push(Case("8.3.1 one is missing", without(name), Reset(PROTOCOL)));
    }
    for field in GET {
        let twice = [&[field], &GET[..]].concat();
        cases.push(Case("8.3 one is given twice", only(&twice), Reset(PROTOCOL)));
    }
    check(cases);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table reads best as one")]
fn bodies_and_trailers() {
    let post = |length: &str| headers(1, 0, &[&HELD[..], &[("content-length", length)]].concat());
    let trailers = |flags, fields: &[(&str, &str)]| {
        cat(&[open(1), data(1, 0, b"x"), headers(1, flags, fields)])
    };
    let indexed = |first: u8| cat(&[open(1), frame(HEADERS, 5, 1, &[first, 3, b'2', b'0', b'0'])]);
    check(vec![
        Case("8.1 trailers", trailers(END_STREAM, &[("x-sum", "42")]), Nothing),
        Case(
            "8.1 trailers that don't end the stream",
            trailers(0, &[("x-sum", "42")]),
            Reset(PROTOCOL),
        ),
        Case(
            "8.1 trailers with an unknown pseudo-header field",
            trailers(END_STREAM, &[(":x", "y")]),
            Err(&[PROTOCOL]),
        ),
        Case(
            "8.1 trailers with :method",
            trailers(END_STREAM, &[(":method", "GET")]),
            Err(&[PROTOCOL]),
        ),
        Case("8.1 trailers with :status from the table", indexed(0x48), Err(&[PROTOCOL])),
        Case(
            "8.1 trailers with :path late",
            trailers(END_STREAM, &[("x-sum", "42"), (":path", "/")]),
            Reset(PROTOCOL),
        ),
        Case(
            "8.1 trailers with a connection's field",
            trailers(END_STREAM, &[("connection", "x")]),
            Reset(PROTOCOL),
        ),
        Case(
            "8.1.1 less than content-length",
            cat(&[post("2"), data(1, END_STREAM, b"x")]),
            Reset(PROTOCOL),
        ),
        Case(
            "8.1.1 more than content-length",
            cat(&[post("1"), data(1, 0, b"xx")]),
            Reset(PROTOCOL),
        ),
        Case(
            "8.1.1 more in several frames",
            cat(&[post("3"), data(1, 0, b"xx"), data(1, END_STREAM, b"xx")]),
            Reset(PROTOCOL),
        ),
        Case(
            "8.1.1 less before trailers",
            cat(&[post("2"), data(1, 0, b"x"), headers(1, END_STREAM, &[("a", "b")])]),
            Reset(PROTOCOL),
        ),
        Case("8.1.1 nothing of it", with(&[("content-length", "1")]), Reset(PROTOCOL)),
        Case("8.1.1 one that is no number", post("1x"), Reset(PROTOCOL)),
        Case(
            "8.1.1 two that differ",
            headers(
                1,
                0,
                &[&HELD[..], &[("content-length", "1"), ("content-length", "2")]].concat(),
            ),
            Reset(PROTOCOL),
        ),
        Case(
            "8.1.1 as much as content-length",
            cat(&[post("1"), data(1, END_STREAM, b"x")]),
            Nothing,
        ),
        Case("8.1.1 a length of nothing", with(&[("content-length", "0")]), Answer(404)),
    ]);
}
