//! The facts of one request, filled by plain assignments along its way and read once at its end.
//!
//! It owns no part of the message: what the log wants of the head is in [`super::Noted`].

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::stat_prefixes::Slot;
use crate::model::{Failure, Flag};

/// What is known of one request. Times are whole milliseconds; `None` means it never came to that.
#[derive(Debug, Clone)]
pub struct Record<'s> {
    /// When the first byte of the request head was seen.
    pub started: Instant,
    /// The client's address.
    pub client: SocketAddr,
    /// The address the client knocked at.
    pub local: SocketAddr,
    /// The version the client spoke; `None` when its head could not be read.
    pub version: Option<Version>,
    /// The host pattern that matched: the `host` label of the counters.
    pub route: Option<&'s str>,
    /// The name of the rule that matched: Envoy's `%ROUTE_NAME%`.
    pub rule: Option<&'s str>,
    /// Where it is counted by the stat prefix of that rule; `None`: it has none.
    pub stat_prefix: Option<Slot>,
    /// The upstream chosen, by the name Envoy would give the cluster.
    pub upstream: Option<&'s str>,
    /// The address the last attempt went to.
    pub upstream_address: Option<SocketAddr>,
    /// Our own end of the last attempt's connection.
    pub upstream_local: Option<SocketAddr>,
    /// What TLS agreed on with the upstream.
    pub tls: Option<Arc<TlsFacts>>,
    /// Attempts made to get an answer from the upstream; 0 when it was never asked.
    pub attempts: u32,
    /// Whether every retry was used up (`URX`).
    pub retries_exhausted: bool,
    /// Whether it was made to wait on purpose (`DI`).
    pub delayed: bool,
    /// Where the upstream connection came from.
    pub reused: Reuse,
    /// Status sent to the client; 0: none was.
    pub status: u16,
    /// Envoy's response flag.
    pub flag: Flag,
    /// Envoy's `%RESPONSE_CODE_DETAILS%`; the reason is put inside its braces when it is written.
    pub details: &'static str,
    /// Why the upstream could not be used, in full: `%UPSTREAM_TRANSPORT_FAILURE_REASON%`.
    pub reason: Option<Box<str>>,
    /// RFC 9209 error token; set on failures only.
    pub token: Option<&'static str>,
    /// Body bytes received from the client.
    pub bytes_in: u64,
    /// Body bytes sent to the client.
    pub bytes_out: u64,
    /// Resolving the upstream's name.
    pub dns_ms: Option<u32>,
    /// Connecting, TCP alone.
    pub connect_ms: Option<u32>,
    /// The TLS handshake.
    pub tls_ms: Option<u32>,
    /// From `started` to the upstream's response head.
    pub first_byte_ms: Option<u32>,
    /// From the request being sent to the upstream's response head: `x-envoy-upstream-service-time`.
    pub service_ms: Option<u32>,
}

impl Record<'_> {
    /// A request that begins now and has gone nowhere yet.
    pub fn begin(started: Instant, client: SocketAddr, local: SocketAddr) -> Self {
        Self {
            started,
            client,
            local,
            version: None,
            route: None,
            rule: None,
            stat_prefix: None,
            upstream: None,
            upstream_address: None,
            upstream_local: None,
            tls: None,
            attempts: 0,
            retries_exhausted: false,
            delayed: false,
            reused: Reuse::None,
            status: 0,
            flag: Flag::None,
            details: "via_upstream",
            reason: None,
            token: None,
            bytes_in: 0,
            bytes_out: 0,
            dns_ms: None,
            connect_ms: None,
            tls_ms: None,
            first_byte_ms: None,
            service_ms: None,
        }
    }

    /// Takes flag, details, token and reason from a failure. The status stays: a failure that comes
    /// after the response head does not change what the client was told.
    pub fn failed(&mut self, failure: &Failure) {
        let row = failure.row();
        self.flag = row.flag;
        self.details = if self.status == 0 { row.details } else { row.details_midway() };
        self.token = Some(row.token);
        let reason = failure.reason();
        self.reason = (!reason.is_empty()).then(|| reason.into());
    }
}

/// The HTTP version a client spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

impl Version {
    /// As Envoy's `%PROTOCOL%` prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// Where the connection that carried a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// No upstream connection was used.
    None,
    /// It was opened for this request.
    Opened,
    /// It was taken from the pool.
    Reused,
}

/// What a TLS connection to an upstream agreed on: made once a connection, shared by its requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// Protocol version, e.g. `TLSv1.3`.
    pub version: &'static str,
    /// Cipher suite, e.g. `TLS13_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// Application protocol agreed on (`h2`, `http/1.1`); empty: none.
    pub alpn: &'static str,
    /// Server name that was sent; empty: none.
    pub sni: String,
    /// Subject of the upstream's certificate; empty: not known.
    pub peer_subject: String,
    /// When the upstream's certificate ends, RFC 3339; empty: not known.
    pub peer_expiry: String,
}
