//! Sections 4 to 7: frames, field blocks, streams.

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table reads best as one")]
fn frames_and_field_blocks() {
    let part = &block(&GET)[..10];
    let rest = &block(&GET)[10..];
    check(vec![
        Case("4.1 a frame of unknown type", frame(0x16, 0, 0, b"8 bytes!"), Nothing),
        Case("4.1 one of unknown type on a stream", frame(0xff, 0xff, 77, b""), Nothing),
        Case("4.1 flags that have no meaning", frame(PING, 0xfe, 0, b"otherone"), Nothing),
        Case("4.1 the reserved bit of the stream", frame(PING, 0, 1 << 31, b"otherone"), Nothing),
        Case("4.2 DATA of the largest size", cat(&[open(1), data(1, 0, &[0; 16_384])]), Nothing),
        Case("4.2 DATA beyond it", cat(&[open(1), data(1, 0, &[0; 16_385])]), End(&[FRAME_SIZE])),
        Case(
            "4.2 HEADERS beyond it",
            frame(HEADERS, END_HEADERS, 1, &[0; 16_385]),
            End(&[FRAME_SIZE]),
        ),
        Case("4.2 an unknown frame beyond it", frame(0x99, 0, 0, &[0; 16_385]), End(&[FRAME_SIZE])),
        Case(
            "4.3 an index that is none",
            frame(HEADERS, 5, 1, &[0x80]),
            End(&[COMPRESSION, PROTOCOL]),
        ),
        Case(
            "4.3 an index into nothing",
            frame(HEADERS, 5, 1, &[0xff, 0x7f]),
            End(&[COMPRESSION, PROTOCOL]),
        ),
        Case(
            "4.3 a block that is cut",
            frame(HEADERS, 5, 1, &[0, 5, b'x']),
            End(&[COMPRESSION, PROTOCOL]),
        ),
        Case(
            "4.3 a table larger than allowed",
            frame(HEADERS, 5, 1, &[0x3f, 0xe1, 0xff, 3]),
            End(&[COMPRESSION, PROTOCOL]),
        ),
        Case(
            "4.3 Huffman's code with its end inside",
            frame(HEADERS, 5, 1, &[0, 0x84, 0xff, 0xff, 0xff, 0xff, 0]),
            End(&[COMPRESSION, PROTOCOL]),
        ),
        Case(
            "4.3 PRIORITY within a block",
            cat(&[frame(HEADERS, 1, 1, part), frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 9])]),
            End(&[PROTOCOL]),
        ),
        Case(
            "4.3 HEADERS within a block",
            cat(&[frame(HEADERS, 1, 1, part), get(3)]),
            End(&[PROTOCOL]),
        ),
        Case(
            "4.3 PING within a block",
            cat(&[frame(HEADERS, 1, 1, part), mark()]),
            End(&[PROTOCOL]),
        ),
        Case(
            "5.5 an unknown frame within a block",
            cat(&[frame(HEADERS, 1, 1, part), frame(0x99, 0, 0, b"x")]),
            End(&[PROTOCOL]),
        ),
        Case(
            "6.10 a block in three frames",
            cat(&[
                frame(HEADERS, 1, 1, part),
                frame(CONTINUATION, 0, 1, b""),
                frame(CONTINUATION, 4, 1, rest),
            ]),
            Answer(404),
        ),
        Case(
            "6.10 CONTINUATION after the end of a block",
            cat(&[open(1), frame(CONTINUATION, 4, 1, rest)]),
            End(&[PROTOCOL]),
        ),
        Case(
            "6.10 CONTINUATION after DATA",
            cat(&[open(1), data(1, 0, b"x"), frame(CONTINUATION, 4, 1, rest)]),
            End(&[PROTOCOL]),
        ),
        Case(
            "6.10 CONTINUATION on stream 0",
            cat(&[frame(HEADERS, 1, 1, part), frame(CONTINUATION, 4, 0, rest)]),
            End(&[PROTOCOL]),
        ),
        Case(
            "6.10 CONTINUATION on another stream",
            cat(&[frame(HEADERS, 1, 1, part), frame(CONTINUATION, 4, 3, rest)]),
            End(&[PROTOCOL]),
        ),
        Case(
            "6.10 DATA within a block",
            cat(&[frame(HEADERS, 1, 1, part), data(1, 0, b"x")]),
            End(&[PROTOCOL]),
        ),
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table reads best as one")]
fn stream_states_and_identifiers() {
    let gone = |bytes: Vec<u8>| cat(&[open(1), reset(1, 8), bytes]);
    check(vec![
        Case("5.1 idle: DATA", data(1, 1, b"x"), End(&[PROTOCOL])),
        Case("5.1 idle: RST_STREAM", reset(1, 8), End(&[PROTOCOL])),
        Case("5.1 idle: WINDOW_UPDATE", window(1, 100), End(&[PROTOCOL])),
        Case("5.1 idle: CONTINUATION", frame(CONTINUATION, 4, 1, &block(&GET)), End(&[PROTOCOL])),
        Case("5.1 idle: PRIORITY is fine", frame(PRIORITY, 0, 9, &[0, 0, 0, 0, 9]), Nothing),
        Case(
            "5.1 half-closed: DATA",
            cat(&[half_closed(1), data(1, 1, b"x")]),
            Err(&[STREAM_CLOSED, PROTOCOL]),
        ),
        Case(
            "5.1 half-closed: HEADERS",
            cat(&[half_closed(1), half_closed(1)]),
            Err(&[STREAM_CLOSED, PROTOCOL]),
        ),
        Case(
            "5.1 half-closed: CONTINUATION",
            cat(&[half_closed(1), frame(CONTINUATION, 4, 1, &block(&GET))]),
            End(&[PROTOCOL]),
        ),
        Case(
            "5.1 half-closed: WINDOW_UPDATE is fine",
            cat(&[half_closed(1), window(1, 5)]),
            Nothing,
        ),
        Case(
            "5.1 half-closed: PRIORITY is fine",
            cat(&[half_closed(1), frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 9])]),
            Nothing,
        ),
        Case("5.1 half-closed: RST_STREAM is fine", cat(&[half_closed(1), reset(1, 8)]), Nothing),
        Case(
            "5.1 closed by RST_STREAM: DATA",
            gone(data(1, 1, b"x")),
            Err(&[STREAM_CLOSED, PROTOCOL]),
        ),
        Case("5.1 closed by RST_STREAM: HEADERS", gone(open(1)), Err(&[STREAM_CLOSED, PROTOCOL])),
        Case(
            "5.1 closed by RST_STREAM: CONTINUATION",
            gone(frame(CONTINUATION, 4, 1, b"")),
            End(&[PROTOCOL]),
        ),
        Case("5.1 closed by RST_STREAM: WINDOW_UPDATE is fine", gone(window(1, 5)), Nothing),
        Case(
            "5.1 closed by RST_STREAM: PRIORITY is fine",
            gone(frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 9])),
            Nothing,
        ),
        Case("5.1 closed by RST_STREAM: RST_STREAM is fine", gone(reset(1, 8)), Nothing),
        Case("5.1.1 an even stream", get(2), End(&[PROTOCOL])),
        Case(
            "5.1.1 a stream that went by",
            cat(&[half_closed(5), get(3)]),
            End(&[PROTOCOL, STREAM_CLOSED]),
        ),
        Case("5.1.1 streams may be left out", cat(&[half_closed(5), get(77)]), Answer(404)),
        Case(
            "5.3.1 HEADERS that depend on themselves",
            frame(HEADERS, 0x25, 1, &[&[0, 0, 0, 1, 9][..], &block(&GET)].concat()),
            Reset(PROTOCOL),
        ),
        Case(
            "5.3.1 PRIORITY that depends on itself",
            frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 9]),
            Err(&[PROTOCOL]),
        ),
        Case(
            "5.4.1 GOAWAY with an unknown code",
            frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 99]),
            Nothing,
        ),
        Case("7 RST_STREAM with an unknown code", cat(&[open(1), reset(1, 99)]), Nothing),
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table reads best as one")]
fn each_type_of_frame() {
    let priority = [0, 0, 0, 0, 9];
    let padded = |pad: u8, bytes: &[u8]| [&[pad][..], bytes, &[0; 4]].concat();
    check(vec![
        Case("6.1 DATA on stream 0", data(0, 0, b"x"), End(&[PROTOCOL])),
        Case("6.1 padded DATA", cat(&[open(1), data(1, PADDED, &padded(4, b"x"))]), Nothing),
        Case(
            "6.1 DATA padded beyond its end",
            cat(&[open(1), data(1, PADDED, &padded(6, b"x"))]),
            End(&[PROTOCOL]),
        ),
        Case(
            "6.1 padded DATA without a pad length",
            cat(&[open(1), data(1, PADDED, b"")]),
            End(&[PROTOCOL, FRAME_SIZE]),
        ),
        Case("6.2 HEADERS on stream 0", get(0), End(&[PROTOCOL])),
        Case("6.2 padded HEADERS", frame(HEADERS, 0xd, 1, &padded(4, &block(&GET))), Answer(404)),
        Case(
            "6.2 HEADERS with a priority",
            frame(HEADERS, 0x25, 1, &[&priority[..], &block(&GET)].concat()),
            Answer(404),
        ),
        Case(
            "6.2 HEADERS padded beyond their end",
            frame(HEADERS, 0xd, 1, &[200, 1, 2, 3]),
            End(&[PROTOCOL]),
        ),
        Case(
            "6.2 HEADERS too short for a priority",
            frame(HEADERS, 0x25, 1, &[0, 0, 0]),
            End(&[PROTOCOL, FRAME_SIZE]),
        ),
        Case("6.3 PRIORITY on stream 0", frame(PRIORITY, 0, 0, &priority), End(&[PROTOCOL])),
        Case("6.3 PRIORITY too short", frame(PRIORITY, 0, 1, &priority[..4]), Err(&[FRAME_SIZE])),
        Case("6.4 RST_STREAM on stream 0", reset(0, 8), End(&[PROTOCOL])),
        Case(
            "6.4 RST_STREAM too short",
            cat(&[open(1), frame(RST_STREAM, 0, 1, &[0; 3])]),
            End(&[FRAME_SIZE]),
        ),
        Case(
            "6.5 SETTINGS acknowledged with a payload",
            frame(SETTINGS, ACK, 0, &[0; 6]),
            End(&[FRAME_SIZE]),
        ),
        Case("6.5 SETTINGS on a stream", frame(SETTINGS, 0, 1, &[]), End(&[PROTOCOL])),
        Case("6.5 SETTINGS of half an entry", frame(SETTINGS, 0, 0, &[0; 3]), End(&[FRAME_SIZE])),
        Case("6.5.2 ENABLE_PUSH 2", settings(&[(2, 2)]), End(&[PROTOCOL])),
        Case(
            "6.5.2 INITIAL_WINDOW_SIZE 2^31",
            settings(&[(4, 1 << 31)]),
            End(&[FLOW_CONTROL, PROTOCOL]),
        ),
        Case("6.5.2 MAX_FRAME_SIZE 16383", settings(&[(5, 16_383)]), End(&[PROTOCOL])),
        Case("6.5.2 MAX_FRAME_SIZE 2^24", settings(&[(5, 1 << 24)]), End(&[PROTOCOL])),
        Case("6.5.2 a setting that is unknown", settings(&[(0xff, 1)]), Nothing),
        Case("6.5.3 twice in one frame", settings(&[(4, 100), (4, 1)]), Nothing),
        Case(
            "6.6 PUSH_PROMISE",
            cat(&[open(1), frame(PUSH_PROMISE, 4, 1, &[&[0, 0, 0, 2][..], &block(&GET)].concat())]),
            End(&[PROTOCOL]),
        ),
        Case("6.7 an answer to no ping", frame(PING, ACK, 0, b"whatever"), Nothing),
        Case("6.7 PING on a stream", frame(PING, 0, 1, b"whatever"), End(&[PROTOCOL])),
        Case("6.7 PING too short", frame(PING, 0, 0, b"seven b"), End(&[FRAME_SIZE])),
        Case("6.8 GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8]), End(&[PROTOCOL])),
        Case("6.8 GOAWAY too short", frame(GOAWAY, 0, 0, &[0; 7]), End(&[FRAME_SIZE])),
        Case("6.9 a connection's window opened by nothing", window(0, 0), End(&[PROTOCOL])),
        Case(
            "6.9 a stream's window opened by nothing",
            cat(&[open(1), window(1, 0)]),
            Err(&[PROTOCOL]),
        ),
        Case(
            "6.9 WINDOW_UPDATE too short",
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
            End(&[FRAME_SIZE]),
        ),
        Case(
            "6.9.1 a connection's window beyond its limit",
            cat(&[window(0, i32::MAX as u32), window(0, i32::MAX as u32)]),
            End(&[FLOW_CONTROL]),
        ),
        Case(
            "6.9.1 a stream's window beyond its limit",
            cat(&[open(1), window(1, i32::MAX as u32), window(1, i32::MAX as u32)]),
            Reset(FLOW_CONTROL),
        ),
        Case(
            "6.9.2 streams' windows beyond their limit",
            cat(&[open(1), window(1, i32::MAX as u32 - 65_535), settings(&[(4, i32::MAX as u32)])]),
            Err(&[FLOW_CONTROL]),
        ),
    ]);
}
