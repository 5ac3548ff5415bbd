//! The first bytes of a client's connection decide what it speaks.

/// How an HTTP/2 client with prior knowledge begins (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection turned out to speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.x, or something for its parser to refuse.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// TLS, by mistake: the name it asked for, when the hello bears one.
    Tls { server_name: Option<String> },
    /// More bytes are needed.
    Unknown,
}

/// Reads the first bytes of a connection.
pub fn sniff(bytes: &[u8]) -> Speaks {
    if bytes.is_empty() {
        return Speaks::Unknown;
    }
    if bytes[0] == 0x16 {
        return match bytes.get(1) {
            Some(3) => Speaks::Tls { server_name: server_name(bytes) },
            Some(_) => Speaks::Http1,
            None => Speaks::Unknown,
        };
    }
    if bytes.starts_with(PREFACE) {
        Speaks::Http2
    } else if PREFACE.starts_with(bytes) {
        Speaks::Unknown
    } else {
        Speaks::Http1
    }
}

/// The SNI of a TLS ClientHello (RFC 8446, section 4.1.2; RFC 6066, section 3), if it is within `bytes`.
fn server_name(bytes: &[u8]) -> Option<String> {
    let mut hello = Reader(bytes);
    hello.skip(5)?; // record header
    hello.skip(4)?; // handshake header
    hello.skip(2 + 32)?; // version, random
    let session = hello.u8()?;
    hello.skip(session)?;
    let suites = hello.u16()?;
    hello.skip(suites)?;
    let compression = hello.u8()?;
    hello.skip(compression)?;
    hello.u16()?; // length of all extensions
    loop {
        let kind = hello.u16()?;
        let length = hello.u16()?;
        let mut extension = Reader(hello.skip(length)?);
        if kind == 0 {
            extension.u16()?; // length of the list
            extension.u8()?; // name type: host name
            let length = extension.u16()?;
            let name = std::str::from_utf8(extension.skip(length)?).ok()?;
            return name.chars().all(|c| c.is_ascii_graphic()).then(|| name.to_owned());
        }
    }
}

/// Reads big-endian numbers off the front of some bytes.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn skip(&mut self, count: usize) -> Option<&'b [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn u8(&mut self) -> Option<usize> {
        self.skip(1).map(|bytes| usize::from(bytes[0]))
    }

    fn u16(&mut self) -> Option<usize> {
        self.skip(2).map(|bytes| usize::from(u16::from_be_bytes([bytes[0], bytes[1]])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_decide() {
        assert_eq!(sniff(b""), Speaks::Unknown);
        assert_eq!(sniff(b"PRI * HT"), Speaks::Unknown);
        assert_eq!(sniff(PREFACE), Speaks::Http2);
        assert_eq!(sniff(b"PRI /x HTTP/1.1\r\n"), Speaks::Http1);
        assert_eq!(sniff(b"GET / HTTP/1.1\r\n"), Speaks::Http1);
        assert_eq!(sniff(&[0x16]), Speaks::Unknown);
        assert_eq!(sniff(&[0x16, 3, 1, 2]), Speaks::Tls { server_name: None });
        assert_eq!(sniff(&[0x16, 9]), Speaks::Http1);
    }

    #[test]
    fn the_name_of_a_client_hello_is_read() {
        let mut hello = vec![0x16, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3];
        hello.extend([0; 32]); // random
        hello.extend([0]); // session
        hello.extend([0, 2, 0x13, 1]); // suites
        hello.extend([1, 0]); // compression
        hello.extend([0, 22]); // extensions
        hello.extend([0, 43, 0, 3, 2, 3, 4]); // another one first
        hello.extend([0, 0, 0, 11, 0, 9, 0, 0, 6]);
        hello.extend(b"cnn.io");
        assert_eq!(sniff(&hello), Speaks::Tls { server_name: Some("cnn.io".into()) });
        for end in 2..hello.len() {
            assert_eq!(sniff(&hello[..end]), Speaks::Tls { server_name: None }, "{end}");
        }
    }
}
