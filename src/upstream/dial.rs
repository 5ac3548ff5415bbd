//! TCP connections by racing addresses (RFC 8305): the first to answer wins, the others are dropped.
//!
//! Neither TLS nor time limits here: the caller bounds the whole.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use super::endpoints::Endpoint;
use crate::model::resilience::Keepalive;

/// How long an address is tried alone before the next joins (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// Addresses tried for one connection.
const ADDRESSES_MAX: usize = 16;
/// A silent connection is probed after this time, and then this often: an origin that vanished
/// behind a NAT is noticed before the idle timeout of most of them.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(45), Duration::from_secs(15));

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// Connects to the first of these that answers: one after the other every 250 ms, at once after a
/// failure; `None` when all have failed. Each that fails is put into `errors` at once, so that a caller
/// who stops waiting knows of those that did.
pub async fn race(
    order: &[Arc<Endpoint>],
    errors: &mut Vec<(SocketAddr, io::Error)>,
) -> Option<(TcpStream, Arc<Endpoint>)> {
    let mut waiting = order.iter().take(ADDRESSES_MAX).peekable();
    let mut under_way: Vec<(Arc<Endpoint>, Connecting)> = Vec::new();
    loop {
        if let Some(endpoint) = waiting.next() {
            under_way.push((endpoint.clone(), Box::pin(connect(endpoint.address))));
        } else if under_way.is_empty() {
            return None;
        }
        tokio::select! {
            biased;
            (endpoint, outcome) = first_to_end(&mut under_way) => match outcome {
                Ok(stream) => return Some((stream, endpoint)),
                Err(error) => errors.push((endpoint.address, error)),
            },
            () = tokio::time::sleep(STAGGER), if waiting.peek().is_some() => {}
        }
    }
}

/// The order to try addresses in: the picked one, then the others after it, families alternating.
pub fn order(list: &[Arc<Endpoint>], first: usize) -> Vec<Arc<Endpoint>> {
    if list.is_empty() {
        return Vec::new();
    }
    let first = first % list.len();
    let rotated = list[first..].iter().chain(&list[..first]);
    let picked_is_v4 = list[first].address.is_ipv4();
    let (mut same, mut other): (Vec<_>, Vec<_>) =
        rotated.cloned().partition(|endpoint| endpoint.address.is_ipv4() == picked_is_v4);
    let (mut same, mut other) = (same.drain(..), other.drain(..));
    let mut ordered = Vec::with_capacity(list.len());
    while ordered.len() < list.len() {
        ordered.extend(same.next());
        ordered.extend(other.next());
    }
    ordered
}

/// Waits for whichever attempt ends first and takes it out.
async fn first_to_end(
    under_way: &mut Vec<(Arc<Endpoint>, Connecting)>,
) -> (Arc<Endpoint>, io::Result<TcpStream>) {
    poll_fn(|context| {
        for index in 0..under_way.len() {
            if let Poll::Ready(outcome) = under_way[index].1.as_mut().poll(context) {
                return Poll::Ready((under_way.swap_remove(index).0, outcome));
            }
        }
        Poll::Pending
    })
    .await
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (idle, interval) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(idle).with_interval(interval);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(stream)
}

/// Probes a silent connection in another way than the usual, where the policy says one. Errors: the
/// kernel takes no such numbers.
pub fn probe(stream: &TcpStream, keepalive: Keepalive) -> io::Result<()> {
    if keepalive == Keepalive::default() {
        return Ok(());
    }
    let mut settings = TcpKeepalive::new();
    if let Some(time) = keepalive.time {
        settings = settings.with_time(time);
    }
    if let Some(interval) = keepalive.interval {
        settings = settings.with_interval(interval);
    }
    if let Some(probes) = keepalive.probes {
        settings = settings.with_retries(probes);
    }
    SockRef::from(stream).set_tcp_keepalive(&settings)
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    fn endpoint(address: SocketAddr) -> Arc<Endpoint> {
        Arc::new(Endpoint::new(address))
    }

    async fn listener() -> (TcpListener, Arc<Endpoint>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        (listener, endpoint(address))
    }

    /// A port that is bound but not listened on: it refuses as long as the socket lives.
    fn refusing() -> (TcpSocket, Arc<Endpoint>) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let address = socket.local_addr().expect("bound");
        (socket, endpoint(address))
    }

    /// A listener whose queue is full: further connections get no answer.
    pub(in crate::upstream) async fn silent() -> (TcpListener, Vec<TcpStream>, Arc<Endpoint>) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let listener = socket.listen(1).expect("listening");
        let address = listener.local_addr().expect("bound");
        let mut held = Vec::new();
        let patience = Duration::from_millis(200);
        while let Ok(stream) = tokio::time::timeout(patience, TcpStream::connect(address)).await {
            held.push(stream.expect("accepted by the kernel"));
        }
        (listener, held, endpoint(address))
    }

    #[tokio::test]
    async fn refused_addresses_are_passed_at_once() {
        let (_one, first) = refusing();
        let (_two, second) = refusing();
        let (_three, third) = refusing();
        let (_listener, good) = listener().await;
        let started = tokio::time::Instant::now();
        let (stream, winner) = race(&[first, second, third, good.clone()], &mut Vec::new())
            .await
            .expect("one listens");
        assert!(Arc::ptr_eq(&winner, &good));
        assert_eq!(stream.peer_addr().expect("connected"), good.address);
        assert!(stream.nodelay().expect("readable"));
        assert!(SockRef::from(&stream).keepalive().expect("readable"));
        assert!(started.elapsed() < STAGGER, "a refusal is not waited for");
    }

    #[tokio::test]
    async fn a_silent_address_is_overtaken_by_the_next() {
        let (_listener, _held, silent) = silent().await;
        let (_next, good) = listener().await;
        let started = tokio::time::Instant::now();
        let (_, winner) =
            race(&[silent, good.clone()], &mut Vec::new()).await.expect("one listens");
        assert!(Arc::ptr_eq(&winner, &good));
        assert!(started.elapsed() >= STAGGER, "the first has its time alone");
    }

    #[tokio::test]
    async fn when_all_fail_each_is_named() {
        let ((_one, first), (_two, second)) = (refusing(), refusing());
        let mut errors = Vec::new();
        assert!(race(&[first.clone(), second.clone()], &mut errors).await.is_none());
        let addresses: Vec<_> = errors.iter().map(|(address, _)| *address).collect();
        assert_eq!(addresses, [first.address, second.address]);
        for (_, error) in errors {
            assert!(error.to_string().contains("Connection refused"), "{error}");
        }
        assert!(race(&[], &mut Vec::new()).await.is_none());
    }

    #[test]
    fn the_picked_one_is_first_and_families_alternate() {
        for (list, first, expected) in [
            (&["1.0.0.1", "1.0.0.2", "1.0.0.3"][..], 1, &["1.0.0.2", "1.0.0.3", "1.0.0.1"][..]),
            (&["1.0.0.1", "1.0.0.2", "::1", "::2"], 0, &["1.0.0.1", "::1", "1.0.0.2", "::2"]),
            (&["1.0.0.1", "1.0.0.2", "::1"], 2, &["::1", "1.0.0.1", "1.0.0.2"]),
            (&["1.0.0.1"], 7, &["1.0.0.1"]),
            (&[], 0, &[]),
        ] {
            let list: Vec<_> = list
                .iter()
                .map(|ip| endpoint(SocketAddr::new(ip.parse().expect("an address"), 1)))
                .collect();
            let got: Vec<_> =
                order(&list, first).iter().map(|e| e.address.ip().to_string()).collect();
            assert_eq!(got, expected);
        }
    }
}
