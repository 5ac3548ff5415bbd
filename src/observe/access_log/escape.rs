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
pub(super) fn json(out: &mut Vec<u8>, bytes: &[u8]) {
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

/// Nearly every field is plain; no early exit, so that the compiler may look at many at once.
fn all_plain(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .fold(true, |plain, &byte| plain & is_plain(byte))
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
    fn escapes() {
        let cases: [(&[u8], &str, &str); 8] = [
            (b"", "", ""),
            (b"/plain?a=b c", "/plain?a=b c", "/plain?a=b c"),
            (b"a\"b", "a\\x22b", "a\\\"b"),
            (b"a\\b", "a\\x5Cb", "a\\\\b"),
            (
                b"a\r\nb\x1b[31m",
                "a\\x0D\\x0Ab\\x1B[31m",
                "a\\u000D\\u000Ab\\u001B[31m",
            ),
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
