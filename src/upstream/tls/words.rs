//! What a failure of TLS is called in the log, in the words that people search for.
//!
//! Nothing is decided here; which failure it is the caller says.

use rustls::pki_types::UnixTime;
use rustls::{
    AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible,
};

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
        E::Other(OtherError(inner)) if inner.to_string().contains("CaUsedAsEndEntity") => {
            format!("self-signed certificate: it is a CA's own, and none of {roots}")
        }
        E::Other(OtherError(inner)) => inner.to_string(),
        other => other.to_string(),
    }
}

/// Why a handshake failed otherwise.
pub(super) fn handshake_text(error: &Error) -> String {
    match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "WRONG_VERSION_NUMBER: the answer was not TLS; the origin seems to speak plain HTTP on that port"
                .to_owned()
        }
        Error::AlertReceived(alert) => {
            let hint = match alert {
                AlertDescription::CertificateRequired => "; it asks for a client certificate",
                AlertDescription::ProtocolVersion => "; it speaks neither TLS 1.2 nor 1.3 [EG041]",
                AlertDescription::UnrecognisedName => "; it does not know the SNI that was sent",
                AlertDescription::NoApplicationProtocol => "; it speaks none of the HTTP versions offered",
                _ => "",
            };
            let words = in_words(&format!("{alert:?}").replace("ised", "ized")); // as OpenSSL spells it
            let constant = words.replace(' ', "_").to_ascii_uppercase();
            format!("TLSV1_ALERT_{constant}: the origin ended TLS with \"{words}\"{hint}")
        }
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => "UNSUPPORTED_PROTOCOL: the origin speaks neither TLS 1.2 nor 1.3 [EG041]".to_owned(),
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
