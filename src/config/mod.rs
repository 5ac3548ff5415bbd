//! Documents become a plan: `compile` never fails and never stops at the first problem.
//!
//! Pure, but for `source/`, which reads files. What Istio's words mean stands in `istio/` alone.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

pub mod credentials;
pub mod document;
pub mod istio;
pub mod native;
pub mod problem;
pub mod provenance;
mod reading;
pub mod source;
mod typed;

pub use document::Document;
pub use problem::{Place, Problem, Severity};
pub use provenance::{Outcome, Provenance, Verdict};
pub use typed::Typed;

pub use crate::model::spelling::{misspelt, nearest};

use crate::model::Plan;

/// Who this gateway is: what selectors, namespaces and ports are judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The namespace this process runs in.
    pub namespace: String,
    /// The namespace whose policies hold for all others.
    pub root_namespace: String,
    /// The labels that a selector must find.
    pub labels: BTreeMap<String, String>,
    /// Gateway port to bound port; a port not named here is bound as it is, and 0 takes any free one.
    pub port_map: BTreeMap<u16, u16>,
    /// The address that listeners are bound to when they name none.
    pub bind: IpAddr,
}

impl Default for Identity {
    /// Istio's egress gateway as its installation makes it.
    fn default() -> Self {
        Self {
            namespace: "istio-system".to_owned(),
            root_namespace: "istio-system".to_owned(),
            labels: BTreeMap::from([("istio".to_owned(), "egressgateway".to_owned())]),
            port_map: BTreeMap::new(),
            bind: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        }
    }
}

/// The files that documents point at, by their path as written: the content, or why it is unreadable.
pub type Materials = HashMap<String, Result<Arc<[u8]>, String>>;

/// What a set of documents comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compiled {
    pub plan: Plan,
    pub provenance: Provenance,
    /// In the order of files and lines.
    pub problems: Vec<Problem>,
}

impl Compiled {
    /// Gives back the room that lists have to grow: it stays in force for long, and nothing is added to it.
    pub fn shrink_to_fit(&mut self) {
        let Self { plan, provenance, problems } = self;
        plan.routes.shrink_to_fit();
        plan.upstreams.shrink_to_fit();
        provenance.verdicts.shrink_to_fit();
        provenance.routes.shrink_to_fit();
        provenance.upstreams.shrink_to_fit();
        provenance.skipped.shrink_to_fit();
        problems.shrink_to_fit();
    }
}

/// Makes the best plan of the documents, with a verdict on each and every problem found.
pub fn compile(documents: &[Document], materials: &Materials, identity: &Identity) -> Compiled {
    let mut compiled = Compiled::default();
    let materials = &credentials::with_documents(materials, documents, identity);
    istio::compile(documents, materials, identity, &mut compiled);
    native::compile(documents, materials, identity, &mut compiled);
    credentials::report(documents, materials, identity, &mut compiled);
    compiled.problems.sort_by(|a, b| a.place.cmp(&b.place));
    compiled.provenance.verdicts.sort_by(|a, b| a.place.cmp(&b.place));
    compiled
}

/// The paths of every file that a document points at, each once.
pub fn referenced_files(documents: &[Document]) -> Vec<String> {
    let mut files = istio::referenced_files(documents);
    files.extend(native::referenced_files(documents));
    files.retain(|name| !name.starts_with("secret:") && !name.starts_with("configmap:"));
    files.sort_unstable();
    files.dedup();
    files
}
