//! The configuration's way into force: read, compiled, compared, published; and the names behind it
//! kept resolved.
//!
//! It knows no socket and no thread: `app` binds what the plan listens on and tells the lanes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::timeout;

use crate::config::source::files::{self, Loaded};
use crate::config::{self, Compiled, Document, Identity, Outcome, Severity};
use crate::model::Listener;
use crate::observe::Readiness;
use crate::snapshot::{Publisher, Snapshot, materials};
use crate::upstream::dns::Resolve;
use crate::upstream::endpoints::keep_fresh;
use crate::upstream::guard::Guard;
use crate::upstream::overrides::Overrides;
use crate::upstream::tls::TlsContext;

/// How long readiness waits for the first answer to each name.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Where configurations come from.
#[derive(Debug)]
pub enum Source {
    /// Files and directories, which may change.
    Paths(Vec<PathBuf>),
    /// Documents made of the command line.
    Fixed(Vec<Document>),
}

/// What became of a configuration that was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Reload {
    /// It is in force, under this generation.
    InForce(u64),
    /// It means what the one in force means.
    Unchanged,
    /// The one before stays in force, for this reason.
    Kept(String),
}

/// Everything that turns documents into what lanes serve.
pub struct Control {
    /// Where documents are read.
    pub source: Source,
    /// Who this gateway is, for the rules that depend on it.
    pub identity: Identity,
    /// Where snapshots are published.
    pub publisher: Publisher,
    /// What all TLS origination shares.
    pub tls: TlsContext,
    /// Who is asked for names.
    pub resolver: Arc<dyn Resolve>,
    /// Names and ports that lead elsewhere.
    pub overrides: Arc<Overrides>,
    /// What may be dialled.
    pub guard: Arc<Guard>,
    /// What readiness waits for.
    pub readiness: Arc<Readiness>,
    /// The configuration in force.
    pub taken: Arc<ArcSwap<Compiled>>,
}

impl Control {
    /// Reads the source. Errors: what is unreadable as a whole, and why.
    pub fn read(&self) -> Result<Loaded, String> {
        match &self.source {
            Source::Paths(paths) => files::load(paths).map_err(|error| error.to_string()),
            Source::Fixed(documents) => {
                Ok(Loaded { documents: documents.clone(), ..Loaded::default() })
            }
        }
    }

    /// Compiles what was read and puts it in force, unless there is a reason not to.
    pub fn take(&mut self, loaded: Loaded) -> Reload {
        let mut compiled = config::compile(&loaded.documents, &loaded.materials, &self.identity);
        compiled.problems.extend(loaded.problems);
        materials::judge(&loaded.documents, &self.tls, &mut compiled);
        tell(&compiled);
        let before = self.taken.load_full();
        if compiled.plan.listeners.is_empty() && !before.plan.listeners.is_empty() {
            return Reload::Kept("the new one has no listener that could be used".into());
        }
        let previous = self.publisher.current();
        let unchanged = compiled.plan == before.plan && previous.generation > 0;
        let taken = Arc::new(compiled);
        self.taken.store(Arc::clone(&taken));
        if unchanged {
            return Reload::Unchanged;
        }
        let (snapshot, changes) = Snapshot::build(&taken.plan, &previous, &self.tls);
        let generation = snapshot.generation;
        self.follow_names(&snapshot, &previous);
        self.publisher.publish(snapshot);
        tracing::info!(
            "configuration generation {generation} in force: {} listeners, {} routes, {} upstreams \
             ({} new, {} kept, {} gone)",
            taken.plan.listeners.len(),
            taken.plan.routes.len(),
            taken.plan.upstreams.len(),
            changes.added,
            changes.kept,
            changes.removed,
        );
        Reload::InForce(generation)
    }

    /// Keeps the endpoints of each new upstream fresh, for as long as it lives.
    fn follow_names(&self, snapshot: &Snapshot, previous: &Snapshot) {
        for (key, upstream) in &snapshot.upstreams {
            if previous.upstreams.get(key).is_some_and(|known| Arc::ptr_eq(known, upstream)) {
                continue;
            }
            tokio::spawn(keep_fresh(
                Arc::downgrade(upstream),
                Arc::clone(&self.resolver),
                Arc::clone(&self.overrides),
                Arc::clone(&self.guard),
            ));
            // Whom a dynamic one will be asked for, nobody knows yet.
            if !upstream.endpoints.is_pending() || upstream.names.is_some() {
                continue;
            }
            let waiting = self.readiness.wait_for(format!("the addresses of {}", key.host));
            let upstream = Arc::clone(upstream);
            tokio::spawn(async move {
                // A failure is an answer too; so is silence, after a while.
                let _ = timeout(FIRST_ANSWER_WITHIN, upstream.endpoints.ready()).await;
                drop(waiting);
            });
        }
    }

    /// The listeners in force.
    pub fn listeners(&self) -> Vec<Listener> {
        self.taken.load().plan.listeners.clone()
    }
}

/// Logs every problem, and every object that did not apply as a whole.
fn tell(compiled: &Compiled) {
    for problem in &compiled.problems {
        match problem.severity {
            Severity::Error => tracing::error!("{problem} [{}]", problem.code),
            Severity::Warning => tracing::warn!("{problem} [{}]", problem.code),
            Severity::Info => tracing::info!("{problem} [{}]", problem.code),
        }
    }
    for verdict in
        compiled.provenance.verdicts.iter().filter(|verdict| verdict.outcome != Outcome::Applied)
    {
        tracing::info!("{verdict}");
    }
}
