//! TLS as every gateway meets it: 1.3, AES-128-GCM, X25519, an ECDSA P-256 certificate.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{self, Ticketer, cipher_suite, kx_group};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;

use super::Arguments;

/// Tickets for each full handshake: what OpenSSL's servers send.
const TICKETS: usize = 2;

/// The configuration that the arguments ask for.
///
/// Errors: files that hold no certificate or key.
pub fn config(arguments: &Arguments) -> io::Result<Arc<ServerConfig>> {
    let mut groups = vec![kx_group::X25519];
    if arguments.post_quantum {
        groups.insert(0, kx_group::X25519MLKEM768);
    }
    let provider = rustls::crypto::CryptoProvider {
        cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: groups,
        ..aws_lc_rs::default_provider()
    };
    let chain = CertificateDer::pem_file_iter(&arguments.certificate)
        .and_then(Iterator::collect)
        .map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(&arguments.key).map_err(io::Error::other)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if arguments.h2 {
        config.alpn_protocols.insert(0, b"h2".to_vec());
    }
    if arguments.no_tickets {
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
    } else {
        config.send_tls13_tickets = TICKETS;
        config.ticketer = Ticketer::new().map_err(io::Error::other)?;
    }
    Ok(Arc::new(config))
}
