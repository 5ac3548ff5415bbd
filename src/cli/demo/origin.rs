//! The demo's far side: a site that speaks HTTPS on one port and redirects to it on another.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Bytes of a request head that are read; the demo's own are far smaller.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A running site.
pub struct Origin {
    /// Where it speaks HTTPS.
    pub https: SocketAddr,
    /// Where it redirects to HTTPS.
    pub http: SocketAddr,
    /// The certificate of the authority that signed its own, in PEM.
    pub authority: Vec<u8>,
}

impl Origin {
    /// Starts a site of that name, on tasks that end with the runtime.
    pub async fn start(host: &'static str) -> Result<Self, String> {
        let (acceptor, authority) = certificate(host)?;
        let failed = |error: std::io::Error| format!("the demo's origin cannot start: {error}");
        let https = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let http = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let addresses = (https.local_addr().map_err(failed)?, http.local_addr().map_err(failed)?);
        tokio::spawn(async move {
            while let Ok((stream, _)) = https.accept().await {
                tokio::spawn(serve_https(stream, acceptor.clone()));
            }
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = http.accept().await {
                tokio::spawn(answer(stream, move |path| redirect(host, path)));
            }
        });
        Ok(Self { https: addresses.0, http: addresses.1, authority })
    }
}

/// An authority made for this moment, and a certificate of its for the host.
fn certificate(host: &str) -> Result<(TlsAcceptor, Vec<u8>), String> {
    let failed = |error: rcgen::Error| format!("the demo's certificate cannot be made: {error}");
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().map_err(failed)?;
    let authority = params.self_signed(&key).map_err(failed)?.pem().into_bytes();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().map_err(failed)?;
    let params = CertificateParams::new(vec![host.to_owned()]).map_err(failed)?;
    let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| format!("the demo's TLS cannot be set up: {error}"))?;
    Ok((TlsAcceptor::from(Arc::new(config)), authority))
}

/// TLS, or, when plain text comes instead, the answer that web servers give to that.
async fn serve_https(stream: TcpStream, acceptor: TlsAcceptor) {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1) if first == [0x16] => {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream, |path| page("200 OK", &format!("<h1>{path}, over TLS</h1>\n")))
                    .await;
            }
        }
        _ => {
            let text = "The plain HTTP request was sent to HTTPS port\n";
            answer(stream, |_| page("400 Bad Request", text)).await;
        }
    }
}

fn page(status: &str, text: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nserver: demo-origin\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    )
}

fn redirect(host: &str, path: &str) -> String {
    format!(
        "HTTP/1.1 301 Moved Permanently\r\nserver: demo-origin\r\nlocation: https://{host}{path}\r\n\
         content-length: 0\r\n\r\n"
    )
}

/// Answers requests without bodies, one after another, until the client leaves.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    respond: impl Fn(&str) -> String,
) {
    let mut head = Vec::new();
    loop {
        while let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let line = String::from_utf8_lossy(&head[..end]).into_owned();
            let path = line.split(' ').nth(1).unwrap_or("/");
            if stream.write_all(respond(path).as_bytes()).await.is_err() {
                return;
            }
            head.drain(..end + 4);
        }
        let read = stream.read_buf(&mut head).await;
        if head.len() > HEAD_BYTES_MAX || !matches!(read, Ok(1..)) {
            return;
        }
    }
}
