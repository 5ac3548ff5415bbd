//! Latency while something else goes on in the gateway.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::tail::{at, saturate};
use super::{Chart, Effort, Experiment, Step, Table, anywhere};
use crate::bench::name_server::NameServer;
use crate::bench::origins::Kind;
use crate::bench::{Measured, Started, Turn, work};
use crate::gateways::{Feature, Routes};
use crate::work::{Shape, Until, Work};

/// The load in percent of the best peer's saturation.
const LOAD: f64 = 50.0;
/// Hosts whose counters are told.
const COUNTED: usize = 10_000;
/// Hosts that are loaded again.
const RELOADED: usize = 100_000;
/// What the slow client reads, in bytes a second.
const SLOWLY: usize = 10_000;
/// From the beginning of the work to what disturbs it, and again.
const EVERY: Duration = Duration::from_secs(1);
/// From the beginning of the work to the reload: there is one, since a second may only wait for the first.
const RELOAD_AFTER: Duration = Duration::from_millis(1_500);

const COLUMNS: &[&str] = &["p50_us", "p999_us", "cpu_us", "disturbances"];

pub const EXPERIMENT: Experiment = Experiment {
    name: "tail-disturbed",
    about: "As tail at 50 %, with nothing else going on, and then while the origin's name expires every second; \
            while the counters are read every second, with 10,000 hosts of which each has been asked for; while a \
            configuration of 100,000 hosts is loaded in place of one that differs in one host; while one client reads a 100 MB \
            body at 10 KB/s. All of a gateway's threads share its one CPU",
    needs: &[],
    possible: anywhere,
    quick: None,
    full: Effort { rounds: 5, seconds: 45.0 },
    steps: &[saturate, disturbed],
    tables: &[
        table("calm", "Nothing else going on"),
        table("dns", "The origin's name expires every second"),
        table("scrape", "The counters of 10,000 hosts are read every second"),
        table("reload", "A configuration of 100,000 hosts is loaded"),
        table("slow", "One client reads slowly"),
    ],
};

const fn table(case: &'static str, title: &'static str) -> Table {
    Table {
        case,
        title,
        key: "p99_us",
        columns: COLUMNS,
        ratios: &["p50_us", "p999_us"],
        chart: Chart::None,
    }
}

fn disturbed(turn: &Turn<'_>) -> io::Result<()> {
    let calm = turn.usual()?;
    record(turn, "calm", &measure(turn, &calm)?, 0);
    slow(turn, &calm)?;
    drop(calm);
    let parts: [(&str, Feature, Step); 3] = [
        ("dns", Feature::DnsRefresh, dns),
        ("scrape", Feature::Scrape, scrape),
        ("reload", Feature::Reload, reload),
    ];
    for (case, needs, part) in parts {
        if turn.gateway.has(needs) {
            part(turn)?;
        } else {
            turn.leave_out(case, "cannot do this");
        }
    }
    Ok(())
}

fn slow(turn: &Turn<'_>, gateway: &Started) -> io::Result<()> {
    let shape = Shape::Slow { rate: SLOWLY };
    let reader = Work { path: "/100m".to_owned(), connections: 1, shape, ..work(gateway) };
    let reader = turn.generator(&reader)?;
    record(turn, "slow", &measure(turn, gateway)?, 1);
    reader.end()
}

fn dns(turn: &Turn<'_>) -> io::Result<()> {
    let server = NameServer::start()?;
    let mut setup = turn.setup(&*turn.origin(Kind::default())?)?;
    setup.dns = Some(server.port);
    let gateway = turn.start(setup)?;
    let before = server.answered();
    let measured = measure(turn, &gateway)?;
    record(turn, "dns", &measured, server.answered() - before);
    Ok(())
}

fn scrape(turn: &Turn<'_>) -> io::Result<()> {
    let mut setup = turn.setup(&*turn.origin(Kind::default())?)?;
    setup.routes = Routes::Exact(COUNTED);
    let (admin, path) = (setup.admin, turn.gateway.counters());
    let gateway = turn.start(setup)?;
    let shape = Shape::Closed(Until::Requests(COUNTED as u64));
    let host = gateway.setup.routes.pattern();
    let once = Work { host, hosts: COUNTED, warm_up: 0.0, shape, ..work(&gateway) };
    turn.generator(&once)?.go()?;
    let (measured, read) = beside(
        || measure(turn, &gateway),
        |is_over| {
            let mut read = 0;
            while wait(EVERY, is_over) {
                if get(admin, path)?.starts_with(b"HTTP/1.1 200") {
                    read += 1;
                }
            }
            Ok(read)
        },
    )?;
    record(turn, "scrape", &measured, read);
    Ok(())
}

fn reload(turn: &Turn<'_>) -> io::Result<()> {
    let mut setup = turn.setup(&*turn.origin(Kind::default())?)?;
    setup.routes = Routes::Exact(RELOADED);
    let gateway = turn.start(setup.clone())?;
    setup.routes = Routes::Exact(RELOADED + 1);
    let (subject, pid) = (turn.gateway, gateway.pid());
    let (measured, reloaded) = beside(
        || measure(turn, &gateway),
        |is_over| {
            if !wait(RELOAD_AFTER, is_over) {
                return Ok(0);
            }
            subject.reload(&setup, pid)?;
            Ok(1)
        },
    )?;
    let added = setup.routes.pattern().replace("{}", &RELOADED.to_string());
    gateway.wait_for(&added)?;
    record(turn, "reload", &measured, reloaded);
    Ok(())
}

fn measure(turn: &Turn<'_>, gateway: &Started) -> io::Result<Measured> {
    let work = at(turn, gateway, LOAD, turn.either(3.0, 5.0))?;
    turn.measure(gateway, &work)
}

fn record(turn: &Turn<'_>, case: &str, measured: &Measured, disturbances: u64) {
    turn.record(case, measured, &[("disturbances", disturbances as f64)]);
}

/// Runs both at once; the second one is told when the first is over.
fn beside<T>(
    work: impl FnOnce() -> io::Result<T>,
    disturb: impl FnOnce(&AtomicBool) -> io::Result<u64> + Send,
) -> io::Result<(T, u64)> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let disturbing = scope.spawn(|| disturb(&is_over));
        let worked = work();
        is_over.store(true, Ordering::Relaxed);
        let disturbed = disturbing.join().expect("it does not panic");
        Ok((worked?, disturbed?))
    })
}

/// Waits; whether the work still goes on then.
fn wait(time: Duration, is_over: &AtomicBool) -> bool {
    let step = Duration::from_millis(50);
    for _ in 0..time.as_millis() / step.as_millis() {
        if is_over.load(Ordering::Relaxed) {
            return false;
        }
        thread::sleep(step);
    }
    true
}

fn get(port: u16, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
