//! TLS towards origins: who is trusted, which names must be on the certificate, and the handshake.
//!
//! The only place that names rustls (this file and its folder). It opens no sockets and keeps no connections; sessions that can
//! be resumed live in the [`TlsClients`] of their upstream.

mod context;
pub mod fitness;
mod issuer;
mod names;
mod provider;
mod records;
mod session;
mod stream;
mod tickets;
mod verify;
mod words;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, Error, HandshakeKind};
use tokio::net::TcpStream;

use super::connect::{self, Want};
use crate::model::{Failure, Protocol, TlsSpec};
use context::Template;
pub use context::TlsContext;
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

/// TLS to the origins of one upstream.
pub struct TlsClients {
    /// What others may have too.
    template: Arc<Template>,
    /// Verifies the names that are listed; `None`: none are.
    verifier: Option<Arc<dyn ServerCertVerifier>>,
    /// The SNI and the name to verify; `None`: those of the request's host.
    fixed_name: Option<ServerName<'static>>,
    protocol: Protocol,
    /// There from the first handshake on: of many upstreams most are not called for long.
    pair: OnceLock<Box<Pair>>,
}

/// The two clients of an upstream and the one store of their sessions.
struct Pair {
    /// Offers what the upstream's protocol allows.
    negotiate: Arc<ClientConfig>,
    /// Offers HTTP/1.1 alone, for upgrades and for clients that speak it.
    http1: Arc<ClientConfig>,
    tickets: Arc<Tickets>,
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
    /// Makes sure that a policy can be carried out, and keeps what that takes.
    ///
    /// Errors: which file or name of the policy cannot be used, and why.
    pub fn new(spec: &TlsSpec, protocol: Protocol, context: &TlsContext) -> Result<Self, String> {
        let fixed_name = spec.sni.as_ref().map(|sni| server_name(sni.as_str())).transpose()?;
        let template = context.template(spec)?;
        let verifier = match &template.chain {
            Some(chain) => verify::of_listed_names(spec, chain)?,
            None => None,
        };
        Ok(Self { template, verifier, fixed_name, protocol, pair: OnceLock::new() })
    }

    fn pair(&self) -> &Pair {
        self.pair.get_or_init(|| Box::new(self.make_pair()))
    }

    fn make_pair(&self) -> Pair {
        let mut config = self.template.config.clone();
        if let Some(verifier) = &self.verifier {
            config.dangerous().set_certificate_verifier(Arc::clone(verifier));
        }
        let names = if self.fixed_name.is_some() { SESSION_NAMES.1 } else { SESSION_NAMES.0 };
        let tickets = Tickets::for_names(names);
        config.resumption = Resumption::store(Arc::clone(&tickets) as Arc<_>);
        config.alpn_protocols = match self.protocol {
            Protocol::Negotiate => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 | Protocol::Client => vec![b"h2".to_vec()],
        };
        let mut http1 = config.clone();
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        Pair { negotiate: Arc::new(config), http1: Arc::new(http1), tickets }
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
        let pair = self.pair();
        let config = match want {
            Want::Any | Want::ClientsHttp2 => &pair.negotiate,
            Want::Http1 | Want::ClientsHttp1 => &pair.http1,
        };
        pair.tickets.wait(&name).await;
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
                let why = words::certificate_text(why, &self.template.roots);
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

fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| format!("\"{host}\" is not a name that a certificate can carry"))
}

#[cfg(test)]
mod tests;
