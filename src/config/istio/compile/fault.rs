//! Faults that a route puts in the way of its requests.
//!
//! A part that cannot be understood is left out, so that nothing fails by mistake.
//! Source: istio `core/route/route.go:TranslateFault`.

use super::object::Report;
use crate::config::Severity;
use crate::config::istio::virtual_service::{FaultAbort, FaultDelay, HttpFault, Percent};
use crate::model::{Abort, Aborted, Delay, Fault, Fraction, duration};

/// The faults written at `field`; `None`: no request meets any.
pub fn compile(written: &HttpFault, field: &str, report: &mut Report<'_>) -> Option<Fault> {
    let delay = written.delay.as_ref();
    let abort = written.abort.as_ref();
    let fault = Fault {
        delay: delay.and_then(|written| delayed(written, &format!("{field}.delay"), report)),
        abort: abort.and_then(|written| aborted(written, &format!("{field}.abort"), report)),
    };
    Some(fault).filter(|fault| fault.delay.is_some() || fault.abort.is_some())
}

fn delayed(written: &FaultDelay, field: &str, report: &mut Report<'_>) -> Option<Delay> {
    if written.exponential_delay.is_some() {
        let at = format!("{field}.exponentialDelay");
        report.unsupported(Severity::Warning, &at, "Istio has no such delay either");
    }
    let whole = written.percent.map(|percent| Percent { value: percent.into() });
    if whole.is_some() {
        let message = "deprecated; it is in force where percentage is not given";
        let at = format!("{field}.percent");
        report.tell("EG074", Severity::Warning, &at, message, "percentage: {value: N}");
    }
    let fraction = match written.percentage.as_ref().or(whole.as_ref()) {
        Some(percent) => fraction(percent, &format!("{field}.percentage"), report),
        None => nobody(field, report),
    };
    let Some(text) = &written.fixed_delay else {
        if written.exponential_delay.is_none() {
            let at = format!("{field}.fixedDelay");
            let message = "it is missing; no request is delayed";
            report.fault("EG082", Severity::Error, &at, message, "write e.g. 5s");
        }
        return None;
    };
    match duration::parse(text) {
        Ok(time) => Some(Delay { time, fraction })
            .filter(|delay| !delay.fraction.is_none() && !delay.time.is_zero()),
        Err(why) => {
            let at = format!("{field}.fixedDelay");
            report.fault("EG081", Severity::Error, &at, why, "no request is delayed");
            None
        }
    }
}

fn aborted(written: &FaultAbort, field: &str, report: &mut Report<'_>) -> Option<Abort> {
    if written.percent.is_some() {
        let at = format!("{field}.percent");
        let message = "no longer exists; it is not in force";
        report.fault("EG074", Severity::Warning, &at, message, "percentage: {value: N}");
    }
    if written.http2_error.is_some() {
        let at = format!("{field}.http2Error");
        report.unsupported(Severity::Warning, &at, "Istio does not act on it either");
    }
    let fraction = match &written.percentage {
        Some(percent) => fraction(percent, &format!("{field}.percentage"), report),
        None => nobody(field, report),
    };
    let mut wrong = |name: &str, message: String, fix: &'static str| {
        report.fault("EG081", Severity::Error, &format!("{field}{name}"), message, fix);
        None
    };
    let answer = match (written.http_status, &written.grpc_status) {
        (Some(status), None) => match u16::try_from(status) {
            Ok(status @ 200..=599) => Some(Aborted::Http(status)),
            _ => wrong(
                ".httpStatus",
                format!("{status} is no status of an answer; no request is aborted"),
                "write 200 to 599",
            ),
        },
        (None, Some(text)) => Aborted::grpc(text).or_else(|| {
            let message = format!("\"{text}\" is no status of gRPC; no request is aborted");
            wrong(".grpcStatus", message, "write e.g. UNAVAILABLE")
        }),
        _ => wrong(
            "",
            "it needs either httpStatus or grpcStatus; no request is aborted".to_owned(),
            "write e.g. httpStatus: 503",
        ),
    };
    Some(Abort { answer: answer?, fraction }).filter(|abort| !abort.fraction.is_none())
}

/// A percentage written at `field`.
pub fn fraction(percent: &Percent, field: &str, report: &mut Report<'_>) -> Fraction {
    let value = percent.value;
    if !(0.0..=100.0).contains(&value) {
        let taken = Fraction::percent(value).as_percent();
        let message = format!("{value} is no percentage; taken as {taken}");
        let at = format!("{field}.value");
        report.fault("EG081", Severity::Error, &at, message, "write 0 to 100");
    }
    Fraction::percent(value)
}

/// Where Istio's default is that nobody is meant.
fn nobody(field: &str, report: &mut Report<'_>) -> Fraction {
    let message = "without a percentage it is meant for no request (Istio's default)";
    let fix = "write percentage: {value: 100}";
    report.fault("EG073", Severity::Warning, field, message, fix);
    Fraction::percent(0.0)
}
