//! A chunked body: decoded as by a decoder that is as simple as can be, however it is cut; and what is
//! encoded anew decodes to the same.
#![no_main]

use egret::wire::body::{BodyReader, BodyWriter};
use egret::wire::chunked::{
    Decoder, EXTENSION_BYTES_MAX, Event, TRAILER_BYTES_MAX, TRAILER_LINES_MAX,
};
use egret::wire::{Framing, Trailers};
use egret_fuzz::{Line, owned, steered};
use libfuzzer_sys::fuzz_target;

/// What a body came to.
#[derive(Debug, PartialEq, Eq)]
enum Decoded {
    Whole { payload: Vec<u8>, trailers: Vec<Line>, consumed: usize },
    Partial,
    Refused,
}

fuzz_target!(|input: &[u8]| {
    let Some((steer, wire)) = steered(input) else { return };
    let whole = by_reader(wire, &[wire.len().max(1)]);
    let sizes: Vec<usize> = steer.iter().map(|size| usize::from(size % 48) + 1).collect();
    assert_eq!(whole, by_reader(wire, &sizes), "cut into {sizes:?}");
    assert_eq!(whole, by_decoder(wire));
    match &whole {
        Decoded::Whole { consumed, .. } => {
            assert_eq!(Some(&whole), plainly(wire).as_ref());
            let part = &wire[..(steer[0] as usize) % consumed];
            assert_eq!(by_reader(part, &sizes), Decoded::Partial, "{}", part.escape_ascii());
        }
        _ => assert_eq!(plainly(wire), None),
    }
    if let Decoded::Whole { payload, trailers, .. } = whole {
        let encoded = encode(&payload, &trailers, sizes[0]);
        let consumed = encoded.len();
        let again = by_reader(&[&encoded, &b"GET / HTTP/1.1\r\n\r\n"[..]].concat(), &sizes);
        assert_eq!(again, Decoded::Whole { payload, trailers, consumed });
    }
});

fn by_reader(wire: &[u8], sizes: &[usize]) -> Decoded {
    let mut reader = BodyReader::new(Framing::Chunked);
    let (mut payload, mut unread, mut consumed) = (Vec::new(), Vec::new(), 0);
    let (mut rest, mut turns) = (wire, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = turns.next().map_or(1, |size| (*size).min(rest.len()));
        unread.extend_from_slice(&rest[..size]);
        rest = &rest[size..];
        let Ok(taken) = reader.take(&mut unread) else { return Decoded::Refused };
        payload.extend_from_slice(&unread[taken.data.clone()]);
        consumed += taken.consumed;
        if let Some(trailers) = taken.end {
            return Decoded::Whole { payload, trailers: owned(trailers.iter()), consumed };
        }
        assert_eq!(taken.consumed, unread.len(), "what has not ended takes everything");
        unread.clear();
    }
    Decoded::Partial
}

fn by_decoder(wire: &[u8]) -> Decoded {
    let (mut decoder, mut payload, mut at) = (Decoder::new(), Vec::new(), 0);
    loop {
        match decoder.next(&wire[at..]) {
            Ok(Event::Data { skip, len }) => {
                assert!(len > 0);
                payload.extend_from_slice(&wire[at + skip..][..len]);
                at += skip + len;
            }
            Ok(Event::More { consumed }) => {
                assert_eq!(at + consumed, wire.len());
                return Decoded::Partial;
            }
            Ok(Event::End { consumed, trailers }) => {
                let trailers = owned(trailers.iter());
                return Decoded::Whole { payload, trailers, consumed: at + consumed };
            }
            Err(_) => return Decoded::Refused,
        }
    }
}

/// RFC 9112, section 7.1, line by line; only for a body that is whole.
fn plainly(wire: &[u8]) -> Option<Decoded> {
    let (mut payload, mut rest, mut extensions) = (Vec::new(), wire, 0);
    loop {
        let line;
        (line, rest) = split_line(rest)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = u64::from_str_radix(std::str::from_utf8(&line[..digits]).ok()?, 16).ok()?;
        let extension = &line[digits..];
        extensions += extension.len();
        if digits > 16 || extensions > EXTENSION_BYTES_MAX || !is_extension(extension) {
            return None;
        }
        if size == 0 {
            break;
        }
        let (data, after) = rest.split_at_checked(usize::try_from(size).ok()?)?;
        payload.extend_from_slice(data);
        rest = after.strip_prefix(b"\r\n")?;
    }
    let (mut trailers, mut count, start) = (Trailers::default(), 0, rest.len());
    loop {
        let line;
        (line, rest) = split_line(rest)?;
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (&line[..colon], without_blanks(&line[colon + 1..]));
        if name.is_empty() || !name.iter().copied().all(is_token) || !value.iter().all(is_text) {
            return None;
        }
        trailers.push(name, value);
        count += 1;
    }
    if start - rest.len() > TRAILER_BYTES_MAX || count > TRAILER_LINES_MAX {
        return None;
    }
    let (trailers, consumed) = (owned(trailers.iter()), wire.len() - rest.len());
    Some(Decoded::Whole { payload, trailers, consumed })
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    Some((&bytes[..end], &bytes[end + 2..]))
}

fn without_blanks(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// Blanks, then nothing or a semicolon and text.
fn is_extension(text: &[u8]) -> bool {
    let rest = without_blanks(text);
    text.iter().all(is_text) && (rest.is_empty() || rest[0] == b';')
}

fn is_text(byte: &u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn encode(payload: &[u8], trailers: &[Line], size: usize) -> Vec<u8> {
    let (mut out, writer) = (Vec::new(), BodyWriter::new(Framing::Chunked));
    for piece in payload.chunks(size) {
        let around = writer.wrap(piece.len(), None);
        out.extend([&around.before[..], piece, &around.after].concat());
    }
    let mut end = Trailers::default();
    trailers.iter().for_each(|(name, value)| end.push(name, value));
    out.extend(writer.wrap(0, Some(&end)).after);
    out
}
