//! The ports beside the traffic: health, metrics and Envoy-shaped pages, on the control thread.
//!
//! It serves what others know: it compiles nothing, counts nothing and changes nothing itself; a
//! POST is passed on to whoever does. The only place for hyper.

mod answer;
mod origin;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::observe::prometheus::Facts;
use crate::observe::{Readiness, Scraper};

/// Connections open at once on one port; further ones wait to be accepted.
pub const CONNECTIONS_MAX: usize = 64;

/// How long a request head may take, waiting for it on an open connection included.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// What a request head may measure, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How long a connection may last: one that reads its answer too slowly gives its place back.
const CONNECTION_LIFE: Duration = Duration::from_secs(300);

/// How long a connection asked to end may take to finish its answer.
const FINISH_WITHIN: Duration = Duration::from_secs(2);

/// How long to rest when no connection can be accepted (usually: too many open files).
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Which pages a port has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Health and metrics, for probes from anywhere: 15021.
    Health,
    /// All pages, for operators on this machine: 15000.
    Admin,
}

/// What the pages show and whom they pass requests on to.
pub struct Pages {
    /// Behind `/healthz/ready` and `/ready`.
    pub readiness: Arc<Readiness>,
    /// Behind `/stats/prometheus`.
    pub scraper: Scraper,
    /// What the control thread adds to the metrics; the process's own numbers are filled in here.
    pub facts: Box<dyn Fn() -> Facts + Send + Sync>,
    /// Renders `config`, `listeners`, `clusters`, `routes`, `endpoints`, `problems` or `explain`; the
    /// second argument is the query, e.g. `format=json`. Errors: what is wrong with the query.
    pub inspect: Inspect,
    /// Takes `POST /reload`; what it answers, good or bad, is for a person to read.
    pub reload: mpsc::Sender<Reload>,
    /// Notified by `POST /quitquitquit`.
    pub quit: Arc<Notify>,
    /// When the process started.
    pub started: Instant,
}

/// A request to read the configuration again; dropping it says that there will be no answer.
pub type Reload = oneshot::Sender<Result<String, String>>;

/// Renders a page by its name and the query, see [`Pages::inspect`].
pub type Inspect = Box<dyn Fn(&str, &str) -> Result<Inspected, String> + Send + Sync>;

/// A rendered page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// Its media type.
    pub content_type: &'static str,
    /// Its text.
    pub body: String,
}

/// Serves a port until `stop` ends, and then for as long as answers under way need, at most two
/// seconds. Needs a Tokio runtime of any flavour; what it spawns is `Send`.
pub async fn serve(
    listener: TcpListener,
    pages: Arc<Pages>,
    port: Port,
    stop: impl Future<Output = ()>,
) {
    let mut stop = pin!(stop);
    let mut connections = JoinSet::new();
    // Never sent on: that it is gone is the message.
    let (serving, stopping) = watch::channel(());
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "an admin page failed");
                }
            }
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&pages), port, stopping.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an admin connection");
                    sleep(ACCEPT_REST).await;
                }
            },
        }
    }
    drop((serving, listener));
    while connections.join_next().await.is_some() {}
}

async fn connection(
    stream: TcpStream,
    pages: Arc<Pages>,
    port: Port,
    mut stopping: watch::Receiver<()>,
) {
    let guard = origin::Guard::of(port, &stream);
    let service = service_fn(move |request| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(answer::answer(&request, &pages, port, guard).await) }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut http = pin!(http);
    let ended = tokio::select! {
        ended = http.as_mut() => ended,
        () = ending(&mut stopping) => {
            http.as_mut().graceful_shutdown();
            timeout(FINISH_WITHIN, http).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an admin connection ended early");
    }
}

/// Ends when the port is being closed, or the connection has lasted long enough.
async fn ending(stopping: &mut watch::Receiver<()>) {
    tokio::select! {
        _ = stopping.changed() => {}
        () = sleep(CONNECTION_LIFE) => {}
    }
}
