//! TLS towards origins: who is trusted, which names must be on the certificate, and the handshake.
//!
//! The only place that names rustls (this file and its folder). It opens no sockets and keeps no connections; sessions that can
//! be resumed live in the [`TlsClients`] of their upstream.

pub mod fitness;
mod issuer;
mod names;
mod records;
mod session;
mod stream;
mod tickets;
mod verify;
mod words;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, Error, HandshakeKind, InconsistentKeys, RootCertStore};
use tokio::net::TcpStream;

use super::connect::{self, Want};
use crate::model::upstream::{ClientIdentity, RevocationList, Roots};
use crate::model::{Failure, Protocol, TlsSpec};
pub use records::Records;
use session::Session;
pub use stream::Stream;
use tickets::Tickets;

/// Names whose sessions are kept when one upstream is called by many names, and when by one.
const SESSION_NAMES: (usize, usize) = (1024, 1);

/// Gathers the first random numbers, which takes AWS-LC about 100 ms: the first handshake would wait for it, and
/// with it all that its lane does. Blocks.
pub fn gather_randomness() {
    let _ = aws_lc_rs::default_provider().secure_random.fill(&mut [0]); // the first handshake would say so
}

/// What all TLS clients of the process share: cryptography, and root stores, each parsed once.
pub struct TlsContext {
    provider: Arc<CryptoProvider>,
    /// Trusted besides the web's or the system's roots.
    further_roots: Vec<CertificateDer<'static>>,
    /// Verifiers that are in use, by whom they trust.
    verifiers: Mutex<HashMap<Trust, Weak<WebPkiServerVerifier>>>,
}

/// Who is trusted, and who no more.
type Trust = (Roots, Option<RevocationList>);

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
            provider: Arc::new(aws_lc_rs::default_provider()),
            further_roots: certificates,
            verifiers: Mutex::new(HashMap::new()),
        })
    }

    /// The verifier for whom a policy trusts, shared by everyone who trusts the same.
    fn verifier(&self, spec: &TlsSpec) -> Result<Arc<WebPkiServerVerifier>, String> {
        let trust = (spec.roots.clone(), spec.revoked.clone());
        let mut verifiers = self.verifiers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verifier) = verifiers.get(&trust).and_then(Weak::upgrade) {
            return Ok(verifier);
        }
        let store = Arc::new(self.root_store(&spec.roots)?);
        let builder = WebPkiServerVerifier::builder_with_provider(store, self.provider.clone());
        let builder = match &spec.revoked {
            None => builder,
            // A list that is out of date says nothing: as in Envoy, nobody is trusted by it.
            Some(list) => builder.with_crls(read_lists(list)?).enforce_revocation_expiration(),
        };
        let verifier = builder
            .build()
            .map_err(|error| format!("cannot trust {}: {error}", described(&spec.roots)))?;
        verifiers.retain(|_, verifier| verifier.strong_count() > 0);
        verifiers.insert(trust, Arc::downgrade(&verifier));
        Ok(verifier)
    }

    fn root_store(&self, roots: &Roots) -> Result<RootCertStore, String> {
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

/// The TLS clients of one upstream. Both share one store of sessions.
pub struct TlsClients {
    /// Offers what the upstream's protocol allows.
    negotiate: Arc<ClientConfig>,
    /// Offers HTTP/1.1 alone, for upgrades and for clients that speak it.
    http1: Arc<ClientConfig>,
    /// The sessions of both.
    tickets: Arc<Tickets>,
    /// The SNI and the name to verify; `None`: those of the request's host.
    fixed_name: Option<ServerName<'static>>,
    protocol: Protocol,
    /// Who is trusted, for messages.
    roots: String,
}

/// What a finished handshake yields.
pub struct Secured {
    /// The encrypted stream.
    pub stream: Stream,
    /// The HTTP version to speak.
    pub alpn: Alpn,
    /// Whether a session was resumed.
    pub handshake: Handshake,
}

/// The HTTP version of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// How TLS began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// With certificates.
    Full,
    /// With a ticket of an earlier connection to the same name.
    Resumed,
}

impl TlsClients {
    /// Builds the clients of an upstream.
    ///
    /// Errors: which file or name of the policy cannot be used, and why.
    pub fn new(spec: &TlsSpec, protocol: Protocol, context: &TlsContext) -> Result<Self, String> {
        let fixed_name = spec.sni.as_ref().map(|sni| server_name(sni.as_str())).transpose()?;
        let builder = ClientConfig::builder_with_provider(context.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .dangerous() // custom verifiers are what this word is about
            .with_custom_certificate_verifier(verify::verifier(spec, context)?);
        let mut config = match &spec.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = read_identity(identity)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| unfit(identity, &error))?
            }
        };
        let names = if fixed_name.is_some() { SESSION_NAMES.1 } else { SESSION_NAMES.0 };
        let tickets = Tickets::for_names(names);
        config.resumption = Resumption::store(Arc::clone(&tickets) as Arc<_>);
        config.alpn_protocols = match protocol {
            Protocol::Negotiate => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 | Protocol::Client => vec![b"h2".to_vec()],
        };
        let mut http1 = config.clone();
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            negotiate: Arc::new(config),
            http1: Arc::new(http1),
            tickets,
            fixed_name,
            protocol,
            roots: described(&spec.roots),
        })
    }

    /// Shakes hands with the origin at `address` and verifies it.
    ///
    /// Errors: `Certificate` or `Handshake`, with the address and the reason.
    pub async fn handshake(
        &self,
        tcp: TcpStream,
        address: SocketAddr,
        request_host: &str,
        want: Want,
        records: &Rc<Records>,
    ) -> Result<Secured, Failure> {
        let name = match &self.fixed_name {
            Some(name) => name.clone(),
            None => server_name(request_host).map_err(Failure::Certificate)?,
        };
        let config = match want {
            Want::Any | Want::ClientsHttp2 => &self.negotiate,
            Want::Http1 | Want::ClientsHttp1 => &self.http1,
        };
        self.tickets.wait(&name).await;
        let begun = Session::begin(tcp, Arc::clone(config), name, Rc::clone(records)).await;
        let session = begun.map_err(|error| self.failure(&error, address))?;
        let agreed = session.agreed();
        let alpn = match (agreed.alpn_protocol(), want, self.protocol) {
            (Some(b"h2"), ..) => Alpn::Http2,
            // An origin that negotiates nothing but is known to speak HTTP/2.
            (None, Want::Any, Protocol::Http2) | (None, Want::ClientsHttp2, _) => Alpn::Http2,
            _ => Alpn::Http1,
        };
        let handshake = match agreed.handshake_kind() {
            Some(HandshakeKind::Resumed) => Handshake::Resumed,
            _ => Handshake::Full,
        };
        Ok(Secured { stream: Stream::Tls(Box::new(session)), alpn, handshake })
    }

    fn failure(&self, error: &io::Error, address: SocketAddr) -> Failure {
        let failed = |why: String| connect::at(format_args!("TLS error: {why}"), address);
        match tls_error(error) {
            Some(Error::InvalidCertificate(why)) => {
                let why = words::certificate_text(why, &self.roots);
                Failure::Certificate(failed(format!("CERTIFICATE_VERIFY_FAILED: {why}")))
            }
            Some(Error::NoCertificatesPresented) => Failure::Certificate(failed(
                "CERTIFICATE_VERIFY_FAILED: the origin showed no certificate".to_owned(),
            )),
            Some(other) => Failure::Handshake(failed(words::handshake_text(other))),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Failure::Handshake(failed(
                "the origin closed the connection during the TLS handshake".to_owned(),
            )),
            None => Failure::Handshake(failed(format!(
                "{} during the TLS handshake",
                connect::plain(error)
            ))),
        }
    }
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn described(roots: &Roots) -> String {
    match roots {
        Roots::Web => "the web's roots".to_owned(),
        Roots::System => "the system's roots".to_owned(),
        Roots::Pem { path, .. } => format!("the roots in {path}"),
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| format!("\"{host}\" is not a name that a certificate can carry"))
}

fn read_certificates(path: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
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

fn read_identity(
    identity: &ClientIdentity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let chain = read_certificates(&identity.certificate_path, &identity.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&identity.key).map_err(|error| {
        format!("{} has no private key that can be read: {error}", identity.key_path)
    })?;
    Ok((chain, key))
}

fn unfit(identity: &ClientIdentity, error: &Error) -> String {
    let (certificate, key) = (&identity.certificate_path, &identity.key_path);
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            format!("the key in {key} does not belong to the certificate in {certificate}")
        }
        other => format!("{certificate} and {key} cannot be used: {other}"),
    }
}

#[cfg(test)]
mod tests;
