//! Makes foreign bytes safe inside a log line: no line or field can be forged with them.
//!
//! It adds no quotes and cuts nothing; limits are [`super::super::noted`]'s.

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Appends for a text line: quotes, backslashes, control characters and all that is not ASCII
/// become `\xNN`, as nginx does it, so a line is plain ASCII on any terminal.
pub(super) fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    if all_plain(bytes) {
        out.extend_from_slice(bytes);
        return;
    }
    for &byte in bytes {
        if is_plain(byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'\\', b'x', high(byte), low(byte)]);
        }
    }
}

/// Appends for inside a JSON string: always valid UTF-8, control characters (C1 too) escaped,
/// bytes that are not UTF-8 as U+FFFD.
pub fn json(out: &mut Vec<u8>, bytes: &[u8]) {
    if all_plain(bytes) {
        out.extend_from_slice(bytes);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            json_char(out, c);
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn json_char(out: &mut Vec<u8>, c: char) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => {
            let byte = c as u8; // the ranges above end below 0x100
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high(byte), low(byte)]);
        }
        _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Whether every byte is plain, as nearly every field is: eight at a time, the last eight over
/// again where the length is odd.
fn all_plain(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk::<8>() else {
        return bytes.iter().all(|&byte| is_plain(byte));
    };
    let (words, _) = bytes.as_chunks::<8>();
    is_plain_word(*last) && words.iter().all(|word| is_plain_word(*word))
}

/// [`is_plain`] for eight bytes: a byte's highest bit ends up set when it is not. By arithmetic, as
/// the compiler makes no vector of so few; byte by byte, a line cost a third more instructions.
fn is_plain_word(word: [u8; 8]) -> bool {
    let word = u64::from_le_bytes(word);
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST: u64 = EACH * 0x80;
    /// A byte below `limit` (at most 0x80) borrows, and so may those above it; one is enough.
    fn below(word: u64, limit: u64) -> u64 {
        word.wrapping_sub(EACH * limit) & !word
    }
    let not_ascii = word | word.wrapping_add(EACH); // 0x7f too
    let control = below(word, 0x20);
    let quote = below(word ^ (EACH * 0x22), 1);
    let backslash = below(word ^ (EACH * 0x5c), 1);
    (not_ascii | control | quote | backslash) & HIGHEST == 0
}

fn is_plain(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\')
}

fn high(byte: u8) -> u8 {
    HEX[usize::from(byte >> 4)]
}

fn low(byte: u8) -> u8 {
    HEX[usize::from(byte & 0xf)]
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_byte_is_found_at_every_place() {
        for length in [1, 7, 8, 9, 16, 20] {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    for around in [b' ', b'!', b'~', b'a'] {
                        let mut bytes = vec![around; length];
                        bytes[place] = byte;
                        let found = super::all_plain(&bytes);
                        assert_eq!(found, super::is_plain(byte), "{byte:#x} in {bytes:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn escapes() {
        let cases: [(&[u8], &str, &str); 8] = [
            (b"", "", ""),
            (b"/plain?a=b c", "/plain?a=b c", "/plain?a=b c"),
            (b"a\"b", "a\\x22b", "a\\\"b"),
            (b"a\\b", "a\\x5Cb", "a\\\\b"),
            (b"a\r\nb\x1b[31m", "a\\x0D\\x0Ab\\x1B[31m", "a\\u000D\\u000Ab\\u001B[31m"),
            (b"\x7f\x00", "\\x7F\\x00", "\\u007F\\u0000"),
            ("é\u{85}".as_bytes(), "\\xC3\\xA9\\xC2\\x85", "é\\u0085"),
            (b"a\xffb", "a\\xFFb", "a\u{fffd}b"),
        ];
        for (bytes, text, json) in cases {
            let mut out = Vec::new();
            super::text(&mut out, bytes);
            assert_eq!(String::from_utf8(out).unwrap(), text);
            let mut out = Vec::new();
            super::json(&mut out, bytes);
            assert_eq!(String::from_utf8(out).unwrap(), json);
        }
    }
}
