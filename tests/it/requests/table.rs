//! The tables of requests: text files that read like one, under `cases/`.
//!
//! A row is `name | request | answer | what the origin received`. A line that begins with `#` is a remark, one
//! with `@request` or `@received` a frame for its column in the rows below: the row's text stands where the
//! frame has `%`.
//!
//! Bytes are written as they are but for `⏎` (CR LF), `\r`, `\n`, `\t`, `\0`, `\\`, `\xNN`, `{3×text}` (text,
//! three times) and a `␄` at the end of a request: the client ends its side there, and sends nothing more.
//!
//! The answer is the status of each response in order, then what becomes of the connection: `keep`, `close`,
//! `reset`, or `tunnel` (what follows reaches the origin as it is, and its bytes come back).
//! Received is `=` (the request as it was sent), `-` (nothing at all), or bytes; `…` at their end: no more than these,
//! and the origin saw the connection end before the request was complete, if it saw anything of it.

/// One request, or several on one connection, and what becomes of them.
pub struct Case {
    /// The file it stands in and its name there: `host/missing`.
    pub name: String,
    /// What the client sends.
    pub request: Vec<u8>,
    /// Whether the client ends its side after that.
    pub ends: Ends,
    /// What the client gets: `200 keep`.
    pub answer: String,
    /// What the origin gets, one request after the other.
    pub received: Vec<u8>,
    /// Whether the last request that the origin gets is complete.
    pub complete: Complete,
}

/// What the client does after it has sent its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ends {
    /// It goes on.
    No,
    /// It ends its side of the connection.
    Yes,
}

/// Whether a request that reached the origin came to its end there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Complete {
    Yes,
    No,
}

/// Every row of a file.
pub fn read(file: &str, text: &str) -> Vec<Case> {
    let (mut request_frame, mut received_frame) = ("%", "%");
    let mut cases = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(frame) = line.strip_prefix("@request ") {
            (request_frame, received_frame) = (frame.trim(), "%");
        } else if let Some(frame) = line.strip_prefix("@received ") {
            received_frame = frame.trim();
        } else if !line.starts_with('#') {
            cases.push(row(file, line, request_frame, received_frame));
        }
    }
    cases
}

fn row(file: &str, line: &str, request_frame: &str, received_frame: &str) -> Case {
    let columns: Vec<_> = line.split('|').map(str::trim).collect();
    let [name, request, answer, received] = columns[..] else {
        panic!("{file}: a row has four columns: {line}");
    };
    let (request, ends) = match request.strip_suffix('␄') {
        Some(request) => (request, Ends::Yes),
        None => (request, Ends::No),
    };
    let (received, complete) = match received.strip_suffix('…') {
        Some(received) => (received, Complete::No),
        None => (received, Complete::Yes),
    };
    let request = request_frame.replacen('%', request, 1);
    let received = match received {
        "=" => request.clone(),
        "-" => String::new(),
        received => received_frame.replacen('%', received, 1),
    };
    Case {
        name: format!("{file}/{name}"),
        request: bytes(&request),
        ends,
        answer: answer.to_owned(),
        received: bytes(&received),
        complete,
    }
}

/// The bytes that a text of the table stands for.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let mut used = next.len_utf8();
        match next {
            '⏎' => out.extend(b"\r\n"),
            '\\' => used += escape(&rest[1..], &mut out),
            '{' => {
                let (inside, _) = rest[1..].split_once('}').expect("a repetition has an end");
                let (count, repeated) = inside.split_once('×').expect("a repetition has a count");
                let count = count.parse().expect("a count is a number");
                out.extend(bytes(repeated).repeat(count));
                used += inside.len() + 1;
            }
            _ => out.extend(&rest.as_bytes()[..used]),
        }
        rest = &rest[used..];
    }
    out
}

/// Reads what follows a backslash; how long that is.
fn escape(text: &str, out: &mut Vec<u8>) -> usize {
    let (byte, used) = match text.as_bytes() {
        [b'r', ..] => (b'\r', 1),
        [b'n', ..] => (b'\n', 1),
        [b't', ..] => (b'\t', 1),
        [b'0', ..] => (0, 1),
        [b'\\', ..] => (b'\\', 1),
        [b'x', ..] => (u8::from_str_radix(&text[1..3], 16).expect("two hexadecimal digits"), 3),
        _ => panic!("no such escape: \\{text}"),
    };
    out.push(byte);
    used
}

#[test]
fn a_row_is_read_as_its_bytes() {
    let text = "@request GET / HTTP/1.1⏎%⏎⏎\n@received GET / HTTP/1.1⏎%⏎⏎\n\
                odd | A:{2×b\\t}\\x7c␄ | 200 close | A: b…";
    let case = &read("file", text)[0];
    assert_eq!((case.name.as_str(), case.answer.as_str()), ("file/odd", "200 close"));
    assert_eq!(case.request, b"GET / HTTP/1.1\r\nA:b\tb\t|\r\n\r\n");
    assert_eq!((case.ends, case.complete), (Ends::Yes, Complete::No));
    assert_eq!(case.received, b"GET / HTTP/1.1\r\nA: b\r\n\r\n");
}
