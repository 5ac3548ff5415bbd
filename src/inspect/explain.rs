//! What would happen to one request, and why: step by step, with the place that decided each.
//!
//! The walk is that of the request path, over the same parser, route table, rewrites and upstreams, so
//! that the answer is not a second opinion. It sends nothing and looks up no name.
//!
//! # As JSON
//!
//! `{"ending": "forwarded" | "answered" | "notForwarded", "steps": [..]}`. Each step has its `title`, its
//! `lines` of text, and fields of its own, which are left out where there is nothing to say. An origin is
//! `{"object", "namespace", "field", "file", "line", "column"}`.
//!
//! | title | fields |
//! |---|---|
//! | `request` | `method`, `authority`, `target` |
//! | `listener` | `name`, `port`, `bind`, `routeTable`, `from`: origins; none of them where nobody listens |
//! | `virtual host` | `name`, `domain`: the pattern that matched; none of them where no host did |
//! | `rule` | `number`, `of`, `name`, `condition`, `from`: origin |
//! | `declined` | `rules`: `number`, `reason`, `from` of each rule that was asked and did not take the request |
//! | `answer` | `status`, `location`, `bodyBytes`: what the configuration itself answers |
//! | `destination` | `cluster`, `host`, `port`, `weight`, `of`: the sum of weights, `from`: origin |
//! | `policy` | `from`: origin, `candidates`: origins with `verdict`, `inForce`, `dropped`: lines |
//! | `endpoints` | `type`, `addresses`: those in use, where a gateway runs |
//! | `TLS` | `sni`, `names`, `roots`, `verified`; none of them for plain text |
//! | `forwarding` | `timeout`, `attempts`, `sent`: `cluster`, `host` and `target` for each destination |
//! | `not taken` | `objects`: origins with `reason` |
//! | `outcome` | `cluster`; of a failure `status`, `flag`, `details`, `token`, `reason` |
//! | `problems` | `problems`: as `egret check -o json` prints them |

mod destinations;
mod origin;
mod question;
pub(super) mod resilience;
mod route;
mod story;

use std::fmt;

use serde_json::{Value, json};

pub use question::Question;
pub use story::Story;

use super::View;
use crate::model::{Action, Failure};
use crate::snapshot::cors::Crossing;
use crate::snapshot::{Asked, Snapshot, rewrite};
use crate::wire::target::Target;
use crate::wire::{Head, fields, framing, upgrade};
use question::Knock;

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

impl Explanation {
    /// The answer for programs, see the module.
    pub fn value(&self) -> Value {
        let ending = match self.ending {
            Ending::Forwarded => "forwarded",
            Ending::Answered => "answered",
            Ending::NotForwarded => "notForwarded",
        };
        json!({ "ending": ending, "steps": self.story.value() })
    }
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
    story
        .step("request")
        .line(format!("{method} {target} for {authority}"))
        .field("method", method.as_str())
        .field("authority", authority.as_str())
        .field("target", target.as_str());
    let ending = match question.knock(&view.compiled.plan)? {
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
        let (mut head, target) = self.taken()?;
        let framing = framing::request(&head)?;
        let listener = &self.view.compiled.plan.listeners[self.listener];
        let asked = Asked { head: &head, scheme: target.scheme.as_str() };
        let found = self.snapshot.routes.find(
            (listener.bind, listener.port),
            target.authority.host(),
            asked,
        );
        let taken = route::chosen(self, &target.authority, asked, found.as_ref(), story);
        let rule = found.and_then(|found| found.rule).ok_or(Failure::NoRoute)?;
        if let Some(taken) = taken {
            route::rules_before(self, taken, asked, story);
        }
        upgrade::upgrade(&head, framing).map_err(Failure::Refused)?;
        let forward = match &rule.plan.action {
            Action::Forward(forward) => forward,
            Action::Redirect(redirect) => {
                let location = rewrite::location(redirect, &head, target.scheme.as_str());
                let location = String::from_utf8_lossy(&location);
                story
                    .step("answer")
                    .line(format!("{}, Location: {location}", redirect.status))
                    .lines(route::edit_lines("response", &redirect.response))
                    .field("status", redirect.status)
                    .field("location", location);
                return Ok(self.answered(story, redirect.status));
            }
            Action::Respond(respond) => {
                let length = respond.body.len();
                story
                    .step("answer")
                    .line(format!("{} with {length} bytes of its own", respond.status))
                    .lines(route::edit_lines("response", &respond.response))
                    .field("status", respond.status)
                    .field("bodyBytes", length);
                return Ok(self.answered(story, respond.status));
            }
        };
        let crossing = forward.cors.as_deref().map(|cors| Crossing::of(&head, cors));
        if crossing.is_some_and(|crossing| crossing.question.is_some()) {
            let line = "200 with no body: a browser asks what pages of other sites may do";
            let lines = route::cors_line(forward);
            story.step("answer").line(line).lines(lines).field("status", 200);
            return Ok(self.answered(story, 200));
        }
        fields::strip_hop_by_hop(&mut head)?;
        Ok(destinations::walk(self, (rule, forward), &head, &target, story))
    }

    /// The head that a client would send, and whom it asks for.
    fn taken(&self) -> Result<(Head, Target), Failure> {
        let mut head = self.question.head()?;
        let target = Target::take(&mut head)?;
        Ok((head, target))
    }

    fn answered(&self, story: &mut Story, status: u16) -> Ending {
        route::not_taken(self.question, self.view, story);
        story.step("outcome").line(format!("answered with {status}"));
        Ending::Answered
    }
}
