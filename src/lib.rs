//! Egret: a standalone egress gateway that originates TLS.
//!
//! Applications speak plain HTTP to it; it finds the route for the host and port, resolves the external
//! name, and carries the request over a pooled, verified TLS connection. It reads Istio's own objects,
//! with no Istio running. The README says how to use it; this page is the map of the code.
//!
//! # The idea
//!
//! A **document** becomes a **plan**; a plan becomes a **snapshot**; a request meets exactly one
//! snapshot. Before the plan, everything speaks Istio (or our own YAML) and nothing speaks sockets. After
//! it, everything speaks listeners, routes and upstreams, and nothing has heard of Istio.
//!
//! Each CPU core runs one **worker**, a single-threaded runtime that drives one **lane**: its own sockets,
//! pools, buffers and counters. A new connection is given to the lane that has fewest, and stays there. The
//! path of a request has no shared lock, no channel and no hop: it is an `async fn` from head to reply. One
//! **control** thread does everything else (changes of the configuration, DNS, the pages beside the traffic),
//! a thread aside of it reads and compiles, and one writes the access log. Lanes only read what control
//! publishes. What must survive a reload hangs on `Arc<Upstream>`, and a reload reuses the `Arc` of every
//! upstream whose definition did not change.
//!
//! # The floors
//!
//! A module imports from lower floors only, and modules of one floor do not know each other, except
//! that those of floor 0 may use [`model`]. `tests/floors.rs` holds this against the code.
//!
//! | floor | modules | what |
//! |---|---|---|
//! | 6 | `main`, [`cli`], [`app`] | the process: builds everything once, in order; start and stop |
//! | 5 | [`worker`], [`control`], [`admin`] | a core's thread; the configuration's way into force; pages |
//! | 4 | [`listen`] | sockets that clients knock at |
//! | 3 | [`proxy`], [`inspect`] | one request; what the configuration means, for people |
//! | 2 | [`snapshot`] | a plan made ready for requests |
//! | 1 | [`config`], [`upstream`], [`downstream`] | documents; the far side; the client's side |
//! | 0.5 | [`transport`] | bytes on their way, on either side |
//! | 0 | [`model`], [`wire`], [`observe`], [`drain`], [`quota`], [`settings`] | our words; HTTP/1.1 as bytes; what happened; knobs |
//!
//! Libraries are named in one place each: rustls in `upstream::tls`, hickory in `upstream::dns`, the YAML
//! parser in `config::document`, httparse in `wire::parse`, h2 in `transport::frames` and the two `h2`
//! modules, hyper in `admin`, futures-util in `proxy::clients`. Istio's words stay in `config::istio`.
//!
//! # A request's path
//!
//! [`listen`] accepts a connection, [`proxy::serve`] finds out what it speaks and takes a head, and
//! [`proxy::request`] is the straight line:
//!
//! 1. one snapshot, held to the end ([`snapshot`]);
//! 2. how long the body is, and who is asked for ([`wire`], [`model::host`]);
//! 3. the rule: listener, host, then rules in order; none is a 404 ([`snapshot::routes`]);
//! 4. the head made fit for the next hop ([`proxy::headers`]);
//! 5. copies for mirrors begun, if there are any ([`proxy::mirror`]);
//! 6. a connection out of the pool or a fresh one, the head sent, tried again where that is safe, until a
//!    response head is here, with the upload going on beside it ([`proxy::exchange`], [`proxy::attempt`],
//!    [`proxy::answer`], [`proxy::retry`]);
//! 7. their head out, then both bodies at once ([`proxy::relay`], or [`proxy::tunnel`] after an upgrade);
//!    a failure before that is a reply of our own ([`proxy::reply`]);
//! 8. one record: counters and a log line ([`observe`]), even of what is cut off ([`proxy::account`]).
//!
//! A connection is in the pool, or in a request's hand, or gone. Memory is lent by the lane for as long as
//! bytes are pending; an idle connection holds none, and all HTTP/1.1 clients of a lane share one task
//! ([`proxy::clients`]).
//!
//! # A configuration's path
//!
//! [`config::source`] reads files, [`config::document`] makes documents of them, [`config::compile`] makes the
//! best plan of those and says what became of each object, [`control`] compares, builds a snapshot and
//! publishes it. Compiling never fails: a broken object is left out and named, and the rest serves.
//!
//! # Which file do I change?
//!
//! A new Istio field: `config/istio/<kind>.rs`, its file under `compile/`, and its line in `tests/check/fields.txt`. A
//! new remark on a configuration: `config/istio/compile/lint/` or a `remarks.rs` there, its code in
//! `config/problem.rs` and the README. A new policy: `model/route.rs`
//! and the step that applies it. What a head tells of the inside: `model/headers.rs` and `proxy/headers/`.
//! What an upstream may have at once: `model/resilience.rs`, `upstream/limits.rs` and `proxy/places.rs`; which
//! endpoint is next: `proxy/pick.rs`, with `upstream/{balance,hash,health}.rs`.
//! A wrong status: the table in `model/failure.rs`. A connection bug:
//! `upstream/pool.rs` if it is *when*, `transport/` or `upstream/h1.rs` if it is *what bytes*; TLS records:
//! `upstream/tls/session.rs`, over rustls's unbuffered interface; resumption: `tickets.rs` beside it. A malformed
//! message let through: `wire/`. What may be dialled: `upstream/guard.rs`. A log field: `observe/record.rs`, then
//! `observe/access_log/`. A flag: `settings.rs` and `cli/mod.rs`. A limit: `model/limit.rs`, `settings/limits.rs`,
//! and the place that keeps it.
//!
//! # Words
//!
//! *Listener*, *virtual host*, *route*, *cluster*, *endpoint*, *upstream* and *downstream* mean what they
//! mean in Envoy. A *rule* is one entry of a virtual host. A *peer* is either side of an exchange as the
//! relay sees it, a *carrier* is the connection to an origin that carries one request, a *flow* is one
//! direction of an exchange, and a *piece* is one step of a body.
//!
//! # What is deliberately absent
//!
//! - No plug-in trait, no tower of services, no `dyn` on a request's path. Its one generic is the stream
//!   below an HTTP/1.1 connection: plain TCP towards clients, TLS or TCP towards origins.
//! - No global registry and no environment variable read outside `cli`; the one counter that is static
//!   numbers upstreams.
//! - No task for an HTTP/1 request (a mirror's copy has one), no channel between a request and its
//!   connection, no header map on that path: a message is its lines, and case and order survive.
//! - No unbounded queue, map or buffer.
//! - No cache of negative results without an expiry; no retry without a limit.
//! - No `unsafe`.
//! - No hand-written TLS, DNS, HTTP/2, header tokenizer, YAML parser or calendar of certificates.

#![forbid(unsafe_code)]

pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod control;
pub mod downstream;
pub mod drain;
pub mod inspect;
pub mod listen;
pub mod model;
pub mod observe;
pub mod proxy;
pub mod quota;
pub mod settings;
pub mod snapshot;
pub mod transport;
pub mod upstream;
pub mod wire;
pub mod worker;
