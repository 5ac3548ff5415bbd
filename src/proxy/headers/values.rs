//! Header lines with a format: what each request makes of it.
//!
//! All of a head's formats are filled in before its first line is edited, as Envoy does it: a request's
//! with the head as it came, before path and Host are rewritten, and a response's with the request's head
//! as it went out. Only the lines that are to be removed are gone already. An empty value is none, and
//! its line stays unwritten.

use crate::model::header_value::{Command, End, Fact, Format, Line, Part, Piece, TimePart};
use crate::model::{HeaderEdit, HeaderEdits, HeaderValue};
use crate::observe::Record;
use crate::observe::access_log::{self, Timestamp};
use crate::proxy::lane::Lane;
use crate::wire::{Head, Name};

/// The values of the lines that have a format, of two lists of edits one after the other.
#[derive(Debug)]
pub struct Values([Vec<Value>; 2]);

/// One value; `None`: it is empty.
type Value = Option<Vec<u8>>;

/// Where values are looked up.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The request's head.
    pub request: &'a Head,
    /// What answers it.
    pub answer: Answer<'a>,
    /// What is known beside heads.
    pub record: &'a Record<'a>,
}

/// What answers a request.
#[derive(Clone, Copy)]
pub enum Answer<'a> {
    /// Nothing yet: it is about to be sent.
    NotYet,
    /// The gateway itself, with this head.
    Ours(&'a Head),
    /// An origin, with this head.
    Origins(&'a Head),
}

impl Values {
    /// The values for two lists of edits, of which the first are made first; `None`: no line has a format.
    pub fn of(edits: [&HeaderEdits; 2], source: Source<'_>, lane: &Lane) -> Option<Box<Self>> {
        if !edits.iter().any(|edits| edits.has_formats()) {
            return None;
        }
        let [first, second] = edits;
        let one = Filling { source, lane, removed: [&first.remove, &[]] };
        let other = Filling { removed: [&first.remove, &second.remove], ..one };
        Some(Box::new(Self([one.all(first), other.all(second)])))
    }

    /// Those of the first list, or of the second.
    pub(super) fn list(&self, index: usize) -> &[Value] {
        &self.0[index]
    }
}

/// The value of a line; `values` are those of the lines with a format that were not written yet.
pub(super) fn value_of<'v>(
    line: &'v HeaderEdit,
    values: &mut std::slice::Iter<'v, Value>,
) -> Option<&'v [u8]> {
    match &line.value {
        HeaderValue::Text(text) => Some(text.as_bytes()),
        HeaderValue::Format(_) => values.next()?.as_deref(),
    }
}

impl<'a> Source<'a> {
    fn response(self) -> Option<&'a Head> {
        match self.answer {
            Answer::Ours(head) | Answer::Origins(head) => Some(head),
            Answer::NotYet => None,
        }
    }
}

/// The filling in of one list.
#[derive(Clone, Copy)]
struct Filling<'a> {
    source: Source<'a>,
    lane: &'a Lane,
    /// Names of lines that are not there any more in the head that is edited.
    removed: [&'a [String]; 2],
}

impl Filling<'_> {
    fn all(self, edits: &HeaderEdits) -> Vec<Value> {
        let lines = edits.set.iter().chain(&edits.add);
        lines
            .filter_map(|line| match &line.value {
                HeaderValue::Text(_) => None,
                HeaderValue::Format(format) => Some(self.value(format)),
            })
            .collect()
    }

    fn value(self, format: &Format) -> Value {
        let mut out = Vec::new();
        for piece in format.pieces() {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Command(Command::Fact(fact)) => self.fact(*fact, &mut out),
                Piece::Command(Command::Request(line)) => {
                    let removed = match self.source.answer {
                        Answer::NotYet => &self.removed[..],
                        Answer::Ours(_) | Answer::Origins(_) => &[],
                    };
                    self.line(line, Some(self.source.request), removed, &mut out);
                }
                Piece::Command(Command::Response(line)) => {
                    self.line(line, self.source.response(), &self.removed, &mut out);
                }
                Piece::Command(Command::StartTime(parts)) => self.time(parts, &mut out),
            }
        }
        let value = out.trim_ascii();
        (!value.is_empty()).then(|| value.to_vec())
    }

    /// Appends the first line that is there in a head without the lines that are removed.
    fn line(self, line: &Line, head: Option<&Head>, removed: &[&[String]], out: &mut Vec<u8>) {
        let Some(head) = head else { return };
        let is_gone = |name: &str| {
            removed.iter().copied().flatten().any(|removed| removed.eq_ignore_ascii_case(name))
        };
        let mut status = itoa::Buffer::new();
        let mut find = |name: &str| -> Option<Vec<u8>> {
            let value = match name {
                ":path" => head.target(),
                ":method" => head.method(),
                ":authority" => head.find(Name::Host)?,
                ":scheme" => b"http",
                ":status" => status.format(head.status()).as_bytes(),
                name if is_gone(name) => return None,
                name => head.find_named(name.as_bytes())?,
            };
            (!value.is_empty()).then(|| value.to_vec())
        };
        let value = find(&line.name).or_else(|| find(line.or.as_ref()?)).unwrap_or_default();
        let length = line.length_max.map_or(value.len(), |max| max.min(value.len()));
        out.extend_from_slice(&value[..length]);
    }

    fn fact(self, fact: Fact, out: &mut Vec<u8>) {
        let Source { answer, record, .. } = self.source;
        let text = |out: &mut Vec<u8>, text: &str| out.extend_from_slice(text.as_bytes());
        match fact {
            Fact::Address(end, part) => {
                let address = match end {
                    End::Client | End::ClientDirect => Some(record.client),
                    End::Local => Some(record.local),
                    End::UpstreamHost | End::Upstream => record.upstream_address,
                    End::UpstreamLocal => record.upstream_local,
                };
                let Some(address) = address else { return };
                text(
                    out,
                    &match part {
                        Part::Both => address.to_string(),
                        Part::Ip => address.ip().to_string(),
                        Part::Port => address.port().to_string(),
                    },
                );
            }
            Fact::Hostname => text(out, &self.lane.hostname),
            Fact::Protocol => text(out, record.version.map_or("", |version| version.as_str())),
            Fact::RequestedServerName => {}
            Fact::ResponseCode => {
                let status = match answer {
                    Answer::Origins(head) => head.status(),
                    Answer::NotYet | Answer::Ours(_) => 0, // as Envoy
                };
                text(out, itoa::Buffer::new().format(status));
            }
            Fact::ResponseCodeDetails => match answer {
                Answer::NotYet => {}
                Answer::Ours(_) | Answer::Origins(_) => text(out, record.details),
            },
            Fact::ResponseFlags => access_log::flags(out, record),
            Fact::RouteName => text(out, record.rule.unwrap_or_default()),
            Fact::UpstreamCluster => text(out, record.upstream.unwrap_or_default()),
        }
    }

    fn time(self, parts: &[TimePart], out: &mut Vec<u8>) {
        let began = access_log::unix_time()
            .saturating_sub(self.lane.clock().duration_since(self.source.record.started));
        let unix_ms = began.as_secs().saturating_mul(1000) + u64::from(began.subsec_millis());
        let mut stamp = Vec::with_capacity(24);
        Timestamp::default().write(&mut stamp, unix_ms); // 2018-11-28T10:19:56.123Z
        if parts.is_empty() {
            return out.extend_from_slice(&stamp);
        }
        let fraction = format!("{:09}", began.subsec_nanos());
        for part in parts {
            out.extend_from_slice(match part {
                TimePart::Text(text) => text.as_bytes(),
                TimePart::Fraction(digits) => &fraction.as_bytes()[..usize::from(*digits)],
                TimePart::Field(b's') => {
                    out.extend_from_slice(began.as_secs().to_string().as_bytes());
                    continue;
                }
                TimePart::Field(field) => match field {
                    b'Y' => &stamp[..4],
                    b'm' => &stamp[5..7],
                    b'd' => &stamp[8..10],
                    b'H' => &stamp[11..13],
                    b'M' => &stamp[14..16],
                    b'S' => &stamp[17..19],
                    b'F' => &stamp[..10],
                    b'T' => &stamp[11..19],
                    _ => &fraction.as_bytes()[..1], // f
                },
            });
        }
    }
}
