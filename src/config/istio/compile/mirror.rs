//! Mirrors of a route: who else gets a copy of its requests.
//!
//! A mirror that does not exist is kept by its name; nothing is sent to it, and the requests go on.
//! Source: istio `core/route/route.go:translateRoute`, `MirrorPercent`.

use super::destinations::{self, Use};
use super::fault::fraction;
use super::object::Report;
use super::upstreams::Known;
use crate::config::Severity;
use crate::config::istio::virtual_service::{Destination, HttpRoute, Percent};
use crate::model::{Fraction, Mirror};

/// The mirrors of `http[..]` at `field`, on a listener of a gateway port.
pub fn compile(
    route: &HttpRoute,
    field: &str,
    port: u16,
    known: &Known,
    report: &mut Report<'_>,
    uses: &mut Vec<Use>,
) -> Vec<Mirror> {
    if route.mirror.is_some() && !route.mirrors.is_empty() {
        let at = format!("{field}.mirrors");
        let message = "mirror stands beside it; Istio refuses both, here both are in force";
        report.fault("EG073", Severity::Warning, &at, message, "move mirror into mirrors");
    }
    let single = route.mirror.as_deref().map(|to| {
        let whole = route.mirror_percent.map(|percent| Percent { value: percent.into() });
        let percent = route.mirror_percentage.clone().or(whole);
        (to, percent, format!("{field}.mirror"), format!("{field}.mirrorPercentage"))
    });
    let several = route.mirrors.iter().enumerate().map(|(index, mirror)| {
        let at = format!("{field}.mirrors[{index}]");
        let percentage = format!("{at}.percentage");
        (&mirror.destination, mirror.percentage.clone(), format!("{at}.destination"), percentage)
    });
    report_percentages(route, field, report);
    let mut mirrors = Vec::new();
    for (to, percent, at, percentage) in single.into_iter().chain(several) {
        let fraction = match &percent {
            None => Fraction::ALL,
            Some(percent) => fraction(percent, &percentage, report),
        };
        if !fraction.is_none() {
            let to: &Destination = to;
            let effect = "nothing is mirrored";
            let to = destinations::destination_of(to, &at, effect, port, known, report, uses);
            mirrors.push(Mirror { to, fraction });
        }
    }
    mirrors
}

fn report_percentages(route: &HttpRoute, field: &str, report: &mut Report<'_>) {
    if route.mirror_percent.is_some() {
        let message = "deprecated; it is in force where mirrorPercentage is not given";
        let at = format!("{field}.mirrorPercent");
        report.tell("EG074", Severity::Warning, &at, message, "mirrorPercentage: {value: N}");
    }
    if route.mirror.is_none() && route.mirror_percentage.is_some() {
        let at = format!("{field}.mirrorPercentage");
        let message = "there is no mirror beside it, so it is not in force";
        report.fault("EG073", Severity::Warning, &at, message, "write it as mirrors[].percentage");
    }
}
