//! What the benches measure with: a TLS origin, a gateway in this process, and a client that counts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use egret::listen::spread::Spread;
use egret::model::{
    Action, Addressing, Condition, Destination, Forward, HeaderPolicy, Host, HostPattern, Listener,
    Plan, Policy, Protocol, Route, Rule, Security, TlsSpec, UpstreamKey, UpstreamSpec,
    upstream::Roots,
};
use egret::proxy::Admission;
use egret::settings::Limits;
use egret::snapshot::{Publisher, Snapshot};
use egret::upstream::guard::Guard;
use egret::upstream::tls::TlsContext;
use egret::worker::{Command, Common, Worker};
use rcgen::{CertificateParams, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{HandshakeKind, ServerConfig};

/// The host that every bench asks for.
pub const HOST: &str = "edition.cnn.com";

/// A TLS origin on a thread of its own: `/N` is answered with N bytes, `/held` once it is let
/// go, and after the empty answer to `/close` the connection is closed.
pub struct Origin {
    /// Where it listens.
    pub address: SocketAddr,
    /// The certificate of its authority, in PEM.
    pub ca: Vec<u8>,
    /// The requests it keeps waiting.
    pub held: Arc<Held>,
    /// How its connections began.
    pub handshakes: Arc<Handshakes>,
}

/// TLS handshakes by kind.
#[derive(Default)]
pub struct Handshakes {
    full: AtomicUsize,
    resumed: AtomicUsize,
}

impl Handshakes {
    /// Those that made a new session.
    pub fn full(&self) -> usize {
        self.full.load(Ordering::Acquire)
    }

    /// All of them.
    pub fn all(&self) -> usize {
        self.full() + self.resumed.load(Ordering::Acquire)
    }

    fn count(&self, kind: Option<HandshakeKind>) {
        let count = match kind {
            Some(HandshakeKind::Resumed) => &self.resumed,
            _ => &self.full,
        };
        count.fetch_add(1, Ordering::AcqRel);
    }
}

/// Requests for `/held`.
#[derive(Default)]
pub struct Held {
    waiting: AtomicUsize,
    let_go: Notify,
}

impl Held {
    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Answers all that wait.
    pub fn let_go(&self) {
        self.waiting.store(0, Ordering::Release);
        self.let_go.notify_waiters();
    }

    async fn hold(&self) {
        let let_go = self.let_go.notified(); // hears of it from here on
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let_go.await;
    }
}

impl Origin {
    /// Starts one that ends with the process.
    pub fn start() -> Self {
        let mut params = CertificateParams::new(vec![]).expect("no names");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let ca = params.self_signed(&key).expect("a certificate").pem().into_bytes();
        let issuer = Issuer::new(params, key);
        let leaf_key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(vec![HOST.to_owned()]).expect("a name");
        let leaf = leaf.signed_by(&leaf_key, &issuer).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .expect("a pair");
        let listener = StdListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (held, handshakes) = (Arc::<Held>::default(), Arc::<Handshakes>::default());
        let shared = (Arc::clone(&held), Arc::clone(&handshakes));
        std::thread::spawn(move || serve(listener, TlsAcceptor::from(Arc::new(config)), &shared));
        Self { address, ca, held, handshakes }
    }
}

fn serve(
    listener: StdListener,
    acceptor: TlsAcceptor,
    (held, handshakes): &(Arc<Held>, Arc<Handshakes>),
) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        listener.set_nonblocking(true).expect("a socket");
        let listener = TcpListener::from_std(listener).expect("a socket");
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            let (acceptor, held) = (acceptor.clone(), Arc::clone(held));
            let handshakes = Arc::clone(handshakes);
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                handshakes.count(stream.get_ref().1.handshake_kind());
                answer(stream, &held).await;
            });
        }
    });
}

/// Answers requests without bodies until the client leaves.
async fn answer(mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>, held: &Held) {
    let mut buffer = vec![0; 16 * 1024];
    let mut filled = 0;
    loop {
        let Ok(count) = stream.read(&mut buffer[filled..]).await else { return };
        if count == 0 {
            return;
        }
        filled += count;
        while let Some(end) = head_end(&buffer[..filled]) {
            let path = buffer[..end].split(|byte| *byte == b' ').nth(1).unwrap_or_default();
            if path == b"/held" {
                held.hold().await;
            }
            let size: usize =
                std::str::from_utf8(path).ok().and_then(|path| path[1..].parse().ok()).unwrap_or(0);
            let closes = path == b"/close";
            let connection = if closes { "connection: close\r\n" } else { "" };
            let mut response = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n{connection}content-length: {size}\r\n\r\n"
            )
            .into_bytes();
            response.resize(response.len() + size, b'x');
            if stream.write_all(&response).await.is_err() || closes {
                let _ = stream.shutdown().await; // also of what is broken already
                return;
            }
            buffer.copy_within(end..filled, 0);
            filled -= end;
        }
    }
}

/// Where a head ends.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// A gateway of one lane in this process, in front of an origin.
pub struct Gateway {
    /// Where it listens.
    pub address: SocketAddr,
    _worker: Worker,
}

impl Gateway {
    /// Starts one that ends with the process; it routes `hosts` besides [`HOST`].
    pub fn start(origin: &Origin, hosts: &[String]) -> Self {
        let socket = StdListener::bind("127.0.0.1:0").expect("a port");
        socket.set_nonblocking(true).expect("a socket");
        let address = socket.local_addr().expect("an address");
        let publisher = Publisher::default();
        publisher.publish(snapshot(origin, hosts).into());
        let common = Common {
            publisher,
            guard: Arc::new(Guard::default()),
            limits: Limits::default(),
            headers: HeaderPolicy::default(),
            upstream_connections: Arc::default(),
        };
        let alone = Spread::among(1).next().expect("one lane");
        let worker = Worker::start(0, common, alone, None).expect("a thread");
        let admission = Admission::new(&Arc::default());
        let listen = Command::Listen { name: "0.0.0.0_443".into(), port: 443, socket, admission };
        worker.commands.blocking_send(listen).expect("a lane");
        Self { address, _worker: worker }
    }
}

/// What routes [`HOST`], and `hosts` besides, to an origin.
pub fn snapshot(origin: &Origin, hosts: &[String]) -> Snapshot {
    let tls = TlsContext::new(&[]).expect("no files");
    Snapshot::build(&plan(origin, hosts), &Snapshot::default(), &tls)
}

fn plan(origin: &Origin, hosts: &[String]) -> Plan {
    let host = Host::parse(HOST).expect("valid");
    let tls = TlsSpec {
        sni: None,
        subject_alt_names: vec![],
        service_alt_names: vec![],
        roots: Roots::Pem { path: "ca.pem".into(), pem: origin.ca.clone().into() },
        revoked: None,
        identity: None,
        skip_verify: false,
    };
    let key = UpstreamKey {
        name: format!("outbound|443||{HOST}"),
        host: host.clone(),
        port: 443,
        security: Security::Tls(Arc::new(tls)),
        protocol: Protocol::Negotiate,
        proxy_protocol: None,
    };
    let rule = Rule {
        name: String::new(),
        stat_prefix: String::new(),
        condition: Condition::default(),
        fault: None,
        action: Action::Forward(Forward::new(Destination::Upstream(0))),
    };
    let further = hosts.iter().map(|host| HostPattern::parse(host).expect("valid"));
    Plan {
        listeners: vec![Listener {
            name: "0.0.0.0_443".into(),
            route_table: "http.443".into(),
            port: 443,
            bind: "0.0.0.0:443".parse().expect("valid"),
        }],
        routes: vec![Route {
            name: format!("{HOST}:443"),
            listeners: vec![0],
            hosts: std::iter::once(HostPattern::Exact(host)).chain(further).collect(),
            rules: vec![rule.into()],
        }],
        upstreams: vec![UpstreamSpec {
            key: key.into(),
            policy: Policy::default().into(),
            addressing: Addressing::Static(vec![origin.address]).into(),
        }],
    }
}

/// A client that sends one request after another on a kept connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, buffer: vec![0; 64 * 1024] }
    }

    /// Sends a GET and reads the whole answer; its status.
    pub fn get(&mut self, host: &str, path: &str) -> u16 {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: bench\r\nAccept: */*\r\n\
             Accept-Encoding: gzip\r\nX-Request-Id: 0123456789\r\n\r\n"
        );
        self.stream.write_all(request.as_bytes()).expect("a gateway");
        let mut filled = 0;
        loop {
            filled += self.stream.read(&mut self.buffer[filled..]).expect("a gateway");
            let Some(end) = head_end(&self.buffer[..filled]) else { continue };
            let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .and_then(|length| length.parse().ok())
                .expect("a length");
            while filled < end + length {
                if self.buffer.len() < end + length {
                    self.buffer.resize(end + length, 0);
                }
                filled += self.stream.read(&mut self.buffer[filled..]).expect("a gateway");
            }
            return head[9..12].parse().expect("a status");
        }
    }
}
