//! What would happen to one request, and why: step by step, with the place that decided each.
//!
//! The walk is that of the request path, over the same parser, route table and upstreams, so that the
//! answer is not a second opinion. It sends nothing and looks up no name.

mod origin;
mod resilience;
mod route;
mod story;

use std::fmt;

pub use story::Story;

use super::View;
use crate::model::{Action, Authority, Failure, GuardPolicy, Listener, Plan, Refused};
use crate::snapshot::{Asked, Destination, Rule, Snapshot};
use crate::wire::parse::{self, HeadLimits, Parsed};
use crate::wire::{Head, Name, Refusal, fields, framing};

/// A request to explain.
#[derive(Debug, Clone)]
pub struct Question {
    pub method: String,
    /// Host, with or without a port, as it would stand in a Host header.
    pub authority: String,
    /// Path and query.
    pub target: String,
    /// Header lines, name and value; a Host among them counts in place of the authority's.
    pub headers: Vec<(String, String)>,
    /// The listener's port; `None`: the authority's, else 80 if somebody listens there, else the only one.
    pub port: Option<u16>,
    /// Which addresses may be dialled.
    pub guard: GuardPolicy,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It goes to an origin, as far as the configuration decides.
    Forwarded,
    /// The configuration itself answers it.
    Answered,
    /// It does not, or only some such requests do.
    NotForwarded,
}

/// The whole answer; printed, it is for people.
#[derive(Debug)]
pub struct Explanation {
    pub ending: Ending,
    story: Story,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.story.fmt(f)
    }
}

/// Explains a request.
///
/// Errors: the question is not clear (which listener?), with what to add.
pub fn explain(
    question: &Question,
    view: &View<'_>,
    snapshot: &Snapshot,
) -> Result<Explanation, String> {
    let mut story = Story::new();
    let Question { method, authority, target, .. } = question;
    story.step("request").line(format!("{method} {target} for {authority}"));
    let ending = match choose_listener(question, &view.compiled.plan)? {
        Knock::At(listener) => {
            let walk = Walk { question, view, snapshot, listener };
            match walk.steps(&mut story) {
                Ok(ending) => ending,
                Err(failure) => {
                    route::not_taken(question, view, &mut story);
                    story.outcome(&failure);
                    Ending::NotForwarded
                }
            }
        }
        Knock::Nobody(why) => {
            story.step("listener").line(why);
            route::not_taken(question, view, &mut story);
            story.nobody_there();
            Ending::NotForwarded
        }
    };
    story.problems(view);
    Ok(Explanation { ending, story })
}

/// Where a client would knock.
enum Knock {
    /// At the listener with this index.
    At(usize),
    /// Nobody is there.
    Nobody(String),
}

/// By `--port`, the URL's port, port 80, or the only one there is.
fn choose_listener(question: &Question, plan: &Plan) -> Result<Knock, String> {
    let written = Authority::parse(question.authority.as_bytes()).and_then(|asked| asked.port);
    let mut ports: Vec<u16> = plan.listeners.iter().map(|listener| listener.port).collect();
    ports.sort_unstable();
    ports.dedup();
    let named = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    let there_are = || match ports.is_empty() {
        true => "the configuration has no listener".to_owned(),
        false => format!("there is one for {named}"),
    };
    let at = |asked: u16| {
        let by = |port: &dyn Fn(&Listener) -> u16| {
            plan.listeners.iter().position(|listener| port(listener) == asked)
        };
        // A mapped port is known by both its numbers.
        by(&|listener| listener.port).or_else(|| by(&|listener| listener.bind.port()))
    };
    match question.port.or(written) {
        Some(port) => Ok(at(port).map_or_else(
            || Knock::Nobody(format!("none for port {port}; {}", there_are())),
            Knock::At,
        )),
        None => match (at(80), ports.as_slice()) {
            (Some(index), _) => Ok(Knock::At(index)),
            (None, [only]) => Ok(at(*only).map_or_else(|| Knock::Nobody(there_are()), Knock::At)),
            (None, []) => Ok(Knock::Nobody(there_are())),
            (None, [first, ..]) => Err(format!(
                "several ports are listened on ({named}); say which one with --port, e.g. --port {first}"
            )),
        },
    }
}

/// One request on its way.
struct Walk<'w> {
    question: &'w Question,
    view: &'w View<'w>,
    snapshot: &'w Snapshot,
    /// Index of the listener.
    listener: usize,
}

impl Walk<'_> {
    /// The straight line of `proxy::request`. Errors: how the request fails before it has a destination.
    fn steps(&self, story: &mut Story) -> Result<Ending, Failure> {
        route::listener(self, story);
        let mut head = self.head()?;
        framing::request(&head)?;
        let authority = authority(&head)?;
        let listener = &self.view.compiled.plan.listeners[self.listener];
        let found = self.snapshot.routes.find(
            (listener.bind, listener.port),
            authority.host(),
            Asked { head: &head, scheme: "http" },
        );
        let asked = Asked { head: &head, scheme: "http" };
        let taken = route::chosen(self, &authority, asked, found.as_ref(), story);
        let rule = found.and_then(|found| found.rule).ok_or(Failure::NoRoute)?;
        if let Some(taken) = taken {
            route::rules_before(self, taken, asked, story);
        }
        upgrade(&head)?;
        fields::strip_hop_by_hop(&mut head)?;
        let host = head.find(Name::Host).unwrap_or_default();
        Ok(self.destinations(rule, &authority, host, story))
    }

    /// The head that a client would send, as it is read.
    fn head(&self) -> Result<Head, Failure> {
        let Question { method, authority, target, headers, .. } = self.question;
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

    /// Each destination of the rule, and how it ends there.
    fn destinations(
        &self,
        rule: &Rule,
        authority: &Authority,
        host: &[u8],
        story: &mut Story,
    ) -> Ending {
        if let Some(answer) = own_answer(&rule.plan.action) {
            route::not_taken(self.question, self.view, story);
            story.step("outcome").line(answer);
            return Ending::Answered;
        }
        let total: u64 = rule.onward.iter().map(|onward| u64::from(onward.weight)).sum();
        let mut outcomes = Vec::new();
        for onward in &rule.onward {
            let server_name =
                onward.rewritten_host.as_ref().map_or(authority.host(), |host| host.as_str());
            let weight = onward.weight;
            let share = (rule.onward.len() > 1).then(|| format!("{weight} of {total} requests"));
            let (name, failure) = match &onward.to {
                Destination::Missing(name) => {
                    let line = format!("{name}: nothing is called so");
                    story.step("destination").line(line).lines(share.clone());
                    (name.as_str(), Some(Failure::NoCluster))
                }
                Destination::Upstream(upstream) => {
                    let failure =
                        origin::upstream(self, upstream, share.as_deref(), server_name, story);
                    (upstream.key.name.as_str(), failure)
                }
            };
            outcomes.push((name, share, failure));
        }
        route::forwarding(rule, &String::from_utf8_lossy(host), story);
        route::not_taken(self.question, self.view, story);
        let mut ending = if outcomes.is_empty() { Ending::NotForwarded } else { Ending::Forwarded };
        for (name, share, failure) in outcomes {
            let prefix = share.map(|share| format!("{share}: ")).unwrap_or_default();
            match failure {
                None => story.step("outcome").line(format!("{prefix}forwarded to {name}")),
                Some(failure) => {
                    ending = Ending::NotForwarded;
                    story.step("outcome").line(prefix + &story::failure_text(&failure))
                }
            };
        }
        ending
    }
}

/// What the configuration answers itself, where it does.
fn own_answer(action: &Action) -> Option<String> {
    match action {
        Action::Forward(_) => None,
        Action::Redirect(redirect) => Some(format!("{} to another place", redirect.status)),
        Action::Respond(respond) => {
            Some(format!("{} with {} bytes of its own", respond.status, respond.body.len()))
        }
    }
}

/// Who is asked for. There is no route for CONNECT, and `OPTIONS *` is about no host.
fn authority(head: &Head) -> Result<Authority, Failure> {
    if head.method() == b"CONNECT" {
        return Err(Failure::NoRoute);
    }
    let mut hosts = head.all(Name::Host);
    let host = hosts.next().ok_or(Refusal::HostMissing)?;
    match hosts.next() {
        Some(_) => Err(Refusal::HostDuplicate.into()),
        None => Ok(Authority::parse(host).ok_or(Refusal::HostInvalid)?),
    }
}

/// Only a WebSocket is upgraded to; `h2c` is a wish that may be ignored.
fn upgrade(head: &Head) -> Result<(), Failure> {
    match fields::upgrade(head) {
        Some(other)
            if !other.eq_ignore_ascii_case(b"websocket") && !other.eq_ignore_ascii_case(b"h2c") =>
        {
            Err(Failure::Refused(Refused { status: 403, details: "upgrade_failed" }))
        }
        _ => Ok(()),
    }
}
