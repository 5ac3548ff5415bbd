//! `egret demo`: the article's steps against a local origin. No network, no root, no files.

mod origin;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::time::timeout;

use super::Demo;
use crate::app::{App, Start};
use crate::config::{Document, document};
use crate::control::Source;
use crate::settings::{Given, Settings};
use origin::Origin;

/// The site that is played.
const HOST: &str = "edition.cnn.com";
/// How long an answer may take; everything is on this machine.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

const SERVICE: &str = include_str!("../../config/article/service-entry.yaml");
const GATEWAY: &str = include_str!("../../config/article/gateway.yaml");
const ROUTES: &str = include_str!("../../config/article/virtual-service.yaml");
const TLS: &str = include_str!("../../config/article/destination-rule-tls.yaml");
const PLAIN: &str = include_str!("../../config/without-origination/plain-80.yaml");

/// What is shown, in order: what is in force, what is asked for, and what must come back.
const STEPS: [Step; 4] = [
    Step {
        says: "1. Only the Gateway is there: it listens, and nothing is routed.",
        documents: &[GATEWAY],
        port: 443,
        status: 404,
    },
    Step {
        says: "2. Routed, but without TLS: the origin is spoken to in plain text on port 443.\n   \
               (`egret check` says so: \"edition.cnn.com:443 will be contacted WITHOUT TLS\")",
        documents: &[GATEWAY, SERVICE, ROUTES],
        port: 443,
        status: 400,
    },
    Step {
        says: "3. With TLS origination: plain HTTP in, verified TLS out.",
        documents: &[GATEWAY, SERVICE, ROUTES, TLS],
        port: 443,
        status: 200,
    },
    Step {
        says: "4. Without origination, on port 80: the origin's redirect comes through untouched.",
        documents: &[PLAIN],
        port: 80,
        status: 301,
    },
];

struct Step {
    says: &'static str,
    documents: &'static [&'static str],
    port: u16,
    status: u16,
}

/// Runs the demo; exit code 0 when every step went as told.
pub fn run(arguments: &Demo) -> ExitCode {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    let outcome = runtime.map_err(|error| format!("cannot start: {error}")).and_then(|runtime| {
        runtime.block_on(async {
            let app = walk().await?;
            if arguments.once {
                return Ok(ExitCode::SUCCESS);
            }
            Box::pin(stay(app)).await
        })
    });
    outcome.unwrap_or_else(|why| {
        eprintln!("egret demo: {why}");
        ExitCode::FAILURE
    })
}

/// Walks through the steps.
async fn walk() -> Result<App, String> {
    let origin = Origin::start(HOST).await?;
    println!("A local origin plays {HOST}: https on {}, http on {}.\n", origin.https, origin.http);
    let mut app = App::start(Start {
        settings: settings(&origin)?,
        source: Source::Fixed(Vec::new()),
        loaded: None,
        further_roots: vec![("the demo's authority".into(), origin.authority.clone())],
    })
    .await?;
    for step in &STEPS {
        println!("{}", step.says);
        app.replace(documents(step.documents)).await?;
        let address = app.bound(step.port).ok_or("the gateway did not bind its port")?;
        let answer = exchange(address).await?;
        println!("   $ curl -i -H 'Host: {HOST}' http://{address}/politics");
        answer.lines().for_each(|line| println!("   {line}"));
        println!();
        if !answer.starts_with(&format!("HTTP/1.1 {} ", step.status)) {
            return Err(format!("the step should have been answered with {}", step.status));
        }
    }
    Ok(app)
}

/// Stays up, with everything in force, until told to stop.
async fn stay(mut app: App) -> Result<ExitCode, String> {
    app.replace(documents(&[GATEWAY, SERVICE, ROUTES, TLS, PLAIN])).await?;
    println!("Try it yourself (Ctrl-C ends the demo):");
    for (port, what) in [(443, "originates TLS"), (80, "does not")] {
        if let Some(address) = app.bound(port) {
            println!("   curl -i -H 'Host: {HOST}' http://{address}/politics    # {what}");
        }
    }
    Ok(app.serve().await)
}

/// Any free ports on loopback, and the played site behind its real name and ports.
fn settings(origin: &Origin) -> Result<Settings, String> {
    let to = |port: u16, address: SocketAddr| format!("{HOST}:{port}:127.0.0.1:{}", address.port());
    let given = [
        ("port-map", vec!["443:0".to_owned(), "80:0".to_owned()]),
        ("bind", vec!["127.0.0.1".to_owned()]),
        ("admin", vec!["127.0.0.1:0".to_owned()]),
        ("health", vec!["127.0.0.1:0".to_owned()]),
        ("workers", vec!["1".to_owned()]),
        ("drain", vec!["1s".to_owned()]),
        ("dns-server", vec!["127.0.0.1:9".to_owned()]), // no name leaves this machine
        ("access-log", vec!["off".to_owned()]),
        ("connect-to", vec![to(443, origin.https), to(80, origin.http)]),
    ];
    let layer = given
        .into_iter()
        .map(|(name, values)| (name, Given::split(name, "the demo".into(), &values)))
        .collect();
    Settings::merge([layer, Default::default(), Default::default()])
        .map_err(|wrongs| wrongs.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

fn documents(texts: &[&str]) -> Vec<Document> {
    texts.iter().flat_map(|text| document::parse("the article", text).0).collect()
}

/// One request; the whole answer as text.
async fn exchange(address: SocketAddr) -> Result<String, String> {
    let exchanged = async {
        let mut stream = TcpStream::connect(address).await?;
        let request =
            format!("GET /politics HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    timeout(ANSWER_WITHIN, exchanged)
        .await
        .map_err(|_| "no answer came".to_owned())?
        .map_err(|error| format!("the exchange failed: {error}"))
}
