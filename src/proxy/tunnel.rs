//! After a switch of protocols: bytes both ways, until both sides have ended or nothing moves.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use super::asked::Asked;
use super::attempt::Carrier;
use super::deadlines::Waits;
use super::exchange::Exchange;
use super::flow::Flow;
use super::headers;
use super::lane::Lane;
use super::limits;
use super::request::Next;
use crate::downstream::Client;
use crate::model::Failure;
use crate::observe::Record;
use crate::transport::{Buffers, Messages, Peer};
use crate::wire::{Framing, Head};

/// Passes the 101 on, then bytes.
pub async fn run(
    mut head: Head,
    exchange: Exchange<'_>,
    client: &mut Client<'_>,
    asked: Asked<'_>,
    record: &mut Record<'_>,
    lane: &Rc<Lane>,
) -> Next {
    let Exchange { carrier, idle, forward, share, values, .. } = exchange;
    let (Client::H1(client), Carrier::H1(mut origin)) = (client, carrier) else {
        record.failed(&Failure::Malformed("it switched protocols, which HTTP/2 cannot".into()));
        return Next::Abort;
    };
    let protocol = head.find(crate::wire::Name::Upgrade).unwrap_or(b"websocket").to_vec();
    let edits = [&share.response, &forward.response];
    headers::inbound(&mut head, &lane.headers, edits, values.as_deref(), &lane.date());
    asked.tell_page(&mut head);
    head.set(b"connection", b"upgrade");
    head.set(b"upgrade", &protocol);
    client.messages.hold_head(Framing::Tunnel, &lane.buffers, |out| head.write_response(out));
    client.messages.expect_body(Framing::UntilClose);
    origin.messages.expect_body(Framing::UntilClose);

    let (mut up, mut down) = (Direction::default(), Direction::default());
    let mut moved = 0;
    idle.arm(lane.limits.tunnel_idle, Waits::Busy);
    let ended = poll_fn(|cx| {
        let to_origin = up.poll(cx, &mut client.messages, &mut origin.messages, &lane.buffers);
        let to_client = down.poll(cx, &mut origin.messages, &mut client.messages, &lane.buffers);
        if to_origin == Ended::Broken || to_client == Ended::Broken {
            return Poll::Ready(Next::Abort);
        }
        if to_origin == Ended::Yes && to_client == Ended::Yes {
            return Poll::Ready(Next::Close);
        }
        if up.flow.bytes + down.flow.bytes != moved {
            moved = up.flow.bytes + down.flow.bytes;
            idle.arm(lane.limits.tunnel_idle, Waits::Busy);
        }
        idle.poll_over(cx).map(|()| {
            record.failed(&limits::tunnel_stalled(idle.over(), lane));
            Next::Close
        })
    })
    .await;
    record.bytes_in = up.flow.bytes;
    record.bytes_out = down.flow.bytes;
    ended
}

/// One direction, and whether its end was passed on.
#[derive(Debug, Default)]
struct Direction {
    flow: Flow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Yes,
    No,
    Broken,
}

impl Direction {
    fn poll<A, B>(
        &mut self,
        cx: &mut Context<'_>,
        sender: &mut Messages<A>,
        receiver: &mut Messages<B>,
        buffers: &Buffers,
    ) -> Ended
    where
        A: AsyncRead + AsyncWrite + Unpin,
        B: AsyncRead + AsyncWrite + Unpin,
    {
        match self.flow.poll(cx, Peer::H1(sender), Peer::H1(receiver), buffers) {
            Poll::Pending => Ended::No,
            Poll::Ready(Err(_)) => Ended::Broken,
            Poll::Ready(Ok(())) => match receiver.poll_shutdown(cx) {
                Poll::Pending => Ended::No,
                // The other side may be gone altogether, which ends it just as well.
                Poll::Ready(_) => Ended::Yes,
            },
        }
    }
}
