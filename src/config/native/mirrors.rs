//! Mirrors of a rule in Egret's own form, there and back: `mirrors: [{ to: canary, percent: 10 }]`.
//!
//! A mirror that does not exist stays by its name: nothing is sent to it.

use super::faults::{fraction, percent};
use super::render::{Fields, text};
use super::rules::Context;
use super::shapes;
use super::upstreams::{Faults, Written};
use super::yaml::Node;
use crate::model::{Destination, Mirror, Plan};

/// The mirrors of a rule. What stands beside them is not about them: one that is not called as a URL alone
/// says goes by the name of an upstream.
pub(super) fn read(
    mirrors: Vec<shapes::Mirror>,
    written: &Written<'_>,
    context: &mut Context<'_, '_>,
) -> Vec<Mirror> {
    let report = &mut *context.report;
    let field = report.field(written.parts, "mirrors");
    let nothing = shapes::Rule::default();
    let own = Written {
        rule: &nothing,
        parts: written.parts,
        faults: Faults::default(),
        origin: written.origin.clone(),
    };
    let mut read = Vec::new();
    for (index, mirror) in mirrors.into_iter().enumerate() {
        let at = format!("{field}[{index}]");
        let Some(url) = mirror.to else {
            let fix = "write e.g. { to: https://canary.example.com, percent: 10 }";
            report.error("EG082", &at, "a mirror without to is left out", fix);
            continue;
        };
        if let Some(fraction) = fraction(mirror.percent, &at, report) {
            let at = format!("{at}.to");
            let to = context.upstreams.destination(&url, &at, &own, context.materials, report);
            read.push(Mirror { to, fraction });
        }
    }
    read
}

/// The way back.
pub(super) fn render(mirror: &Mirror, plan: &Plan) -> Node {
    let name = match &mirror.to {
        Destination::Upstream(index) => plan.upstreams[*index].key.name.clone(),
        Destination::Missing(name) => name.clone(),
    };
    let fields: Fields = [text("to", name)].into_iter().chain(percent(mirror.fraction)).collect();
    Node::Map(fields)
}
