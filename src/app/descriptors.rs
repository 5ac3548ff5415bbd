//! How many files this process may have open, and the limits that fit them.
//!
//! A connection is a file. How the files are shared out is the limits' business.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::model::Limit;
use crate::settings::Limits;

/// More than this is not asked for, even where the system sets no bound.
const DESCRIPTORS_MAX: u64 = 1 << 20;

/// The limits with what depends on this machine filled in; the log is told what there is room for.
pub fn fit(given: &Limits) -> Limits {
    let descriptors = raise();
    let limits = given.fit(descriptors);
    let (clients, origins) =
        (limits.written(Limit::Connections), limits.written(Limit::UpstreamConnections));
    tracing::info!(
        "room for {clients} client connections and {origins} to origins; {descriptors} files may be open"
    );
    let is_lowered = |given: Option<u32>, fitted| given.is_some() && given != fitted;
    if is_lowered(given.connections, limits.connections)
        || is_lowered(given.upstream_connections, limits.upstream_connections)
    {
        tracing::warn!(
            "that is fewer connections than the limits ask for: raise the number of files that may be open \
             (ulimit -n), or lower connections and upstreamConnections"
        );
    }
    limits
}

/// Raises the soft limit as far as the hard one allows, and says what it is now.
///
/// Where it cannot be raised, what there was is worked with: a smaller gateway is better than none.
fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let before = current.unwrap_or(DESCRIPTORS_MAX);
    let wanted = maximum.unwrap_or(DESCRIPTORS_MAX).min(DESCRIPTORS_MAX);
    if wanted <= before {
        return before;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::warn!("no more than {before} files can be open: {error}");
            before
        }
    }
}
