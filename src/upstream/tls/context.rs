//! What TLS clients have in common: cryptography, who is trusted, and who the gateway says it is.
//!
//! All of it is read once, however many upstreams ask for the same. What is an upstream's own (names, HTTP versions,
//! sessions) is left to its `TlsClients`.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::{ClientConfig, Error, InconsistentKeys, RootCertStore};

use super::provider::provider;
use super::verify;
use crate::model::TlsSpec;
use crate::model::upstream::{ClientIdentity, RevocationList, Roots};

/// What all TLS clients of the process share: cryptography, and root stores, each parsed once.
pub struct TlsContext {
    pub(super) provider: Arc<CryptoProvider>,
    /// Trusted besides the web's or the system's roots.
    further_roots: Vec<CertificateDer<'static>>,
    verifiers: InUse<Trust, WebPkiServerVerifier>,
    templates: InUse<(Option<Trust>, Option<ClientIdentity>), Template>,
}

/// Who is trusted, and who no more.
type Trust = (Roots, Option<RevocationList>);

fn trust(spec: &TlsSpec) -> Trust {
    (spec.roots.clone(), spec.revoked.clone())
}

/// What policies say of TLS but for names. Those that agree in it share one.
pub(super) struct Template {
    /// Without ALPN and sessions; of names it verifies the origin's own.
    pub config: ClientConfig,
    /// Who is trusted; `None`: nobody is asked.
    pub chain: Option<Arc<WebPkiServerVerifier>>,
    /// The same, for messages.
    pub roots: String,
}

/// What upstreams share for as long as one of them has it.
struct InUse<K, V>(Mutex<HashMap<K, Weak<V>>>);

impl<K: Eq + Hash, V> InUse<K, V> {
    fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// What is there for a key, or else what is made for it.
    fn get(&self, key: K, make: impl FnOnce() -> Result<Arc<V>, String>) -> Result<Arc<V>, String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = known.get(&key).and_then(Weak::upgrade) {
            return Ok(value);
        }
        let made = make()?;
        known.retain(|_, value| value.strong_count() > 0);
        known.insert(key, Arc::downgrade(&made));
        Ok(made)
    }
}

impl TlsContext {
    /// Starts with further roots in PEM, each with the path it came from (`--cacert`). They are
    /// trusted besides the web's and the system's; a bundle of an upstream's own stays as it is.
    ///
    /// Errors: which file has no certificate, or has one that cannot be read.
    pub fn new(further_roots: &[(String, Vec<u8>)]) -> Result<Self, String> {
        let mut certificates = Vec::new();
        for (path, pem) in further_roots {
            certificates.extend(read_certificates(path, pem)?);
        }
        Ok(Self {
            provider: Arc::new(provider()),
            further_roots: certificates,
            verifiers: InUse::new(),
            templates: InUse::new(),
        })
    }

    /// What a policy shares with those that differ from it in names alone.
    ///
    /// Errors: which roots, certificate or key cannot be used, and why.
    pub(super) fn template(&self, spec: &TlsSpec) -> Result<Arc<Template>, String> {
        let trust = (!spec.skip_verify).then(|| trust(spec));
        self.templates.get((trust, spec.identity.clone()), || self.make_template(spec))
    }

    fn make_template(&self, spec: &TlsSpec) -> Result<Arc<Template>, String> {
        let chain = if spec.skip_verify { None } else { Some(self.verifier(spec)?) };
        let verifier: Arc<dyn ServerCertVerifier> = match &chain {
            Some(chain) => Arc::new(verify::Verified::by_own_name(Arc::clone(chain))),
            None => Arc::new(verify::Unverified(Arc::clone(&self.provider))),
        };
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .dangerous() // custom verifiers are what this word is about
            .with_custom_certificate_verifier(verifier);
        let mut config = match &spec.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = read_identity(identity)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| unfit(identity, &error))?
            }
        };
        config.resumption = Resumption::disabled();
        Ok(Arc::new(Template { config, chain, roots: described(&spec.roots) }))
    }

    /// The verifier for whom a policy trusts, shared by everyone who trusts the same.
    pub(super) fn verifier(&self, spec: &TlsSpec) -> Result<Arc<WebPkiServerVerifier>, String> {
        self.verifiers.get(trust(spec), || self.make_verifier(spec))
    }

    fn make_verifier(&self, spec: &TlsSpec) -> Result<Arc<WebPkiServerVerifier>, String> {
        let store = Arc::new(self.root_store(&spec.roots)?);
        let builder = WebPkiServerVerifier::builder_with_provider(store, self.provider.clone());
        let builder = match &spec.revoked {
            None => builder,
            // A list that is out of date says nothing: as in Envoy, nobody is trusted by it.
            Some(list) => builder.with_crls(read_lists(list)?).enforce_revocation_expiration(),
        };
        builder.build().map_err(|error| format!("cannot trust {}: {error}", described(&spec.roots)))
    }

    pub(super) fn root_store(&self, roots: &Roots) -> Result<RootCertStore, String> {
        let mut store = RootCertStore::empty();
        let read = match roots {
            Roots::Web => {
                store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
                self.further_roots.clone()
            }
            Roots::System => {
                let mut certificates = rustls_native_certs::load_native_certs().certs;
                certificates.extend(self.further_roots.iter().cloned());
                certificates
            }
            Roots::Pem { path, pem } => read_certificates(path, pem)?,
        };
        let (_, unusable) = store.add_parsable_certificates(read);
        if unusable > 0 {
            let roots = described(roots);
            tracing::warn!(%roots, unusable, "certificates that cannot be roots are left out");
        }
        if store.is_empty() {
            return Err(format!("{} have no certificate that can be a root", described(roots)));
        }
        Ok(store)
    }
}

fn described(roots: &Roots) -> String {
    match roots {
        Roots::Web => "the web's roots".to_owned(),
        Roots::System => "the system's roots".to_owned(),
        Roots::Pem { path, .. } => format!("the roots in {path}"),
    }
}

pub(super) fn read_certificates(
    path: &str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{path} is not PEM: {error}"))?;
    if certificates.is_empty() {
        return Err(format!("{path} has no certificate; it must be in PEM"));
    }
    Ok(certificates)
}

fn read_lists(list: &RevocationList) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    CertificateRevocationListDer::pem_slice_iter(&list.pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("{} is not PEM: {error}", list.path))
}

pub(super) fn read_identity(
    identity: &ClientIdentity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let chain = read_certificates(&identity.certificate_path, &identity.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&identity.key).map_err(|error| {
        format!("{} has no private key that can be read: {error}", identity.key_path)
    })?;
    Ok((chain, key))
}

pub(super) fn unfit(identity: &ClientIdentity, error: &Error) -> String {
    let (certificate, key) = (&identity.certificate_path, &identity.key_path);
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            format!("the key in {key} does not belong to the certificate in {certificate}")
        }
        other => format!("{certificate} and {key} cannot be used: {other}"),
    }
}
