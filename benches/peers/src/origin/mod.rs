//! The TLS origin that all gateways lead to: one thread, light enough to share a core with the load generator.
//!
//! | a request for | is answered with |
//! |---|---|
//! | `/0`, `/1k`, `/16k`, `/1m`, `/100m`, below any path | 200 and so many bytes |
//! | `/close/1k` | the same, and the connection is closed |
//! | `/hold` | an empty 200, once the stats port is told to release |
//! | `/count` | 200 and the number of bytes in the request's body |
//! | anything with another body | 200 and that body |
//! | anything with `Upgrade` | 101, then every byte comes back |

mod answer;
mod h1;
mod h2;
mod state;
mod stats;
mod tls;

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::rc::Rc;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

use self::state::State;
use crate::parent::Parent;
use crate::work::OriginPorts;

/// How to run one.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Its certificate, in PEM
    #[arg(long)]
    pub certificate: PathBuf,
    /// The certificate's key, in PEM
    #[arg(long)]
    pub key: PathBuf,
    /// Offer no tickets: every handshake is a full one
    #[arg(long)]
    pub no_tickets: bool,
    /// Offer X25519MLKEM768 besides X25519
    #[arg(long)]
    pub post_quantum: bool,
    /// Offer HTTP/2 besides HTTP/1.1
    #[arg(long)]
    pub h2: bool,
}

/// Connections that may wait to be accepted: the thousands that a memory experiment opens at once.
const BACKLOG: u32 = 16_384;

/// Runs one until the process that started it closes its standard input.
///
/// Errors: files that cannot be used, or no port.
pub async fn run(arguments: &Arguments) -> io::Result<()> {
    let acceptor = TlsAcceptor::from(tls::config(arguments)?);
    let (tls, stats) = (listen()?, listen()?);
    let ports = OriginPorts { tls: tls.local_addr()?.port(), stats: stats.local_addr()?.port() };
    println!("{}", serde_json::to_string(&ports)?);
    let state = Rc::new(State::default());
    let mut parent = Parent::listen();
    LocalSet::new()
        .run_until(async {
            tokio::task::spawn_local(stats::serve(stats, Rc::clone(&state)));
            tokio::task::spawn_local(accept(tls, acceptor, state));
            parent.gone().await;
        })
        .await;
    Ok(())
}

fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, state: Rc<State>) {
    loop {
        // Without descriptors this would spin; a later connection's end makes room.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        state.accepted();
        tokio::task::spawn_local(connection(stream, acceptor.clone(), Rc::clone(&state)));
    }
}

/// A connection that breaks concerns its client, which counts it.
async fn connection(stream: TcpStream, acceptor: TlsAcceptor, state: Rc<State>) {
    let open = state.open();
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let session = stream.get_ref().1;
    state.shaken(session);
    let _ = match session.alpn_protocol() {
        Some(b"h2") => h2::serve(stream, &state).await,
        _ => h1::serve(stream, &state).await,
    };
    drop(open);
}
