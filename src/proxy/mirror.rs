//! Copies of requests for others to see: sent when the request is here as a whole, and never waited for.
//!
//! A mirror cannot harm its request: the copy is made of what passes by anyway, is bounded in size and
//! number, has a task of its own, and nothing is done with what is answered. It is not tried again.
//! Source: Envoy's `request_mirror_policies` (`ShadowWriterImpl`).

use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::attempt::{self, Carrier};
use super::discard::{self, End};
use super::exchange::{Busy, Order};
use super::lane::{Lane, Mirroring};
use super::relay;
use super::retry::Tried;
use crate::model::Failure;
use crate::observe::{Mirrored, Record};
use crate::snapshot::{Destination, Rule};
use crate::transport::{Broken, Data, Piece};
use crate::upstream::connect::Want;
use crate::wire::{Framing, Head, Name, Trailers};

/// Bytes of a body that are copied; a request with a longer one is not mirrored.
pub const COPIED_BYTES_MAX: usize = 64 * 1024;
/// How long sending a copy and reading its answer may take, where the route gives no shorter time.
const TIME_MAX: Duration = Duration::from_secs(60);

/// The copy of a body in the making, and who waits for it.
#[derive(Debug)]
pub struct Copy {
    bytes: Vec<u8>,
    /// Dropped without a word, they have waited in vain: the body never came to its end.
    waiting: Vec<oneshot::Sender<Copied>>,
}

/// What has become of a copy.
#[derive(Debug, Clone)]
enum Copied {
    Whole(Bytes),
    TooLarge,
}

impl Copy {
    /// Copies one more piece of the body; after the last one, or one too many, there is nothing more to do.
    pub fn take(&mut self, piece: &Piece, scratch: &[u8]) {
        if self.waiting.is_empty() {
            return;
        }
        let bytes = piece.bytes(scratch);
        if self.bytes.len() + bytes.len() > COPIED_BYTES_MAX {
            return self.tell(&Copied::TooLarge);
        }
        self.bytes.extend_from_slice(bytes);
        if piece.end.is_some() {
            let whole = Bytes::from(std::mem::take(&mut self.bytes));
            self.tell(&Copied::Whole(whole));
        }
    }

    /// The body begins again.
    pub fn rewind(&mut self) {
        self.bytes.clear();
    }

    fn tell(&mut self, copied: &Copied) {
        self.bytes = Vec::new();
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(copied.clone()); // a task that is gone needs nothing
        }
    }
}

/// Begins the mirrors of a request whose head is as it will be sent. `None`: no copy of its body is
/// wanted. The copies wait for the body, so that all of a request goes out or nothing.
#[cold]
pub fn begin(
    head: &Head,
    framing: Framing,
    rule: &Arc<Rule>,
    client: IpAddr,
    lane: &Rc<Lane>,
) -> Option<Box<Copy>> {
    let forward = rule.plan.action.forward()?;
    let mut waiting = Vec::new();
    for (index, mirror) in forward.mirrors.iter().enumerate() {
        if !mirror.fraction.takes(&mut lane.random.borrow_mut()) {
            continue;
        }
        let Some(mirroring) = lane.begin_mirror() else {
            lane.stats.borrow_mut().mirrored(Mirrored::TooMany);
            continue;
        };
        let body = match framing {
            Framing::Empty => None,
            _ => {
                let (sender, body) = oneshot::channel();
                waiting.push(sender);
                Some(body)
            }
        };
        let (head, rule) = (shadow(head, lane), Arc::clone(rule));
        let job = Job { head, client, rule, index, body, mirroring };
        tokio::task::spawn_local(job.run(Rc::clone(lane)));
    }
    (!waiting.is_empty()).then(|| Box::new(Copy { bytes: Vec::new(), waiting }))
}

/// The head of a copy: its Host tells whoever reads it that it is one (Envoy's `-shadow`).
fn shadow(head: &Head, lane: &Lane) -> Head {
    let memory = lane.buffers.lend_head();
    let mut copy = Head::request(memory, head.version(), head.method(), head.target());
    for (name, value) in head.lines() {
        copy.append(name, value);
    }
    let host = head.find(Name::Host).unwrap_or_default();
    let port = host.iter().rposition(|byte| *byte == b':').filter(|_| host.last() != Some(&b']'));
    let (name, port) = host.split_at(port.unwrap_or(host.len()));
    copy.set(b"Host", &[name, b"-shadow", port].concat());
    copy.remove(b"expect"); // the body is here already
    copy
}

/// One copy on its way to one mirror.
struct Job {
    head: Head,
    /// Whose request it is a copy of; a policy may hash that.
    client: IpAddr,
    rule: Arc<Rule>,
    /// Which of the rule's mirrors.
    index: usize,
    /// `None`: there is none to wait for.
    body: Option<oneshot::Receiver<Copied>>,
    mirroring: Mirroring,
}

impl Job {
    async fn run(mut self, lane: Rc<Lane>) {
        let body = match self.body.take() {
            None => Bytes::new(),
            Some(body) => match body.await {
                Ok(Copied::Whole(bytes)) => bytes,
                Ok(Copied::TooLarge) => return self.end(Mirrored::TooLarge, &lane),
                Err(_) => return self.end(Mirrored::Incomplete, &lane),
            },
        };
        let limit = self.rule.plan.action.forward().and_then(|forward| forward.timeout);
        let limit = limit.map_or(TIME_MAX, |limit| limit.min(TIME_MAX));
        let outcome = match timeout(limit, self.send(body, &lane)).await {
            Ok(Ok(())) => Mirrored::Answered,
            Ok(Err(_)) | Err(_) => Mirrored::Failed,
        };
        self.end(outcome, &lane);
    }

    fn end(self, outcome: Mirrored, lane: &Lane) {
        lane.stats.borrow_mut().mirrored(outcome);
        lane.buffers.give_back_head(self.head.into_memory());
        drop(self.mirroring);
    }

    /// Sends the copy and reads its answer away.
    async fn send(&mut self, body: Bytes, lane: &Rc<Lane>) -> Result<(), Failure> {
        let rule = Arc::clone(&self.rule);
        let forward = rule.plan.action.forward().ok_or(Failure::NoCluster)?;
        let share = forward.to.first().ok_or(Failure::NoCluster)?;
        let Some(Destination::Upstream(upstream)) = rule.mirrors.get(self.index) else {
            return Err(Failure::NoCluster);
        };
        let framing = match body.len() {
            0 => Framing::Empty,
            length => Framing::Length(length as u64),
        };
        frame(&mut self.head, framing);
        let nobody = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
        let mut record = Record::begin(lane.clock(), nobody, nobody);
        let mut order = Order {
            head: &mut self.head,
            framing,
            forward,
            share,
            upstream,
            // Nobody has a certificate for a name with `-shadow`: the mirror's own host is verified.
            server_name: upstream.key.host.as_str(),
            want: Want::Any,
            client: self.client,
            told: None,
            given_key: None,
            copy: None,
        };
        let mut carrier = attempt::send(&mut order, &Tried::default(), &mut record, lane).await?;
        let _busy = Busy::at(carrier.endpoint());
        let mut left = Some(body).filter(|body| !body.is_empty());
        let method = order.head.method();
        let ended = poll_fn(|cx| poll_head(cx, &mut carrier, &mut left, lane)).await;
        let head = ended.map_err(|_| Failure::Closed)?;
        carrier.expect_body(&head, method, Want::Any).map_err(|_| Failure::Closed)?;
        lane.buffers.give_back_head(head.into_memory());
        let mut read = 0;
        let end = poll_fn(|cx| discard::poll_end(cx, &mut carrier, &mut read, lane)).await;
        if let Ok(End::Reached) = end {
            relay::check_in(carrier, upstream, lane);
        }
        Ok(())
    }
}

/// Says how long the body is, whatever was said of it before.
fn frame(head: &mut Head, framing: Framing) {
    head.remove(b"transfer-encoding");
    head.remove(b"trailer");
    match framing {
        Framing::Length(length) => {
            head.set(b"content-length", itoa::Buffer::new().format(length).as_bytes());
        }
        _ if head.find(Name::ContentLength).is_some() => head.set(b"content-length", b"0"),
        _ => {}
    }
}

/// Writes the body and waits for the final head.
fn poll_head(
    cx: &mut Context<'_>,
    carrier: &mut Carrier,
    left: &mut Option<Bytes>,
    lane: &Lane,
) -> Poll<Result<Head, Broken>> {
    let has_room =
        carrier.peer().holds_head() || carrier.peer().poll_drain(cx, &lane.buffers)?.is_ready();
    if has_room && let Some(body) = left.take() {
        let piece = Piece { data: Data::Shared(body), end: Some(Trailers::default()) };
        carrier.peer().push(cx, piece, &mut [], &lane.buffers)?;
    }
    let _ = carrier.peer().poll_drain(cx, &lane.buffers)?; // an answer may come before all is written
    loop {
        let head = ready!(carrier.poll_response(cx, &lane.response_head, &lane.buffers))?;
        if head.status() >= 200 {
            return Poll::Ready(Ok(head));
        }
        lane.buffers.give_back_head(head.into_memory());
    }
}
