//! Looks at the front of a trailer section for a pseudo-header field, which must not be there (RFC 9113,
//! section 8.1).
//!
//! The h2 crate drops such a field without a word if it comes first, and resets the stream if it comes
//! later. So only the first field is looked at, as HPACK writes it (RFC 7541, section 6): one that is
//! named by the table that grows with the connection passes, and is dropped.

/// Entries of HPACK's static table that are pseudo-header fields.
const PSEUDO: std::ops::RangeInclusive<u8> = 1..=14;

/// How far into the section the look has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// So many bytes come before the section: the length of the padding, a priority.
    Skip(u8),
    /// The first field is next, if the table isn't resized before it.
    First,
    /// The length of a name that is spelt out is next.
    Length,
    /// The first byte of that name is next, in Huffman's code if the mask says so.
    Name { huffman: u8 },
    /// There is nothing more to see.
    Over(Found),
}

/// What the section begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Field,
    Pseudo,
}

/// The flags of HEADERS that put something in front of the section (RFC 9113, section 6.2).
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

impl Look {
    /// At HEADERS with these flags.
    pub fn after(flags: u8) -> Self {
        let before = u8::from(flags & PADDED != 0) + if flags & PRIORITY != 0 { 5 } else { 0 };
        if before == 0 { Self::First } else { Self::Skip(before) }
    }

    /// Looks at the next byte.
    pub fn next(self, byte: u8) -> Self {
        match self {
            Self::Skip(1) => Self::First,
            Self::Skip(left) => Self::Skip(left - 1),
            Self::First => match byte {
                0x80.. => Self::by_index(byte & 0x7f),
                0x40.. => Self::by_index(byte & 0x3f),
                0x20..0x3f => Self::First,
                0x3f => Self::Over(Found::Field), // a table of more than 30 bytes; its size is not followed
                _ => Self::by_index(byte & 0x0f),
            },
            Self::Length => Self::Name { huffman: byte & 0x80 },
            Self::Name { huffman: 0 } if byte == b':' => Self::Over(Found::Pseudo),
            // The code of the colon is 1011100, of seven bits.
            Self::Name { huffman: 0x80 } if byte >> 1 == 0b101_1100 => Self::Over(Found::Pseudo),
            Self::Name { .. } => Self::Over(Found::Field),
            Self::Over(found) => Self::Over(found),
        }
    }

    fn by_index(index: u8) -> Self {
        match index {
            0 => Self::Length,
            index if PSEUDO.contains(&index) => Self::Over(Found::Pseudo),
            _ => Self::Over(Found::Field),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudo_header_field_is_found_however_it_is_written() {
        for (bytes, found) in [
            (&b"\x82"[..], Found::Pseudo),
            (b"\x8e", Found::Pseudo),
            (b"\x8f", Found::Field),
            (b"\x41\x01a", Found::Pseudo),
            (b"\x4f\x01a", Found::Field),
            (b"\x04\x01/", Found::Pseudo),
            (b"\x14\x01/", Found::Pseudo),
            (b"\x40\x05:path\x01/", Found::Pseudo),
            (b"\x00\x85\xb9\x58\xd3\x3f\x01/", Found::Pseudo),
            (b"\x10\x05x-sum\x0242", Found::Field),
            (b"\x00\x85\xf2\xb4\x2d\xa6\x1f", Found::Field),
            (b"\x20\x25\x84", Found::Pseudo),
            (b"\xbe", Found::Field), // of the other table, whatever it is
        ] {
            let mut look = Look::First;
            bytes.iter().for_each(|byte| look = look.next(*byte));
            assert_eq!(look, Look::Over(found), "{bytes:x?}");
        }
        assert_eq!(Look::Skip(2).next(0x82).next(0x82), Look::First);
    }
}
