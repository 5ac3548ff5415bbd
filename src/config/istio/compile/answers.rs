//! Answers that a route gives itself: redirects and direct responses.
//!
//! A part that cannot be used is left out and reported; the rule still answers, and never forwards.
//! Source: istio `core/route/route.go:ApplyRedirect`, `ApplyDirectResponse`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::headers;
use super::object::Report;
use crate::config::Severity;
use crate::config::istio::virtual_service::{DerivePort, HttpDirectResponse, HttpRedirect};
use crate::model::{HeaderEdits, Redirect, Respond};

/// Istio's limit of a body (`max_direct_response_body_size_bytes`).
const BODY_BYTES_MAX: usize = 1 << 20;

/// The redirect at `field`, on a listener of a gateway port.
pub fn redirect(
    written: &HttpRedirect,
    response: HeaderEdits,
    field: &str,
    gateway_port: u16,
    report: &mut Report<'_>,
) -> Redirect {
    let mut wrong = |name: &str, message: String, fix: &'static str| {
        report.fault("EG081", Severity::Error, &format!("{field}.{name}"), message, fix);
    };
    let status = match written.redirect_code {
        None => 301,
        Some(code @ (301 | 302 | 303 | 307 | 308)) => code as u16,
        Some(code) => {
            let message = format!("{code} is no status of a redirect; 301 is sent");
            wrong("redirectCode", message, "write 301, 302, 303, 307 or 308");
            301
        }
    };
    let scheme = match written.scheme.as_str() {
        "" => None,
        "http" | "https" => Some(written.scheme.clone()),
        other => {
            let message = format!("\"{other}\" is no scheme to redirect to; it stays as it is");
            wrong("scheme", message, "write http or https");
            None
        }
    };
    let port = match (written.port, written.derive_port) {
        (Some(port), _) if (1..=65535).contains(&port) => u16::try_from(port).ok(),
        (Some(port), _) => {
            wrong("port", format!("{port} is not a port; none is sent"), "write 1 to 65535");
            None
        }
        (None, Some(DerivePort::RequestPort)) => Some(gateway_port),
        (None, Some(DerivePort::ProtocolDefault) | None) => None,
    };
    let path = Some(written.uri.clone()).filter(|uri| !uri.is_empty());
    let path = path.filter(|uri| {
        let usable = is_target(uri);
        if !usable {
            let message = "blanks and control characters cannot stand in a path; it stays as it is";
            wrong("uri", message.to_owned(), "percent-encode them");
        }
        usable
    });
    let authority = Some(written.authority.as_str()).filter(|authority| !authority.is_empty());
    let authority = authority
        .and_then(|authority| headers::host(authority, &format!("{field}.authority"), report));
    Redirect { status, scheme, authority, port, path, response }
}

/// The direct response at `field`.
pub fn respond(
    written: &HttpDirectResponse,
    response: HeaderEdits,
    field: &str,
    report: &mut Report<'_>,
) -> Respond {
    let mut wrong = |name: &str, message: String, fix: &'static str| {
        report.fault("EG081", Severity::Error, &format!("{field}.{name}"), message, fix);
    };
    let status = match u16::try_from(written.status) {
        Ok(status @ 200..=599) => status,
        _ => {
            let message = format!("{} is no status of an answer; 503 is sent", written.status);
            wrong("status", message, "write 200 to 599");
            503
        }
    };
    let body = written.body.as_ref();
    let mut bytes = match body.map(|body| (&body.string, &body.bytes)) {
        None | Some((None, None)) => Vec::new(),
        Some((Some(text), None)) => text.clone().into_bytes(),
        Some((None, Some(base64))) => bytes_of(base64).unwrap_or_else(|why| {
            wrong("body.bytes", format!("{why}; no body is sent"), "write base64");
            Vec::new()
        }),
        Some((Some(_), Some(_))) => {
            wrong(
                "body",
                "string and bytes exclude each other; no body is sent".into(),
                "keep one of them",
            );
            Vec::new()
        }
    };
    if bytes.len() > BODY_BYTES_MAX {
        let message =
            format!("{} bytes are more than {BODY_BYTES_MAX}; no body is sent", bytes.len());
        wrong("body", message, "shorten it");
        bytes.clear();
    }
    if matches!(status, 204 | 304) && !bytes.is_empty() {
        wrong("body", format!("a {status} has no body; none is sent"), "leave it out");
        bytes.clear();
    }
    Respond { status, body: bytes, response }
}

/// Bytes as protobuf's JSON form writes them: either alphabet of base64, padded or not.
fn bytes_of(base64: &str) -> Result<Vec<u8>, base64::DecodeError> {
    let standard = |letter: char| match letter {
        '-' => '+',
        '_' => '/',
        other => other,
    };
    let text: String = base64.trim_end_matches('=').chars().map(standard).collect();
    STANDARD_NO_PAD.decode(text)
}

/// Whether a text can stand in a request's target or a Location.
pub fn is_target(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
