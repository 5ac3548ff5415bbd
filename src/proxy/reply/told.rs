//! What a client is told of a failure: a status and a sentence, an object, or gRPC's status.

use std::borrow::Cow;

use super::{Edited, begin, edit, sign};
use crate::model::Aborted;
use crate::model::failure::{Failure, Flag, Row};
use crate::observe::{Record, escape_json};
use crate::proxy::asked::{Asked, Form};
use crate::proxy::lane::Lane;
use crate::wire::Head;

/// The head and body that tell of a failure. A route's edits come first (as in Envoy): they may add, and change
/// nothing of what is told.
pub fn write(
    failure: &Failure,
    asked: Asked<'_>,
    edited: Option<Edited<'_>>,
    record: &Record<'_>,
    lane: &Lane,
) -> (Head, Vec<u8>) {
    let row = failure.row();
    let status = if asked.form == Form::Grpc { 200 } else { row.status };
    let mut head = begin(status, lane);
    if let Some((edits, request)) = edited {
        edit(&mut head, edits, request, record, lane);
    }
    let message = row.message(record.attempts);
    let (content_type, body) = match asked.form {
        Form::Grpc => {
            head.set(b"grpc-status", grpc_status(failure, row.status).as_bytes());
            if !message.is_empty() {
                // Ours are plain ASCII without a `%`: nothing in them needs percent-encoding.
                head.set(b"grpc-message", message.as_bytes());
            }
            ("application/grpc", Vec::new())
        }
        Form::Json if row.status != 404 => ("application/json", json(&row, asked, record)),
        _ if message.is_empty() => ("", Vec::new()),
        _ => ("text/plain", message.into_owned().into_bytes()),
    };
    if !content_type.is_empty() {
        head.set(b"content-type", content_type.as_bytes());
    }
    // A gRPC status without a message before it is its stream's whole answer, and has no length.
    if asked.form != Form::Grpc && !matches!(status, 204 | 304) {
        head.set(b"content-length", itoa::Buffer::new().format(body.len()).as_bytes());
    }
    sign(&mut head, lane);
    if row.flag == Flag::UpstreamOverflow {
        head.set(b"x-envoy-overloaded", b"true");
    }
    head.set(b"proxy-status", proxy_status(failure, &row).as_bytes());
    (head, body)
}

/// RFC 9209: the token, and the details as the log begins them, without the reason that only the log has.
fn proxy_status(failure: &Failure, row: &Row) -> String {
    let mut status = format!("egret; error={}; details=\"{}\"", row.token, row.details);
    if let Some(received) = failure.received_status() {
        status += &format!("; received-status={received}");
    }
    status
}

/// An object for programs: what failed, and which request that was.
fn json(row: &Row, asked: Asked<'_>, record: &Record<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let route = record.rule.or(record.route);
    for (name, value) in [
        ("{\"error\":", Some(row.token.as_bytes())),
        (",\"host\":", asked.host.map(str::as_bytes)),
        (",\"route\":", route.map(str::as_bytes)),
        (",\"request_id\":", asked.request_id),
    ] {
        out.extend_from_slice(name.as_bytes());
        match value {
            Some(value) => {
                out.push(b'"');
                escape_json(&mut out, value);
                out.push(b'"');
            }
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
    out
}

/// Envoy's mapping of HTTP statuses to gRPC's, unless the failure is one of gRPC itself.
fn grpc_status(failure: &Failure, status: u16) -> Cow<'static, str> {
    if let Failure::Injected(Aborted::Grpc(status)) = failure {
        return status.to_string().into();
    }
    let status = match status {
        400 => "13",
        401 => "16",
        403 => "7",
        404 => "12",
        429 | 502..=504 => "14",
        _ => "2",
    };
    status.into()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::time::Instant;

    use super::*;
    use crate::model::Refused;
    use crate::snapshot::Publisher;

    fn told(failure: &Failure, form: Form) -> (Head, Vec<u8>) {
        let lane = Lane::new(
            Publisher::default().subscribe(),
            Default::default(),
            Default::default(),
            Default::default(),
            None,
        );
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        let record = Record::begin(Instant::now(), nobody, nobody);
        let mut asked = Asked::default();
        asked.form = form;
        write(failure, asked, None, &record, &lane)
    }

    #[test]
    fn overload_is_told_to_clients_that_know_envoys_word_for_it() {
        for (failure, expected) in
            [(Failure::Overloaded("a limit".into()), Some(&b"true"[..])), (Failure::Closed, None)]
        {
            for form in [Form::Text, Form::Json, Form::Grpc] {
                let (head, _) = told(&failure, form);
                let named = head.lines().find(|(name, _)| *name == b"x-envoy-overloaded");
                assert_eq!(named.map(|(_, value)| value), expected, "{failure:?} {form:?}");
            }
        }
    }

    #[test]
    fn statuses_become_grpcs_as_in_envoy() {
        let refused = |status| Failure::Refused(Refused { status, details: "" });
        for (failure, expected) in [
            (refused(400), "13"),
            (refused(401), "16"),
            (refused(403), "7"),
            (Failure::NoRoute, "12"),
            (refused(429), "14"),
            (Failure::Malformed(String::new()), "14"),
            (Failure::Closed, "14"),
            (Failure::Timeout, "14"),
            (Failure::RequestIdle, "2"),
            (Failure::BodyTooLarge, "2"),
            (Failure::Looped, "2"),
        ] {
            let (head, body) = told(&failure, Form::Grpc);
            let status = head.lines().find(|(name, _)| *name == b"grpc-status");
            assert_eq!(status.map(|(_, value)| value), Some(expected.as_bytes()), "{failure:?}");
            assert_eq!((head.status(), body.len()), (200, 0));
        }
    }
}
