//! TLS towards origins: who is trusted, which names must be on the certificate, and the handshake.
//!
//! The only file that names rustls. It opens no sockets and keeps no connections; sessions that can
//! be resumed live in the [`TlsClients`] of their upstream.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
/// The types of certificates and names, for `names`, which does not need the rest of rustls.
pub(super) use rustls::pki_types;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName,
    Error, HandshakeKind, InconsistentKeys, InvalidMessage, OtherError, RootCertStore,
    SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connect::Want;
use super::names::{AltName, NamesDiffer};
use crate::model::upstream::{ClientIdentity, Roots};
use crate::model::{Failure, Protocol, TlsSpec};

/// Names whose sessions are kept when one upstream is called by many names, and when by one.
const SESSION_NAMES: (usize, usize) = (1024, 1);
/// rustls keeps this many tickets for a name, and counts its limit in tickets.
const TICKETS_PER_NAME: usize = 8;

/// What all TLS clients of the process share: cryptography, and root stores, each parsed once.
pub struct TlsContext {
    provider: Arc<CryptoProvider>,
    /// Trusted besides the web's or the system's roots.
    further_roots: Vec<CertificateDer<'static>>,
    /// Verifiers that are in use, by their roots.
    verifiers: Mutex<HashMap<Roots, Weak<WebPkiServerVerifier>>>,
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
            provider: Arc::new(aws_lc_rs::default_provider()),
            further_roots: certificates,
            verifiers: Mutex::new(HashMap::new()),
        })
    }

    /// The verifier for these roots, shared by everyone who trusts the same.
    fn verifier(&self, roots: &Roots) -> Result<Arc<WebPkiServerVerifier>, String> {
        let mut verifiers = self.verifiers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verifier) = verifiers.get(roots).and_then(Weak::upgrade) {
            return Ok(verifier);
        }
        let store = Arc::new(self.root_store(roots)?);
        let verifier = WebPkiServerVerifier::builder_with_provider(store, self.provider.clone())
            .build()
            .map_err(|error| format!("cannot trust {}: {error}", described(roots)))?;
        verifiers.retain(|_, verifier| verifier.strong_count() > 0);
        verifiers.insert(roots.clone(), Arc::downgrade(&verifier));
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
    negotiate: TlsConnector,
    /// Offers HTTP/1.1 alone, for upgrades.
    http1: TlsConnector,
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
            .with_custom_certificate_verifier(verifier(spec, context)?);
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
        config.resumption = Resumption::in_memory_sessions(names * TICKETS_PER_NAME);
        config.alpn_protocols = match protocol {
            Protocol::Negotiate => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        let mut http1 = config.clone();
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            negotiate: Arc::new(config).into(),
            http1: Arc::new(http1).into(),
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
    ) -> Result<Secured, Failure> {
        let name = match &self.fixed_name {
            Some(name) => name.clone(),
            None => server_name(request_host).map_err(Failure::Certificate)?,
        };
        let connector = match want {
            Want::Any => &self.negotiate,
            Want::Http1 => &self.http1,
        };
        let stream = match connector.connect(name, tcp).await {
            Ok(stream) => stream,
            Err(error) => return Err(self.failure(&error, address)),
        };
        let session = stream.get_ref().1;
        let alpn = match (session.alpn_protocol(), want, self.protocol) {
            (Some(b"h2"), ..) => Alpn::Http2,
            // An origin that negotiates nothing but is known to speak HTTP/2.
            (None, Want::Any, Protocol::Http2) => Alpn::Http2,
            _ => Alpn::Http1,
        };
        let handshake = match session.handshake_kind() {
            Some(HandshakeKind::Resumed) => Handshake::Resumed,
            _ => Handshake::Full,
        };
        Ok(Secured { stream: Stream::Tls(Box::new(stream)), alpn, handshake })
    }

    fn failure(&self, error: &io::Error, address: SocketAddr) -> Failure {
        match tls_error(error) {
            Some(Error::InvalidCertificate(why)) => {
                let why = certificate_text(why, &self.roots);
                Failure::Certificate(format!("{address}: CERTIFICATE_VERIFY_FAILED: {why}"))
            }
            Some(Error::NoCertificatesPresented) => Failure::Certificate(format!(
                "{address}: CERTIFICATE_VERIFY_FAILED: the origin showed no certificate"
            )),
            Some(other) => Failure::Handshake(format!("{address}: {}", handshake_text(other))),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Failure::Handshake(format!(
                "{address}: the origin closed the connection during the TLS handshake"
            )),
            None => Failure::Handshake(format!("{address}: {error} during the TLS handshake")),
        }
    }
}

/// What TLS has to say about an error of an open stream, such as an alert that the origin sent after
/// the handshake (TLS 1.3 refuses client certificates that late); `None`: not an error of TLS.
pub fn stream_failure(error: &io::Error) -> Option<Failure> {
    tls_error(error).map(|error| Failure::Handshake(handshake_text(error)))
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn certificate_text(error: &CertificateError, roots: &str) -> String {
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
        E::Other(OtherError(inner)) if inner.to_string().contains("CaUsedAsEndEntity") => {
            format!("self-signed certificate: it is a CA's own, and none of {roots}")
        }
        E::Other(OtherError(inner)) => inner.to_string(),
        other => other.to_string(),
    }
}

fn handshake_text(error: &Error) -> String {
    match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "WRONG_VERSION_NUMBER: the answer was not TLS; the origin speaks plain HTTP on that port"
                .to_owned()
        }
        Error::AlertReceived(alert) => {
            let hint = match alert {
                AlertDescription::CertificateRequired => "; it asks for a client certificate",
                AlertDescription::UnrecognisedName => "; it does not know the SNI that was sent",
                AlertDescription::NoApplicationProtocol => "; it speaks none of the HTTP versions offered",
                _ => "",
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
fn day(time: UnixTime) -> String {
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

fn verifier(spec: &TlsSpec, context: &TlsContext) -> Result<Arc<dyn ServerCertVerifier>, String> {
    if spec.skip_verify {
        return Ok(Arc::new(Unverified { provider: context.provider.clone() }));
    }
    let read = |names: &[String]| names.iter().map(|name| AltName::parse(name)).collect();
    Ok(Arc::new(Verified {
        chain: context.verifier(&spec.roots)?,
        any_of: Result::<Vec<_>, _>::map_err(read(&spec.subject_alt_names), |why| {
            format!("subjectAltNames: {why}")
        })?,
        service: Result::<Vec<_>, _>::map_err(read(&spec.service_alt_names), |why| {
            format!("subjectAltNames: {why}")
        })?,
    }))
}

/// Checks the chain as rustls does, then the names that were asked for.
#[derive(Debug)]
struct Verified {
    chain: Arc<WebPkiServerVerifier>,
    /// One of these; empty: the server name itself.
    any_of: Vec<AltName>,
    /// One of these besides; empty: no such rule.
    service: Vec<AltName>,
}

impl Verified {
    fn check_names(
        &self,
        leaf: &CertificateDer<'_>,
        server_name: &ServerName<'_>,
        name_matches: bool,
    ) -> Result<(), Error> {
        let leaf = webpki::EndEntityCert::try_from(leaf)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let differ = if self.any_of.is_empty() && !name_matches {
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
        let name_matches =
            match chain.verify_server_cert(leaf, intermediates, server_name, ocsp_response, now) {
                Ok(_) => true,
                Err(Error::InvalidCertificate(
                    CertificateError::NotValidForName
                    | CertificateError::NotValidForNameContext { .. },
                )) => false,
                Err(error) => return Err(error),
            };
        self.check_names(leaf, server_name, name_matches)?;
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

/// Accepts any certificate, as `insecureSkipVerify` asks; that the origin has its key is still checked.
#[derive(Debug)]
struct Unverified {
    provider: Arc<CryptoProvider>,
}

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
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The bytes of a connection to an origin.
#[derive(Debug)]
pub enum Stream {
    /// Plain text.
    Tcp(TcpStream),
    /// Over TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// The socket beneath.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
        }
    }
}

/// Vectored writes are not passed on: TLS has one record either way.
impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}
