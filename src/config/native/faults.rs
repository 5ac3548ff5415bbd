//! Faults of a rule in Egret's own form, there and back: `fault: { abort: { status: 503, percent: 1 } }`.
//!
//! A part that is not understood is left out, so that nothing fails by mistake.

use super::render::{Fields, number, text, time};
use super::report::Report;
use super::shapes;
use super::yaml::Node;
use crate::model::fault::GRPC_STATUSES;
use crate::model::{Abort, Aborted, Delay, Fault, Fraction, duration};

/// The faults written at `field`; `None`: no request meets any.
pub(super) fn read(written: shapes::Fault, field: &str, report: &mut Report<'_>) -> Option<Fault> {
    let delay = written.delay.and_then(|one| delay(one, &format!("{field}.delay"), report));
    let abort = written.abort.and_then(|one| abort(one, &format!("{field}.abort"), report));
    Some(Fault { delay, abort }).filter(|fault| fault.delay.is_some() || fault.abort.is_some())
}

fn delay(written: shapes::Delay, field: &str, report: &mut Report<'_>) -> Option<Delay> {
    let fraction = fraction(written.percent, field, report)?;
    let at = format!("{field}.time");
    let Some(text) = written.time else {
        report.error("EG082", &at, "it is missing; no request is delayed", "write e.g. time: 5s");
        return None;
    };
    match duration::parse(&text) {
        Ok(time) => Some(Delay { time, fraction }).filter(|delay| !delay.time.is_zero()),
        Err(why) => {
            report.error("EG081", &at, format!("{why}; no request is delayed"), "");
            None
        }
    }
}

fn abort(written: shapes::Abort, field: &str, report: &mut Report<'_>) -> Option<Abort> {
    let fraction = fraction(written.percent, field, report)?;
    let answer = match (written.status, &written.grpc_status) {
        (Some(status @ 200..=599), None) => Ok(Aborted::Http(status)),
        (Some(status), None) => Err(format!("{status} is no status of an answer")),
        (None, Some(name)) => {
            Aborted::grpc(name).ok_or_else(|| format!("\"{name}\" is no status of gRPC"))
        }
        _ => Err("it needs either status or grpcStatus".to_owned()),
    };
    match answer {
        Ok(answer) => Some(Abort { answer, fraction }),
        Err(why) => {
            let message = format!("{why}; no request is aborted");
            report.error("EG081", field, message, "write e.g. status: 503");
            None
        }
    }
}

/// The `percent` beside something at `field`; nothing written: every request. `None`: nobody is meant.
pub(super) fn fraction(
    percent: Option<f64>,
    field: &str,
    report: &mut Report<'_>,
) -> Option<Fraction> {
    let percent = percent.unwrap_or(100.0);
    if !(0.0..=100.0).contains(&percent) {
        let message = format!("{percent} is no percentage; it is not in force");
        report.error("EG081", &format!("{field}.percent"), message, "write 0 to 100");
        return None;
    }
    Some(Fraction::percent(percent)).filter(|fraction| !fraction.is_none())
}

/// The way back.
pub(super) fn render(fault: &Fault) -> Fields {
    let Fault { delay, abort } = fault;
    let mut fields = Fields::new();
    if let Some(Delay { time: wait, fraction }) = delay {
        let delay = [time("time", *wait)].into_iter().chain(percent(*fraction)).collect();
        fields.push(("delay".to_owned(), Node::Map(delay)));
    }
    if let Some(Abort { answer, fraction }) = abort {
        let answer = match answer {
            Aborted::Http(status) => number("status", (*status).into()),
            Aborted::Grpc(status) => {
                text("grpcStatus", *GRPC_STATUSES.get(usize::from(*status)).unwrap_or(&"UNKNOWN"))
            }
        };
        let abort = [answer].into_iter().chain(percent(*fraction)).collect();
        fields.push(("abort".to_owned(), Node::Map(abort)));
    }
    fields
}

/// Nothing where every request is meant.
pub(super) fn percent(fraction: Fraction) -> Option<(String, Node)> {
    let decimal = || Node::Decimal(fraction.as_percent().to_string());
    (fraction != Fraction::ALL).then(|| ("percent".to_owned(), decimal()))
}
