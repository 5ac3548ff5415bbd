//! Who a certificate says has signed it, when that is nobody we trust.
//!
//! Names are read for the log alone. What is trusted is rustls' to decide, before and without them.

use std::fmt;

use rustls::pki_types::CertificateDer;

/// Bytes of a name that are told; the log is no place for more.
const NAME_BYTES_MAX: usize = 128;
/// Tags of DER (ITU-T X.690, section 8).
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// Attributes of a name, the more telling first: common name, organizational unit, organization
/// (RFC 5280, appendix A.1: `id-at`).
const ATTRIBUTES: [&[u8]; 3] = [&[0x55, 4, 3], &[0x55, 4, 11], &[0x55, 4, 10]];

/// Why a chain leads to no root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Untrusted {
    /// The certificate has signed itself.
    SelfSigned,
    /// Its issuer, or the issuer of the last certificate that came with it.
    IssuedBy(String),
}

impl Untrusted {
    /// Looks at a chain that was refused for its issuer.
    pub(super) fn of(leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Self {
        let last = intermediates.last().unwrap_or(leaf);
        match webpki::EndEntityCert::try_from(last) {
            Ok(last) if intermediates.is_empty() && last.issuer() == last.subject() => {
                Self::SelfSigned
            }
            Ok(last) => Self::IssuedBy(shown(last.issuer())),
            Err(_) => Self::IssuedBy(String::new()),
        }
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SelfSigned => f.write_str("self-signed certificate"),
            Self::IssuedBy(issuer) => write!(f, "unknown issuer \"{issuer}\""),
        }
    }
}

impl std::error::Error for Untrusted {}

/// The most telling part of a distinguished name; empty when it has none that can be shown.
fn shown(name: &[u8]) -> String {
    let found = ATTRIBUTES.iter().find_map(|kind| attribute(name, kind)).unwrap_or_default();
    String::from_utf8_lossy(&found[..found.len().min(NAME_BYTES_MAX)]).into_owned()
}

/// The value of an attribute in the contents of a `Name` (RFC 5280, section 4.1.2.4): sets of sequences
/// of a type and a string.
fn attribute<'n>(mut name: &'n [u8], kind: &[u8]) -> Option<&'n [u8]> {
    while let Some((SET, mut set, rest)) = element(name) {
        while let Some((SEQUENCE, pair, others)) = element(set) {
            if let Some((OBJECT_IDENTIFIER, found, value)) = element(pair)
                && found == kind
            {
                return element(value).map(|(_, text, _)| text);
            }
            set = others;
        }
        name = rest;
    }
    None
}

/// The first element of some DER: its tag, its contents, and what follows. Lengths of up to two bytes.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_telling_part_of_a_name_is_shown() {
        // O=An Org, CN=A Root; each part is SET { SEQUENCE { OID, UTF8String } }.
        let organization = b"\x31\x0f\x30\x0d\x06\x03\x55\x04\x0a\x0c\x06An Org";
        let common = b"\x31\x0f\x30\x0d\x06\x03\x55\x04\x03\x0c\x06A Root";
        let both = [&organization[..], common].concat();
        for (name, expected) in
            [(&both[..], "A Root"), (organization, "An Org"), (b"", ""), (b"\x31\x82\x01", "")]
        {
            assert_eq!(shown(name), expected);
        }
        for end in 0..both.len() {
            shown(&both[..end]); // whatever an origin sends, nothing is read beyond it
        }
    }
}
