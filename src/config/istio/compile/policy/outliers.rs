//! `outlierDetection`: when an endpoint is left out for a while.
//!
//! Source: istio `cluster_traffic_policy.go:applyOutlierDetection`.

use super::{count, time};
use crate::config::Severity;
use crate::config::istio::compile::object::Report;
use crate::config::istio::destination_rule::OutlierDetection;
use crate::model::resilience::Outliers;

/// Failures of connections in a row, where they are counted apart and no number is given (Envoy's default).
const LOCAL_ERRORS: u32 = 5;

pub fn read(block: &OutlierDetection, path: &str, report: &mut Report<'_>) -> Outliers {
    let field = |name: &str| format!("{path}.{name}");
    let defaults = Outliers::default();
    if block.consecutive_errors.is_some() {
        let message = "consecutiveErrors is deprecated and has no effect, in Istio as here";
        let fix = "write consecutive5xxErrors or consecutiveGatewayErrors";
        report.tell("EG074", Severity::Warning, &field("consecutiveErrors"), message, fix);
    }
    let apart = block.split_external_local_origin_errors == Some(true);
    if !apart && block.consecutive_local_origin_failures.is_some() {
        let message = "it has no effect without splitExternalLocalOriginErrors: true";
        let field = field("consecutiveLocalOriginFailures");
        report.tell("EG073", Severity::Warning, &field, message, "add it, or leave this out");
    }
    let mut percent = |written: Option<u32>, name: &str, default: u32| match written {
        Some(percent) if percent > 100 => {
            let message = format!("{percent} is more than 100 percent; 100 is in force");
            report.fault("EG081", Severity::Error, &field(name), message, "write 0 to 100");
            100
        }
        written => count(written).unwrap_or(default),
    };
    let ejected_max_percent =
        percent(block.max_ejection_percent, "maxEjectionPercent", defaults.ejected_max_percent);
    let healthy_min_percent =
        percent(block.min_health_percent, "minHealthPercent", defaults.healthy_min_percent);
    let interval = time(&block.interval, &field("interval"), report);
    let ejection = time(&block.base_ejection_time, &field("baseEjectionTime"), report);
    Outliers {
        statuses: statuses(block, path, report),
        // An explicit 0 switches the count off, unlike with the other numbers.
        errors: block.consecutive_5xx_errors.map_or(defaults.errors, |number| count(Some(number))),
        gateway_errors: count(block.consecutive_gateway_errors),
        local_errors: apart
            .then(|| count(block.consecutive_local_origin_failures).unwrap_or(LOCAL_ERRORS)),
        interval: interval.unwrap_or(defaults.interval),
        ejection: ejection.unwrap_or(defaults.ejection),
        ejected_max_percent,
        healthy_min_percent,
    }
}

/// The statuses that count as errors, as they are written.
fn statuses(block: &OutlierDetection, path: &str, report: &mut Report<'_>) -> Vec<u16> {
    let mut statuses = Vec::new();
    for (index, code) in block.outlier_detection_http_error_codes.iter().enumerate() {
        match u16::try_from(*code) {
            Ok(status @ 100..=599) => statuses.push(status),
            _ => {
                let message = format!("{code} is no status of an answer; it does not count");
                let field = format!("{path}.outlierDetectionHttpErrorCodes[{index}]");
                report.fault("EG081", Severity::Error, &field, message, "write 100 to 599");
            }
        }
    }
    statuses
}
