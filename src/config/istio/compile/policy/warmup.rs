//! `loadBalancer.warmup` and its predecessor `warmupDurationSecs`: how a new endpoint begins.
//!
//! Source: istio `cluster_traffic_policy.go:setWarmup`, `setSlowStartConfig`.

use super::balance;
use super::time;
use crate::config::Severity;
use crate::config::istio::compile::object::Report;
use crate::config::istio::destination_rule::LoadBalancer;
use crate::model::Balance;
use crate::model::resilience::Warmup;

/// What istiod writes where a number is not given.
const AGGRESSION: f64 = 1.0;
const MINIMUM_PERCENT: f64 = 10.0;

pub fn read(
    block: &LoadBalancer,
    balance: &Balance,
    path: &str,
    report: &mut Report<'_>,
) -> Option<Warmup> {
    let old = block.warmup_duration_secs.is_some();
    let field = format!("{path}.{}", if old { "warmupDurationSecs" } else { "warmup" });
    if old {
        let message = match block.warmup {
            Some(_) => "it is deprecated, and warmup goes before it",
            None => "it is deprecated",
        };
        report.tell("EG074", Severity::Warning, &field, message, "write warmup: {duration: ...}");
    }
    let warmup = match &block.warmup {
        Some(written) => {
            let path = format!("{path}.warmup");
            if written.duration.is_none() {
                let message = "without a duration nothing is warmed up";
                let field = format!("{path}.duration");
                report.fault("EG082", Severity::Error, &field, message, "add it, e.g. 60s");
            }
            let mut number = |written: Option<f64>, name: &str, least: f64, most: f64, default| {
                let fits = written.is_none_or(|number| (least..=most).contains(&number));
                if !fits {
                    let message =
                        format!("{name} is from {least} to {most}; {default} is in force");
                    report.fault("EG081", Severity::Error, &format!("{path}.{name}"), message, "");
                }
                Warmup::thousandths(written.filter(|_| fits).unwrap_or(default))
            };
            let aggression = number(written.aggression, "aggression", 1.0, 1_000.0, AGGRESSION);
            let minimum =
                number(written.minimum_percent, "minimumPercent", 0.0, 100.0, MINIMUM_PERCENT);
            Warmup {
                duration: time(&written.duration, &format!("{path}.duration"), report)?,
                aggression_thousandths: aggression,
                minimum_percent_thousandths: minimum,
            }
        }
        None => Warmup {
            duration: time(&block.warmup_duration_secs, &field, report)?,
            aggression_thousandths: None,
            minimum_percent_thousandths: None,
        },
    };
    if !matches!(balance, Balance::RoundRobin | Balance::LeastRequest) {
        let how = balance::text(balance);
        let message = format!("it has no effect with {how}, in Istio as here");
        let field = if block.warmup.is_some() { format!("{path}.warmup") } else { field };
        report.tell("EG073", Severity::Warning, &field, message, "ROUND_ROBIN or LEAST_REQUEST");
        return None;
    }
    Some(warmup)
}
