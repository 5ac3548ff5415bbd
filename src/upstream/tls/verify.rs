//! Whether an origin's certificate is acceptable: the chain as rustls checks it, then the names.
//!
//! Who is trusted is decided before (`context`), and what a refusal is called after (`words`).

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};

use super::issuer::Untrusted;
use super::names::{AltName, NamesDiffer};
use crate::model::TlsSpec;

/// The verifier that a TLS policy asks for by listing names; `None`: it lists none.
///
/// Errors: which name cannot be used.
pub(super) fn of_listed_names(
    spec: &TlsSpec,
    chain: &Arc<WebPkiServerVerifier>,
) -> Result<Option<Arc<dyn ServerCertVerifier>>, String> {
    let any_of = parse_names(&spec.subject_alt_names)?;
    let service = parse_names(&spec.service_alt_names)?;
    if any_of.is_empty() && service.is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(Verified { chain: Arc::clone(chain), any_of, service })))
}

fn parse_names(names: &[String]) -> Result<Vec<AltName>, String> {
    let parsed = names.iter().map(|name| AltName::parse(name)).collect::<Result<_, _>>();
    parsed.map_err(|why| format!("subjectAltNames: {why}"))
}

/// Checks the chain as rustls does, then the names that were asked for.
#[derive(Debug)]
pub(super) struct Verified {
    chain: Arc<WebPkiServerVerifier>,
    /// One of these; empty: the server name itself.
    any_of: Vec<AltName>,
    /// One of these besides; empty: no such rule.
    service: Vec<AltName>,
}

/// Whether the certificate bears the server name itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OwnName {
    There,
    Missing,
}

impl Verified {
    /// Asks for the server name itself.
    pub fn by_own_name(chain: Arc<WebPkiServerVerifier>) -> Self {
        Self { chain, any_of: Vec::new(), service: Vec::new() }
    }

    fn check_names(
        &self,
        leaf: &CertificateDer<'_>,
        server_name: &ServerName<'_>,
        own_name: OwnName,
    ) -> Result<(), Error> {
        let leaf = webpki::EndEntityCert::try_from(leaf)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let differ = if self.any_of.is_empty() && own_name == OwnName::Missing {
            NamesDiffer::new(&[server_name.to_str()], &leaf)
        } else if !self.any_of.is_empty() && !self.any_of.iter().any(|name| name.is_on(&leaf)) {
            NamesDiffer::new(&self.any_of, &leaf)
        } else if !self.service.is_empty() && !self.service.iter().any(|name| name.is_on(&leaf)) {
            NamesDiffer::new(&self.service, &leaf)
        } else {
            return Ok(());
        };
        Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(differ)))))
    }
}

impl ServerCertVerifier for Verified {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = &self.chain;
        // The chain is checked before the name, so a complaint about the name says the chain is good.
        let own_name =
            match chain.verify_server_cert(leaf, intermediates, server_name, ocsp_response, now) {
                Ok(_) => OwnName::There,
                Err(Error::InvalidCertificate(
                    CertificateError::NotValidForName
                    | CertificateError::NotValidForNameContext { .. },
                )) => OwnName::Missing,
                Err(error) => return Err(named(error, leaf, intermediates)),
            };
        self.check_names(leaf, server_name, own_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, leaf, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.chain.root_hint_subjects()
    }
}

/// An error that says who the issuer is, where it is about the issuer. A CA's own certificate shown as a
/// server's is refused as such; all the same it is one that nobody else vouches for.
fn named(error: Error, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Error {
    let of_issuer = match &error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
            inner.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
        }
        _ => false,
    };
    if !of_issuer {
        return error;
    }
    let untrusted = Arc::new(Untrusted::of(leaf, intermediates));
    Error::InvalidCertificate(CertificateError::Other(OtherError(untrusted)))
}

/// Accepts any certificate, as `insecureSkipVerify` asks; that the origin has its key is still checked.
#[derive(Debug)]
pub(super) struct Unverified(pub Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
