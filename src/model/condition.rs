//! What a rule asks of a request: its path, method, header lines and query.
//!
//! Only what is asked; `snapshot::condition` holds it against a request.

use super::Pattern;

/// All that is asked of a request; everything must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The path, query excluded.
    pub path: PathMatch,
    /// The methods taken; empty: every method.
    pub methods: Vec<String>,
    /// What header lines, or parts of the request line, must say.
    pub fields: Vec<FieldMatch>,
    /// What parameters of the query must say.
    pub query: Vec<QueryMatch>,
}

impl Default for Condition {
    /// Every request fulfils it.
    fn default() -> Self {
        Self {
            path: PathMatch::Prefix("/".to_owned()),
            methods: Vec::new(),
            fields: Vec::new(),
            query: Vec::new(),
        }
    }
}

impl Condition {
    /// Whether every request fulfils it.
    pub fn is_any(&self) -> bool {
        self.path.is_any()
            && self.methods.is_empty()
            && self.fields.is_empty()
            && self.query.is_empty()
    }
}

/// A condition on the path, without the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMatch {
    /// The whole path.
    Exact(String),
    /// A string prefix, as Istio and Envoy mean it: `/api` also matches `/apifoo`. `/` is every path.
    Prefix(String),
    /// The whole path, whatever its case.
    ExactAnyCase(String),
    /// A string prefix, whatever its case.
    PrefixAnyCase(String),
    /// An expression for the whole path.
    Regex(Pattern),
}

impl PathMatch {
    /// Whether the path, without its query, fulfils the condition.
    pub fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(whole) => path == whole.as_bytes(),
            Self::Prefix(prefix) => prefix == "/" || path.starts_with(prefix.as_bytes()),
            Self::ExactAnyCase(whole) => path.eq_ignore_ascii_case(whole.as_bytes()),
            Self::PrefixAnyCase(prefix) => path
                .get(..prefix.len())
                .is_some_and(|front| front.eq_ignore_ascii_case(prefix.as_bytes())),
            Self::Regex(pattern) => pattern.matches(path),
        }
    }

    /// Whether every path fulfils the condition.
    pub fn is_any(&self) -> bool {
        match self {
            Self::Prefix(prefix) | Self::PrefixAnyCase(prefix) => prefix == "/",
            Self::Regex(pattern) => pattern.as_str() == ".*",
            Self::Exact(_) | Self::ExactAnyCase(_) => false,
        }
    }
}

/// What one field must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldMatch {
    /// Which field.
    pub field: Field,
    /// What it must say; several lines of a name are one text with commas between.
    pub text: TextMatch,
    /// The request is taken when the field says something else. A field that is missing counts as
    /// empty then, but for `TextMatch::Present` (Envoy's `treat_missing_header_as_empty`).
    pub inverted: bool,
}

/// A part of a request's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// A header line by its name, in lower case.
    Header(String),
    /// Host, or `:authority`, as the client sent it: port and case included.
    Authority,
    /// `:method`.
    Method,
    /// `:path`: the target with its query.
    Path,
    /// `:scheme`: `http`, or `https` where the target said so.
    Scheme,
}

impl Field {
    /// By its name in a configuration; names of HTTP/2's pseudo-fields begin with a colon.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            ":authority" | "host" => Some(Self::Authority),
            ":method" => Some(Self::Method),
            ":path" => Some(Self::Path),
            ":scheme" => Some(Self::Scheme),
            _ if is_token(&name) => Some(Self::Header(name)),
            _ => None,
        }
    }

    /// Its name, as HTTP/2 and Envoy know it.
    pub fn name(&self) -> &str {
        match self {
            Self::Header(name) => name,
            Self::Authority => ":authority",
            Self::Method => ":method",
            Self::Path => ":path",
            Self::Scheme => ":scheme",
        }
    }
}

/// What one parameter of the query must say; of several with its name, the first counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryMatch {
    /// The parameter's name.
    pub name: String,
    /// What it must say; the value is taken as it stands in the target, escapes and all.
    pub text: TextMatch,
}

/// A condition on a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextMatch {
    /// It is there, whatever it says.
    Present,
    /// The whole text.
    Exact(String),
    /// Its beginning.
    Prefix(String),
    /// An expression for the whole text.
    Regex(Pattern),
}

impl TextMatch {
    /// Whether a text that is there fulfils the condition.
    pub fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Exact(whole) => text == whole.as_bytes(),
            Self::Prefix(prefix) => text.starts_with(prefix.as_bytes()),
            Self::Regex(pattern) => pattern.matches(text),
        }
    }
}

/// Whether a text is a token (RFC 9110, section 5.6.2): a method or a field name.
pub fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}
