//! Whether certificates and keys that a policy names can do what they are for: a key that belongs to its
//! certificate, certificates whose time has come and not gone, roots that can be roots.
//!
//! It opens nothing and refuses nothing: a policy that cannot be used fails closed at the handshake.

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use webpki::{EndEntityCert, KeyUsage};

use super::context::{read_certificates, read_identity, unfit};
use super::{TlsContext, words};
use crate::model::TlsSpec;
use crate::model::upstream::{ClientIdentity, Roots};

/// Something about a file that keeps it from its purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The file, by the name that the policy has for it.
    pub file: String,
    pub purpose: Purpose,
    /// What is wrong, in a sentence.
    pub why: String,
}

/// What a file is for, and how bad it is that it is not fit for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To show who the client is: the origin will refuse it.
    Identity,
    /// To say who is trusted: nobody is.
    Trust,
    /// To say who is trusted, which others may refuse; here it still counts.
    DatedTrust,
}

impl TlsContext {
    /// Everything about the files of a policy that keeps them from their purpose, by the clock that
    /// handshakes go by.
    pub fn unfit(&self, spec: &TlsSpec) -> Vec<Unfit> {
        DefaultTimeProvider.current_time().map_or_else(Vec::new, |now| self.unfit_at(spec, now))
    }

    pub(super) fn unfit_at(&self, spec: &TlsSpec, now: UnixTime) -> Vec<Unfit> {
        let mut found = Vec::new();
        if let Some(identity) = &spec.identity {
            self.unfit_identity(identity, now, &mut found);
        }
        if let (Roots::Pem { path, pem }, false) = (&spec.roots, spec.skip_verify) {
            match self.verifier(spec) {
                Err(why) => {
                    found.push(Unfit { file: path.clone(), purpose: Purpose::Trust, why });
                }
                Ok(_) => dated(path, pem, Purpose::DatedTrust, now, &mut found),
            }
        }
        found
    }

    fn unfit_identity(&self, identity: &ClientIdentity, now: UnixTime, found: &mut Vec<Unfit>) {
        let purpose = Purpose::Identity;
        let key = || identity.key_path.clone();
        match read_identity(identity) {
            Err(why) if why.starts_with(&identity.certificate_path) => {
                let file = identity.certificate_path.clone();
                return found.push(Unfit { file, purpose, why });
            }
            Err(why) => return found.push(Unfit { file: key(), purpose, why }),
            Ok((chain, private)) => {
                if let Err(error) = CertifiedKey::from_der(chain, private, &self.provider) {
                    let why = unfit(identity, &error);
                    return found.push(Unfit { file: key(), purpose, why });
                }
            }
        }
        dated(&identity.certificate_path, &identity.certificate, purpose, now, found);
    }
}

/// Finds the certificates of a file whose time has not come, or has gone.
fn dated(file: &str, pem: &[u8], purpose: Purpose, now: UnixTime, found: &mut Vec<Unfit>) {
    let certificates = read_certificates(file, pem).unwrap_or_default();
    for (index, certificate) in certificates.iter().enumerate() {
        if let Some(why) = out_of_date(certificate, now) {
            let which = match certificates.len() {
                1 => "the certificate".to_owned(),
                count => format!("certificate {} of {count}", index + 1),
            };
            let why = format!("{which} in {file} {why}");
            found.push(Unfit { file: file.to_owned(), purpose, why });
        }
    }
}

/// A path without anybody to trust is never found, but the dates are looked at first.
fn out_of_date(certificate: &CertificateDer<'_>, now: UnixTime) -> Option<String> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let usage = KeyUsage::client_auth();
    match certificate.verify_for_usage(&[], &[], &[], now, usage, None, None).err()? {
        webpki::Error::CertExpired { not_after, .. } => {
            Some(format!("has expired on {}", words::day(not_after)))
        }
        webpki::Error::CertNotValidYet { not_before, .. } => {
            Some(format!("is not yet valid, but only from {}", words::day(not_before)))
        }
        _ => None,
    }
}
