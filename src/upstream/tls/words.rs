//! What a failure of TLS is called in the log, in the words that people search for.
//!
//! Nothing is decided here; which failure it is the caller says.

use rustls::pki_types::UnixTime;
use rustls::{
    AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible,
    PeerMisbehaved,
};

use super::issuer::Untrusted;

/// The minimum is TLS 1.2, which the lint EG041 tells of.
const TOO_OLD: &str = "speaks neither TLS 1.2 nor 1.3, and older versions are not spoken (EG041)";

/// Why a certificate was refused.
pub(super) fn certificate_text(error: &CertificateError, roots: &str) -> String {
    use CertificateError as E;
    match error {
        E::Expired => "certificate has expired".to_owned(),
        E::ExpiredContext { not_after, .. } => {
            format!("certificate has expired on {}", day(*not_after))
        }
        E::NotValidYet => "certificate is not yet valid".to_owned(),
        E::NotValidYetContext { not_before, .. } => {
            format!("certificate is not yet valid, but only from {}", day(*not_before))
        }
        E::UnknownIssuer => {
            format!("unknown issuer: the certificate leads to none of {roots}")
        }
        E::BadSignature => {
            "bad signature: a certificate on the way to the root is not signed by the key of its issuer"
                .to_owned()
        }
        E::Revoked => "certificate revoked: its issuer has taken it back".to_owned(),
        E::ExpiredRevocationList => "the revocation list has expired".to_owned(),
        E::ExpiredRevocationListContext { next_update, .. } => {
            format!("the revocation list has expired on {}", day(*next_update))
        }
        E::UnknownRevocationStatus => {
            "unknown revocation status: no revocation list is of its issuer".to_owned()
        }
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            format!("wrong purpose: it is no certificate for a server ({error})")
        }
        E::Other(OtherError(inner)) => match inner.downcast_ref() {
            Some(Untrusted::SelfSigned) => {
                format!("self-signed certificate: nobody else vouches for it, and it is none of {roots}")
            }
            Some(Untrusted::IssuedBy(issuer)) => {
                format!("unknown issuer \"{issuer}\": the certificate leads to none of {roots}")
            }
            None => inner.to_string(),
        },
        other => other.to_string(),
    }
}

/// Why a handshake failed otherwise.
pub(super) fn handshake_text(error: &Error) -> String {
    match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "WRONG_VERSION_NUMBER: the origin answered plain HTTP on a TLS port, or something else that is not TLS"
                .to_owned()
        }
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => format!("UNSUPPORTED_PROTOCOL: the origin {TOO_OLD}"),
        Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => {
            "ALPN mismatch: the origin chose an HTTP version that was not offered".to_owned()
        }
        Error::AlertReceived(alert) => {
            use AlertDescription as A;
            let hint = match alert {
                A::CertificateRequired => "; it asks for a client certificate".to_owned(),
                A::BadCertificate | A::CertificateUnknown | A::UnknownCA | A::AccessDenied => {
                    "; it does not accept the client certificate, or that there is none".to_owned()
                }
                A::HandshakeFailure => {
                    "; it may want a client certificate, or other cipher suites".to_owned()
                }
                A::UnrecognisedName => "; it does not know the SNI that was sent".to_owned(),
                A::NoApplicationProtocol => {
                    "; ALPN mismatch: it speaks none of the HTTP versions offered".to_owned()
                }
                A::ProtocolVersion => format!("; it {TOO_OLD}"),
                _ => String::new(),
            };
            let words = in_words(&format!("{alert:?}").replace("ised", "ized")); // as OpenSSL spells it
            let constant = words.replace(' ', "_").to_ascii_uppercase();
            format!("TLSV1_ALERT_{constant}: the origin ended TLS with \"{words}\"{hint}")
        }
        other => other.to_string(),
    }
}

/// `handshake failure` of `HandshakeFailure`.
fn in_words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() && !words.ends_with(' ') {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// The date (UTC) as `2026-11-22`, by the civil-from-days computation of H. Hinnant.
pub(super) fn day(time: UnixTime) -> String {
    let days = time.as_secs() / 86_400 + 719_468; // since 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
