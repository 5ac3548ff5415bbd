//! Working for a client only as long as it is there.
//!
//! For the time before a request is on its way; from then on the exchange itself looks after its client.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use super::lane::Lane;
use crate::downstream::Client;
use crate::model::Failure;

/// Does something for a client, unless it leaves before that is done. What ends one side of its
/// connection after its request has left, as for Envoy.
///
/// The work is pinned where it stands, since moving it costs more than watching does.
///
/// A client that sends a large body is not watched: its end would stand behind more than is read ahead.
///
/// Errors: `ClientGone`; then the work is dropped.
pub async fn while_here<T>(
    client: &mut Client<'_>,
    lane: &Lane,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> Result<T, Failure> {
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Pending => {
            client.poll_gone_ahead(cx, &lane.buffers).map(|()| Err(Failure::ClientGone))
        }
        Poll::Ready(done) => Poll::Ready(Ok(done)),
    })
    .await
}
