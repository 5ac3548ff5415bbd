//! From a request ready to be sent to the head of its response: a connection, the sending, and trying
//! again where that is safe.
//!
//! The upload goes on beside all of it. A connection is owned by the exchange until both bodies are done.

use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::{Instant, timeout_at};

use super::answer::{Answered, Lost, answer};
use super::apart::apart;
use super::attempt::{self, Carrier};
use super::deadlines::Deadline;
use super::discard;
use super::flow::Flow;
use super::headers::values::Values;
use super::lane::Lane;
use super::mirror;
use super::places;
use super::presence::while_here;
use super::retry::{self, Tried};
use super::watch;
use crate::downstream::Client;
use crate::model::{Failure, Forward, Share};
use crate::observe::Record;
use crate::quota::Place;
use crate::upstream::Upstream;
use crate::upstream::connect::Want;
use crate::upstream::endpoints::Endpoint;
use crate::upstream::proxy_protocol::Told;
use crate::wire::{Framing, Head};

/// A request ready to be sent.
pub struct Order<'r, 's> {
    /// Its head; borrowed, so that it can be sent again.
    pub head: &'r mut Head,
    /// The body that follows.
    pub framing: Framing,
    /// How the route carries it.
    pub forward: &'s Forward,
    /// Which of its shares.
    pub share: &'s Share,
    /// To whom.
    pub upstream: &'s Arc<Upstream>,
    /// The host that SNI and verification go by where the policy names none.
    pub server_name: &'r str,
    /// Which version the connection may have.
    pub want: Want,
    /// The client's address.
    pub client: IpAddr,
    /// What connections tell of the client, where the upstream wants that; they are for it alone.
    pub told: Option<Box<Told>>,
    /// What is hashed in place of a cookie that the client has not got, and the line that gives it one.
    pub given_key: Option<(u64, String)>,
    /// Who wants a copy of the body.
    pub copy: Option<Box<mirror::Copy>>,
}

/// A response head is here; the bodies are still to be moved.
pub struct Exchange<'s> {
    /// The connection it goes over.
    pub carrier: Carrier,
    /// Keeps the endpoint counted as busy.
    pub busy: Busy,
    /// Counts it among the upstream's requests, where those have a limit.
    pub place: Option<Place>,
    /// How the origin frames the body that follows it.
    pub framing: Framing,
    /// How far the upload is.
    pub upload: Flow,
    /// Nothing may move for so long.
    pub idle: Deadline,
    /// When the route's timeout runs out.
    pub until: Option<Instant>,
    /// How the route carries it.
    pub forward: &'s Forward,
    /// Which of its shares.
    pub share: &'s Share,
    /// What their formats make of this response.
    pub values: Option<Box<Values>>,
    /// To whom.
    pub upstream: &'s Arc<Upstream>,
    /// Whether the client asked for an upgrade.
    pub want: Want,
}

/// Counts a request at its endpoint for as long as it lives.
pub struct Busy(Arc<Endpoint>);

impl Busy {
    /// One more request at this endpoint.
    pub fn at(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.active.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(endpoint))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends the request until a response head is here, or no further attempt is allowed.
pub async fn start<'s>(
    order: Order<'_, 's>,
    client: &mut Client<'_>,
    record: &mut Record<'s>,
    lane: &Rc<Lane>,
) -> Result<(Head, Exchange<'s>), Failure> {
    let until = order.forward.timeout.map(|timeout| lane.clock() + timeout);
    let upstream = order.upstream;
    let started = match until {
        None => attempts(order, client, record, lane, None).await,
        Some(at) => timeout_at(at, apart(attempts(order, client, record, lane, until)))
            .await
            .unwrap_or(Err(Failure::Timeout)),
    };
    if upstream.is_watched() && matches!(started, Err(Failure::Timeout)) {
        watch::tell_of_timeout(upstream, record, lane);
    }
    if upstream.is_plain_on_tls_port()
        && let Some(answer) = wants_tls(&started)
    {
        upstream.warn_of_plain_text(answer);
    }
    started
}

/// What an origin does that is spoken to in plain text where it expects TLS: web servers say 400, others
/// close, or answer with an alert of TLS, which is not HTTP.
fn wants_tls(started: &Result<(Head, Exchange<'_>), Failure>) -> Option<&'static str> {
    match started {
        Ok((head, _)) if head.status() == 400 => Some("answers 400"),
        Err(Failure::Closed | Failure::Aborted(_) | Failure::Reset(_)) => {
            Some("closes the connection")
        }
        Err(Failure::Malformed(_) | Failure::Misframed { .. }) => Some("answers what is not HTTP"),
        _ => None,
    }
}

async fn attempts<'s>(
    mut order: Order<'_, 's>,
    client: &mut Client<'_>,
    record: &mut Record<'s>,
    lane: &Rc<Lane>,
    until: Option<Instant>,
) -> Result<(Head, Exchange<'s>), Failure> {
    let place = places::request(order.upstream)?;
    let mut upload = Flow::of(order.framing).copied_to(order.copy.take());
    let mut tried = Tried::default();
    loop {
        record.attempts += 1;
        let sent = {
            let sending = pin!(attempt::send(&mut order, &tried, record, lane));
            while_here(client, lane, sending).await.flatten()
        };
        let outcome = match sent {
            Ok(carrier) => {
                if retry::needs_tape(&carrier, &order) {
                    upload.keep(&lane.buffers);
                }
                let watched = order.upstream.is_watched().then(|| Arc::clone(carrier.endpoint()));
                let outcome = answer(carrier, &order, client, &mut upload, lane).await;
                if let Some(endpoint) = watched {
                    watch::tell(order.upstream, &endpoint, &outcome, lane);
                }
                outcome
            }
            Err(failure) => Err(Lost::before_sending(failure)),
        };
        match tried.again(&outcome, &order, &upload, record, until, lane) {
            None => {
                let answered = outcome.map_err(|lost| lost.failure)?;
                upload.settle(&lane.buffers);
                return Ok(answered.into_exchange(&order, place, upload, until));
            }
            Some(pause) => {
                let rest = discard::rest(outcome, &upload, pause, &order, client, lane);
                apart(rest).await?;
                upload.begin_again(order.framing);
            }
        }
    }
}

impl Answered {
    fn into_exchange<'s>(
        mut self,
        order: &Order<'_, 's>,
        place: Option<Place>,
        upload: Flow,
        until: Option<Instant>,
    ) -> (Head, Exchange<'s>) {
        if let Some((_, cookie)) = &order.given_key {
            self.head.append(b"set-cookie", cookie.as_bytes());
        }
        let exchange = Exchange {
            carrier: self.carrier,
            busy: self.busy,
            place,
            framing: self.framing,
            upload,
            idle: self.idle,
            until,
            forward: order.forward,
            share: order.share,
            values: None,
            upstream: order.upstream,
            want: order.want,
        };
        (self.head, exchange)
    }
}
