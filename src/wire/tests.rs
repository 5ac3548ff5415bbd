//! Heads from bytes to bytes, by table, and properties of any bytes at all. The rules about bodies
//! and about single fields are tested where they are.

use proptest::prelude::*;

use super::chunked::{self, Decoder, Event};
use super::*;

fn request(text: &[u8]) -> Result<Parsed, Refusal> {
    parse::request(text, &HeadLimits::default(), &mut HeadMemory::default())
}

fn response(text: &[u8]) -> Result<Parsed, Refusal> {
    parse::response(text, &HeadLimits::default(), &mut HeadMemory::default())
}

/// The head of a text that is complete; `None` when it is refused or partial.
fn complete(parsed: Result<Parsed, Refusal>) -> Option<(Head, usize)> {
    match parsed {
        Ok(Parsed::Complete { head, consumed }) => Some((head, consumed)),
        _ => None,
    }
}

fn written(head: &Head) -> String {
    let mut out = Vec::new();
    if head.is_request() {
        head.write_request(&mut out)
    } else {
        head.write_response(&mut out)
    }
    out.escape_ascii().to_string().replace("\\r\\n", "|")
}

#[test]
fn requests_are_written_as_they_came_in_canonical_lines() {
    for (text, expected) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1|Host: a||"),
        ("GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1||"),
        ("\r\n\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1|Host: a||"),
        ("GET / HTTP/1.1\nHost: a\nB: c\n\n", "GET / HTTP/1.1|Host: a|B: c||"),
        ("GET / HTTP/1.0\r\nhOsT: a\r\n\r\n", "GET / HTTP/1.1|hOsT: a||"),
        (
            "QUERY * HTTP/1.1\r\nHost:a\r\nB: \t c d\t \r\nC:\r\nD: \r\nE: f\r\n\r\n",
            "QUERY * HTTP/1.1|Host: a|B: c d|C: |D: |E: f||",
        ),
        (
            "get http://a/?b#c HTTP/1.1\r\nB: 2\r\nA: 1\r\nb: 3\r\n\r\n",
            "get http://a/?b#c HTTP/1.1|B: 2|A: 1|b: 3||",
        ),
        ("GET / HTTP/1.1\r\nA: caf\u{e9}: ;,\r\n\r\n", "GET / HTTP/1.1|A: caf\\xc3\\xa9: ;,||"),
    ] {
        let (head, consumed) = complete(request(text.as_bytes())).expect(text);
        assert_eq!((written(&head).as_str(), consumed), (expected, text.len()), "{text}");
    }
}

#[test]
fn malformed_requests_are_refused() {
    for (text, refusal) in [
        ("GET /\r\n\r\n", Refusal::BadRequestLine),
        ("GET  / HTTP/1.1\r\n\r\n", Refusal::BadRequestLine),
        ("GET\t/ HTTP/1.1\r\n\r\n", Refusal::BadRequestLine),
        (" GET / HTTP/1.1\r\n\r\n", Refusal::BadRequestLine),
        ("GET /a b HTTP/1.1\r\n\r\n", Refusal::BadRequestLine),
        ("GET /\u{1} HTTP/1.1\r\n\r\n", Refusal::BadRequestLine),
        ("G(T / HTTP/1.1\r\n\r\n", Refusal::BadRequestLine),
        ("GET / http/1.1\r\n\r\n", Refusal::BadRequestLine),
        ("GET / HTTP/1.1 \r\n\r\n", Refusal::BadRequestLine),
        ("GET / HTTP/1.2\r\n\r\n", Refusal::UnsupportedVersion),
        ("GET / HTTP/2.0\r\n\r\n", Refusal::UnsupportedVersion),
        ("GET / HTTP/11.1\r\n\r\n", Refusal::UnsupportedVersion),
        ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", Refusal::ObsFold),
        ("GET / HTTP/1.1\r\nA: b\n\tc\r\n\r\n", Refusal::ObsFold),
        ("GET / HTTP/1.1\r\n A: b\r\n\r\n", Refusal::ObsFold),
        ("GET / HTTP/1.1\r\nA : b\r\n\r\n", Refusal::BadName),
        ("GET / HTTP/1.1\r\nA\r\n\r\n", Refusal::BadName),
        ("GET / HTTP/1.1\r\n: b\r\n\r\n", Refusal::BadName),
        ("GET / HTTP/1.1\r\nA\u{e9}: b\r\n\r\n", Refusal::BadName),
        ("GET / HTTP/1.1\r\nA(: b\r\n\r\n", Refusal::BadName),
        ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", Refusal::ControlCharacter),
        ("GET / HTTP/1.1\r\nA: b\r\r\n\r\n", Refusal::ControlCharacter),
        ("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", Refusal::ControlCharacter),
        ("GET / HTTP/1.1\r\nA: b\u{1}\r\n\r\n", Refusal::ControlCharacter),
        (
            "GET / HTTP/1.1\r\nA: a long value with DEL after 32 bytes\u{7f}\r\n\r\n",
            Refusal::ControlCharacter,
        ),
        ("GET / HTTP/1.1\r\nA: \u{b}chunked\r\n\r\n", Refusal::ControlCharacter),
        ("GET / HTTP/1.1\r\nA: b\r\n\rc\n\n", Refusal::ControlCharacter),
    ] {
        assert_eq!(request(text.as_bytes()).expect_err(text), refusal, "{text:?}");
    }
}

#[test]
fn every_control_character_in_a_value_is_refused_wherever_it_stands() {
    for byte in (0..0x20).chain([0x7f]).filter(|byte| !b"\t\n\r".contains(byte)) {
        for position in 0..70 {
            let mut text = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(70)).into_bytes();
            text["GET / HTTP/1.1\r\nA: ".len() + position] = byte;
            assert_eq!(
                request(&text).expect_err("control"),
                Refusal::ControlCharacter,
                "{byte} at {position}"
            );
        }
    }
}

#[test]
fn what_cannot_become_a_message_is_refused_before_its_end() {
    for text in ["\u{16}\u{3}\u{1}", "{\"a\"", " ", "GET\r", "\0"] {
        assert_eq!(request(text.as_bytes()).expect_err(text), Refusal::BadRequestLine, "{text:?}");
    }
    for text in ["SSH-2.0-x\r\n", "\r\nHTTP/1.1 200 OK\r\n\r\n", "H2", "220 mail\r\n"] {
        assert_eq!(response(text.as_bytes()).expect_err(text), Refusal::BadStatusLine, "{text:?}");
    }
}

#[test]
fn a_head_is_partial_until_its_last_byte() {
    let requests = b"\r\nPOST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
    let responses = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
    for end in 0..requests.len() {
        assert!(matches!(request(&requests[..end]), Ok(Parsed::Partial)), "{end}");
    }
    for end in 0..responses.len() {
        assert!(matches!(response(&responses[..end]), Ok(Parsed::Partial)), "{end}");
    }
    let with_body = [requests.as_slice(), b"abcGET / HTTP/1.1\r\n\r\n"].concat();
    assert_eq!(complete(request(&with_body)).expect("complete").1, requests.len());
}

#[test]
fn the_memory_is_taken_only_with_a_complete_head_and_comes_back() {
    let limits = HeadLimits::default();
    let mut memory = HeadMemory::with_room_for(512);
    let room = memory.capacity();
    for text in ["GET / HT", "GET / HTTP/3.0\r\n\r\n"] {
        let _ = parse::request(text.as_bytes(), &limits, &mut memory);
        assert_eq!(memory.capacity(), room, "{text}");
    }
    let text = b"GET / HTTP/1.1\r\nHost:a\r\n\r\n";
    let (head, _) = complete(parse::request(text, &limits, &mut memory)).expect("complete");
    assert_eq!(memory.capacity(), 0);
    assert_eq!(head.into_memory().capacity(), room);
}

#[test]
fn heads_beyond_the_limits_are_refused() {
    let limits = HeadLimits { bytes: 60, lines: 2 };
    let parse = |text: &str| parse::request(text.as_bytes(), &limits, &mut HeadMemory::default());
    let of_length = |length: usize| {
        let frame = "GET / HTTP/1.1\r\nA: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(length - frame))
    };
    assert!(complete(parse(&of_length(60))).is_some());
    assert_eq!(parse(&of_length(61)).expect_err("61"), Refusal::TooLarge);
    assert!(matches!(parse(&of_length(80)[..59]), Ok(Parsed::Partial)));
    assert_eq!(parse(&of_length(80)[..60]).expect_err("60 of 80"), Refusal::TooLarge);
    assert_eq!(parse(&"\r\n".repeat(30)).expect_err("empty lines"), Refusal::TooLarge);
    let body = format!("{}{}", of_length(60), "x".repeat(1000));
    assert!(complete(parse(&body)).is_some(), "a body does not count");
    assert!(complete(parse("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\n\r\n")).is_some());
    let three = parse("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n");
    assert_eq!(three.expect_err("3"), Refusal::TooManyLines);
    let unlimited = HeadLimits { bytes: usize::MAX, lines: usize::MAX };
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(parse::LINES_MAX + 1));
    let refused = parse::request(many.as_bytes(), &unlimited, &mut HeadMemory::default());
    assert_eq!(refused.expect_err("257"), Refusal::TooManyLines);
}

#[test]
fn responses_are_read_and_written() {
    for (text, expected) in [
        ("HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK|A: b||"),
        ("HTTP/1.0 404 Not \tFound\nA: b\n\n", "HTTP/1.1 404 Not \\tFound|A: b||"),
        ("HTTP/1.1 999 \r\n\r\n", "HTTP/1.1 999 ||"),
        ("HTTP/1.1 204\r\n\r\n", "HTTP/1.1 204 ||"),
        ("HTTP/1.1 200 \u{e9}\r\n\r\n", "HTTP/1.1 200 ||"),
    ] {
        let (head, consumed) = complete(response(text.as_bytes())).expect(text);
        assert_eq!((written(&head).as_str(), consumed), (expected, text.len()), "{text}");
    }
    for (text, refusal) in [
        ("HTTP/1.1 099 A\r\n\r\n", Refusal::BadStatusLine),
        ("HTTP/1.1 2000\r\n\r\n", Refusal::BadStatusLine),
        ("HTTP/1.1 20\r\n\r\n", Refusal::BadStatusLine),
        ("HTTP/1.1  200 OK\r\n\r\n", Refusal::BadStatusLine),
        ("HTTP/1.1\r\n\r\n", Refusal::UnsupportedVersion),
        ("HTTP/2 200 OK\r\n\r\n", Refusal::UnsupportedVersion),
        ("HTTP/1.1 200 O\0K\r\n\r\n", Refusal::BadStatusLine),
        ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", Refusal::ObsFold),
        ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", Refusal::BadName),
    ] {
        assert_eq!(response(text.as_bytes()).expect_err(text), refusal, "{text:?}");
    }
}

#[test]
fn lines_are_found_whatever_their_case_and_the_first_wins() {
    let text = b"GET /a/b?c=d HTTP/1.1\r\nHOST: a\r\nX-One: 1\r\nx-envoy-a: 2\r\nx-one: 3\r\nX-Envoy-B: 4\r\nhost: b\r\n\r\n";
    let (mut head, _) = complete(request(text)).expect("complete");
    assert_eq!(
        (head.method(), head.target(), head.path()),
        (&b"GET"[..], &b"/a/b?c=d"[..], &b"/a/b"[..])
    );
    assert_eq!(head.find(Name::Host), Some(&b"a"[..]));
    assert_eq!(head.all(Name::Host).collect::<Vec<_>>(), [b"a", b"b"]);
    assert_eq!(head.all(Name::XEnvoy).collect::<Vec<_>>(), [b"2", b"4"]);
    assert_eq!(head.find_named(b"X-ONE"), Some(&b"1"[..]));
    assert_eq!(head.find_named(b"x-envoy-b"), Some(&b"4"[..]));
    assert_eq!(head.find_named(b"x-two"), None);
    head.set_target(b"/x");
    assert_eq!(head.path(), b"/x");
}

#[test]
fn edits_keep_the_order_of_the_other_lines() {
    let edited = |edit: fn(&mut Head)| {
        let text = b"GET / HTTP/1.1\r\nA: 1\r\nHost: h\r\na: 2\r\nB: 3\r\nA: 4\r\n\r\n";
        let (mut head, _) = complete(request(text)).expect("complete");
        edit(&mut head);
        written(&head)
    };
    assert_eq!(edited(|head| head.set(b"a", b"x")), "GET / HTTP/1.1|a: x|Host: h|B: 3||");
    assert_eq!(edited(|head| head.set(b"b", b"")), "GET / HTTP/1.1|A: 1|Host: h|a: 2|b: |A: 4||");
    assert_eq!(
        edited(|head| head.set(b"host", b"i")),
        "GET / HTTP/1.1|A: 1|host: i|a: 2|B: 3|A: 4||"
    );
    assert_eq!(
        edited(|head| head.set(b"c", b"5")),
        "GET / HTTP/1.1|A: 1|Host: h|a: 2|B: 3|A: 4|c: 5||"
    );
    assert_eq!(
        edited(|head| head.append(b"a", b"5")),
        "GET / HTTP/1.1|A: 1|Host: h|a: 2|B: 3|A: 4|a: 5||"
    );
    assert_eq!(edited(|head| head.remove(b"A")), "GET / HTTP/1.1|Host: h|B: 3||");
    assert_eq!(
        edited(|head| head
            .retain(|name, text, value| name == Name::Host || (text, value) == (b"A", b"4"))),
        "GET / HTTP/1.1|Host: h|A: 4||"
    );
    assert_eq!(
        edited(|head| head.set_target(b"/t")),
        "GET /t HTTP/1.1|A: 1|Host: h|a: 2|B: 3|A: 4||"
    );
}

#[test]
fn heads_are_built_from_parts_in_lent_memory() {
    let mut head = Head::request(HeadMemory::default(), Version::Http2, b"PUT", b"/a");
    head.append(b"host", b"b");
    assert_eq!(written(&head), "PUT /a HTTP/1.1|host: b||");
    let mut head = Head::response(head.into_memory(), Version::Http2, 201, b"");
    head.append(b"a", b"");
    assert_eq!((written(&head).as_str(), head.status()), ("HTTP/1.1 201 |a: ||", 201));
    assert_eq!(format!("{head:?}"), "201, a");
}

#[test]
fn every_refusal_answers_a_client_error_or_501() {
    assert_eq!(Refusal::TooLarge.refused().status, 431);
    assert_eq!(Refusal::UnknownTransferCoding.refused().status, 501);
    assert_eq!(Refusal::HostMissing.refused().details, "missing_host_header");
    assert_eq!(Refusal::ObsFold.refused().status, 400);
}

/// Pieces of HTTP and other bytes in any order; hardly ever a whole message.
fn debris() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "GET / HTTP/1.1\r\n",
        "HTTP/1.0 200 OK\r\n",
        "\r\n",
        "\n",
        "\r",
        ":",
        " ",
        "\0",
        "Host: a\r\n",
        "3\r\nabc\r\n",
        "3;a=b\r\nabc\r\n",
        "0\r\n",
        "0\r\n\r\n",
        ";x=y",
        "ffffffffffffffff",
        "\u{e9}",
    ];
    let piece = prop_oneof![
        8 => proptest::sample::select(pieces.map(|piece| piece.as_bytes().to_vec()).to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// A head with odd but valid lines and something after it; in every other case with a changed byte.
fn nearly_a_head(start: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let names = [
        "Host",
        "Content-Length",
        "transfer-encoding",
        "Connection",
        "TE",
        "x-envoy-a",
        "A",
        "Upgrade",
    ];
    let known = ["chunked", "3", "te, host, a", "trailers, gzip", "websocket", ""];
    let value = prop_oneof![
        proptest::sample::select(known.map(|value| value.as_bytes().to_vec()).to_vec()),
        proptest::collection::vec((b' '..=0xff).prop_filter("DEL", |byte| *byte != 0x7f), 0..50),
    ];
    let line = (
        proptest::sample::select(names.to_vec()),
        proptest::sample::select(vec![": ", ":", ":\t "]),
        value,
        proptest::sample::select(vec!["\r\n", "\r\n", "\n", " \r\n"]),
    )
        .prop_map(|(name, colon, value, end)| {
            [name.as_bytes(), colon.as_bytes(), &value, end.as_bytes()].concat()
        });
    let change = proptest::option::of((any::<usize>(), any::<u8>()));
    (proptest::collection::vec(line, 0..12), change).prop_map(move |(lines, change)| {
        let mut text = [start.as_bytes(), &lines.concat(), b"\r\n0\r\n\r\n"].concat();
        if let Some((place, byte)) = change {
            let place = place % text.len();
            text[place] = byte;
        }
        text
    })
}

/// Splits the bytes at the given places.
fn split<'a>(bytes: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// What a decoder makes of the pieces: the payload, the trailers, and how many bytes they took.
fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, Option<Trailers>, usize), Refusal> {
    let (mut decoder, mut payload, mut taken) = (Decoder::new(), Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let used = match decoder.next(rest)? {
                Event::Data { skip, len } => {
                    payload.extend_from_slice(&rest[skip..skip + len]);
                    skip + len
                }
                Event::More { consumed } => consumed,
                Event::End { consumed, trailers } => {
                    return Ok((payload, Some(trailers), taken + consumed));
                }
            };
            taken += used;
            rest = &rest[used..];
        }
    }
    Ok((payload, None, taken))
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(text in debris()) {
        let _ = (request(&text), response(&text), decode(&[&text]));
    }

    #[test]
    fn an_accepted_request_reads_back_the_same(text in nearly_a_head("GET /a?b HTTP/1.1\r\n")) {
        if let Some((mut head, consumed)) = complete(request(&text)) {
            let (alone, length) = complete(request(&text[..consumed])).expect("nothing after it counts");
            prop_assert_eq!(length, consumed);
            prop_assert!(head.lines().eq(alone.lines()));
            let mut out = Vec::new();
            head.write_request(&mut out);
            let (again, length) = complete(request(&out)).expect("what we write is accepted");
            prop_assert_eq!(length, out.len());
            prop_assert!(head.lines().eq(again.lines()));
            prop_assert_eq!((head.method(), head.target()), (again.method(), again.target()));
            prop_assert_eq!(framing::request(&head), framing::request(&again));
            if fields::strip_hop_by_hop(&mut head).is_ok() {
                prop_assert!(!head.recognised().any(|(name, ..)| fields::is_hop_by_hop(name)));
            }
        }
    }

    #[test]
    fn an_accepted_response_reads_back_the_same(text in nearly_a_head("HTTP/1.1 200 OK\r\n")) {
        if let Some((mut head, _)) = complete(response(&text)) {
            let mut out = Vec::new();
            head.write_response(&mut out);
            let (again, _) = complete(response(&out)).expect("what we write is accepted");
            prop_assert!(head.lines().eq(again.lines()));
            prop_assert_eq!((head.status(), head.reason()), (again.status(), again.reason()));
            prop_assert_eq!(framing::response(&head, b"GET"), framing::response(&again, b"GET"));
            let length = head.find(Name::ContentLength).map(<[u8]>::to_vec);
            if fields::strip_hop_by_hop(&mut head).is_ok() {
                prop_assert_eq!(head.find(Name::ContentLength), length.as_deref());
            }
        }
    }

    #[test]
    fn chunks_decode_the_same_however_they_are_split(
        text in debris(),
        places in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        let body = [b"3;a=b\r\nabc\r\n".as_slice(), &text].concat();
        prop_assert_eq!(decode(&[&body]).ok(), decode(&split(&body, &places)).ok());
    }

    #[test]
    fn what_is_encoded_decodes_to_itself(
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..5),
        places in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        let mut trailers = Trailers::default();
        trailers.push(b"Grpc-Status", b"0");
        let mut wire = Vec::new();
        for chunk in &chunks {
            chunked::encode_chunk_head(chunk.len(), &mut wire);
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(chunked::CHUNK_END);
        }
        chunked::encode_end(&trailers, &mut wire);
        let length = wire.len();
        wire.extend_from_slice(b"GET / HTTP/1.1");
        let decoded = decode(&split(&wire, &places)).expect("valid");
        prop_assert_eq!(decoded, (chunks.concat(), Some(trailers), length));
    }
}
