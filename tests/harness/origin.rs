//! An origin: a server on loopback that speaks plain text or TLS, HTTP/1.1 or HTTP/2, and records all it sees.
//!
//! What it answers stands in `http1.rs` and `http2.rs`. A TLS origin that is spoken to in plain text
//! answers as nginx does, with a 400 that says so.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{
    self, HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion,
};

use super::certs::{self, Issued};
use super::{Watched, http1, http2, runtime};

/// How an origin speaks TLS.
pub struct Tls {
    /// What it shows.
    pub certificate: Issued,
    /// What it can speak, most wanted first; empty: it doesn't negotiate.
    pub alpn: &'static [&'static str],
    /// The versions it accepts.
    pub versions: &'static [&'static SupportedProtocolVersion],
    /// Who must have signed the client's certificate; `None`: it doesn't ask for one.
    pub client_authority: Option<String>,
}

impl Tls {
    /// A certificate of the trusted authority for these names, HTTP/1.1, TLS 1.2 and 1.3.
    pub fn new(names: &[&str]) -> Self {
        Self::showing(certs::trusted().issue(names))
    }

    /// This certificate, HTTP/1.1, TLS 1.2 and 1.3.
    pub fn showing(certificate: Issued) -> Self {
        Self {
            certificate,
            alpn: &["http/1.1"],
            versions: rustls::ALL_VERSIONS,
            client_authority: None,
        }
    }
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which connection it came on, counted from 1.
    pub connection: usize,
    /// The head: for HTTP/1.1 its very bytes, for HTTP/2 `METHOD target HTTP/2` and the fields.
    pub head: String,
    /// What came of the body so far.
    pub body: Vec<u8>,
    /// The fields after the body.
    pub trailers: String,
}

/// Everything an origin has seen.
#[derive(Default)]
pub struct Seen {
    /// TCP connections accepted.
    pub connections: usize,
    /// Connections that have ended.
    pub ended: usize,
    /// Connections on which a TLS origin was spoken to in plain text.
    pub plain_text: usize,
    /// Full TLS handshakes.
    pub full: usize,
    /// Resumed TLS handshakes.
    pub resumed: usize,
    /// Why handshakes failed.
    pub handshake_failures: Vec<String>,
    /// The SNI of each handshake.
    pub names: Vec<Option<String>>,
    /// The client certificate of each handshake, in DER; empty when none was shown.
    pub client_certificates: Vec<Vec<u8>>,
    /// The protocol negotiated in each handshake; empty when none was.
    pub protocols: Vec<String>,
    /// Requests in the order their heads came.
    pub requests: Vec<Request>,
    /// Whether answers that are held back may go.
    pub released: bool,
    /// Answers given as raw bytes, by path.
    pub raw: HashMap<String, Vec<u8>>,
    /// Answers to the next requests, by path, in turn.
    pub scripts: HashMap<String, VecDeque<Scripted>>,
}

/// One answer of a script; after the last of them the path is answered as ever.
#[derive(Clone, Debug)]
pub enum Scripted {
    /// A status with these lines of a head, each with its line end, and this body, over HTTP/1.1.
    Status(u16, &'static str, &'static str),
    /// The end of the connection, or of the stream, once the request is read.
    End,
    /// The end of the connection before the body is read, over HTTP/1.1.
    EndAtHead,
    /// Nothing, for ever.
    Silence,
    /// REFUSED_STREAM once the request is read, over HTTP/2.
    Refused,
    /// A gRPC response without messages and with this status, over HTTP/2.
    Grpc(&'static str),
}

/// What the connections of one origin share.
#[derive(Default)]
pub struct Shared {
    /// What was seen.
    pub seen: Watched<Seen>,
    /// Wakes answers that are held back.
    pub release: tokio::sync::Notify,
}

/// A running origin; dropping it closes everything.
pub struct Origin {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Origin {
    /// An origin without TLS; it takes HTTP/1.1, and HTTP/2 with prior knowledge.
    pub fn plain() -> Self {
        Self::on(listen("127.0.0.1:0"), None)
    }

    /// An origin with a good certificate for these names.
    pub fn tls(names: &[&str]) -> Self {
        Self::with(Tls::new(names))
    }

    /// An origin with this TLS.
    pub fn with(tls: Tls) -> Self {
        Self::on(listen("127.0.0.1:0"), Some(tls))
    }

    /// Origins without TLS on 127.0.0.1, 127.0.0.2 and so on, all on one port.
    pub fn plain_group(size: u8) -> Vec<Self> {
        let mut listeners = super::until("a port that is free on several addresses", || {
            let first = listen("127.0.0.1:0");
            let port = first.local_addr().ok()?.port();
            let rest = (2..=size).map(|last| {
                std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, last], port))).ok()
            });
            std::iter::once(Some(first)).chain(rest).collect::<Option<Vec<_>>>()
        });
        listeners.drain(..).map(|listener| Self::on(listener, None)).collect()
    }

    fn on(listener: std::net::TcpListener, tls: Option<Tls>) -> Self {
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let acceptor = tls.as_ref().map(acceptor);
        let task = runtime().spawn(accept(listener, acceptor, shared.clone()));
        Self { address, shared, task }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Answers requests for the path with these bytes and closes the connection.
    pub fn raw(&self, path: &str, bytes: &[u8]) {
        self.shared.seen.change(|seen| seen.raw.insert(path.to_owned(), bytes.to_vec()));
    }

    /// Answers the next requests for the path so, one after the other.
    pub fn script(&self, path: &str, answers: &[Scripted]) {
        let answers = answers.iter().cloned().collect();
        self.shared.seen.change(|seen| seen.scripts.insert(path.to_owned(), answers));
    }

    /// How many requests came for the path.
    pub fn count(&self, path: &str) -> usize {
        let path = format!("{path} ");
        self.seen(|seen| seen.requests.iter().filter(|one| one.head.contains(&path)).count())
    }

    /// Lets go of the answers to `/hold`.
    pub fn release(&self) {
        self.shared.seen.change(|seen| seen.released = true);
        self.shared.release.notify_waiters();
    }

    /// Looks at what was seen so far.
    pub fn seen<R>(&self, look: impl FnOnce(&Seen) -> R) -> R {
        self.shared.seen.look(look)
    }

    /// Waits until something was seen.
    pub fn wait<R>(&self, what: &str, found: impl FnMut(&Seen) -> Option<R>) -> R {
        match self.shared.seen.wait_for(found) {
            Some(result) => result,
            None => panic!("the origin never saw {what}; it saw {:#?}", self.requests()),
        }
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.seen(|seen| seen.requests.clone())
    }

    /// The head of the latest request, or nothing.
    pub fn last_head(&self) -> String {
        self.seen(|seen| {
            seen.requests.last().map(|request| request.head.clone()).unwrap_or_default()
        })
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.seen(|seen| seen.connections)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn listen(address: &str) -> std::net::TcpListener {
    std::net::TcpListener::bind(address).expect("a socket on loopback")
}

/// Accepts handshakes like this.
pub fn acceptor(tls: &Tls) -> TlsAcceptor {
    TlsAcceptor::from(Arc::new(server_config(tls)))
}

fn server_config(tls: &Tls) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(tls.versions)
        .expect("versions that the provider knows");
    let builder = match &tls.client_authority {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            let der = rustls_pem(pem);
            roots.add(der).expect("an authority");
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let chain = vec![CertificateDer::from(tls.certificate.der.clone())];
    let key = PrivateKeyDer::try_from(tls.certificate.key_der.clone()).expect("a PKCS#8 key");
    let mut config = builder.with_single_cert(chain, key).expect("a certificate with its key");
    config.alpn_protocols = tls.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

fn rustls_pem(pem: &str) -> CertificateDer<'static> {
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate in PEM")
}

async fn accept(
    listener: std::net::TcpListener,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
) {
    listener.set_nonblocking(true).expect("a listener can be non-blocking");
    let listener = TcpListener::from_std(listener).expect("inside a runtime");
    let mut connections = tokio::task::JoinSet::new(); // dropped with this task, and they with it
    while let Ok((stream, _)) = listener.accept().await {
        let number = shared.seen.change(|seen| {
            seen.connections += 1;
            seen.connections
        });
        let (acceptor, shared) = (acceptor.clone(), shared.clone());
        connections.spawn(async move {
            connection(stream, acceptor, number, &shared).await;
            shared.seen.change(|seen| seen.ended += 1);
        });
    }
}

/// The first bytes of every HTTP/2 connection (RFC 9113, section 3.4), as far as they are needed.
const PREFACE: &[u8] = b"PRI * HT";

async fn connection(
    mut stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    number: usize,
    shared: &Arc<Shared>,
) {
    let _ = stream.set_nodelay(true);
    let mut first = [0; PREFACE.len()];
    let Ok(length) = stream.peek(&mut first).await else { return };
    let Some(acceptor) = acceptor else {
        if length > 0 && first[0] == 0x16 {
            // What a web server says to a TLS hello on a plain port.
            let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
            let _ = stream.write_all(answer).await;
            return http1::drain(stream).await;
        }
        return match &first[..length] == PREFACE {
            true => http2::serve(stream, number, shared).await,
            false => http1::serve(stream, number, shared).await,
        };
    };
    if length > 0 && first[0] != 0x16 {
        shared.seen.change(|seen| seen.plain_text += 1);
        let body = "The plain HTTP request was sent to HTTPS port";
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(answer.as_bytes()).await;
        return http1::drain(stream).await;
    }
    match acceptor.accept(stream).into_fallible().await {
        Err((error, stream)) => {
            shared.seen.change(|seen| seen.handshake_failures.push(error.to_string()));
            // Closing with bytes unread would reset the connection and take the alert away.
            http1::drain(stream).await;
        }
        Ok(stream) => {
            note_handshake(stream.get_ref().1, shared);
            match stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                true => http2::serve(stream, number, shared).await,
                false => http1::serve(stream, number, shared).await,
            }
        }
    }
}

fn note_handshake(session: &rustls::ServerConnection, shared: &Shared) {
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    shared.seen.change(|seen| {
        match session.handshake_kind() {
            Some(HandshakeKind::Resumed) => seen.resumed += 1,
            _ => seen.full += 1,
        }
        seen.names.push(session.server_name().map(str::to_owned));
        seen.client_certificates.push(certificate.map(|der| der.to_vec()).unwrap_or_default());
        let protocol = session.alpn_protocol().unwrap_or_default();
        seen.protocols.push(String::from_utf8_lossy(protocol).into_owned());
    });
}

/// What the HTTP versions ask of a connection.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for T {}
