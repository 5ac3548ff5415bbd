//! The configuration's way into force: read, compiled, compared, published; and the names behind it
//! kept resolved.
//!
//! It knows no socket and no thread: `app` binds what the plan listens on and tells the lanes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::{Instant, sleep, timeout};

use crate::config::source::files::{self, Loaded};
use crate::config::{self, Compiled, Document, Identity, Outcome, Severity};
use crate::model::Listener;
use crate::observe::Readiness;
use crate::observe::readiness::Pending;
use crate::snapshot::{Publisher, Snapshot, materials};
use crate::upstream::Upstream;
use crate::upstream::endpoints::{Lookups, keep_fresh};
use crate::upstream::tls::TlsContext;

/// How long readiness waits for the first answer to each name.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How often it looks at the names that it waits for, unless the last of them wakes it.
const ANSWERS_LOOK: Duration = Duration::from_millis(100);
/// How often it is looked whether a snapshot that is over is still held on to.
const RELEASE_LOOK: Duration = Duration::from_secs(1);

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
    /// Who is asked for names, and what is done with the answers.
    pub lookups: Arc<Lookups>,
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
    ///
    /// What was read is let go before anything is built of the plan, and so is the plan before: the two are
    /// as large as the configuration.
    pub fn take(&mut self, loaded: Loaded) -> Reload {
        let previous = self.publisher.current();
        let mut compiled = self.compile(loaded);
        tell(&compiled);
        let before = self.taken.load_full();
        if compiled.plan.listeners.is_empty() && !before.plan.listeners.is_empty() {
            return Reload::Kept("the new one has no listener that could be used".into());
        }
        let unchanged = compiled.plan == before.plan && previous.generation > 0;
        previous.share_with(&mut compiled.plan);
        let taken = Arc::new(compiled);
        self.taken.store(Arc::clone(&taken));
        drop(before);
        if unchanged {
            return Reload::Unchanged;
        }
        let (snapshot, changes) = Snapshot::build(&taken.plan, &previous, &self.tls);
        let generation = snapshot.generation;
        self.follow_names(&snapshot);
        self.publisher.publish(snapshot);
        tokio::spawn(release(previous));
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

    fn compile(&self, loaded: Loaded) -> Compiled {
        let Loaded { documents, materials, problems, .. } = loaded;
        let mut compiled = config::compile(&documents, &materials, &self.identity);
        compiled.problems.extend(problems);
        materials::judge(&documents, &self.tls, &mut compiled);
        compiled.shrink_to_fit();
        compiled
    }

    /// Keeps the endpoints of each upstream fresh, for as long as it lives.
    fn follow_names(&self, snapshot: &Snapshot) {
        let mut waiting = Vec::new();
        for (key, upstream) in &snapshot.upstreams {
            if !upstream.begin_following() {
                continue;
            }
            tokio::spawn(keep_fresh(Arc::downgrade(upstream), Arc::clone(&self.lookups)));
            // Whom a dynamic one will be asked for, nobody knows yet.
            if upstream.endpoints.is_pending() && upstream.names.is_none() {
                let pending = self.readiness.wait_for(format!("the addresses of {}", key.host));
                waiting.push((Arc::clone(upstream), pending));
            }
        }
        tokio::spawn(wait_for_answers(waiting));
    }

    /// The listeners in force.
    pub fn listeners(&self) -> Vec<Listener> {
        self.taken.load().plan.listeners.clone()
    }
}

/// Holds up readiness until each name has its first answer, or for a while. A failure is an answer too.
async fn wait_for_answers(mut waiting: Vec<(Arc<Upstream>, Pending)>) {
    let until = Instant::now() + FIRST_ANSWER_WITHIN;
    while Instant::now() < until {
        waiting.retain(|(upstream, _)| upstream.endpoints.is_pending());
        let Some((last, _)) = waiting.last() else { return };
        // They are asked in order, so there is nothing to do before the last has its answer.
        let _ = timeout(ANSWERS_LOOK, last.endpoints.ready()).await;
    }
}

/// Lets a snapshot go that is over, once no lane has it in hand: to free a hundred thousand upstreams takes
/// a while, in which a lane would serve nobody.
async fn release(mut snapshot: Arc<Snapshot>) {
    while let Err(held) = Arc::try_unwrap(snapshot) {
        snapshot = held;
        sleep(RELEASE_LOOK).await;
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
