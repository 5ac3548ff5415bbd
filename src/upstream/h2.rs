//! HTTP/2 connections to an origin: one is shared by many requests, over the h2 crate.
//!
//! A response's head becomes a `Head` of lines like any other.

mod pings;

use std::cell::Cell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{self, ResponseFuture, SendRequest};
use http::uri::{self, Scheme};
use http::{HeaderName, HeaderValue, Request, Uri};
use tokio::time::{Instant, timeout};

use super::connect::Connected;
use super::endpoints::Endpoint;
use super::limits::Limits;
use crate::model::Policy;
use crate::transport::{Broken, Buffers, Frames, Metered, Offence, frames};
use crate::wire::{Head, Refusal, Version};
use pings::Pinger;

/// A stream's receive window while few share the connection, bytes: a download over a long way needs it.
const WIDE_WINDOW_BYTES: u32 = 1024 * 1024;
/// The same while many do, and before anything large has come.
const NARROW_WINDOW_BYTES: u32 = 64 * 1024;
/// Streams that may have wide windows at once; with half as many they get them back.
const WIDE_STREAMS_MAX: usize = 4;
/// Streams of ours at once; for more there are further connections.
const STREAMS_MAX: usize = 100;
/// A connection's receive window, bytes. Room for all streams, so that clients that don't read never keep
/// others from their answers, and the limit of what they make us hold.
const CONNECTION_WINDOW_BYTES: u32 = WIDE_STREAMS_MAX as u32 * WIDE_WINDOW_BYTES
    + (STREAMS_MAX - WIDE_STREAMS_MAX) as u32 * NARROW_WINDOW_BYTES;
/// Bytes of bodies after which a connection is worth wide windows.
const LARGE_BYTES: u64 = 128 * 1024;
/// What may wait of one upload while the origin's socket is full, bytes.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// A connection to an origin that speaks HTTP/2; clones share it.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Where it leads.
    pub endpoint: Arc<Endpoint>,
    /// The gateway's own address of it.
    pub local: SocketAddr,
    /// Whether it goes over TLS, which is the `:scheme` of its requests.
    pub scheme: &'static str,
    send: SendRequest<Bytes>,
    life: Rc<Life>,
}

/// What the clones of one connection share.
#[derive(Debug, Default)]
struct Life {
    over: Cell<bool>,
    streams: Cell<usize>,
    served: Cell<u32>,
    /// Since when the sweeps of the pool have seen no request on it.
    quiet_since: Cell<Option<Instant>>,
    /// What the origin did that ended it.
    offence: Cell<Option<Offence>>,
    /// Who may be waiting for room on it.
    limits: Option<Arc<Limits>>,
    /// Streams that our side allows; 0: [`STREAMS_MAX`].
    streams_max: usize,
    /// When it takes no further request.
    expires: Option<Instant>,
}

impl Shared {
    /// Begins to speak HTTP/2 over a fresh connection, driven by a task of its own on this lane. A
    /// response whose header list is longer than `head_bytes` is an error of its stream.
    pub async fn begin(
        connected: Connected,
        scheme: &'static str,
        head_bytes: u32,
        policy: &Policy,
    ) -> Result<Self, Broken> {
        let stream = Metered::to_origin(connected.stream);
        let (send, mut connection) = client::Builder::new()
            .initial_window_size(NARROW_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buffer_size(SEND_BUFFER_BYTES)
            .max_header_list_size(head_bytes)
            .enable_push(false)
            .handshake(stream.clone())
            .await
            .map_err(|error| frames::broken(&error))?;
        let limits = connected.open.limited.as_ref().map(|place| Arc::clone(place.limits()));
        let streams_max = policy.limits.streams.map_or(0, |max| max as usize);
        let expires = connected.expires;
        let life = Rc::new(Life { limits, streams_max, expires, ..Life::default() });
        let mut pinger =
            policy.pings.and_then(|pings| Some(Pinger::new(pings, connection.ping_pong()?)));
        let ended = Rc::clone(&life);
        let (open, address) = (connected.open, connected.endpoint.address);
        tokio::task::spawn_local(async move {
            let _open = open;
            let mut window = NARROW_WINDOW_BYTES;
            let end = poll_fn(|cx| {
                let fitting =
                    fitting_window(window, ended.streams.get(), stream.meter().body_bytes());
                // While an earlier change is not acknowledged, there can be no other.
                if fitting != window && connection.set_initial_window_size(fitting).is_ok() {
                    window = fitting;
                }
                let polled = Pin::new(&mut connection).poll(cx);
                stream.send(cx);
                match polled {
                    Poll::Ready(Ok(())) => Poll::Ready(None),
                    Poll::Ready(Err(error)) => Poll::Ready(Some(error.to_string())),
                    // Dropped, it is closed, and its streams with it.
                    Poll::Pending => match (stream.meter().offence(), &mut pinger) {
                        (Some(offence), _) => {
                            ended.offence.set(Some(offence));
                            Poll::Ready(Some(offence.to_string()))
                        }
                        (None, Some(pinger)) => pinger
                            .poll_unanswered(cx)
                            .map(|()| Some("a PING was not answered in time".to_owned())),
                        (None, None) => Poll::Pending,
                    },
                }
            });
            if let Some(error) = end.await {
                tracing::debug!("an HTTP/2 connection to {address} ended: {error}");
            }
            ended.over.set(true);
        });
        // Lets the task above read what the origin may have sent already, its limit of streams above all.
        tokio::task::yield_now().await;
        Ok(Self { endpoint: connected.endpoint, local: connected.local, scheme, send, life })
    }

    /// Whether another request may be sent on it now.
    pub fn has_room(&self) -> bool {
        let ours = match self.life.streams_max {
            0 => STREAMS_MAX,
            max => max.min(STREAMS_MAX),
        };
        let room = self.send.current_max_send_streams().min(ours);
        !self.life.over.get() && self.life.streams.get() < room
    }

    /// Whether it has ended, or will take no further request: by our choice, or as the origin said.
    pub fn is_over(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let refused = |ready| matches!(ready, Poll::Ready(Err(_)));
        self.life.over.get() || refused(self.send.clone().poll_ready(&mut cx))
    }

    /// Whether it is too old for a further request.
    pub fn has_expired(&self, now: Instant) -> bool {
        self.life.expires.is_some_and(|expires| now >= expires)
    }

    /// Whether it has had no request for so long. To be asked now and then: time is what the askers say.
    pub fn is_idle(&self, idle_timeout: Duration, now: Instant) -> bool {
        if self.life.streams.get() > 0 {
            self.life.quiet_since.set(None);
            return false;
        }
        let since = self.life.quiet_since.get().unwrap_or(now);
        self.life.quiet_since.set(Some(since));
        now.duration_since(since) >= idle_timeout
    }

    /// Takes no further request; those under way go on.
    pub fn retire(&self) {
        self.life.over.set(true);
    }

    /// Requests it has been used for.
    pub fn served(&self) -> u32 {
        self.life.served.get()
    }

    /// What an error of one of its streams means: the origin's fault, where the meter says so.
    fn broken(&self, error: &h2::Error) -> Broken {
        match (frames::broken(error), self.life.offence.get()) {
            (Broken::Closed, Some(offence)) => Broken::Violated(offence.to_string()),
            (broken, _) => broken,
        }
    }

    /// Requests under way on it.
    pub fn streams(&self) -> usize {
        self.life.streams.get()
    }

    /// Whether the origin allows no stream at all for now: it must be waited for, and another connection
    /// would not help.
    pub fn is_shut(&self) -> bool {
        !self.life.over.get() && self.send.current_max_send_streams() == 0
    }

    /// Sends a request's head; `body` says whether something follows it. When the origin allows no
    /// further stream, waits for so long that it does.
    pub async fn request(
        mut self,
        head: &Head,
        body: Body,
        patience: Duration,
    ) -> Result<Stream, Broken> {
        poll_fn(|cx| self.send.poll_ready(cx)).await.map_err(|error| {
            self.retire();
            match frames::broken(&error) {
                Broken::Reset(reason) => Broken::Unprocessed(reason),
                Broken::Tls(reason) => Broken::Tls(reason),
                _ => Broken::Unprocessed("the connection has ended".into()),
            }
        })?;
        let request = request(head, self.scheme)?;
        let (response, send) = self
            .send
            .send_request(request, body == Body::Empty)
            .map_err(|error| frames::broken(&error))?;
        self.life.served.set(self.life.served.get() + 1);
        self.life.streams.set(self.life.streams.get() + 1);
        self.life.quiet_since.set(None);
        let frames = Frames::new(None, (body == Body::Follows).then_some(send));
        let mut stream = Stream { response, frames, shared: self };
        stream.opened(patience).await?;
        Ok(stream)
    }
}

/// The receive window of streams that fits their number.
fn fitting_window(now: u32, streams: usize, body_bytes: u64) -> u32 {
    match streams {
        0..=WIDE_STREAMS_MAX if now == WIDE_WINDOW_BYTES => now,
        _ if streams <= WIDE_STREAMS_MAX / 2 && body_bytes >= LARGE_BYTES => WIDE_WINDOW_BYTES,
        _ => NARROW_WINDOW_BYTES,
    }
}

/// Whether a body follows a request's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    Empty,
    Follows,
}

/// One request on a shared connection.
#[derive(Debug)]
pub struct Stream {
    /// The bodies.
    pub frames: Frames,
    /// The connection it is a stream of.
    pub shared: Shared,
    response: ResponseFuture,
}

impl Stream {
    /// Waits until the origin's limit of streams has room for this one. Mostly it has.
    async fn opened(&mut self, patience: Duration) -> Result<(), Broken> {
        let send = &mut self.shared.send;
        if poll_fn(|cx| Poll::Ready(send.poll_ready(cx).is_ready())).await {
            return Ok(()); // or it has failed, as whoever waits for the response will hear
        }
        match timeout(patience, poll_fn(|cx| send.poll_ready(cx))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Broken::Unprocessed("the connection has ended".into())),
            Err(_) => Err(Broken::Unprocessed(format!(
                "no room for a stream after {patience:?}: the origin allows {} at once",
                send.current_max_send_streams()
            ))),
        }
    }

    /// The next response head, interim ones included.
    pub fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
    ) -> Poll<Result<Head, Broken>> {
        if let Poll::Ready(Some(interim)) = self.response.poll_informational(cx) {
            let interim = interim.map_err(|error| self.shared.broken(&error))?;
            return Poll::Ready(Ok(head_of(&interim, buffers)));
        }
        let response = ready!(Pin::new(&mut self.response).poll(cx))
            .map_err(|error| self.shared.broken(&error))?;
        let head = head_of(&response, buffers);
        let recv = response.into_body();
        self.frames.recv = (!recv.is_end_stream()).then_some(recv);
        Poll::Ready(Ok(head))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let life = &self.shared.life;
        life.streams.set(life.streams.get().saturating_sub(1));
        if let Some(limits) = &life.limits {
            limits.call_next();
        }
    }
}

fn head_of<B>(response: &http::Response<B>, buffers: &Buffers) -> Head {
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head =
        Head::response(buffers.lend_head(), Version::Http2, status.as_u16(), reason.as_bytes());
    for (name, value) in response.headers() {
        head.append(name.as_str().as_bytes(), value.as_bytes());
    }
    head
}

/// RFC 9113, section 8.3.1: the Host line becomes `:authority`. What HTTP/2 cannot carry is the client's fault:
/// nothing was sent.
fn request(head: &Head, scheme: &'static str) -> Result<Request<()>, Broken> {
    let host = head.find(crate::wire::Name::Host).unwrap_or_default();
    let mut uri = uri::Parts::default();
    uri.scheme = Some(if scheme == "https" { Scheme::HTTPS } else { Scheme::HTTP });
    uri.authority = Some(host.try_into().map_err(|_| Broken::Malformed(Refusal::BadTarget))?);
    uri.path_and_query =
        Some(head.target().try_into().map_err(|_| Broken::Malformed(Refusal::BadTarget))?);
    let uri = Uri::from_parts(uri).map_err(|_| Broken::Malformed(Refusal::BadTarget))?;
    let mut request = Request::new(());
    *request.uri_mut() = uri;
    *request.method_mut() = http::Method::from_bytes(head.method())
        .map_err(|_| Broken::Malformed(Refusal::BadRequestLine))?;
    request.headers_mut().reserve(head.lines().count());
    for (name, value) in head.lines_to_keep() {
        let name = HeaderName::from_bytes(name).map_err(|_| Broken::Malformed(Refusal::BadName))?;
        if name == http::header::HOST {
            continue;
        }
        let value = HeaderValue::from_maybe_shared(value)
            .map_err(|_| Broken::Malformed(Refusal::ControlCharacter))?;
        request.headers_mut().append(name, value);
    }
    Ok(request)
}
