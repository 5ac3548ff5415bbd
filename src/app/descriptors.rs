//! How many files this process may have open.
//!
//! A connection is a file, so this bounds how many there can be. What is done with the number is the
//! limits' business.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than this is not asked for, even where the system sets no bound.
const DESCRIPTORS_MAX: u64 = 1 << 20;

/// Raises the soft limit as far as the hard one allows, and says what it is now.
///
/// Where it cannot be raised, what there was is worked with: a smaller gateway is better than none.
pub fn raise() -> u64 {
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
