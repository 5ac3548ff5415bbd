//! The destinations of a rule: each with its share, what is sent there, and how it ends.

use serde_json::json;

use super::{Ending, Story, Walk, origin, route, story};
use crate::model::{Authority, Failure, Forward, Host};
use crate::snapshot::{Destination, Onward, Rule, rewrite};
use crate::wire::target::Target;
use crate::wire::{Head, Name};

/// What one destination is sent.
pub(super) struct Sent {
    /// The name of its cluster.
    pub cluster: String,
    /// Its Host; empty: it has none.
    pub host: String,
    /// Its target, in origin-form.
    pub target: String,
}

/// Tells of each destination, then how the request is carried, then how it ends.
pub(super) fn walk(
    walk: &Walk<'_>,
    (rule, forward): (&Rule, &Forward),
    head: &Head,
    target: &Target,
    story: &mut Story,
) -> Ending {
    let total: u64 = rule.onward.iter().map(|onward| u64::from(onward.weight)).sum();
    let several = rule.onward.len() > 1;
    let (mut outcomes, mut sent) = (Vec::new(), Vec::new());
    for (index, onward) in rule.onward.iter().enumerate() {
        let share = several.then_some((onward.weight, total));
        let failure = destination(walk, onward, share, target, story);
        let head = sent_head(walk, (rule, forward), index);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let head = head.as_ref();
        sent.push(Sent {
            cluster: name(onward).to_owned(),
            host: head.and_then(|head| head.find(Name::Host)).map(text).unwrap_or_default(),
            target: head.map(|head| text(head.target())).unwrap_or_default(),
        });
        outcomes.push((name(onward), share, failure));
    }
    route::forwarding((rule, forward), head, &sent, story);
    route::not_taken(walk.question, walk.view, story);
    let mut ending = if outcomes.is_empty() { Ending::NotForwarded } else { Ending::Forwarded };
    for (name, share, failure) in outcomes {
        let prefix = share.map(|share| format!("{}: ", share_text(share))).unwrap_or_default();
        let step = story.step("outcome").field("cluster", name);
        match failure {
            None => _ = step.line(format!("{prefix}forwarded to {name}")),
            Some(failure) => {
                ending = Ending::NotForwarded;
                story::fail(step, &prefix, &failure);
            }
        };
    }
    ending
}

fn name(onward: &Onward) -> &str {
    match &onward.to {
        Destination::Missing(name) => name,
        Destination::Upstream(upstream) => &upstream.key.name,
    }
}

fn share_text((weight, total): (u32, u64)) -> String {
    format!("{weight} of {total} requests")
}

/// Tells of one destination; yields how requests to it fail, as far as the configuration decides.
fn destination(
    walk: &Walk<'_>,
    onward: &Onward,
    share: Option<(u32, u64)>,
    target: &Target,
    story: &mut Story,
) -> Option<Failure> {
    let host = target.authority.host();
    let server_name = onward.rewritten_host.as_ref().map_or(host, Host::as_str);
    let step = story.step("destination");
    if let Some((weight, total)) = share {
        step.field("weight", weight).field("of", total);
    }
    let share = share.map(share_text);
    match &onward.to {
        Destination::Missing(name) => {
            step.line(format!("{name}: nothing is called so")).lines(share);
            step.field("cluster", name.as_str());
            namesakes(walk, name, story);
            Some(Failure::NoCluster)
        }
        Destination::Upstream(upstream) => {
            let failure = origin::upstream(walk, upstream, share, server_name, story);
            target.may_be_sent_to(&upstream.key).err().or(failure)
        }
    }
}

/// Remembers the objects that know the host of a missing cluster by other ports: what is wrong with them may be
/// why it is missing.
fn namesakes(walk: &Walk<'_>, name: &str, story: &mut Story) {
    let host = name.rsplit('|').next().unwrap_or(name);
    let compiled = walk.view.compiled;
    let made = compiled.plan.upstreams.iter().zip(&compiled.provenance.upstreams);
    for (_, made) in made.filter(|(spec, _)| spec.key.host.as_str() == host) {
        story.object(&made.service.object);
    }
}

/// The head as this destination is sent it, but for lines that the route edits. `None`: there is no
/// such destination, or no such head.
fn sent_head(walk: &Walk<'_>, (rule, forward): (&Rule, &Forward), index: usize) -> Option<Head> {
    let (mut head, _) = walk.taken().ok()?;
    if let Some(path) = &forward.rewrite_path {
        rewrite::path(&mut head, &rule.plan.condition.path, path);
    }
    match &rule.onward[index].to {
        Destination::Upstream(upstream) => {
            rewrite::host(&mut head, forward, &forward.to[index], &upstream.key);
        }
        Destination::Missing(_) => {}
    }
    Some(head)
}

/// Why a Host is another one than the client's.
pub(super) fn host_line(asked: &str, sent: &str) -> String {
    let bare = |text: &str| Authority::parse(text.as_bytes()).map(|one| one.host().to_owned());
    match sent {
        sent if sent == asked => format!("Host stays {sent}"),
        sent if bare(sent) == bare(asked) => {
            format!("Host becomes {sent}: a default port is dropped over TLS")
        }
        sent => format!("Host becomes {sent}"),
    }
}

/// For programs.
pub(super) fn value(sent: &[Sent]) -> serde_json::Value {
    let one = |Sent { cluster, host, target }: &Sent| json!({ "cluster": cluster, "host": host, "target": target });
    sent.iter().map(one).collect()
}
