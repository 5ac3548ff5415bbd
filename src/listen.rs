//! Sockets that clients knock at: bound by control, accepted from by every lane.
//!
//! Each lane has a socket of its own on the same address (SO_REUSEPORT), so that the kernel spreads
//! connections; [`spread`] evens out what chance leaves uneven.

pub mod spread;

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::downstream::Ends;
use crate::model::Listener;
use crate::proxy::{Admission, Lane};
use spread::Spread;

/// Connections that may wait to be accepted, on each lane's socket.
const BACKLOG: i32 = 4096;
/// How long to rest when no connection can be accepted (mostly: too many open files).
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Binds a listener once for every lane.
///
/// The first binding is made without SO_REUSEPORT and dropped again: another process that already
/// serves the port is noticed instead of being shared with. Errors: a sentence that says what to do.
pub fn bind(listener: &Listener, lanes: usize) -> Result<Vec<StdListener>, String> {
    let failed = |error: io::Error| explain(listener, &error);
    let probe = socket(listener.bind, Sharing::Alone).map_err(failed)?;
    let bound = probe.local_addr().map_err(failed)?;
    drop(probe);
    (0..lanes).map(|_| socket(bound, Sharing::AmongLanes).map_err(failed)).collect()
}

/// Whether other sockets may be bound to the same address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    AmongLanes,
}

fn socket(address: SocketAddr, sharing: Sharing) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if sharing == Sharing::AmongLanes {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    if sharing == Sharing::AmongLanes {
        socket.listen(BACKLOG)?;
    }
    Ok(socket.into())
}

fn explain(listener: &Listener, error: &io::Error) -> String {
    let Listener { name, bind, port, .. } = listener;
    let cannot = format!("listener {name}: cannot bind {bind}: {error}");
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "{cannot} [EG017]; allow it with `sysctl net.ipv4.ip_unprivileged_port_start=0` (in Kubernetes: the \
             pod's securityContext.sysctls), or listen elsewhere with --port-map {port}:{}",
            if *port < 1024 { u32::from(*port) + 8000 } else { u32::from(*port) + 1 }
        ),
        io::ErrorKind::AddrInUse => format!(
            "{cannot}; another process listens there: stop it, or listen elsewhere with --port-map \
             {port}:PORT"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("{cannot}; this machine has no such address: give another one with --bind")
        }
        _ => cannot,
    }
}

/// Accepts connections on one lane until the task is aborted.
///
/// One too many is accepted and closed at once: left waiting, it would look like a gateway that hangs.
pub async fn accept(
    socket: StdListener,
    port: u16,
    admission: Admission,
    spread: Rc<Spread>,
    lane: Rc<Lane>,
) {
    let listener = match TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("port {port}: cannot accept connections: {error}"),
    };
    let mut failures = 0u64;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if failures > 0 {
                    tracing::info!("port {port}: accepting again, after {failures} failures");
                    failures = 0;
                }
                let seat = spread.choose();
                let admitted = match admission.admit(&lane.limits, &seat.connections) {
                    Ok(admitted) => admitted,
                    Err(limit) => {
                        let what = format_args!("a connection of {peer} to port {port} is closed");
                        lane.limit_reached(limit, what);
                        lane.crowded();
                        continue;
                    }
                };
                let Ok(local) = stream.local_addr() else { continue }; // gone already
                // Small writes must not wait for acknowledgements of earlier ones; without the
                // option the connection is only slower.
                let _ = stream.set_nodelay(true);
                let ends = Ends { peer, local, port };
                spread.seat(seat, stream, ends, admitted, &lane);
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!("port {port}: cannot accept a connection: {error}");
                }
                failures += 1;
                lane.crowded();
                sleep(ACCEPT_REST).await;
            }
        }
    }
}
