//! A request to explain: as somebody asks about it, as a head, and where its client would knock.
//!
//! The head is read by the parser that serves.

use crate::model::{Authority, Failure, GuardPolicy, Listener, Plan};
use crate::wire::parse::{self, HeadLimits, Parsed};
use crate::wire::{Head, Refusal};

/// A request to explain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub method: String,
    /// Host, with or without a port, as it would stand in a Host header.
    pub authority: String,
    /// Path and query, or a whole URL, as a client sends it to a proxy (absolute-form, RFC 9112, section 3.2.2).
    pub target: String,
    /// Header lines, name and value; a Host among them counts in place of the authority's.
    pub headers: Vec<(String, String)>,
    /// The listener's port; `None`: the authority's, else 80 if somebody listens there, else the only one.
    pub port: Option<u16>,
    /// Which addresses may be dialled.
    pub guard: GuardPolicy,
}

impl Question {
    /// Reads the query of the admin page: `host` is needed; `path`, `method`, `port` and any number of
    /// `header=Name: value` may be given, percent-encoded (`+` is a plus). `format` is the page's own.
    ///
    /// Errors: what is missing or wrong, with how to write it.
    pub fn of_query(query: &str, guard: GuardPolicy) -> Result<Self, String> {
        let mut question = Self {
            method: "GET".to_owned(),
            authority: String::new(),
            target: "/".to_owned(),
            headers: Vec::new(),
            port: None,
            guard,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
            let text =
                decoded(text).ok_or_else(|| format!("{name} is not percent-encoded UTF-8"))?;
            match name {
                "host" => question.authority = text,
                "path" if text.starts_with('/') || text.contains("://") => question.target = text,
                "path" => question.target = format!("/{text}"),
                "method" => question.method = text,
                "port" => {
                    let port = text.parse().ok().filter(|port| *port != 0);
                    question.port = Some(port.ok_or("port is a number from 1 to 65535")?);
                }
                "header" => {
                    let line = text.split_once(':').ok_or("write header=Name:%20value")?;
                    question.headers.push((line.0.to_owned(), line.1.trim().to_owned()));
                }
                "format" => {}
                other => return Err(format!("there is no {other}; {USAGE}")),
            }
        }
        match Authority::parse(question.authority.as_bytes()) {
            Some(_) => Ok(question),
            None => Err(format!("host is no host; {USAGE}")),
        }
    }

    /// The head that a client would send, as it is read.
    pub(super) fn head(&self) -> Result<Head, Failure> {
        let Self { method, authority, target, headers, .. } = self;
        let lines = headers.iter().flat_map(|(name, value)| [name, value]);
        let ends_line = |text: &String| text.contains(['\r', '\n']);
        if [method, authority, target].into_iter().chain(lines).any(ends_line) {
            return Err(Refusal::ControlCharacter.into());
        }
        // A tunnel is asked for by host and port (RFC 9112, section 3.2.3).
        let target = if method == "CONNECT" { authority } else { target };
        let mut text = format!("{method} {target} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text.push_str(&format!("Host: {authority}\r\n"));
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        match parse::request(text.as_bytes(), &HeadLimits::default(), &mut Default::default())? {
            Parsed::Complete { head, .. } => Ok(head),
            Parsed::Partial => Err(Refusal::BadRequestLine.into()),
        }
    }

    /// The host that is asked for, as far as it can be told; empty: it cannot.
    pub(super) fn host(&self) -> String {
        let named = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let text = named.map_or(&self.authority, |(_, value)| value);
        Authority::parse(text.as_bytes()).map(|asked| asked.host().to_owned()).unwrap_or_default()
    }

    /// By the port asked for, the URL's port, port 80, or the only one there is. Errors: which one?
    pub(super) fn knock(&self, plan: &Plan) -> Result<Knock, String> {
        let written = Authority::parse(self.authority.as_bytes()).and_then(|asked| asked.port);
        let mut ports: Vec<u16> = plan.listeners.iter().map(|listener| listener.port).collect();
        ports.sort_unstable();
        ports.dedup();
        let named = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        let there_are = || match ports.is_empty() {
            true => "the configuration has no listener".to_owned(),
            false => format!("there is one for {named}"),
        };
        match self.port.or(written) {
            Some(port) => Ok(listener(plan, port).map_or_else(
                || Knock::Nobody(format!("none for port {port}; {}", there_are())),
                Knock::At,
            )),
            None => match (listener(plan, 80), ports.as_slice()) {
                (Some(index), _) => Ok(Knock::At(index)),
                (None, [only]) => {
                    Ok(listener(plan, *only).map_or_else(|| Knock::Nobody(there_are()), Knock::At))
                }
                (None, []) => Ok(Knock::Nobody(there_are())),
                (None, [first, ..]) => Err(format!(
                    "several ports are listened on ({named}); say which one with --port, e.g. --port {first}"
                )),
            },
        }
    }
}

const USAGE: &str =
    "write /explain?host=edition.cnn.com&path=/politics, and method, port and header if need be";

/// Where a client would knock.
pub(super) enum Knock {
    /// At the listener with this index.
    At(usize),
    /// Nobody is there.
    Nobody(String),
}

/// The listener of a port; a mapped port is known by both its numbers.
fn listener(plan: &Plan, asked: u16) -> Option<usize> {
    let by = |port: &dyn Fn(&Listener) -> u16| {
        plan.listeners.iter().position(|listener| port(listener) == asked)
    };
    by(&|listener| listener.port).or_else(|| by(&|listener| listener.bind.port()))
}

/// A text with `%41` for `A`; `None`: an escape is cut off or none, or it is not UTF-8 (RFC 3986, section 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == b'%' {
            let digits = str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Question, String> {
        Question::of_query(query, GuardPolicy::default())
    }

    #[test]
    fn a_pages_query_asks_what_the_command_line_asks() {
        let query = "host=a.com:443&path=%2Fx%3Fy%3D1%26z&method=POST&port=8443&header=X-A:%20b:%20c&header=x-d:e&format=json";
        let asked = read(query).expect("clear");
        assert_eq!(
            asked,
            Question {
                method: "POST".to_owned(),
                authority: "a.com:443".to_owned(),
                target: "/x?y=1&z".to_owned(),
                headers: vec![
                    ("X-A".to_owned(), "b: c".to_owned()),
                    ("x-d".to_owned(), "e".to_owned())
                ],
                port: Some(8443),
                guard: GuardPolicy::default(),
            }
        );
        let targets = ["path=x", "path=/x", "path=http://b.com/x", ""]
            .map(|path| read(&format!("host=a.com&{path}")).expect("clear").target);
        assert_eq!(targets, ["/x", "/x", "http://b.com/x", "/"]);
    }

    #[test]
    fn a_query_that_is_not_clear_is_answered_with_how_to_write_it() {
        for (query, words) in [
            ("", "host is no host"),
            ("host=a b", "host is no host"),
            ("host=a.com&port=0", "port is a number"),
            ("host=a.com&header=x", "header=Name"),
            ("host=a.com&path=%4", "path is not percent-encoded"),
            ("host=a.com&path=%ff", "path is not percent-encoded"),
            ("host=a.com&pfad=/", "there is no pfad"),
        ] {
            let why = read(query).expect_err(query);
            assert!(why.contains(words), "{query}: {why}");
        }
    }

    #[test]
    fn a_line_end_in_a_question_ends_no_line_of_the_request() {
        let query = "host=a.com&header=x:a%0D%0A%0D%0Ay";
        let asked = read(query).expect("clear");
        assert!(asked.head().is_err());
    }
}
