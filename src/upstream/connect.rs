//! An open, verified connection to one of an upstream's endpoints, under one deadline.
//!
//! Which endpoint is first and whether a connection is needed at all is the caller's business; so is
//! trying again.

use std::cell::Cell;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::endpoints::{Endpoint, Endpoints};
use super::guard::{Chosen, Guard};
use super::health::Event;
use super::limits::ConnectionPlace;
use super::proxy_protocol::{self, ClientEnds};
use super::tls::{Alpn, Handshake, Records, Stream};
use super::{Tls, Upstream, dial};
use crate::model::{Failure, Protocol};
use crate::quota::{Place, Quota};

/// Addresses whose errors are put into one reason; the rest is counted.
const REASONS_SHOWN_MAX: usize = 4;

/// Which HTTP version the connection may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// The one the upstream's protocol says, or that is negotiated.
    Any,
    /// HTTP/1.1, for an upgrade.
    Http1,
    /// HTTP/1.1, since the client speaks it.
    ClientsHttp1,
    /// HTTP/2, since the client speaks it.
    ClientsHttp2,
}

/// What connecting needs besides the upstream; one per lane.
#[derive(Debug, Clone)]
pub struct Connector {
    /// Which addresses are never dialled.
    pub guard: Arc<Guard>,
    /// How many connections have been opened and closed again.
    pub closed: Rc<Cell<u64>>,
    /// How many endpoints have been ejected, by reason.
    pub ejections: Rc<[Cell<u64>; 3]>,
    /// Connections that are open or being opened, over all upstreams and lanes.
    pub connections: Arc<Quota>,
    /// How many there may be.
    pub connections_max: u32,
    /// Memory for TLS records.
    pub records: Rc<Records>,
}

impl Default for Connector {
    fn default() -> Self {
        Self {
            guard: Arc::default(),
            closed: Rc::default(),
            ejections: Rc::default(),
            connections: Arc::default(),
            connections_max: u32::MAX,
            records: Rc::default(),
        }
    }
}

impl Connector {
    /// Whether no further connection may be opened now.
    pub fn is_full(&self) -> bool {
        self.connections.taken() >= self.connections_max
    }

    /// Notes what has become of a request to an endpoint, where the upstream is watched.
    pub fn note(&self, upstream: &Upstream, endpoint: &Endpoint, event: Event) {
        if upstream.is_watched()
            && let Some(reason) = upstream.note(endpoint, event, Instant::now())
        {
            let count = &self.ejections[reason as usize];
            count.set(count.get() + 1);
        }
    }
}

/// Counts its connection as closed when it is dropped with it.
#[derive(Debug)]
pub struct Open {
    closed: Rc<Cell<u64>>,
    _place: Place,
    /// Its place among the connections of an upstream that may have so many.
    pub limited: Option<ConnectionPlace>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.closed.set(self.closed.get() + 1);
    }
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
    /// Time for TCP.
    pub tcp_took: Duration,
    /// Time for the TLS handshake; `None` in plain text.
    pub tls_took: Option<Duration>,
    /// When it takes no further request; `None`: its age does not matter.
    pub expires: Option<Instant>,
    /// To be kept as long as the stream is.
    pub open: Open,
}

/// Connects to the endpoint at index `first` or, if that one fails or is slow, to the next, all
/// within the policy's connect timeout.
///
/// `request_host` is the host of the request after any rewrite: the SNI and the name to verify where
/// the TLS settings give none. `told` is whom the connection is for, where the origin is told that.
///
/// Errors: `Misconfigured`, `Overloaded`, `Prohibited`, `Loop`, `Connect`, `Unroutable`, `ConnectTimeout`,
/// `Certificate` or `Handshake`.
pub async fn open(
    upstream: &Upstream,
    endpoints: &Endpoints,
    first: usize,
    request_host: &str,
    want: Want,
    told: Option<ClientEnds>,
    connector: &Connector,
) -> Result<Connected, Failure> {
    if let Some(reason) = upstream.broken() {
        return Err(Failure::Misconfigured(reason.to_owned()));
    }
    let max = connector.connections_max;
    let place = Quota::take(&connector.connections, max)
        .ok_or_else(|| Failure::Overloaded(format!("{max} connections to origins are open")))?;
    let started = Instant::now();
    let policy = upstream.policy.load_full();
    let limit = policy.connect_timeout;
    let deadline = started + limit;

    let order = dial::order(&endpoints.list, first);
    let order = allowed(order, &connector.guard, upstream.chosen())?;
    let mut errors = Vec::new();
    let raced = timeout_at(deadline, dial::race(&order, &mut errors)).await;
    let refused = |one: &&Arc<Endpoint>| errors.iter().any(|(address, _)| *address == one.address);
    for endpoint in order.iter().filter(refused).chain(order.first().filter(|_| raced.is_err())) {
        connector.note(upstream, endpoint, Event::Lost);
    }
    let (mut tcp, endpoint) = match raced {
        Ok(Some(won)) => won,
        Ok(None) => return Err(unreachable(&errors)),
        Err(_) => return Err(silent(&order, &errors, limit)),
    };
    let connected = Instant::now();
    let address = endpoint.address;
    let local = tcp.local_addr().map_err(|error| Failure::Connect(refusal(&error, address)))?;

    dial::probe(&tcp, policy.keepalive)
        .map_err(|error| Failure::Connect(refusal(&error, address)))?;

    if let Some(version) = upstream.key.proxy_protocol {
        let written = timeout_at(deadline, proxy_protocol::write(&mut tcp, version, told)).await;
        if let Err(error) = written.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
            connector.note(upstream, &endpoint, Event::Lost);
            return Err(Failure::Connect(refusal(&error, address)));
        }
    }

    let (stream, alpn, handshake) = match &upstream.tls {
        Tls::Originate(clients) => {
            let records = &connector.records;
            let handshake = clients.handshake(tcp, address, request_host, want, records);
            let secured = timeout_at(deadline, handshake).await;
            if !matches!(secured, Ok(Ok(_))) {
                connector.note(upstream, &endpoint, Event::Lost);
            }
            match secured {
                Ok(secured) => {
                    let secured = secured?;
                    (secured.stream, secured.alpn, Some(secured.handshake))
                }
                Err(_) => {
                    let reason =
                        format!("connection timeout: TLS handshake not done after {limit:?}");
                    return Err(Failure::ConnectTimeout(at(reason, address)));
                }
            }
        }
        Tls::Plain => (Stream::Tcp(tcp), plain_alpn(upstream.key.protocol, want), None),
        Tls::Broken(reason) => return Err(Failure::Misconfigured(reason.clone())),
    };
    let tls_took = handshake.map(|_| connected.elapsed());
    let expires = policy.connection_age_max.map(|age| Instant::now() + age);
    let open = Open { closed: Rc::clone(&connector.closed), _place: place, limited: None };
    let tcp_took = connected - started;
    Ok(Connected { stream, alpn, endpoint, local, handshake, tcp_took, tls_took, expires, open })
}

/// Leaves out the addresses that may not be dialled; fails when none is left.
fn allowed(
    order: Vec<Arc<Endpoint>>,
    guard: &Guard,
    chosen: Chosen,
) -> Result<Vec<Arc<Endpoint>>, Failure> {
    let mut refused = None;
    let mut allowed = Vec::with_capacity(order.len());
    for endpoint in order {
        match guard.check(endpoint.address, chosen) {
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
        (Protocol::Http2, Want::Any) | (_, Want::ClientsHttp2) => Alpn::Http2,
        _ => Alpn::Http1,
    }
}

/// A reason with the address it holds for, as Envoy writes it.
pub(super) fn at(reason: impl fmt::Display, address: SocketAddr) -> String {
    format!("{reason}|remote_address:{address}")
}

/// None of the addresses let us in, each for a reason of its own.
fn unreachable(errors: &[(SocketAddr, io::Error)]) -> Failure {
    let all = |is: fn(&io::Error) -> bool| errors.iter().all(|(_, error)| is(error));
    let reason = joined(errors.iter().map(|(address, error)| refusal(error, *address)));
    if all(is_unroutable) {
        Failure::Unroutable(reason)
    } else if all(|error| error.kind() == ErrorKind::TimedOut) {
        Failure::ConnectTimeout(reason) // the kernel's patience was shorter than ours
    } else {
        Failure::Connect(reason)
    }
}

/// Time is up, and of the addresses some may have refused before.
fn silent(order: &[Arc<Endpoint>], errors: &[(SocketAddr, io::Error)], limit: Duration) -> Failure {
    let reason = format!("connection timeout: no TCP connection after {limit:?}");
    let said = errors.iter().map(|(address, error)| refusal(error, *address));
    let unheard = order.iter().map(|endpoint| endpoint.address);
    let unheard = unheard.filter(|address| !errors.iter().any(|(said, _)| said == address));
    Failure::ConnectTimeout(joined(said.chain(unheard.map(|address| at(&reason, address)))))
}

/// No packet gets there, so nobody there can have refused it.
fn is_unroutable(error: &io::Error) -> bool {
    use ErrorKind::{HostUnreachable, NetworkDown, NetworkUnreachable};
    matches!(error.kind(), HostUnreachable | NetworkDown | NetworkUnreachable)
}

/// Why one address could not be connected to, in Envoy's words, which people search for.
fn refusal(error: &io::Error, address: SocketAddr) -> String {
    let when = if is_unroutable(error) { "immediate" } else { "delayed" };
    at(format_args!("{when} connect error: {}", plain(error)), address)
}

/// The error without the number that Rust adds.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn joined(reasons: impl Iterator<Item = String>) -> String {
    let mut reasons: Vec<String> = reasons.collect();
    let more = reasons.len().saturating_sub(REASONS_SHOWN_MAX);
    if more > 0 {
        reasons.truncate(REASONS_SHOWN_MAX);
        reasons.push(format!("and {more} more"));
    }
    reasons.join("|")
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;
    use crate::model::{Addressing, Host, Policy, Security, UpstreamKey, UpstreamSpec};
    use crate::upstream::dial::tests::silent;
    use crate::upstream::tls::TlsContext;

    fn upstream(addresses: &[SocketAddr], protocol: Protocol, security: Security) -> Arc<Upstream> {
        let spec = UpstreamSpec {
            key: UpstreamKey {
                name: "outbound|80||origin.test".to_owned(),
                host: Host::parse("origin.test").expect("valid"),
                port: 80,
                security,
                protocol,
                proxy_protocol: None,
            }
            .into(),
            policy: Policy::default().into(),
            addressing: Addressing::Static(addresses.to_vec()).into(),
        };
        Upstream::new(&spec, &TlsContext::new(&[]).expect("no files"))
    }

    async fn open_it(upstream: &Upstream, want: Want, guard: Guard) -> Result<Connected, Failure> {
        let endpoints = upstream.endpoints.ready().await?;
        let connector = Connector { guard: Arc::new(guard), ..Connector::default() };
        open(upstream, &endpoints, 0, "origin.test", want, None, &connector).await
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        (listener, address)
    }

    #[tokio::test]
    async fn plain_text_speaks_the_version_it_is_told() {
        let (_listener, address) = listener().await;
        for (protocol, want, alpn) in [
            (Protocol::Negotiate, Want::Any, Alpn::Http1),
            (Protocol::Http1, Want::Any, Alpn::Http1),
            (Protocol::Http2, Want::Any, Alpn::Http2),
            (Protocol::Http2, Want::Http1, Alpn::Http1),
        ] {
            let upstream = upstream(&[address], protocol, Security::Plain);
            let connected =
                open_it(&upstream, want, Guard::default()).await.expect("someone listens");
            assert_eq!(
                (connected.alpn, connected.handshake),
                (alpn, None),
                "{protocol:?} {want:?}"
            );
            assert_eq!(connected.endpoint.address, address);
            assert_eq!(connected.stream.tcp().local_addr().expect("open"), connected.local);
        }
    }

    #[tokio::test]
    async fn our_own_listener_is_left_out_and_alone_it_is_a_loop() {
        let (_ours, ours) = listener().await;
        let (_theirs, theirs) = listener().await;
        let guard = || {
            let guard = Guard::default();
            guard.set_listening(vec![ours]);
            guard
        };
        let both = upstream(&[ours, theirs], Protocol::Http1, Security::Plain);
        let connected = open_it(&both, Want::Any, guard()).await.expect("theirs listens");
        assert_eq!(connected.endpoint.address, theirs);
        let alone = upstream(&[ours], Protocol::Http1, Security::Plain);
        let failure = open_it(&alone, Want::Any, guard()).await.expect_err("a loop");
        assert!(matches!(&failure, Failure::Loop(_)), "{failure:?}");
    }

    #[tokio::test]
    async fn when_every_address_refuses_the_reason_names_some_and_counts_the_rest() {
        let sockets: Vec<TcpSocket> = (0..6)
            .map(|_| {
                let socket = TcpSocket::new_v4().expect("a socket");
                socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
                socket // bound but not listening: refuses as long as it lives
            })
            .collect();
        let addresses: Vec<SocketAddr> =
            sockets.iter().map(|socket| socket.local_addr().expect("bound")).collect();
        let upstream = upstream(&addresses, Protocol::Http1, Security::Plain);
        let failure = open_it(&upstream, Want::Any, Guard::default()).await.expect_err("refused");
        assert!(matches!(&failure, Failure::Connect(_)), "{failure:?}");
        let reason = failure.reason();
        assert_eq!(reason.matches("Connection refused").count(), REASONS_SHOWN_MAX, "{reason}");
        assert!(reason.contains(&addresses[0].to_string()), "{reason}");
        assert!(reason.ends_with("|and 2 more"), "{reason}");
    }

    #[tokio::test]
    async fn addresses_that_never_answer_are_a_connect_timeout() {
        let (_listener, _held, silent) = silent().await;
        let upstream = upstream(&[silent.address], Protocol::Http1, Security::Plain);
        let connect_timeout = Duration::from_millis(50);
        upstream.policy.store(Arc::new(Policy { connect_timeout, ..Policy::default() }));
        let failure = open_it(&upstream, Want::Any, Guard::default()).await.expect_err("silence");
        let reason = format!(
            "connection timeout: no TCP connection after 50ms|remote_address:{}",
            silent.address
        );
        assert_eq!(failure, Failure::ConnectTimeout(reason));
    }

    #[tokio::test]
    async fn a_broken_policy_fails_closed() {
        let (_listener, address) = listener().await;
        let security = Security::Broken("no such secret".to_owned());
        let upstream = upstream(&[address], Protocol::Http1, security);
        assert_eq!(upstream.broken(), Some("no such secret"));
        let failure = open_it(&upstream, Want::Any, Guard::default()).await.expect_err("closed");
        assert_eq!(failure, Failure::Misconfigured("no such secret".to_owned()));
    }
}
