//! One request to the health or the admin port: which page it is for, and its answer.
//!
//! Request bodies are not read.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::origin::Guard;
use super::{Pages, Port};
use crate::observe::process;
use crate::observe::prometheus::{self, Facts};
use crate::observe::readiness::Report;

/// How long `POST /reload` waits for its outcome.
const RELOAD_WITHIN: Duration = Duration::from_secs(30);

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// A page of a port.
struct Page {
    path: &'static str,
    shows: Shows,
    about: &'static str,
}

/// What a page shows, or does.
#[derive(Clone, Copy)]
enum Shows {
    Index,
    Ready,
    /// As Envoy's `/ready`: `LIVE` when ready.
    ReadyAsEnvoy,
    Alive,
    Metrics,
    ServerInfo,
    /// A page that `Pages::inspect` renders under this name.
    Inspected(&'static str),
    Reload,
    Quit,
}

impl Shows {
    /// Methods it answers to. What changes something is POST alone.
    fn allow(self) -> &'static str {
        match self {
            Self::Reload | Self::Quit => "POST",
            _ => "GET, HEAD",
        }
    }
}

#[rustfmt::skip] // a table reads best as one
const PAGES: &[Page] = &[
    Page { path: "/healthz/ready", shows: Shows::Ready, about: "200 when traffic may come, else 503 and why" },
    Page { path: "/healthz/live", shows: Shows::Alive, about: "200 as long as it is answered" },
    Page { path: "/stats/prometheus", shows: Shows::Metrics, about: "metrics, text format 0.0.4" },
    // The health port ends here.
    Page { path: "/", shows: Shows::Index, about: "this page" },
    Page { path: "/ready", shows: Shows::ReadyAsEnvoy, about: "LIVE when traffic may come" },
    Page { path: "/server_info", shows: Shows::ServerInfo, about: "version, state, uptime" },
    Page { path: "/config", shows: Shows::Inspected("config"), about: "what is served, and what became of each object" },
    Page { path: "/listeners", shows: Shows::Inspected("listeners"), about: "where clients knock (?format=json)" },
    Page { path: "/routes", shows: Shows::Inspected("routes"), about: "hosts and rules (?format=json)" },
    Page { path: "/clusters", shows: Shows::Inspected("clusters"), about: "upstreams (?format=json)" },
    Page { path: "/endpoints", shows: Shows::Inspected("endpoints"), about: "their addresses (?format=json)" },
    Page { path: "/problems", shows: Shows::Inspected("problems"), about: "what is wrong with the configuration (?format=json)" },
    Page { path: "/explain", shows: Shows::Inspected("explain"), about: "what would happen to a request: ?host=edition.cnn.com&path=/politics (method, port, header, format=json)" },
    Page { path: "/reload", shows: Shows::Reload, about: "POST: read the configuration again" },
    Page { path: "/quitquitquit", shows: Shows::Quit, about: "POST: drain and exit" },
];

/// The pages that the health port has.
const HEALTH_PAGES: usize = 3;

fn pages_of(port: Port) -> &'static [Page] {
    match port {
        Port::Health => &PAGES[..HEALTH_PAGES],
        Port::Admin => PAGES,
    }
}

/// Answers a request. HEAD is answered as GET; hyper leaves the body out.
pub(super) async fn answer(
    request: &Request<Incoming>,
    pages: &Pages,
    port: Port,
    guard: Guard,
) -> Response<Full<Bytes>> {
    let method = request.method();
    if let Err((status, why)) = guard.check(method, request.headers()) {
        return response(status, TEXT, why);
    }
    let path = request.uri().path();
    let Some(page) = pages_of(port).iter().find(|page| page.path == path) else {
        return response(StatusCode::NOT_FOUND, TEXT, no_such_page(port));
    };
    let allow = page.shows.allow();
    if !allow.split(", ").any(|allowed| allowed == method.as_str()) {
        let mut refused =
            response(StatusCode::METHOD_NOT_ALLOWED, TEXT, format!("{path} takes {allow}\n"));
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        return refused;
    }
    debug_assert!(allow != "POST" || method == Method::POST);
    show(page.shows, pages, request.uri().query().unwrap_or("")).await
}

async fn show(shows: Shows, pages: &Pages, query: &str) -> Response<Full<Bytes>> {
    match shows {
        Shows::Index => response(StatusCode::OK, HTML, index()),
        Shows::Ready => readiness(pages, "ready"),
        Shows::ReadyAsEnvoy => readiness(pages, "LIVE"),
        Shows::Alive => response(StatusCode::OK, TEXT, "alive\n"),
        Shows::Metrics => metrics(pages).await,
        Shows::ServerInfo => response(StatusCode::OK, JSON, server_info(pages)),
        Shows::Inspected(name) => match (pages.inspect)(name, query) {
            Ok(page) => response(StatusCode::OK, page.content_type, page.body),
            Err(why) => response(StatusCode::BAD_REQUEST, TEXT, line(why)),
        },
        Shows::Reload => reload(pages).await,
        Shows::Quit => {
            pages.quit.notify_one();
            response(StatusCode::OK, TEXT, "draining\n")
        }
    }
}

fn readiness(pages: &Pages, when_ready: &str) -> Response<Full<Bytes>> {
    match pages.readiness.report() {
        Report::Ready => response(StatusCode::OK, TEXT, format!("{when_ready}\n")),
        report => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{report}\n")),
    }
}

async fn metrics(pages: &Pages) -> Response<Full<Bytes>> {
    let collected = pages.scraper.collect().await;
    let facts = Facts {
        resident_bytes: process::resident_bytes(),
        open_fds: process::open_fds(),
        ..(pages.facts)()
    };
    response(StatusCode::OK, prometheus::CONTENT_TYPE, prometheus::render(&collected, &facts))
}

/// The part of Envoy's `/server_info` that scripts look at.
fn server_info(pages: &Pages) -> String {
    let state = match pages.readiness.report() {
        Report::Ready => "LIVE",
        Report::Waiting { .. } => "INITIALIZING",
        Report::Draining => "DRAINING",
    };
    let uptime = format!("{}s", pages.started.elapsed().as_secs());
    let info = serde_json::json!({
        "version": (pages.facts)().version,
        "state": state,
        "uptime_current_epoch": uptime,
        "uptime_all_epochs": uptime,
    });
    format!("{info:#}\n")
}

async fn reload(pages: &Pages) -> Response<Full<Bytes>> {
    let (request, outcome) = oneshot::channel();
    let refused = match pages.reload.try_send(request) {
        Ok(()) => match timeout(RELOAD_WITHIN, outcome).await {
            Ok(Ok(Ok(done))) => return response(StatusCode::OK, TEXT, line(done)),
            Ok(Ok(Err(failed))) => {
                return response(StatusCode::UNPROCESSABLE_ENTITY, TEXT, line(failed));
            }
            Ok(Err(_)) => "the reload was given up: the gateway is stopping\n",
            Err(_) => "the reload takes its time; see /config\n",
        },
        Err(TrySendError::Full(_)) => "a reload is under way already\n",
        Err(TrySendError::Closed(_)) => "there is nothing to reload\n",
    };
    response(StatusCode::SERVICE_UNAVAILABLE, TEXT, refused)
}

/// Ends a text with a line end, as a terminal likes it.
fn line(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn index() -> String {
    let mut html = String::from("<!doctype html><title>Egret</title><h1>Egret</h1>\n<table>\n");
    for Page { path, shows, about } in PAGES {
        let name = match shows.allow() {
            "POST" => (*path).to_owned(),
            _ => format!("<a href=\"{path}\">{path}</a>"),
        };
        writeln!(html, "<tr><td>{name}<td>{about}").expect("a String takes every write");
    }
    html.push_str("</table>\n");
    html
}

fn no_such_page(port: Port) -> String {
    match port {
        Port::Admin => "no such page; / names those there are\n".to_owned(),
        Port::Health => {
            let paths: Vec<_> = pages_of(port).iter().map(|page| page.path).collect();
            format!("no such page; there are {}\n", paths.join(", "))
        }
    }
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, max-age=0"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
