//! A configuration as people want to see it: listed, explained for one request, and its problems told.
//!
//! It decides nothing: what it says of a request it asks of the route table that serves. It reads no
//! file and opens no socket. The command line and the admin pages print what it renders.

mod effective;
pub mod explain;
pub mod problems;
pub mod sarif;
mod show;
mod table;
#[cfg(test)]
mod tests;
mod yaml;

use serde_json::{Value, json};

use crate::config::istio::dump;
use crate::config::{Compiled, native};
use crate::snapshot::Snapshot;
use explain::Explanation;

/// What there is to look at.
#[derive(Clone, Copy)]
pub struct View<'v> {
    /// What the documents came to, with every problem found.
    pub compiled: &'v Compiled,
    /// What is in force, where a gateway runs; it knows addresses and the requests under way.
    pub snapshot: Option<&'v Snapshot>,
}

/// A part of a configuration, as commands and admin pages name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Listeners,
    Routes,
    Clusters,
    Endpoints,
    Config,
    Problems,
}

/// The form it is rendered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Columns, or lines of text: for people.
    Table,
    Json,
    Yaml,
}

impl What {
    /// Every part.
    pub const ALL: [Self; 6] = [
        Self::Listeners,
        Self::Routes,
        Self::Clusters,
        Self::Endpoints,
        Self::Config,
        Self::Problems,
    ];

    /// The name that commands and admin pages use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listeners => "listeners",
            Self::Routes => "routes",
            Self::Clusters => "clusters",
            Self::Endpoints => "endpoints",
            Self::Config => "config",
            Self::Problems => "problems",
        }
    }

    /// Reads a name; `None`: there is no such part.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|what| what.as_str() == name)
    }
}

impl Format {
    /// The name that commands and admin pages use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Yaml => "yaml",
        }
    }

    /// Reads the `format` of an admin page's query; a table where there is none. `None`: no such format.
    pub fn of_query(query: &str) -> Option<Self> {
        let mut named = query.split('&').filter_map(|pair| pair.strip_prefix("format="));
        let name = named.next().unwrap_or("table");
        [Self::Table, Self::Json, Self::Yaml].into_iter().find(|format| format.as_str() == name)
    }

    /// The media type of a page in this form.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Table => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
        }
    }
}

/// Renders a part of what there is to look at, line end included.
///
/// JSON has the names and the shape that istiod gives to listeners, routes and clusters, and Istio's
/// defaults. Tables and YAML show what is in force here. The whole configuration as YAML is in Egret's
/// own form, which `run` reads.
pub fn render(what: What, format: Format, view: &View<'_>) -> String {
    match (what, format) {
        (What::Listeners, Format::Table) => show::listeners(view),
        (What::Routes, Format::Table) => show::routes(view),
        (What::Clusters, Format::Table) => show::clusters(view),
        (What::Endpoints, Format::Table) => show::endpoints(view),
        (What::Config, Format::Table) => show::objects(view),
        (What::Problems, Format::Table) => problems::text_of(view),
        (What::Config, Format::Yaml) => native::render(&view.compiled.plan),
        (What::Listeners, Format::Yaml) => yaml::text(&effective::listeners(view.compiled)),
        (What::Routes, Format::Yaml) => yaml::text(&effective::routes(view.compiled)),
        (What::Clusters, Format::Yaml) => yaml::text(&effective::clusters(view.compiled)),
        (what, Format::Yaml) => yaml::text(&value(what, view)),
        (what, Format::Json) => format!("{:#}\n", value(what, view)),
    }
}

/// Renders an explanation, line end included; as a table it is text.
pub fn explained(explanation: &Explanation, format: Format) -> String {
    match format {
        Format::Table => explanation.to_string(),
        Format::Json => format!("{:#}\n", explanation.value()),
        Format::Yaml => yaml::text(&explanation.value()),
    }
}

fn value(what: What, view: &View<'_>) -> Value {
    match what {
        What::Listeners => dump::listeners(view.compiled),
        What::Routes => dump::routes(view.compiled),
        What::Clusters => dump::clusters(view.compiled),
        What::Endpoints => show::endpoints_value(view),
        What::Problems => problems::value_of(view),
        What::Config => json!({
            "listeners": value(What::Listeners, view),
            "routes": value(What::Routes, view),
            "clusters": value(What::Clusters, view),
            "endpoints": value(What::Endpoints, view),
            "objects": problems::objects(view.compiled),
            "problems": problems::problems(view),
        }),
    }
}
