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
#[derive(Debug, Clone)]
pub enum Source {
    /// Files and directories, which may change.
    Paths(Vec<PathBuf>),
    /// Documents made of the command line.
    Fixed(Vec<Document>),
}

impl Source {
    /// Reads it. Errors: what is unreadable as a whole, and why.
    pub fn read(self) -> Result<Loaded, String> {
        match self {
            Self::Paths(paths) => files::load(&paths).map_err(|error| error.to_string()),
            Self::Fixed(documents) => Ok(Loaded { documents, ..Loaded::default() }),
        }
    }
}

/// What turns documents into what lanes serve, on whichever thread has the time.
pub struct Compiler {
    /// Who this gateway is, for the rules that depend on it.
    pub identity: Identity,
    /// What all TLS origination shares.
    pub tls: TlsContext,
    /// Where snapshots are published.
    pub publisher: Publisher,
    /// The configuration in force.
    pub taken: Arc<ArcSwap<Compiled>>,
}

/// What came of a configuration that was read.
pub enum Made {
    /// It can be put in force.
    Snapshot(Arc<Compiled>, Arc<Snapshot>),
    /// It means what the one in force means.
    Unchanged(Arc<Compiled>),
    /// The one in force has to stay, for this reason.
    Unusable(String),
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

/// What puts configurations in force, and keeps what stands behind them fresh.
pub struct Control {
    /// Where documents are read.
    pub source: Source,
    /// Who makes snapshots of them.
    pub compiler: Arc<Compiler>,
    /// Who is asked for names, and what is done with the answers.
    pub lookups: Arc<Lookups>,
    /// What readiness waits for.
    pub readiness: Arc<Readiness>,
}

impl Compiler {
    /// Compiles what was read and builds a snapshot of it, unless there is a reason not to. It takes seconds where
    /// there is much of it, and nothing is in force by it yet.
    ///
    /// What was read is let go before anything is built of the plan: it is as large as the configuration.
    pub fn make(&self, loaded: Loaded) -> Made {
        let previous = self.publisher.current();
        let mut compiled = self.compile(loaded);
        tell(&compiled);
        let before = self.taken.load_full();
        if compiled.plan.listeners.is_empty() && !before.plan.listeners.is_empty() {
            return Made::Unusable("the new one has no listener that could be used".into());
        }
        let unchanged = compiled.plan == before.plan && previous.generation > 0;
        previous.share_with(&mut compiled.plan);
        let compiled = Arc::new(compiled);
        if unchanged {
            return Made::Unchanged(compiled);
        }
        let snapshot = Snapshot::build(&compiled.plan, &previous, &self.tls);
        Made::Snapshot(compiled, Arc::new(snapshot))
    }

    fn compile(&self, loaded: Loaded) -> Compiled {
        let Loaded { documents, materials, problems, .. } = loaded;
        let mut compiled = config::compile(&documents, &materials, &self.identity);
        compiled.problems.extend(problems);
        materials::judge(&documents, &self.tls, &mut compiled);
        compiled.shrink_to_fit();
        compiled
    }
}

impl Control {
    /// Puts in force what was made of the source.
    pub fn take(&self, made: Made) -> Reload {
        let Compiler { publisher, taken, .. } = &*self.compiler;
        let (compiled, snapshot) = match made {
            Made::Snapshot(compiled, snapshot) => (compiled, snapshot),
            Made::Unchanged(compiled) => {
                taken.store(compiled);
                return Reload::Unchanged;
            }
            Made::Unusable(why) => return Reload::Kept(why),
        };
        let generation = snapshot.generation;
        let previous = publisher.current();
        let changes = snapshot.succeed(&previous, &compiled.plan);
        self.follow_names(&snapshot);
        taken.store(Arc::clone(&compiled));
        publisher.publish(snapshot);
        tokio::spawn(release(previous));
        tracing::info!(
            "configuration generation {generation} in force: {} listeners, {} routes, {} upstreams \
             ({} new, {} kept, {} gone)",
            compiled.plan.listeners.len(),
            compiled.plan.routes.len(),
            compiled.plan.upstreams.len(),
            changes.added,
            changes.kept,
            changes.removed,
        );
        Reload::InForce(generation)
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
        self.compiler.taken.load().plan.listeners.clone()
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
