//! One attempt: a connection out of the pool or a fresh one, and the request's head on it.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::timeout_at;

use super::answer::Sent;
use super::apart::apart;
use super::exchange::Order;
use super::headers::loops;
use super::lane::Lane;
use super::limits;
use super::pick;
use super::places::{Leave, Queue};
use super::retry::Tried;
use crate::model::{Failure, Limit, Security};
use crate::observe::{Handshake, Record, Reuse, UpstreamEvent};
use crate::transport::{Broken, Buffers, HeadError, Peer};
use crate::upstream::connect::{self, Connected, Want};
use crate::upstream::endpoints::{Endpoint, Endpoints};
use crate::upstream::pool::{Checkout, Key};
use crate::upstream::tls::{self, Alpn};
use crate::upstream::{h1, h2};
use crate::wire::parse::HeadLimits;
use crate::wire::{Framing, Head, Refusal, fields, framing};

/// A connection to an origin in a request's hand.
#[derive(Debug)]
pub enum Carrier {
    /// HTTP/1.1, the request's own.
    H1(Box<h1::Connection>),
    /// HTTP/2, one stream of a shared one.
    H2(Box<h2::Stream>),
}

/// Gets a connection and puts the request's head on it.
pub async fn send<'s>(
    order: &mut Order<'_, 's>,
    tried: &Tried,
    record: &mut Record<'s>,
    lane: &Rc<Lane>,
) -> Result<Carrier, Failure> {
    if let Some(reason) = order.upstream.broken() {
        return Err(Failure::Misconfigured(reason.to_owned()));
    }
    let endpoints = match pick::known(order.upstream, lane)? {
        Some(endpoints) => endpoints,
        None => apart(pick::first(order, lane)).await?,
    };
    let first = pick::pick(order, &endpoints, tried, lane);
    let ready = checkout(order, &endpoints, first, tried, lane).await?;
    match ready {
        Ready::H1(connection) => {
            lane.stats.borrow_mut().upstream_connection(UpstreamEvent::Reused);
            record.reused = Reuse::Reused;
            Ok(send_h1(connection, order, record, lane))
        }
        Ready::H2(shared) => {
            lane.stats.borrow_mut().upstream_connection(UpstreamEvent::Reused);
            record.reused = Reuse::Reused;
            apart(send_h2(shared, order, record, lane)).await
        }
        Ready::Open(leave) => apart(open(order, &endpoints, first, leave, record, lane)).await,
    }
}

/// What the pool had.
enum Ready {
    H1(Box<h1::Connection>),
    H2(h2::Shared),
    Open(Leave),
}

async fn checkout(
    order: &Order<'_, '_>,
    endpoints: &Endpoints,
    first: usize,
    tried: &Tried,
    lane: &Rc<Lane>,
) -> Result<Ready, Failure> {
    let mut queue = Queue::before(order.upstream);
    let mut patient_until = None;
    loop {
        // A connection that is unused belongs to whoever has waited for longest.
        let found =
            if queue.is_behind() { None } else { look(order, endpoints, first, tried, lane) };
        let permit = match found {
            None => None,
            Some(Checkout::Reuse(connection)) => return Ok(Ready::H1(connection)),
            Some(Checkout::Share(shared)) => return Ok(Ready::H2(shared)),
            Some(Checkout::Connect(permit)) => Some(permit),
            Some(Checkout::Wait(opening)) => {
                queue.count_as_waiting(lane)?;
                // For all those before us together, not for longer than one of our own would be given.
                let limit = order.upstream.policy.load().connect_timeout;
                let until = *patient_until.get_or_insert_with(|| lane.clock() + limit);
                let ended = apart(timeout_at(until, opening.ended.notified()));
                if ended.await.is_ok() {
                    continue;
                }
                None
            }
        };
        if let Some(leave) = queue.leave(permit, lane) {
            return Ok(Ready::Open(leave));
        }
        apart(queue.wait(lane)).await?;
    }
}

/// What the pool has; `None`: it is not asked, since only a fresh connection will do.
fn look(
    order: &Order<'_, '_>,
    endpoints: &Endpoints,
    first: usize,
    tried: &Tried,
    lane: &Lane,
) -> Option<Checkout> {
    if tried.needs_fresh() {
        return None;
    }
    let key = key(order, endpoints, first);
    let alive = |connection: &mut Box<h1::Connection>| connection.is_alive(&lane.buffers);
    let now = lane.deadlines.now();
    Some(lane.pools.borrow_mut().checkout(key, order.want, now, alive))
}

/// Whose connections will do for a request.
fn key<'k>(order: &'k Order<'_, '_>, endpoints: &Endpoints, first: usize) -> Key<'k> {
    Key {
        upstream: order.upstream.id,
        name: match &order.told {
            Some(told) => &told.name,
            None => order.upstream.server_name(order.server_name).unwrap_or_default(),
        },
        address: endpoints.pool_address(&endpoints.list[first]),
    }
}

async fn open<'s>(
    order: &mut Order<'_, 's>,
    endpoints: &Endpoints,
    first: usize,
    leave: Leave,
    record: &mut Record<'s>,
    lane: &Rc<Lane>,
) -> Result<Carrier, Failure> {
    record.upstream_address = Some(endpoints.list[first].address);
    let Leave { permit, connection: place, waiting } = leave;
    let _waiting = match waiting {
        Some(waiting) => waiting,
        None => limits::wait_for(order.upstream, lane)?,
    };
    if lane.connector.is_full() {
        lane.pools.borrow_mut().relieve();
    }
    let opened = connect::open(
        order.upstream,
        endpoints,
        first,
        order.server_name,
        order.want,
        order.told.as_ref().map(|told| told.ends),
        &lane.connector,
    )
    .await;
    let connected = match opened {
        Ok(mut connected) => {
            connected.open.limited = place;
            connected
        }
        Err(failure) => {
            lane.stats.borrow_mut().upstream_connection(UpstreamEvent::Failed);
            if matches!(failure, Failure::Overloaded(_)) {
                let what = format_args!("no connection to {} is opened", order.upstream.key.name);
                lane.limit_reached(Limit::UpstreamConnections, what);
            }
            return Err(failure);
        }
    };
    count(&connected, lane);
    record.reused = Reuse::Opened;
    record.connect_ms = Some(u32::try_from(connected.took.as_millis()).unwrap_or(u32::MAX));
    // A connection for an upgrade had no choice, and says nothing about what the origin would choose.
    if let Some(permit) = &permit
        && order.want == Want::Any
    {
        permit.speaks(connected.alpn);
    }
    let address = endpoints.pool_address(&connected.endpoint);
    let key = Key { address, ..key(order, endpoints, first) };
    let home = lane.pools.borrow_mut().home(key);
    match connected.alpn {
        Alpn::Http1 => {
            let connection = Box::new(h1::Connection::new(connected, home));
            Ok(send_h1(connection, order, record, lane))
        }
        Alpn::Http2 => {
            let scheme = match order.upstream.key.security {
                Security::Plain => "http",
                _ => "https",
            };
            let head_bytes = u32::try_from(lane.limits.response_head_bytes).unwrap_or(u32::MAX);
            let policy = order.upstream.policy.load_full();
            let begun = h2::Shared::begin(connected, scheme, head_bytes, &policy).await;
            let shared = begun.map_err(|broken| {
                Failure::Handshake(format!("HTTP/2 could not begin: {broken:?}"))
            })?;
            home.share(shared.clone(), policy.idle_timeout);
            send_h2(shared, order, record, lane).await
        }
    }
}

fn count(connected: &Connected, lane: &Lane) {
    let mut stats = lane.stats.borrow_mut();
    stats.upstream_connection(UpstreamEvent::Opened);
    match connected.handshake {
        Some(tls::Handshake::Full) => stats.handshake(Handshake::Full),
        Some(tls::Handshake::Resumed) => stats.handshake(Handshake::Resumed),
        None => {}
    }
}

fn send_h1(
    mut connection: Box<h1::Connection>,
    order: &mut Order<'_, '_>,
    record: &mut Record<'_>,
    lane: &Lane,
) -> Carrier {
    record.upstream_address = Some(connection.endpoint.address);
    record.upstream_local = Some(connection.local);
    loops::mark(order.head, &lane.headers, &order.upstream.key.security, &connection.endpoint);
    if order.framing == Framing::Chunked {
        order.head.remove(b"content-length"); // HTTP/2 may announce nothing, and leave the end open
        order.head.set(b"transfer-encoding", b"chunked");
    }
    connection.request(order.head, order.framing, &lane.buffers);
    Carrier::H1(connection)
}

async fn send_h2(
    shared: h2::Shared,
    order: &mut Order<'_, '_>,
    record: &mut Record<'_>,
    lane: &Lane,
) -> Result<Carrier, Failure> {
    record.upstream_address = Some(shared.endpoint.address);
    record.upstream_local = Some(shared.local);
    loops::mark(order.head, &lane.headers, &order.upstream.key.security, &shared.endpoint);
    order.head.remove(b"transfer-encoding");
    let body = if order.framing == Framing::Empty { h2::Body::Empty } else { h2::Body::Follows };
    let patience = order.upstream.policy.load().connect_timeout;
    match shared.request(order.head, body, patience).await {
        Ok(stream) => Ok(Carrier::H2(Box::new(stream))),
        // Not begun at all: as good as a connection that could not be opened.
        Err(Broken::Unprocessed(reason)) => Err(Failure::Connect(reason)),
        Err(Broken::Reset(reason)) => Err(Failure::Reset(reason)),
        Err(Broken::Tls(reason)) => Err(Failure::Handshake(reason)),
        Err(Broken::Violated(reason)) => Err(Failure::Malformed(reason)),
        // It cannot be said in HTTP/2; nothing was heard yet that the origin could be blamed for.
        Err(Broken::Malformed(refusal)) => Err(refusal.into()),
        Err(Broken::Closed | Broken::Aborted(_)) => Err(Failure::Closed),
    }
}

impl Carrier {
    /// Where it leads.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        match self {
            Self::H1(connection) => &connection.endpoint,
            Self::H2(stream) => &stream.shared.endpoint,
        }
    }

    /// Whether other requests went over its connection before.
    pub fn was_used_before(&self) -> bool {
        match self {
            Self::H1(connection) => connection.served > 1,
            Self::H2(stream) => stream.shared.served() > 1,
        }
    }

    /// Whether it can carry no further request: an HTTP/1.1 connection that failed, or a shared one that ended.
    pub fn is_over(&self) -> bool {
        match self {
            Self::H1(_) => true,
            Self::H2(stream) => stream.shared.is_over(),
        }
    }

    /// How much of the request can have reached the origin.
    pub fn sent(&self) -> Sent {
        match self {
            Self::H1(connection) if !connection.messages.has_written() => Sent::Nothing,
            Self::H1(_) | Self::H2(_) => Sent::Something,
        }
    }

    /// Whether bytes of a response head have come that is not complete yet.
    pub fn has_begun_answer(&self) -> bool {
        match self {
            Self::H1(connection) => !connection.messages.unread().is_empty(),
            Self::H2(_) => false,
        }
    }

    /// The next response head, interim ones included.
    pub fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        limits: &HeadLimits,
        buffers: &Buffers,
    ) -> Poll<Result<Head, Broken>> {
        match self {
            Self::H1(connection) => {
                connection.poll_response(cx, limits, buffers).map_err(|error| match error {
                    HeadError::Closed => Broken::Closed,
                    HeadError::Truncated(error) => error.into(),
                    HeadError::Refused(refusal) => Broken::Malformed(refusal),
                })
            }
            Self::H2(stream) => stream.poll_response(cx, buffers),
        }
    }

    /// How the body behind a final head is framed; an HTTP/1.1 connection reads it so from here on.
    pub fn expect_body(
        &mut self,
        head: &Head,
        method: &[u8],
        want: Want,
    ) -> Result<Framing, String> {
        let framing =
            framing::response(head, method).map_err(|refusal: Refusal| refusal.reason())?;
        match self {
            Self::H1(_) if framing == Framing::Tunnel && want != Want::Http1 => {
                Err("it switched protocols without being asked".into())
            }
            // RFC 9110, section 7.8: only to a protocol that the client has offered.
            Self::H1(_) if framing == Framing::Tunnel && !switches_to_websocket(head) => {
                Err("it switched to another protocol than it was asked for".into())
            }
            Self::H1(connection) => {
                connection.expect_body(head, framing);
                Ok(framing)
            }
            Self::H2(_) if framing == Framing::Tunnel => {
                Err("it switched protocols, which HTTP/2 cannot".into())
            }
            Self::H2(stream) => Ok(match framing {
                Framing::UntilClose if stream.frames.recv.is_none() => Framing::Length(0),
                Framing::UntilClose => Framing::Chunked,
                framing => framing,
            }),
        }
    }

    /// The origin as the relay sees it.
    pub fn peer(&mut self) -> Peer<'_, tls::Stream> {
        match self {
            Self::H1(connection) => Peer::H1(&mut connection.messages),
            Self::H2(stream) => Peer::H2(&mut stream.frames),
        }
    }
}

fn switches_to_websocket(head: &Head) -> bool {
    fields::upgrade(head).is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
}
