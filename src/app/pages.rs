//! What the pages beside the traffic show, and where they are served.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::listeners::Addresses;
use crate::admin::{self, Inspected, Pages, Port};
use crate::config::{Compiled, Outcome, Severity};
use crate::control::{Compiler, Control};
use crate::inspect::explain::{Question, explain};
use crate::inspect::{self, Format, View, What};
use crate::model::GuardPolicy;
use crate::observe::access_log::unix_ms;
use crate::observe::prometheus::Facts;
use crate::observe::{Readiness, Scraper};
use crate::snapshot::{Publisher, Snapshot};
use crate::worker::Worker;

/// What is in force, to be looked at.
pub struct Shown {
    taken: Arc<ArcSwap<Compiled>>,
    publisher: Publisher,
    addresses: Arc<ArcSwap<Addresses>>,
    guard: GuardPolicy,
}

impl Shown {
    /// Looks at what `control` has taken; `addresses` are those of its listeners, and `guard` says what may be
    /// dialled.
    pub fn new(control: &Control, addresses: Arc<ArcSwap<Addresses>>, guard: GuardPolicy) -> Self {
        let Compiler { taken, publisher, .. } = &*control.compiler;
        let (taken, publisher) = (Arc::clone(taken), publisher.clone());
        Self { taken, publisher, addresses, guard }
    }

    /// One page, rendered by the code that the commands use. Errors: what is wrong with the query.
    fn page(&self, page: &str, query: &str) -> Result<Inspected, String> {
        let format = Format::of_query(query).ok_or("format is table, json or yaml")?;
        let (taken, snapshot) = (self.taken.load(), self.publisher.current());
        let compiled = where_bound(&taken, &self.addresses.load());
        let view = View { compiled: &compiled, snapshot: Some(&snapshot) };
        let body = match What::parse(page) {
            Some(what) => inspect::render(what, format, &view),
            None => {
                let question = Question::of_query(query, self.guard.clone())?;
                inspect::explained(&explain(&question, &view, &snapshot)?, format)
            }
        };
        Ok(Inspected { content_type: format.content_type(), body })
    }
}

/// The configuration with the port that is really listened on, where it asks for any free one.
fn where_bound<'c>(compiled: &'c Compiled, addresses: &Addresses) -> Cow<'c, Compiled> {
    if compiled.plan.listeners.iter().all(|listener| listener.bind.port() != 0) {
        return Cow::Borrowed(compiled);
    }
    let mut compiled = compiled.clone();
    for listener in &mut compiled.plan.listeners {
        if let Some(address) = addresses.get(&listener.name) {
            listener.bind.set_port(address.port());
        }
    }
    Cow::Owned(compiled)
}

/// The pages over what is in force.
pub fn pages(
    shown: Shown,
    readiness: &Arc<Readiness>,
    workers: &[Worker],
    reload: mpsc::Sender<admin::Reload>,
    quit: &Arc<Notify>,
) -> Pages {
    let (taken, publisher) = (Arc::clone(&shown.taken), shown.publisher.clone());
    let started = unix_ms() / 1000;
    Pages {
        readiness: Arc::clone(readiness),
        scraper: Scraper::new(workers.iter().map(|worker| worker.scrapes.clone()).collect()),
        facts: Box::new(move || facts(&taken.load(), &publisher.current(), started)),
        inspect: Box::new(move |page, query| shown.page(page, query)),
        reload,
        quit: Arc::clone(quit),
        started: Instant::now(),
    }
}

/// What the metrics page says of the configuration and the process.
fn facts(taken: &Compiled, snapshot: &Snapshot, started_unix_seconds: u64) -> Facts {
    let problems = [Severity::Error, Severity::Warning, Severity::Info].map(|severity| {
        let count = taken.problems.iter().filter(|problem| problem.severity == severity).count();
        (severity.as_str(), count as u64)
    });
    let objects = [Outcome::Applied, Outcome::PartlyApplied, Outcome::Ignored].map(|outcome| {
        let verdicts = taken.provenance.verdicts.iter();
        (outcome.as_str(), verdicts.filter(|verdict| verdict.outcome == outcome).count() as u64)
    });
    Facts {
        version: env!("CARGO_PKG_VERSION"),
        generation: snapshot.generation,
        stat_prefixes: snapshot.stat_prefixes.names().to_vec(),
        endpoints_ejected: snapshot.upstreams.values().map(|one| one.ejected()).sum(),
        problems: problems.to_vec(),
        objects: objects.to_vec(),
        started_unix_seconds,
        ..Facts::default()
    }
}

/// Serves the pages of one port for as long as the process lives, and says where. Errors: the port is taken.
pub async fn serve(
    address: SocketAddr,
    what: &'static str,
    port: Port,
    pages: &Arc<Pages>,
) -> Result<SocketAddr, String> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        format!("{what}: cannot bind {address}: {error}; choose another with --{what} ADDR:PORT")
    })?;
    let bound = listener.local_addr().map_err(|error| format!("{what}: {error}"))?;
    tracing::info!("{what} bound to {bound}");
    // To the end of the process: probes want an answer while we drain, too.
    tokio::spawn(admin::serve(listener, Arc::clone(pages), port, std::future::pending()));
    Ok(bound)
}
