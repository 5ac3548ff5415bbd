//! What failures look like: to clients in each form they may ask for, in the access log, and what is never told.
//!
//! `table` has a row for every way to fail, against an origin that does fail so; the other files are what a
//! row cannot say.

mod origins;
mod replies;
mod table;
mod unanswered;

use std::any::Any;

use serde_json::Value;

use crate::harness::article::Egress;
use crate::harness::client::h2_request;
use crate::harness::{Gateway, H2Client, Response, Setup};

/// The host of every origin here.
pub const HOST: &str = "api.example.com";

/// A gateway and an origin that fails.
pub struct Failing {
    gateway: Gateway,
    /// Who is asked for.
    host: &'static str,
    /// The path that makes the origin fail.
    path: &'static str,
    /// What must live as long: origins, sockets.
    _origins: Vec<Box<dyn Any>>,
}

impl Failing {
    /// Started with this configuration and these flags, asked for `HOST` and `/`.
    pub fn with(egress: &Egress, flags: &[&str], origins: Vec<Box<dyn Any>>) -> Self {
        Self::started(Setup::new(&egress.yaml()).flags(flags), origins)
    }

    /// The same, of a setup.
    pub fn started(setup: Setup, origins: Vec<Box<dyn Any>>) -> Self {
        Self { gateway: setup.start(), host: HOST, path: "/", _origins: origins }
    }

    /// Asked for another host.
    pub fn host(self, host: &'static str) -> Self {
        Self { host, ..self }
    }

    /// Asked for another path.
    pub fn path(self, path: &'static str) -> Self {
        Self { path, ..self }
    }
}

/// TLS to `HOST`, tried once.
pub fn tls() -> Egress {
    Egress::tls(HOST).rule(ONCE)
}

/// Plain text to `HOST`, tried once.
pub fn plain() -> Egress {
    Egress::plain(HOST).rule(ONCE)
}

const ONCE: &str = "retries: {attempts: 0}";

/// With 200 ms to connect: for origins that never answer, since a busy machine may need longer for others.
pub fn hasty(egress: Egress) -> Egress {
    egress.policy("connectionPool: {tcp: {connectTimeout: 200ms}}")
}

/// What a failure must look like.
pub struct Row {
    pub status: u16,
    pub flag: &'static str,
    pub details: &'static str,
    pub token: &'static str,
    pub body: &'static str,
    /// Words of the reason, for the log alone.
    pub reason: &'static [&'static str],
}

/// How a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    GrpcOverHttp1,
    GrpcOverHttp2,
}

/// Fails in each form, and holds what clients get and what the log says against the row.
pub fn expect(failing: &Failing, row: &Row) {
    for form in [Form::Text, Form::Json, Form::GrpcOverHttp1, Form::GrpcOverHttp2] {
        let target = format!("{}?{form:?}", failing.path);
        let response = ask(failing, form, &target);
        judge(&response, form, failing.host, row);
        let line = failing.gateway.access(&target);
        let told = response.head.clone() + &response.text();
        judge_log(&line, response.status, row);
        let inside = ["127.0.0.", "remote_address", "/tmp/", ".pem"];
        for word in row.reason.iter().chain(&inside) {
            assert!(!told.contains(word), "{form:?}: the client is told {word}: {told}");
        }
    }
}

fn ask(failing: &Failing, form: Form, target: &str) -> Response {
    let host = failing.host;
    if form == Form::GrpcOverHttp2 {
        let client = H2Client::connect(failing.gateway.port(443));
        let fields = [("content-type", "application/grpc"), ("te", "trailers")];
        let answer = client.request(h2_request("POST", host, target, &fields), "message");
        assert!(answer.trailers.is_empty(), "trailers only, which are the head: {answer:?}");
        let head = answer.fields.iter().map(|(name, value)| {
            format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()))
        });
        let head = format!("HTTP/2 {}\r\n{}\r\n", answer.status, head.collect::<String>());
        return Response {
            status: answer.status,
            head,
            body: answer.body,
            trailers: String::new(),
        };
    }
    let rest = match form {
        Form::Json => "Accept: application/json\r\nX-Request-Id: a\"b\\\r\n",
        Form::GrpcOverHttp1 => "Content-Type: application/grpc\r\nContent-Length: 0\r\n",
        _ => "",
    };
    let method = if form == Form::GrpcOverHttp1 { "POST" } else { "GET" };
    let mut client = failing.gateway.client();
    client.send(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{rest}\r\n"));
    client.response()
}

/// What a client gets.
fn judge(response: &Response, form: Form, host: &str, row: &Row) {
    let head = &response.head;
    let proxy_status = format!("egret; error={}; details=\"{}\"", row.token, row.details);
    let told = response.field("proxy-status").unwrap_or_default();
    assert!(told.starts_with(&proxy_status), "{form:?}: {head}");
    assert!(
        response.field("date").is_some() && response.field("server") == Some("egret"),
        "{head}"
    );
    match form {
        Form::GrpcOverHttp1 | Form::GrpcOverHttp2 => {
            let message = Some(row.body).filter(|body| !body.is_empty());
            assert_eq!((response.status, response.body.as_slice()), (200, &b""[..]), "{form:?}");
            assert_eq!(response.field("content-type"), Some("application/grpc"));
            assert_eq!(response.field("grpc-status"), Some(grpc_status(row.status)));
            assert_eq!(response.field("grpc-message"), message);
        }
        Form::Json if row.status != 404 => {
            assert_eq!(response.status, row.status);
            assert_eq!(response.field("content-type"), Some("application/json"));
            let body: Value = serde_json::from_slice(&response.body).expect("a JSON body");
            let names: Vec<&String> = body.as_object().expect("an object").keys().collect();
            assert_eq!(names, ["error", "host", "request_id", "route"], "and no other");
            assert_eq!((&body["error"], &body["host"]), (&row.token.into(), &host.into()));
            assert_eq!(body["request_id"], "a\"b\\");
        }
        Form::Text | Form::Json => {
            assert_eq!((response.status, response.text().as_str()), (row.status, row.body));
            let kind = Some("text/plain").filter(|_| !row.body.is_empty());
            assert_eq!(response.field("content-type"), kind, "{head}");
        }
    }
}

/// What the access log says of it.
fn judge_log(line: &Value, status: u16, row: &Row) {
    assert_eq!(line["response_code"], status, "{line}");
    assert_eq!((&line["response_flags"], &line["error"]), (&row.flag.into(), &row.token.into()));
    let details = line["response_code_details"].as_str().unwrap_or_default();
    let reason = line["upstream_transport_failure_reason"].as_str().unwrap_or_default();
    match row.details.strip_suffix('}') {
        Some(before) if !reason.is_empty() => {
            assert_eq!(details, format!("{before}|{reason}}}"));
        }
        _ => assert_eq!(details, row.details),
    }
    for word in row.reason {
        // The access log writes blanks as `_`, as Envoy does.
        assert!(reason.contains(&word.replace(' ', "_")), "{word} is not in the reason: {reason}");
    }
    assert_eq!(reason.is_empty(), row.reason.is_empty(), "{reason}");
}

/// Envoy's mapping.
fn grpc_status(status: u16) -> &'static str {
    match status {
        403 => "7",
        404 => "12",
        502..=504 => "14",
        _ => "2",
    }
}
