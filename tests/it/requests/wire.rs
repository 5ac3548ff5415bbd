//! Just enough HTTP/1.1 to take apart what well-behaved ends have written.

use super::origin::find;

/// A chunked body taken apart.
pub struct Dechunked {
    /// How many bytes it was, trailers and all.
    pub len: usize,
    /// What the chunks held.
    pub payload: Vec<u8>,
    /// The lines after the last of them.
    pub trailers: Vec<u8>,
}

/// Takes a chunked body apart; `None` while it is not whole. What is malformed never becomes whole.
pub fn dechunk(bytes: &[u8]) -> Option<Dechunked> {
    let (mut at, mut payload) = (0, Vec::new());
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        at += line + 2;
        if size == 0 {
            let end = match bytes[at..].starts_with(b"\r\n") {
                true => 0,
                false => find(&bytes[at..], b"\r\n\r\n")? + 2,
            };
            let trailers = bytes[at..at + end].to_vec();
            bytes.get(at + end..at + end + 2)?;
            return Some(Dechunked { len: at + end + 2, payload, trailers });
        }
        payload.extend_from_slice(bytes.get(at..at + size)?);
        at += size + 2;
        bytes.get(at - 2..at)?;
    }
}

/// A response: its status, its fields, and how long it is with its body.
pub struct Response {
    pub status: u16,
    pub fields: String,
    pub len: usize,
}

/// Takes a response off the front of some bytes; `None` while it is not whole.
pub fn response(bytes: &[u8]) -> Option<Response> {
    let head_len = find(bytes, b"\r\n\r\n")? + 4;
    let fields = String::from_utf8_lossy(&bytes[..head_len]).to_ascii_lowercase();
    let status = fields.strip_prefix("http/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
    let status = status.unwrap_or_else(|| panic!("not a response: {fields:?}"));
    assert!(!fields.contains("\r\ntransfer-encoding:"), "nobody has a reason for it: {fields}");
    let length = fields.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |digits| digits.parse().expect("a length is a number"));
    (bytes.len() >= head_len + length).then_some(Response {
        status,
        fields,
        len: head_len + length,
    })
}
