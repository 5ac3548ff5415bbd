use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
    let mut bytes = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
    bytes.resize(9 + usize::from(length), 0);
    bytes
}

/// A client's meter that has read the preface, SETTINGS and these bytes.
fn after(bytes: &[u8]) -> Meter {
    let meter = Meter::of_client();
    meter.read(PREFACE);
    meter.read(&frame(4, 0, 0));
    meter.read(bytes);
    meter
}

#[tokio::test]
async fn pseudo_header_fields_in_trailers_are_found() {
    let request = frame(1, 4, 20);
    let block = |kind: u8, flags: u8, payload: &[u8]| {
        [&[0, 0, u8::try_from(payload.len()).expect("short"), kind, flags, 0, 0, 0, 1][..], payload]
            .concat()
    };
    for (trailers, pseudo) in [
        (block(1, 5, b"\x82"), true),
        (block(1, 13, b"\x01\x82\x00"), true),
        (block(1, 0x25, b"\x00\x00\x00\x00\x09\x82"), true),
        ([block(1, 1, b""), block(9, 4, b"\x82")].concat(), true),
        ([block(1, 1, b"\x00"), block(9, 4, b"\x05:path\x01/")].concat(), true),
        ([block(1, 5, b""), block(3, 0, b"\x82\x82\x82\x82")].concat(), false),
        (block(1, 5, b"\x00\x05x-sum\x0242"), false),
        (block(0, 1, b"\x82"), false),
    ] {
        let meter = after(&request);
        for byte in &trailers {
            meter.read(std::slice::from_ref(byte));
        }
        assert_eq!(meter.offence().is_some(), pseudo, "{trailers:x?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_useless_frame_is_a_flood_in_the_end() {
    for (kind, flags, length) in [
        (0, 0, 0),
        (2, 0, 5),
        (3, 0, 4),
        (4, 0, 0),
        (4, 1, 0),
        (6, 0, 8),
        (8, 0, 4),
        (9, 4, 0),
        (99, 0, 7),
    ] {
        let one = frame(kind, flags, length);
        let meter = after(&one.repeat(1_999)); // SETTINGS was the first of 2,000
        assert_eq!(meter.offence(), None, "{kind}");
        meter.read(&one);
        assert!(matches!(meter.offence(), Some(Offence::Flood(_))), "{kind}");
    }
    assert_eq!(after(&frame(6, 1, 8).repeat(100)).offence(), Some(Offence::Flood(Kind::Ping)));
}

#[tokio::test(start_paused = true)]
async fn requests_and_bodies_cost_nothing() {
    let request = [frame(1, 4, 20), frame(0, 0, 100), frame(0, 1, 0)].concat();
    assert_eq!(after(&request.repeat(100_000)).offence(), None);
}

#[tokio::test(start_paused = true)]
async fn time_and_what_we_send_pay_for_more() {
    let ping = frame(6, 0, 8);
    let meter = after(&ping.repeat(1_999));
    tokio::time::advance(Duration::from_secs(1)).await;
    meter.read(&ping.repeat(200));
    assert_eq!(meter.offence(), None);
    let download = [frame(1, 4, 20), frame(0, 0, 200).repeat(10)].concat();
    let updates = frame(8, 0, 4).repeat(20);
    for _ in 0..10_000 {
        meter.written(&download);
        meter.read(&updates);
    }
    assert_eq!(meter.offence(), None);
}

#[tokio::test]
async fn sizes_and_the_first_frame_are_judged() {
    for (kind, flags, length) in
        [(2, 0, 4), (3, 0, 5), (4, 0, 5), (4, 1, 6), (6, 0, 7), (7, 0, 7), (8, 0, 3)]
    {
        let offence = after(&frame(kind, flags, length)).offence();
        assert!(matches!(offence, Some(Offence::FrameSize(_))), "{kind}: {offence:?}");
    }
    for first in [frame(1, 5, 3), frame(4, 1, 0), frame(6, 0, 8)] {
        let meter = Meter::of_client();
        meter.read(&[PREFACE, &first].concat());
        assert_eq!(meter.offence(), Some(Offence::NoSettings));
    }
}

#[tokio::test]
async fn what_is_midway_is_told_however_the_bytes_are_cut() {
    let bytes = [frame(4, 0, 6), frame(1, 0, 3), frame(9, 4, 2), frame(0, 0, 4)].concat();
    let meter = Meter::of_client();
    assert_eq!(meter.sending(), Sending::Midway, "the preface");
    meter.read(PREFACE);
    let whole: Vec<usize> = (0..bytes.len())
        .filter(|at| {
            meter.read(&bytes[*at..=*at]);
            meter.sending() == Sending::Whole
        })
        .collect();
    // After SETTINGS, after the CONTINUATION that ends the block, and anywhere in DATA's payload.
    assert_eq!(whole, [14, 37, 46, 47, 48, 49, 50]);
}
