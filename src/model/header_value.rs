//! What a header line says: a text, or a format that each request fills in.
//!
//! The formats are Envoy's: between two `%` stands a command, `%REQ(x-user?x-guest):20%`, and `%%` is one
//! `%`. Those that a gateway without TLS, filters and metadata can answer are known here; how they are
//! answered is in `proxy::headers::values`.
//! Source: Envoy's HTTP header manipulation, "Custom request/response headers".

use std::fmt;

use super::condition::is_token;
use super::spelling::misspelt;

/// What a header line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderValue {
    /// This.
    Text(String),
    /// What a request makes of this; nothing at all: the line is not written.
    Format(Format),
}

/// Texts and commands, at least one of them a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format(Vec<Piece>);

/// A part of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Command(Command),
}

/// What a request is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Something without an argument.
    Fact(Fact),
    /// A line of the request's head.
    Request(Line),
    /// A line of the response's head.
    Response(Line),
    /// When the request began, in UTC; empty: `2018-11-28T10:19:56.123Z`.
    StartTime(Vec<TimePart>),
}

/// The first line of a name, or of another where that is absent or empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub name: String,
    pub or: Option<String>,
    /// Bytes of the value that are taken at most.
    pub length_max: Option<usize>,
}

/// A part of a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimePart {
    Text(String),
    /// One of `TIME_FIELDS`, as in C's `strftime`; `s` is the seconds since 1970, `f` a tenth of one.
    Field(u8),
    /// So many digits of the fraction of a second.
    Fraction(u8),
}

const TIME_FIELDS: &[u8] = b"YmdHMSFTsf";

/// What is known of a request, by one name each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    Address(End, Part),
    Hostname,
    Protocol,
    /// None: clients speak plain HTTP.
    RequestedServerName,
    /// Of the origin's answer; 0 while there is none.
    ResponseCode,
    ResponseCodeDetails,
    ResponseFlags,
    RouteName,
    UpstreamCluster,
}

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Client,
    /// The same: nobody's word is taken for who the client is.
    ClientDirect,
    /// Ours, towards the client.
    Local,
    /// The endpoint that was picked.
    UpstreamHost,
    /// The origin's, of the connection to it.
    Upstream,
    /// Ours, towards the origin.
    UpstreamLocal,
}

/// A part of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Both,
    Ip,
    Port,
}

#[rustfmt::skip] // a table reads best as one
const FACTS: [(&str, Fact); 24] = [
    ("DOWNSTREAM_REMOTE_ADDRESS", Fact::Address(End::Client, Part::Both)),
    ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Fact::Address(End::Client, Part::Ip)),
    ("DOWNSTREAM_REMOTE_PORT", Fact::Address(End::Client, Part::Port)),
    ("DOWNSTREAM_DIRECT_REMOTE_ADDRESS", Fact::Address(End::ClientDirect, Part::Both)),
    ("DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", Fact::Address(End::ClientDirect, Part::Ip)),
    ("DOWNSTREAM_DIRECT_REMOTE_PORT", Fact::Address(End::ClientDirect, Part::Port)),
    ("DOWNSTREAM_LOCAL_ADDRESS", Fact::Address(End::Local, Part::Both)),
    ("DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", Fact::Address(End::Local, Part::Ip)),
    ("DOWNSTREAM_LOCAL_PORT", Fact::Address(End::Local, Part::Port)),
    ("UPSTREAM_HOST", Fact::Address(End::UpstreamHost, Part::Both)),
    ("UPSTREAM_REMOTE_ADDRESS", Fact::Address(End::Upstream, Part::Both)),
    ("UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Fact::Address(End::Upstream, Part::Ip)),
    ("UPSTREAM_REMOTE_PORT", Fact::Address(End::Upstream, Part::Port)),
    ("UPSTREAM_LOCAL_ADDRESS", Fact::Address(End::UpstreamLocal, Part::Both)),
    ("UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", Fact::Address(End::UpstreamLocal, Part::Ip)),
    ("UPSTREAM_LOCAL_PORT", Fact::Address(End::UpstreamLocal, Part::Port)),
    ("HOSTNAME", Fact::Hostname),
    ("PROTOCOL", Fact::Protocol),
    ("REQUESTED_SERVER_NAME", Fact::RequestedServerName),
    ("RESPONSE_CODE", Fact::ResponseCode),
    ("RESPONSE_CODE_DETAILS", Fact::ResponseCodeDetails),
    ("RESPONSE_FLAGS", Fact::ResponseFlags),
    ("ROUTE_NAME", Fact::RouteName),
    ("UPSTREAM_CLUSTER", Fact::UpstreamCluster),
];

/// The commands with an argument.
const WITH_ARGUMENT: [&str; 3] = ["REQ", "RESP", "START_TIME"];

/// Why a value cannot be sent as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// A command that is not known here, and what it may have been meant to be.
    Unknown { command: String, hint: String },
    /// It is no format: Envoy refuses it too.
    Malformed(String),
}

impl HeaderValue {
    /// Reads a value in Envoy's syntax.
    ///
    /// Errors: the first command that cannot be answered, or what is no command at all.
    pub fn parse(written: &str) -> Result<Self, Unusable> {
        let (mut pieces, mut text) = (Vec::new(), String::new());
        let mut rest = written;
        while let Some((before, after)) = rest.split_once('%') {
            text.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                text.push('%');
                rest = after;
                continue;
            }
            let Some((raw, after)) = Raw::take(after) else {
                let fix = "a % alone begins a command in Envoy's values";
                return Err(Unusable::Malformed(fix.to_owned()));
            };
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Command(raw.command()?));
            rest = after;
        }
        text.push_str(rest);
        if pieces.is_empty() {
            return Ok(Self::Text(text));
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Self::Format(Format(pieces)))
    }

    /// The value in Envoy's syntax.
    pub fn written(&self) -> String {
        match self {
            Self::Text(text) => text.replace('%', "%%"),
            Self::Format(format) => format.to_string(),
        }
    }
}

/// For people: a text as it is sent, a format as it is written.
impl fmt::Display for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Format(format) => format.fmt(f),
        }
    }
}

impl From<&str> for HeaderValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Format {
    /// Its parts, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The first command that is never answered in a request's head, which goes out before there is an
    /// endpoint or an answer.
    pub fn never_in_requests(&self) -> Option<&Command> {
        self.0.iter().find_map(|piece| match piece {
            Piece::Command(command) if command.is_of_the_answer() => Some(command),
            Piece::Command(_) | Piece::Text(_) => None,
        })
    }
}

impl Command {
    fn is_of_the_answer(&self) -> bool {
        let ends = [End::UpstreamHost, End::Upstream, End::UpstreamLocal];
        match self {
            Self::Response(_) | Self::Fact(Fact::ResponseCodeDetails) => true,
            Self::Fact(Fact::Address(end, _)) => ends.contains(end),
            Self::Fact(_) | Self::Request(_) | Self::StartTime(_) => false,
        }
    }
}

/// A command as it is written: `NAME`, `(argument)` and `:length`.
struct Raw<'w> {
    whole: &'w str,
    name: &'w str,
    argument: Option<&'w str>,
    length: Option<&'w str>,
}

impl<'w> Raw<'w> {
    /// Takes one off a text that follows a `%`, up to the `%` at its end.
    fn take(text: &'w str) -> Option<(Self, &'w str)> {
        let is_name =
            |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
        let name_end = text.find(|letter| !is_name(letter))?;
        let (name, rest) = text.split_at(name_end);
        let end = |rest: &'w str| -> Option<(Option<&'w str>, &'w str)> {
            let (length, after) = rest.split_once('%')?;
            if length.is_empty() {
                return Some((None, after));
            }
            let length = length.strip_prefix(':')?;
            let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then_some((Some(length), after))
        };
        // An argument may have a parenthesis in it: it ends where the command can end.
        let (argument, (length, after)) = match rest.strip_prefix('(') {
            None => (None, end(rest)?),
            Some(inner) => inner
                .match_indices(')')
                .find_map(|(at, _)| Some((Some(&inner[..at]), end(&inner[at + 1..])?)))?,
        };
        let whole = &text[..text.len() - after.len() - 1];
        (!name.is_empty()).then_some((Self { whole, name, argument, length }, after))
    }

    fn command(&self) -> Result<Command, Unusable> {
        let Self { whole, name, argument, length } = self;
        let wrong = |why: &str| Err(Unusable::Malformed(format!("%{whole}%: {why}")));
        match (*name, argument.filter(|argument| !argument.is_empty())) {
            ("REQ" | "RESP", None) => wrong("the name of a header is missing"),
            ("REQ", Some(argument)) => self.line(argument, &REQUEST_PSEUDO).map(Command::Request),
            ("RESP", Some(argument)) => self.line(argument, &[":status"]).map(Command::Response),
            ("START_TIME", _) if length.is_some() => wrong("it takes no length"),
            ("START_TIME", argument) => self.time(argument.unwrap_or_default()),
            _ => match FACTS.iter().find(|(known, _)| known == name) {
                Some(_) if argument.is_some() || length.is_some() => {
                    wrong("it takes neither an argument nor a length")
                }
                Some((_, fact)) => Ok(Command::Fact(*fact)),
                None => {
                    let mut known: Vec<&str> = FACTS.iter().map(|(name, _)| *name).collect();
                    known.extend(WITH_ARGUMENT);
                    let meant = misspelt(name, &known, (name.len() / 4).min(2));
                    let hint = meant.map(|name| format!("did you mean \"{name}\"?"));
                    let (command, hint) = (format!("%{whole}%"), hint.unwrap_or_default());
                    Err(Unusable::Unknown { command, hint })
                }
            },
        }
    }

    fn line(&self, argument: &str, pseudo: &[&str]) -> Result<Line, Unusable> {
        let (name, or) = argument.split_once('?').unwrap_or((argument, ""));
        let known = |name: &str| name.is_empty() || is_token(name) || pseudo.contains(&name);
        if !known(name) || !known(or) {
            let why = format!("%{}%: \"{argument}\" is not the name of a header", self.whole);
            return Err(Unusable::Malformed(why));
        }
        // More digits than a number has room for are no limit.
        let length_max = self.length.map(|length| length.parse().unwrap_or(usize::MAX));
        let or = Some(or.to_owned()).filter(|or| !or.is_empty());
        Ok(Line { name: name.to_owned(), or, length_max })
    }

    fn time(&self, format: &str) -> Result<Command, Unusable> {
        let (mut parts, mut text) = (Vec::new(), String::new());
        let mut letters = format.chars();
        while let Some(letter) = letters.next() {
            let part = match (letter, letters.as_str().as_bytes()) {
                ('%', [b'%', ..]) | ('%', []) => None,
                ('%', [digits @ b'1'..=b'9', b'f', ..]) => Some(TimePart::Fraction(digits - b'0')),
                ('%', [field, ..]) if TIME_FIELDS.contains(field) => Some(TimePart::Field(*field)),
                ('%', _) => {
                    let command = format!("%{}%", self.whole);
                    let hint =
                        "of a time, write %1f to %9f and % with one of YmdHMSFTsf".to_owned();
                    return Err(Unusable::Unknown { command, hint });
                }
                (letter, _) => {
                    text.push(letter);
                    continue;
                }
            };
            let Some(part) = part else {
                letters.next();
                text.push('%');
                continue;
            };
            if !text.is_empty() {
                parts.push(TimePart::Text(std::mem::take(&mut text)));
            }
            if matches!(part, TimePart::Fraction(_)) {
                letters.next();
            }
            letters.next();
            parts.push(part);
        }
        if !text.is_empty() {
            parts.push(TimePart::Text(text));
        }
        Ok(Command::StartTime(parts))
    }
}

const REQUEST_PSEUDO: [&str; 4] = [":authority", ":method", ":path", ":scheme"];

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => f.write_str(&text.replace('%', "%%"))?,
                Piece::Command(command) => command.fmt(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fact(fact) => {
                let known = FACTS.iter().find(|(_, known)| known == fact);
                write!(f, "%{}%", known.map_or("", |(name, _)| name))
            }
            Self::Request(line) => write!(f, "%REQ({line}%"),
            Self::Response(line) => write!(f, "%RESP({line}%"),
            Self::StartTime(parts) if parts.is_empty() => f.write_str("%START_TIME%"),
            Self::StartTime(parts) => {
                f.write_str("%START_TIME(")?;
                for part in parts {
                    match part {
                        TimePart::Text(text) => f.write_str(&text.replace('%', "%%"))?,
                        TimePart::Field(field) => write!(f, "%{}", char::from(*field))?,
                        TimePart::Fraction(digits) => write!(f, "%{digits}f")?,
                    }
                }
                f.write_str(")%")
            }
        }
    }
}

/// With the parenthesis at its end.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(or) = &self.or {
            write!(f, "?{or}")?;
        }
        f.write_str(")")?;
        self.length_max.map_or(Ok(()), |length| write!(f, ":{length}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_read_as_envoy_reads_it_and_written_as_it_was() {
        for written in [
            "%PROTOCOL%",
            "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
            "a %REQ(X-A)% b",
            "%REQ(x-a?:path):5%%RESP(:status)%",
            "%REQ(?x-a):0%",
            "100%% %HOSTNAME% 5%%",
            "%START_TIME%",
            "%START_TIME(%s.%3f)%",
            "%START_TIME(%Y-%m-%d (%F) %T%% %f)%",
        ] {
            match HeaderValue::parse(written) {
                Ok(HeaderValue::Format(format)) => assert_eq!(format.to_string(), written),
                other => panic!("{written}: {other:?}"),
            }
        }
        for (name, fact) in FACTS {
            let parsed = HeaderValue::parse(&format!("%{name}%"));
            let format = Format(vec![Piece::Command(Command::Fact(fact))]);
            assert_eq!(parsed, Ok(HeaderValue::Format(format)), "{name}");
        }
    }

    #[test]
    fn two_percent_signs_are_one_and_without_a_command_it_is_a_text() {
        for (written, text) in
            [("plain", "plain"), ("100%%", "100%"), ("%%%%", "%%"), ("a%%b%%c", "a%b%c"), ("", "")]
        {
            let parsed = HeaderValue::parse(written);
            assert_eq!(parsed, Ok(HeaderValue::Text(text.to_owned())), "{written}");
            assert_eq!(parsed.map(|value| value.written()), Ok(written.to_owned()));
        }
    }

    #[test]
    fn what_envoy_refuses_is_malformed_and_what_only_envoy_knows_is_unknown() {
        for written in [
            "100%",
            "%%%",
            "%protocol%",
            "% PROTOCOL %",
            "%PROTOCOL",
            "%REQ%",
            "%REQ()%",
            "%REQ(a b)%",
            "%REQ(x):%",
            "%REQ(x):a%",
            "%RESP(:path)%",
            "%PROTOCOL(x)%",
            "%PROTOCOL:3%",
            "%START_TIME(%s):5%",
        ] {
            let parsed = HeaderValue::parse(written);
            assert!(matches!(parsed, Err(Unusable::Malformed(_))), "{written}: {parsed:?}");
        }
        for (written, hint) in [
            ("%DYNAMIC_METADATA([\"a\", \"b)%\"])%", ""),
            ("%DOWNSTREAM_TLS_VERSION%", ""),
            ("%DOWNSTREAM_REMOTE_ADRESS%", "did you mean \"DOWNSTREAM_REMOTE_ADDRESS\"?"),
            ("%START_TIME(%A)%", "of a time, write %1f to %9f and % with one of YmdHMSFTsf"),
        ] {
            match HeaderValue::parse(written) {
                Err(Unusable::Unknown { hint: told, .. }) if told == hint => {}
                other => panic!("{written}: {other:?}"),
            }
        }
    }
}
