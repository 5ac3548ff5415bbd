//! Problems: what is wrong with a configuration, exactly where, and what to write instead.
//!
//! A problem never stops the compiler; what became of the object stands in `provenance`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::provenance::Object;

/// How bad a problem is. `check` exits 1 when there is an error (or, with `--strict`, a warning).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Info,
    /// Works, but probably not as meant.
    Warning,
    /// Does not do what was asked for.
    Error,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A position in a file; line and column count from 1.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One thing to tell the person who wrote the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Stable code, e.g. `EG003`; all stand in [`CODES`].
    pub code: &'static str,
    pub severity: Severity,
    pub place: Place,
    /// The object, e.g. `Gateway/istio-egressgateway`, or `file`.
    pub object: Arc<Object>,
    /// The field, e.g. `spec.http[0].route[0].destination.port`; empty: the object as a whole.
    pub field: String,
    /// What is wrong and what follows from it.
    pub message: String,
    /// What to write instead; empty where the message says it.
    pub fix: Cow<'static, str>,
}

impl Problem {
    /// The kind of the object, e.g. `Gateway`; empty where it has none, as Egret's own form.
    pub fn kind(&self) -> &str {
        self.object.name.split_once('/').map_or("", |(kind, _)| kind)
    }

    /// The object's namespace; empty where it has none, as Egret's own form.
    pub fn namespace(&self) -> &str {
        if self.object.is_file() { "" } else { &self.object.namespace }
    }

    /// What was left out of TLS settings is not just missing: whoever needs them is refused.
    pub fn failing_closed(mut self) -> Self {
        for effect in [", ignored", "; it is left out"] {
            self.message = self.message.replace(effect, "");
        }
        self.message.push_str("; requests fail with 503, never in plain text");
        self
    }
}

/// `file:line:column: object: field: what: fix`. Code and severity are for the caller to add.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.object.name)?;
        for part in [self.field.as_str(), &self.message, &self.fix] {
            if !part.is_empty() {
                write!(f, ": {part}")?;
            }
        }
        Ok(())
    }
}

/// Whether any problem is an error.
pub fn any_error(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}

/// Every code with its subject. Codes are never given another meaning.
#[rustfmt::skip] // a table reads best as one
pub const CODES: &[(&str, &str)] = &[
    ("EG001", "a policy for one port replaces the policy for all ports"),
    ("EG002", "a policy for a port that no route uses"),
    ("EG003", "an encrypted port is contacted in plain text"),
    ("EG004", "plain HTTP is said to be spoken on port 443"),
    ("EG005", "a port condition that no port of the gateway fulfils"),
    ("EG006", "a gateway condition that names a gateway the object is not bound to"),
    ("EG007", "a gateway that does not exist"),
    ("EG008", "no gateway is named, so that it is only for sidecars"),
    ("EG009", "hosts that the gateway does not admit"),
    ("EG010", "a destination port that the service does not have"),
    ("EG011", "a host that is not known"),
    ("EG012", "a part of a service that is not declared or has no endpoint"),
    ("EG013", "only for sidecars or for other software, not for this gateway"),
    ("EG014", "a second policy for the same host"),
    ("EG015", "a policy that this gateway may not see"),
    ("EG016", "servers that conflict on one port"),
    ("EG017", "a port that this process may not open"),
    ("EG018", "a client speaks TLS to the plain-text listener"),
    ("EG019", "TLS would be wrapped in TLS"),
    ("EG020", "an origin that redirects to its own https URL for ever"),
    ("EG030", "a server name without a list of names to verify"),
    ("EG031", "verification is off"),
    ("EG032", "verification is off and configured at once"),
    ("EG033", "a client certificate or key is missing or unusable"),
    ("EG034", "a credential in another namespace, or one that does not exist"),
    ("EG035", "a file of trusted certificates is missing or unusable"),
    ("EG036", "requests for a port that is said not to speak HTTP"),
    ("EG037", "an upstream that is an IP address, or a server name that is none"),
    ("EG039", "a certificate must bear two names at once"),
    ("EG040", "TLS is switched off on an encrypted port"),
    ("EG041", "the origin speaks no version of TLS that is spoken here"),
    ("EG042", "names to verify where no certificate is verified"),
    ("EG050", "a routed host without any way to resolve it"),
    ("EG051", "a wildcard host cannot be resolved"),
    ("EG052", "endpoints, ports or hosts of a service that cannot be used"),
    ("EG053", "a name leads to an address inside the network"),
    ("EG054", "a route without a timeout"),
    ("EG055", "requests that are not idempotent are not tried again"),
    ("EG056", "idle connections are kept longer than most origins do"),
    ("EG057", "no connection is reused"),
    ("EG058", "the only endpoint can be ejected"),
    ("EG059", "a connect timeout too short for TCP and TLS"),
    ("EG060", "the same host and port is defined twice"),
    ("EG061", "addresses of the inside are told to an origin"),
    ("EG070", "a rule that can never be reached"),
    ("EG071", "a host that is not in its normal form"),
    ("EG072", "a prefix that matches more than whole segments"),
    ("EG073", "an action that is incomplete or contradicts itself"),
    ("EG074", "a field or value that no longer exists"),
    ("EG075", "an unknown field"),
    ("EG076", "a selector that does not select this gateway"),
    ("EG077", "a tunnel, which is not for HTTP"),
    ("EG079", "not visible to this gateway's namespace"),
    ("EG080", "a document that cannot be read"),
    ("EG081", "a value of the wrong type or out of range"),
    ("EG082", "a required field is missing"),
    ("EG083", "not implemented"),
    ("EG084", "a kind of object that is not read"),
    ("EG085", "a limit was reached"),
    ("EG086", "an object is defined twice"),
    ("EG089", "applied here, though Istio refuses the object"),
    ("EG090", "the configuration has no listener"),
    ("EG091", "settings given more than once"),
    ("EG092", "a file or directory cannot be read"),
    ("EG093", "a route's destination is not usable"),
    ("EG095", "a delegate that does not exist or is not visible"),
    ("EG096", "a delegated rule that takes more than is delegated"),
    ("EG097", "clients are sent to https, which this gateway does not serve"),
];
