//! Both ports over real sockets, spoken to in plain bytes.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::{CONNECTIONS_MAX, Inspected, Pages, Port, Reload, serve};
use crate::observe::prometheus::Facts;
use crate::observe::{Readiness, Scraper};

const SOON: Duration = Duration::from_secs(10);

/// A port being served; dropping `stop` ends it.
struct Served {
    address: std::net::SocketAddr,
    readiness: Arc<Readiness>,
    reloads: mpsc::Receiver<Reload>,
    quit: Arc<Notify>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

async fn served(port: Port) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (reload, reloads) = mpsc::channel(1);
    let readiness = Arc::new(Readiness::default());
    let quit = Arc::new(Notify::new());
    let pages = Pages {
        readiness: Arc::clone(&readiness),
        scraper: Scraper::new(Vec::new()),
        facts: Box::new(|| Facts { version: "0.1.0", generation: 7, ..Facts::default() }),
        inspect: Box::new(|name, query| match (name, query) {
            ("routes", "format=json") => {
                Ok(Inspected { content_type: "application/json", body: "[]".into() })
            }
            (_, "") => Ok(Inspected { content_type: "text/plain", body: format!("{name}\n") }),
            _ => Err("no such format".to_owned()),
        }),
        reload,
        quit: Arc::clone(&quit),
        started: Instant::now(),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(serve(listener, Arc::new(pages), port, async {
        let _ = stopped.await;
    }));
    Served { address, readiness, reloads, quit, stop, serving }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a request on a connection of its own and takes everything that comes back.
    async fn ask(&self, line: &str, headers: &str) -> String {
        let mut stream = self.connect().await;
        let request = format!("{line} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }

    async fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path}"), "Host: localhost\r\n").await
    }
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a head").1
}

#[tokio::test]
async fn pages_answer_with_their_status_type_and_text() {
    let text = "text/plain";
    let cases = [
        (Port::Health, "/healthz/ready", "200", text, "ready\n"),
        (Port::Health, "/healthz/live", "200", text, "alive\n"),
        (
            Port::Health,
            "/stats/prometheus",
            "200",
            "text/plain; version=0.0.4",
            "egret_config_generation 7\n",
        ),
        (Port::Health, "/", "404", text, "/healthz/ready, /healthz/live, /stats/prometheus"),
        (Port::Health, "/config", "404", text, "no such page"),
        (Port::Health, "/quitquitquit", "404", text, "no such page"),
        (Port::Admin, "/healthz/ready", "200", text, "ready\n"),
        (Port::Admin, "/ready", "200", text, "LIVE\n"),
        (Port::Admin, "/server_info", "200", "application/json", "\"state\": \"LIVE\""),
        (
            Port::Admin,
            "/stats/prometheus",
            "200",
            "text/plain; version=0.0.4",
            "egret_build_info{version=\"0.1.0\"} 1\n",
        ),
        (Port::Admin, "/", "200", "text/html", "<a href=\"/routes\">"),
        (Port::Admin, "/routes", "200", text, "routes\n"),
        (Port::Admin, "/routes?format=json", "200", "application/json", "[]"),
        (Port::Admin, "/routes?format=odd", "400", text, "no such format"),
        (Port::Admin, "/problems", "200", text, "problems\n"),
        (Port::Admin, "/nothing", "404", text, "/ names those there are"),
    ];
    for port in [Port::Health, Port::Admin] {
        let served = served(port).await;
        for (_, path, code, content_type, text) in cases.iter().filter(|case| case.0 == port) {
            let answer = served.get(path).await;
            assert_eq!(status(&answer), *code, "{path}: {answer}");
            assert!(answer.contains(&format!("content-type: {content_type}")), "{path}: {answer}");
            assert!(body(&answer).contains(text), "{path}: {answer}");
        }
    }
}

#[tokio::test]
async fn every_page_of_the_index_is_there() {
    let served = served(Port::Admin).await;
    let index = served.get("/").await;
    let links: Vec<_> =
        index.split("<a href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(links.len() > 10, "{index}");
    for link in links {
        assert_eq!(status(&served.get(link).await), "200", "{link}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let served = served(Port::Admin).await;
    for (path, code) in [("/ready", "200"), ("/nothing", "404")] {
        let got = served.get(path).await;
        let head = served.ask(&format!("HEAD {path}"), "Host: localhost\r\n").await;
        assert_eq!(status(&head), code);
        assert_eq!(body(&head), "");
        assert!(head.contains(&format!("content-length: {}\r\n", body(&got).len())), "{head}");
    }
}

#[tokio::test]
async fn a_method_that_a_page_does_not_take_is_refused_with_those_it_does() {
    let served = served(Port::Admin).await;
    let cases = [
        ("GET /quitquitquit", "POST"),
        ("HEAD /quitquitquit", "POST"),
        ("GET /reload", "POST"),
        ("POST /ready", "GET, HEAD"),
        ("DELETE /", "GET, HEAD"),
    ];
    for (line, allow) in cases {
        let answer = served.ask(line, "Host: localhost\r\n").await;
        assert_eq!(status(&answer), "405", "{line}");
        assert!(answer.contains(&format!("allow: {allow}\r\n")), "{line}: {answer}");
    }
    let asked = timeout(Duration::from_millis(1), served.quit.notified()).await;
    assert!(asked.is_err(), "none of them may end the gateway");
}

#[tokio::test]
async fn readiness_is_told_with_its_reason_on_both_paths() {
    let served = served(Port::Admin).await;
    let waiting = served.readiness.wait_for("a listener");
    for path in ["/healthz/ready", "/ready"] {
        let answer = served.get(path).await;
        assert_eq!(status(&answer), "503");
        assert_eq!(body(&answer), "not ready: waiting for a listener\n");
    }
    assert!(served.get("/server_info").await.contains("\"state\": \"INITIALIZING\""));
    drop(waiting);
    assert_eq!(status(&served.get("/healthz/ready").await), "200");
    served.readiness.drain();
    assert_eq!(body(&served.get("/ready").await), "not ready: draining\n");
    assert_eq!(status(&served.get("/healthz/live").await), "200");
}

#[tokio::test]
async fn quitquitquit_asks_to_quit() {
    let served = served(Port::Admin).await;
    let answer = served.ask("POST /quitquitquit", "Host: localhost\r\n").await;
    assert_eq!(status(&answer), "200");
    timeout(SOON, served.quit.notified()).await.unwrap();
}

#[tokio::test]
async fn reload_tells_how_it_went() {
    let mut served = served(Port::Admin).await;
    let cases = [
        (Ok("generation 8".to_owned()), "200", "generation 8\n"),
        (Err("no listener".to_owned()), "422", "no listener\n"),
    ];
    for (outcome, code, text) in cases {
        let (mut reloads, none) = (served.reloads, mpsc::channel(1).1);
        served.reloads = none;
        let control = async {
            let reload = reloads.recv().await.unwrap();
            reload.send(outcome).unwrap();
            reloads
        };
        let (answer, reloads) =
            tokio::join!(served.ask("POST /reload", "Host: localhost\r\n"), control);
        assert_eq!((status(&answer), body(&answer)), (code, text));
        served.reloads = reloads;
    }
    served.reloads.close();
    let answer = served.ask("POST /reload", "Host: localhost\r\n").await;
    assert_eq!(status(&answer), "503");
}

#[tokio::test]
async fn a_web_page_can_neither_change_nor_read_anything() {
    let served = served(Port::Admin).await;
    let cases = [
        ("POST /quitquitquit", "Host: localhost\r\nOrigin: http://evil.example\r\n", "403"),
        ("POST /quitquitquit", "Host: localhost\r\nOrigin: null\r\n", "403"),
        ("POST /quitquitquit", "Host: evil.example:15000\r\n", "403"),
        ("GET /config", "Host: evil.example\r\n", "403"),
        ("GET /config", "Host: 127.0.0.1:15000\r\n", "200"),
        ("GET /config", "Host: localhost\r\nOrigin: http://localhost\r\n", "200"),
    ];
    for (line, headers, code) in cases {
        assert_eq!(status(&served.ask(line, headers).await), code, "{line} {headers}");
    }
    assert!(timeout(Duration::from_millis(1), served.quit.notified()).await.is_err());
}

#[tokio::test]
async fn the_health_port_is_asked_for_by_any_name() {
    let served = self::served(Port::Health).await;
    let answer = served.ask("GET /healthz/ready", "Host: egret.istio-system.svc\r\n").await;
    assert_eq!(status(&answer), "200");
}

#[tokio::test]
async fn connections_past_the_limit_wait_for_a_place() {
    let served = served(Port::Health).await;
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        let mut stream = served.connect().await;
        stream.write_all(b"GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut byte = [0];
        timeout(SOON, stream.read_exact(&mut byte)).await.unwrap().unwrap();
        open.push(stream);
    }
    let mut waiting = Box::pin(served.get("/healthz/live"));
    assert!(timeout(Duration::from_millis(50), &mut waiting).await.is_err());
    open.pop();
    assert_eq!(status(&waiting.await), "200");
}

#[tokio::test]
async fn stopping_ends_open_connections_and_then_serving() {
    let served = served(Port::Health).await;
    let mut open = served.connect().await;
    open.write_all(b"GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut byte = [0];
    open.read_exact(&mut byte).await.unwrap();
    drop(served.stop);
    timeout(SOON, open.read_to_end(&mut Vec::new())).await.unwrap().unwrap();
    timeout(SOON, served.serving).await.unwrap().unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn a_request_head_that_never_ends_is_refused() {
    let served = served(Port::Health).await;
    let mut stream = served.connect().await;
    let head = format!("GET /healthz/live HTTP/1.1\r\nHost: x\r\nA: {}", "a".repeat(20_000));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // It may be reset after the answer, since not all that was sent was read.
    let _ = timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.is_empty() || status(&answer) == "431", "{answer}");
}
