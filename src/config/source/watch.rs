//! Notices that configuration files, or files they point at, have changed.
//!
//! A hint from the operating system only means "read everything and compare": what happened to which
//! name is not believed. So plain writes, rename-and-replace and the swap of a mounted ConfigMap's
//! `..data` are one case, and hints that are lost are made up for by a slow poll. Reports changes;
//! does not load them.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::files::{Loaded, current_fingerprint};

/// A burst of changes is over when nothing has happened for this long,
const QUIET: Duration = Duration::from_millis(100);
/// or has lasted this long.
const BURST_MAX: Duration = Duration::from_secs(1);
/// How often everything is compared without any hint: for file systems that give none.
const POLL: Duration = Duration::from_secs(30);

/// Why the configuration should be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Some file's name or content, or whether it can be read, is not what it was.
    Files,
    /// Somebody asked for it.
    Asked,
}

/// Watches everything that a configuration was read from.
pub struct Watcher {
    paths: Vec<PathBuf>,
    materials: Vec<String>,
    /// The state that was last loaded or reported.
    known: u64,
    /// Set when a hint was taken and not yet compared, so that dropping `next_change` loses nothing.
    hinted: bool,
    hints: Arc<Notify>,
    asks: Arc<Notify>,
    notifier: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

/// Asks for the configuration to be read again, whether something changed or not; for SIGHUP.
#[derive(Debug, Clone)]
pub struct Asker(Arc<Notify>);

impl Asker {
    /// Makes `next_change` return. Asking twice before it does is asking once.
    pub fn ask(&self) {
        self.0.notify_one();
    }
}

impl Watcher {
    /// Begins to watch the paths that a configuration was, or will be, read from.
    pub fn new(paths: &[PathBuf]) -> Self {
        let hints = Arc::new(Notify::new());
        let hint = hints.clone();
        // This runs on the notifier's own thread, and leaving a hint never waits. An error may mean
        // that events were lost, which is a hint too.
        let notifier = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.map_or(true, |event| is_hint(event.kind)) {
                hint.notify_one();
            }
        });
        if let Err(error) = &notifier {
            tracing::warn!(
                "files cannot be watched, so changes are noticed every {POLL:?}: {error}"
            );
        }
        let mut watcher = Self {
            paths: paths.to_vec(),
            materials: Vec::new(),
            known: 0,
            hinted: false,
            hints,
            asks: Arc::new(Notify::new()),
            notifier: notifier.ok(),
            watched: BTreeSet::new(),
        };
        watcher.watch_directories();
        watcher.known = watcher.state();
        watcher
    }

    /// A handle to ask for a reload with.
    pub fn asker(&self) -> Asker {
        Asker(self.asks.clone())
    }

    /// Takes what was loaded as the state against which changes are judged, and watches its materials.
    pub fn follow(&mut self, loaded: &Loaded) {
        self.materials = loaded.materials.keys().cloned().collect();
        self.materials.sort();
        self.known = loaded.fingerprint;
        self.watch_directories();
        // Whatever happened between the load and the watch is found by the first comparison.
        self.hinted = true;
    }

    /// Waits for a change. Each state is reported once; may be dropped and called again at any time.
    pub async fn next_change(&mut self) -> Change {
        loop {
            if !self.hinted {
                tokio::select! {
                    () = self.asks.notified() => return Change::Asked,
                    // Running out of time is a poll: compare without a hint.
                    _ = timeout(POLL, self.hints.notified()) => self.hinted = true,
                }
            }
            tokio::select! {
                () = self.asks.notified() => return Change::Asked,
                () = quiet(&self.hints) => {}
            }
            self.hinted = false;
            self.watch_directories(); // one may have been replaced by another of the same name
            let state = self.state();
            if state != self.known {
                self.known = state;
                return Change::Files;
            }
        }
    }

    fn state(&self) -> u64 {
        current_fingerprint(&self.paths, &self.materials).unwrap_or_else(|unreadable| {
            let mut hasher = DefaultHasher::new();
            unreadable.to_string().hash(&mut hasher);
            hasher.finish()
        })
    }

    fn watch_directories(&mut self) {
        let Some(notifier) = &mut self.notifier else {
            return;
        };
        let materials = self.materials.iter().map(Path::new);
        let mut wanted = BTreeSet::new();
        for path in self.paths.iter().map(PathBuf::as_path).chain(materials) {
            add_directories(path, &mut wanted);
        }
        for directory in self.watched.difference(&wanted) {
            // Fails when the directory is gone, and with it the watch: that is what is wanted.
            let _ = notifier.unwatch(directory);
        }
        for directory in &wanted {
            // Watching again is without effect unless the directory is another one by now.
            if let Err(error) = notifier.watch(directory, RecursiveMode::NonRecursive)
                && !self.watched.contains(directory)
            {
                tracing::warn!(
                    "{} cannot be watched, so changes are noticed every {POLL:?}: {error}",
                    directory.display()
                );
            }
        }
        self.watched = wanted;
    }
}

/// Returns when no hint has come for a while, or hints have come for too long.
async fn quiet(hints: &Notify) {
    let end = Instant::now() + BURST_MAX;
    while Instant::now() < end {
        if timeout_at(end.min(Instant::now() + QUIET), hints.notified()).await.is_err() {
            return;
        }
    }
}

/// Reading is no change, and our own comparing reads; the end of writing is one.
fn is_hint(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// The directories where a change of what a path leads to shows: of the path itself, of what it is
/// linked to, and of every link on the way.
fn add_directories(path: &Path, directories: &mut BTreeSet<PathBuf>) {
    let mut add = |directory: Option<&Path>| {
        let directory =
            directory.map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path });
        // One name for each directory: two names would share one watch, and removing one ends both.
        directories.extend(directory.and_then(|directory| directory.canonicalize().ok()));
    };
    add(path.parent());
    for step in path.ancestors().filter(|step| step.is_symlink()) {
        add(step.parent());
    }
    match path.is_dir() {
        true => add(Some(path)),
        false => add(path.canonicalize().ok().as_deref().and_then(Path::parent)),
    }
    // The files of a directory may be links that lead elsewhere.
    for entry in path.read_dir().into_iter().flatten().flatten() {
        if entry.path().is_symlink() {
            add(entry.path().canonicalize().ok().as_deref().and_then(Path::parent));
        }
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
