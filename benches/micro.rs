//! The parts that a request runs through, each by itself: time per call, by criterion.
//!
//! `cargo bench --bench micro [-- NAME]`. Not a verdict: machines are noisy. The budget bench counts what
//! is repeatable.

#[allow(dead_code, reason = "each bench uses its part of what they share")]
mod support;

use std::hint::black_box;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use egret::config::{self, Identity, Materials, document};
use egret::snapshot::Asked;
use egret::transport::Buffers;
use egret::upstream::connect::{self, Connector, Want};
use egret::upstream::h1::Connection;
use egret::upstream::pool::{self, Checkout, Key, Pools};
use egret::wire::chunked::{self, Decoder, Event};
use egret::wire::parse::{self, HeadLimits, Parsed};
use egret::wire::{Head, HeadMemory, Trailers, Version};
use support::{HOST, Origin};
use tokio::time::Instant;

fn main() {
    let origin = Origin::start();
    let mut criterion = Criterion::default().configure_from_args();
    lookup(&mut criterion, &origin);
    head(&mut criterion);
    chunks(&mut criterion);
    compile(&mut criterion);
    pool(&mut criterion, &origin);
    criterion.final_summary();
}

/// The rule for a host among few and among many, asked for in an order that no cache foresees.
fn lookup(criterion: &mut Criterion, origin: &Origin) {
    let mut group = criterion.benchmark_group("lookup");
    let head = Head::request(HeadMemory::default(), Version::Http11, b"GET", b"/");
    let at: SocketAddr = ([127, 0, 0, 1], 443).into();
    for (form, pattern, asked) in [("exact", "", ""), ("wildcard", "*.", "any.")] {
        for hosts in [10, 1_000, 100_000] {
            let name = |prefix: &str, at| format!("{prefix}host-{at}.example.com");
            let patterns: Vec<String> = (0..hosts).map(|at| name(pattern, at)).collect();
            let mut names: Vec<String> = (0..hosts).map(|at| name(asked, at)).collect();
            fastrand::Rng::with_seed(1).shuffle(&mut names);
            let snapshot = support::snapshot(origin, &patterns);
            let mut names = names.iter().cycle();
            group.bench_function(BenchmarkId::new(form, hosts), |bencher| {
                bencher.iter(|| {
                    let host = names.next().expect("a cycle has no end");
                    let asked = Asked { head: &head, scheme: "http" };
                    let found = snapshot.routes.find((at, 443), host, asked);
                    assert!(black_box(found).is_some_and(|found| found.rule.is_some()));
                });
            });
        }
    }
}

/// A request's head out of bytes, and into bytes.
fn head(criterion: &mut Criterion) {
    const HEAD: &[u8] = b"GET /politics HTTP/1.1\r\nHost: edition.cnn.com\r\nUser-Agent: bench\r\n\
        Accept: */*\r\nAccept-Encoding: gzip\r\nX-Request-Id: 0123456789\r\n\r\n";
    let limits = HeadLimits::default();
    let read = |memory: &mut HeadMemory| match parse::request(black_box(HEAD), &limits, memory) {
        Ok(Parsed::Complete { head, .. }) => head,
        other => panic!("{other:?}"),
    };
    let mut group = criterion.benchmark_group("head");
    group.throughput(Throughput::Bytes(HEAD.len() as u64));
    let mut memory = HeadMemory::default();
    group.bench_function("parse", |bencher| {
        bencher.iter(|| memory = read(&mut memory).into_memory());
    });
    let (head, mut out) = (read(&mut memory), Vec::new());
    group.bench_function("write", |bencher| {
        bencher.iter(|| {
            out.clear();
            black_box(&head).write_request(&mut out);
        });
    });
}

/// A chunked body of 64 KiB in chunks of 4 KiB.
fn chunks(criterion: &mut Criterion) {
    const CHUNK: [u8; 4096] = [b'x'; 4096];
    let write = |out: &mut Vec<u8>| {
        for _ in 0..16 {
            chunked::encode_chunk_head(CHUNK.len(), out);
            out.extend_from_slice(&CHUNK);
            out.extend_from_slice(chunked::CHUNK_END);
        }
        chunked::encode_end(&Trailers::default(), out);
    };
    let mut body = Vec::new();
    let mut group = criterion.benchmark_group("chunked, 64 KiB");
    group.bench_function("write", |bencher| {
        bencher.iter(|| {
            body.clear();
            write(black_box(&mut body));
        });
    });
    body.clear();
    write(&mut body);
    group.bench_function("read", |bencher| bencher.iter(|| read_chunks(black_box(&body))));
}

fn read_chunks(mut rest: &[u8]) {
    let mut decoder = Decoder::new();
    loop {
        match decoder.next(rest).expect("well-formed") {
            Event::Data { skip, len } => rest = &rest[skip + len..],
            Event::More { consumed } => rest = &rest[consumed..],
            Event::End { consumed, .. } => return assert_eq!(consumed, rest.len()),
        }
    }
}

/// The plan of the article's objects, and of a thousand VirtualServices like its own, from their text.
fn compile(criterion: &mut Criterion) {
    let [gateway, service] = ["gateway", "virtual-service"].map(article);
    let others = ["service-entry", "destination-rule-gateway", "destination-rule-tls"].map(article);
    let others = others.join("\n---\n");
    let services = (0..1_000).map(|at| {
        let named = service.replace("direct-cnn", &format!("direct-{at}"));
        named.replace("- edition.cnn.com", &format!("- host-{at}.example.com"))
    });
    let open = gateway.replace("- edition.cnn.com", "- '*'");
    let many = services.fold(format!("{others}\n---\n{open}"), |all, one| all + "\n---\n" + &one);
    let one = format!("{others}\n---\n{gateway}\n---\n{service}");
    let mut group = criterion.benchmark_group("compile");
    for (name, text, routes) in [("the article's", one, 1), ("1,000 VirtualServices", many, 1_000)]
    {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let (documents, _) = document::parse("all.yaml", black_box(&text));
                let materials = Materials::new();
                let compiled = config::compile(&documents, &materials, &Identity::default());
                assert_eq!(compiled.plan.routes.len(), routes);
                compiled
            });
        });
    }
}

fn article(name: &str) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/article");
    std::fs::read_to_string(directory.join(format!("{name}.yaml"))).expect("it is shipped")
}

/// A connection out of the pool and back.
fn pool(criterion: &mut Criterion, origin: &Origin) {
    const IDLE: Duration = Duration::from_secs(60);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let snapshot = support::snapshot(origin, &[]);
    let upstream = snapshot.upstreams.values().next().expect("the origin's");
    let key = Key { upstream: upstream.id, name: HOST, address: origin.address };
    let (mut pools, buffers, now) = (Pools::default(), Buffers::with_room_for(0), Instant::now());
    let connected = runtime.block_on(async {
        let endpoints = upstream.endpoints.ready().await.expect("they are static");
        let connector = Connector::default();
        connect::open(upstream, &endpoints, 0, HOST, Want::Any, None, &connector).await
    });
    let connected = connected.expect("the origin runs");
    pool::give_back(Box::new(Connection::new(connected, pools.home(key))), IDLE, now);
    let _entered = runtime.enter();
    criterion.bench_function("pool, take and give back", |bencher| {
        bencher.iter(|| {
            let alive = |connection: &mut Box<Connection>| connection.is_alive(&buffers);
            match pools.checkout(black_box(key), Want::Any, now, alive) {
                Checkout::Reuse(connection) => pool::give_back(connection, IDLE, now),
                other => panic!("{other:?}"),
            }
        });
    });
}
