//! What a rule answers itself, `redirect` and `respond`, and what it makes of a path.
//!
//! A part that cannot be used is left out and reported.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::report::Report;
use super::shapes;
use crate::model::{Authority, HeaderEdits, PathRewrite, Redirect, Respond, Substitution};

/// The redirect written at `field`.
pub(super) fn redirect(
    written: shapes::Redirect,
    response: HeaderEdits,
    field: &str,
    report: &mut Report<'_>,
) -> Redirect {
    let mut wrong = |name: &str, message: String, fix: &'static str| {
        report.error("EG081", &format!("{field}.{name}"), message, fix);
    };
    let status = written.status.unwrap_or(301);
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        let message = format!("{status} is no status of a redirect; 301 is sent");
        wrong("status", message, "write 301, 302, 303, 307 or 308");
    }
    let status = if matches!(status, 302 | 303 | 307 | 308) { status } else { 301 };
    let scheme = written.scheme.filter(|scheme| {
        let known = matches!(scheme.as_str(), "http" | "https");
        if !known {
            let message = format!("\"{scheme}\" is no scheme to redirect to; it stays as it is");
            wrong("scheme", message, "write http or https");
        }
        known
    });
    let authority = written.host.filter(|host| {
        let valid = Authority::parse(host.as_bytes()).is_some();
        if !valid {
            let message = format!("\"{host}\" is not a host; it stays as it is");
            wrong("host", message, "write e.g. www.example.com");
        }
        valid
    });
    let path = written.path.filter(|path| {
        let valid = is_target(path);
        if !valid {
            wrong("path", BLANKS.to_owned(), "percent-encode them");
        }
        valid
    });
    let port = written.port.filter(|port| {
        if *port == 0 {
            wrong("port", "0 is not a port; it stays as it is".to_owned(), "write 1 to 65535");
        }
        *port != 0
    });
    Redirect { status, scheme, authority, port, path, response }
}

/// The answer written at `field`.
pub(super) fn respond(
    written: shapes::Respond,
    response: HeaderEdits,
    field: &str,
    report: &mut Report<'_>,
) -> Respond {
    let status = written.status.unwrap_or(200);
    if !(200..=599).contains(&status) {
        let message = format!("{status} is no status of an answer; 503 is sent");
        report.error("EG081", &format!("{field}.status"), message, "write 200 to 599");
    }
    let status = if (200..=599).contains(&status) { status } else { 503 };
    let body = match (written.body, written.base64) {
        (None, None) => Vec::new(),
        (Some(text), None) => text.into_bytes(),
        (None, Some(text)) => STANDARD.decode(text).unwrap_or_else(|why| {
            let message = format!("{why}; no body is sent");
            report.error("EG081", &format!("{field}.base64"), message, "write base64");
            Vec::new()
        }),
        (Some(_), Some(_)) => {
            let message = "body and base64 exclude each other; no body is sent";
            report.error("EG073", field, message, "keep one of them");
            Vec::new()
        }
    };
    let has_none = matches!(status, 204 | 304) && !body.is_empty();
    if has_none {
        let message = format!("a {status} has no body; none is sent");
        report.error("EG073", field, message, "leave it out");
    }
    Respond { status, body: if has_none { Vec::new() } else { body }, response }
}

/// The rewrite written at `field`; `None`: it cannot be used, and the path stays.
pub(super) fn rewrite(
    written: shapes::Rewrite,
    field: &str,
    report: &mut Report<'_>,
) -> Option<PathRewrite> {
    let rewrite = match (written.matched, written.regex, written.with) {
        (Some(matched), None, None) => Ok((matched.clone(), PathRewrite::Matched(matched))),
        (None, Some(regex), Some(with)) => {
            Substitution::parse(&regex, &with).map(|parsed| (with, PathRewrite::Regex(parsed)))
        }
        _ => Err("it needs either matched, or regex and with".to_owned()),
    };
    let why = match rewrite {
        Ok((text, rewrite)) if is_target(&text) => return Some(rewrite),
        Ok(_) => BLANKS.to_owned(),
        Err(why) => format!("{why}; the path stays as it is"),
    };
    report.error("EG081", field, why, "write e.g. rewrite: { matched: /v2/ }");
    None
}

const BLANKS: &str = "blanks and control characters cannot stand in a path; it stays as it is";

/// Whether a text can stand in a request's target or a Location.
fn is_target(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
