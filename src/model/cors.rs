//! Which pages of other sites a browser lets read a rule's answers (CORS).
//!
//! Only what is allowed; `snapshot::cors` holds a request against it.

use super::condition::TextMatch;

/// Who may read answers, and what a browser is told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cors {
    /// The origins of such pages.
    pub origins: Vec<TextMatch>,
    /// Whether the browser may send cookies and the like.
    pub credentials: bool,
    /// The methods that such pages may use; empty: nothing is said of them.
    pub methods: Vec<String>,
    /// The header lines that such pages may send.
    pub headers: Vec<String>,
    /// The header lines of the answer that such pages may read.
    pub exposed: Vec<String>,
    /// For how many seconds the browser need not ask again.
    pub max_age: Option<u64>,
    /// Whether a browser's question for another origin is answered here, instead of by the upstream.
    pub answers_all: bool,
}

impl Cors {
    /// Whether a page of this origin may read answers. A condition that `*` fulfils allows every origin, as in
    /// Envoy.
    pub fn allows(&self, origin: &[u8]) -> bool {
        self.origins.iter().any(|one| one.matches(b"*") || one.matches(origin))
    }
}
