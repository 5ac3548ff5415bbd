//! Which hosts a gateway knows. They are the same for all, so that all do the same.

use crate::work::{DOMAIN, HOST};

/// The hosts, and where they lead. [`HOST`] is always among them, and leads to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routes {
    /// [`HOST`] alone.
    One,
    /// So many names onto one upstream.
    Exact(usize),
    /// So many wildcards onto one upstream.
    Wildcards(usize),
    /// So many names with as many rules each, by the beginning of the path, onto one upstream.
    Rules {
        /// How many names.
        hosts: usize,
        /// How many rules each.
        rules: usize,
    },
    /// So many names, each with an upstream of its own, which is verified by that name.
    Upstreams(usize),
}

impl Routes {
    /// The names as they are routed, [`HOST`] not among them.
    pub fn names(self) -> Vec<String> {
        let wildcard = if matches!(self, Self::Wildcards(_)) { "*." } else { "" };
        (0..self.count()).map(|number| format!("{wildcard}h{number}.{DOMAIN}")).collect()
    }

    /// The host to ask for, with `{}` for a number below [`count`](Self::count).
    pub fn pattern(self) -> String {
        match self {
            Self::One => HOST.to_owned(),
            Self::Wildcards(_) => format!("www.h{{}}.{DOMAIN}"),
            Self::Exact(_) | Self::Rules { .. } | Self::Upstreams(_) => format!("h{{}}.{DOMAIN}"),
        }
    }

    /// How many names there are besides [`HOST`].
    pub fn count(self) -> usize {
        match self {
            Self::One => 0,
            Self::Exact(hosts)
            | Self::Wildcards(hosts)
            | Self::Rules { hosts, .. }
            | Self::Upstreams(hosts) => hosts,
        }
    }

    /// The beginnings of paths that are routed.
    pub fn prefixes(self) -> Vec<String> {
        match self {
            Self::Rules { rules, .. } => (0..rules).map(|number| format!("/r{number}/")).collect(),
            _ => vec!["/".to_owned()],
        }
    }
}
