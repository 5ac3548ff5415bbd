//! Floods: who sends frame upon frame that nobody has use for is cut off, and others are served all along.

use crate::harness::article::Egress;
use crate::harness::frames::*;
use crate::harness::{Gateway, Origin, Setup};

const HOST: &str = "api.example.com";
const CALM: u32 = 11;
/// More than any of the limits.
const ROUNDS: u32 = 20_000;

const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":path", "/politics"), (":authority", HOST)];
const HELD: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":path", "/hold"), (":authority", HOST)];

struct Flood {
    what: &'static str,
    /// What is sent once.
    first: Vec<u8>,
    /// What is sent in each round; the number is that of a stream not used before.
    round: fn(u32) -> Vec<u8>,
}

fn floods() -> Vec<Flood> {
    let nothing = Vec::new;
    let open = || headers(1, 0, &HELD);
    let flood = |what, first, round| Flood { what, first, round };
    vec![
        flood("rapid reset", nothing(), |stream| {
            [headers(stream, END_STREAM, &HELD), reset(stream, 8)].concat()
        }),
        flood("requests reset before they are whole", nothing(), |stream| {
            [headers(stream, 0, &HELD), reset(stream, 8)].concat()
        }),
        flood("made to reset by a window beyond its limit", nothing(), |stream| {
            [headers(stream, END_STREAM, &HELD), window(stream, i32::MAX as u32)].concat()
        }),
        flood("made to reset by a window opened by nothing", nothing(), |stream| {
            [headers(stream, END_STREAM, &HELD), window(stream, 0)].concat()
        }),
        flood("made to reset by DATA after the end", nothing(), |stream| {
            [headers(stream, END_STREAM, &HELD), frame(DATA, 0, stream, b"x")].concat()
        }),
        flood("made to reset by a priority on itself", nothing(), |stream| {
            [
                headers(stream, END_STREAM, &HELD),
                frame(PRIORITY, 0, stream, &[&stream.to_be_bytes()[..], &[0]].concat()),
            ]
            .concat()
        }),
        flood("made to reset by a length that is wrong", nothing(), |stream| {
            headers(stream, END_STREAM, &[&HELD[..], &[("content-length", "1")]].concat())
        }),
        flood("PING", nothing(), |_| frame(PING, 0, 0, b"whatever")),
        flood("answers to no PING", nothing(), |_| frame(PING, ACK, 0, b"whatever")),
        flood("SETTINGS", nothing(), |_| settings(&[(4, 65_535)])),
        flood("empty SETTINGS", nothing(), |_| settings(&[])),
        flood("PRIORITY", nothing(), |stream| frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 9])),
        flood("WINDOW_UPDATE of the connection", nothing(), |_| window(0, 1)),
        flood("WINDOW_UPDATE of a stream", open(), |_| window(1, 1)),
        flood("empty DATA", open(), |_| frame(DATA, 0, 1, b"")),
        flood("padding alone", open(), |_| frame(DATA, PADDED, 1, &[3, 0, 0, 0])),
        flood("frames of unknown type", nothing(), |_| frame(0x77, 0, 0, b"whatever")),
        flood("empty CONTINUATION", frame(HEADERS, END_STREAM, 1, b""), |_| {
            frame(CONTINUATION, 0, 1, b"")
        }),
        flood("fields without end", frame(HEADERS, END_STREAM, 1, b""), |_| {
            frame(CONTINUATION, 0, 1, &block(&[("x-more", &"more".repeat(1000))]))
        }),
        flood("GOAWAY", nothing(), |_| frame(GOAWAY, 0, 0, &[0; 8])),
    ]
}

/// Sends rounds until the other side ends the connection, or all are sent; then what it said.
fn suffer(gateway: &Gateway, flood: &Flood) -> Came {
    let mut raw = Raw::connect(gateway.port(443), &[]);
    raw.send(&flood.first);
    let rounds: Vec<u32> = (0..ROUNDS).map(|round| round * 2 + 3).collect();
    for some in rounds.chunks(50) {
        let bytes: Vec<u8> = some.iter().flat_map(|stream| (flood.round)(*stream)).collect();
        if !raw.try_send(bytes) {
            break;
        }
    }
    loop {
        match raw.came() {
            Came::Reset(_) | Came::Answer(_) => {}
            came => return came,
        }
    }
}

#[test]
fn each_flood_ends_its_own_connection_and_no_other() {
    let origin = Origin::plain();
    let gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    let mut other = Raw::connect(gateway.port(443), &[]);
    let mut wrong = Vec::new();
    let floods = floods();
    for (round, flood) in floods.iter().enumerate() {
        let came = suffer(&gateway, flood);
        if !matches!(came, Came::GoAway(0 | 1 | 3 | CALM) | Came::Closed) {
            wrong.push(format!("{}: {came:?}", flood.what));
        }
        other.send(headers(u32::try_from(round).expect("few") * 2 + 1, END_STREAM, &GET));
        assert_eq!(other.came(), Came::Answer(200), "after {}", flood.what);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let ended = gateway.metric("egret_client_connections_ended_total", &["reason=\"flood\""]);
    assert!(ended >= 12.0, "{ended} connections were ended for a flood");
    assert!(gateway.wait_for_log("flood").contains("127.0.0.1"));
    assert!(gateway.log_count("was ended, ") <= floods.len());
}

/// What honest clients do a lot of, none of which is a flood.
#[test]
fn honest_clients_are_not_taken_for_floods() {
    let origin = Origin::plain();
    let gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    let mut raw = Raw::connect(gateway.port(443), &[]);
    raw.send(
        (0..1000)
            .flat_map(|stream| frame(PRIORITY, 0, stream * 2 + 1, &[0, 0, 0, 0, 9]))
            .collect::<Vec<_>>(),
    );
    for round in 0..3000_u32 {
        let stream = round * 2 + 2001;
        raw.send(
            [
                headers(stream, END_STREAM, &GET),
                frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 9]),
                window(0, 8),
                if round % 3 == 0 { frame(PING, 0, 0, b"keep up!") } else { Vec::new() },
            ]
            .concat(),
        );
        assert_eq!(raw.came(), Came::Answer(200), "round {round}");
    }
    assert_eq!(gateway.metric("egret_client_connections_ended_total", &[]), 0.0);
}
