//! An open, verified connection to one of an upstream's endpoints, under one deadline.
//!
//! Which endpoint is first and whether a connection is needed at all is the caller's business; so is
//! trying again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::endpoints::{Endpoint, Endpoints};
use super::guard::Guard;
use super::tls::{Alpn, Handshake, Stream};
use super::{Tls, Upstream, dial};
use crate::model::{Failure, Protocol};

/// Addresses whose errors are put into one reason; the rest is counted.
const ERRORS_SHOWN_MAX: usize = 4;

/// Which HTTP version the connection may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// The one the upstream's protocol says, or that is negotiated.
    Any,
    /// HTTP/1.1, for an upgrade.
    Http1,
}

/// What connecting needs besides the upstream; one per lane.
#[derive(Debug, Clone)]
pub struct Connector {
    /// Which addresses are never dialled.
    pub guard: Arc<Guard>,
}

/// A connection, ready for the first request.
#[derive(Debug)]
pub struct Connected {
    /// The bytes, over TLS or not.
    pub stream: Stream,
    /// The HTTP version to speak.
    pub alpn: Alpn,
    /// The endpoint it leads to, which need not be the one picked.
    pub endpoint: Arc<Endpoint>,
    /// Our own address.
    pub local: SocketAddr,
    /// How TLS began; `None` in plain text.
    pub handshake: Option<Handshake>,
    /// Time for TCP and TLS together.
    pub took: Duration,
}

/// Connects to the endpoint at index `first` or, if that one fails or is slow, to the next, all
/// within the policy's connect timeout.
///
/// `request_host` is the host of the request after any rewrite: the SNI and the name to verify where
/// the TLS settings give none.
///
/// Errors: `Misconfigured`, `Loop`, `Connect`, `ConnectTimeout`, `Certificate` or `Handshake`.
pub async fn open(
    upstream: &Upstream,
    endpoints: &Endpoints,
    first: usize,
    request_host: &str,
    want: Want,
    connector: &Connector,
) -> Result<Connected, Failure> {
    if let Some(reason) = upstream.broken() {
        return Err(Failure::Misconfigured(reason.to_owned()));
    }
    let started = Instant::now();
    let limit = upstream.policy.load().connect_timeout;
    let deadline = started + limit;

    let order = allowed(dial::order(&endpoints.list, first), &connector.guard)?;
    let (tcp, endpoint) = match timeout_at(deadline, dial::race(&order)).await {
        Ok(Ok(won)) => won,
        Ok(Err(dial::Unreachable(errors))) => return Err(Failure::Connect(listed(&errors))),
        Err(_) => return Err(Failure::ConnectTimeout(silent(&order, limit))),
    };
    let address = endpoint.address;
    let local =
        tcp.local_addr().map_err(|error| Failure::Connect(format!("{address}: {error}")))?;

    let (stream, alpn, handshake) = match &upstream.tls {
        Tls::Originate(clients) => {
            let handshake = clients.handshake(tcp, address, request_host, want);
            match timeout_at(deadline, handshake).await {
                Ok(secured) => {
                    let secured = secured?;
                    (secured.stream, secured.alpn, Some(secured.handshake))
                }
                Err(_) => {
                    let reason = format!("{address}: TLS handshake not done after {limit:?}");
                    return Err(Failure::ConnectTimeout(reason));
                }
            }
        }
        Tls::Plain => (Stream::Tcp(tcp), plain_alpn(upstream.key.protocol, want), None),
        Tls::Broken(reason) => return Err(Failure::Misconfigured(reason.clone())),
    };
    Ok(Connected { stream, alpn, endpoint, local, handshake, took: started.elapsed() })
}

/// Leaves out the addresses that lead back to us; fails when none is left.
fn allowed(order: Vec<Arc<Endpoint>>, guard: &Guard) -> Result<Vec<Arc<Endpoint>>, Failure> {
    let mut refused = None;
    let mut allowed = Vec::with_capacity(order.len());
    for endpoint in order {
        match guard.check(endpoint.address) {
            Ok(()) => allowed.push(endpoint),
            Err(failure) => refused = Some(failure),
        }
    }
    match refused {
        Some(failure) if allowed.is_empty() => Err(failure),
        _ => Ok(allowed),
    }
}

/// Without TLS nothing is negotiated: HTTP/2 is spoken to who is known to speak it.
fn plain_alpn(protocol: Protocol, want: Want) -> Alpn {
    match (protocol, want) {
        (Protocol::Http2, Want::Any) => Alpn::Http2,
        _ => Alpn::Http1,
    }
}

fn listed(errors: &[(SocketAddr, std::io::Error)]) -> String {
    let shown = errors.iter().take(ERRORS_SHOWN_MAX);
    let shown: Vec<String> = shown.map(|(address, error)| format!("{address}: {error}")).collect();
    joined(shown, errors.len())
}

fn silent(order: &[Arc<Endpoint>], limit: Duration) -> String {
    let shown = order.iter().take(ERRORS_SHOWN_MAX);
    let shown = shown.map(|endpoint| endpoint.address.to_string()).collect();
    format!("{}: no connection after {limit:?}", joined(shown, order.len()))
}

fn joined(shown: Vec<String>, count: usize) -> String {
    match count - shown.len() {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}
