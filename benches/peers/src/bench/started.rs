//! A gateway that runs, from its first answer on.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::children::{Children, Running};
use crate::gateways::{Gateway, Launch, Setup};
use crate::machine::cpus::Place;
use crate::machine::process::Tree;
use crate::work::{HOST, UNROUTED};

/// How long a gateway may take to be ready: Envoy reads 100,000 hosts in seconds on a slow machine.
const READY: Duration = Duration::from_secs(120);
/// How long its first request, or the first for a host that was added, may take.
const REACH: Duration = Duration::from_secs(30);
/// Between two looks whether it is; a hundredth of what is measured.
const LOOK: Duration = Duration::from_micros(200);

/// A running gateway; it ends when this is dropped.
pub struct Started {
    /// Where it listens.
    pub address: SocketAddr,
    /// How it was set up.
    pub setup: Setup,
    /// From the start of its process to its first 404, in milliseconds.
    pub ready_ms: f64,
    process: Running,
    tree: Tree,
}

impl Started {
    /// Starts one and waits until it answers 404 for an unknown host.
    ///
    /// Errors: it ends, or does not answer; with the end of what it said.
    pub fn start(gateway: &dyn Gateway, setup: Setup, children: &Children) -> io::Result<Self> {
        let Launch { command, probe, output } = gateway.set_up(&setup)?;
        let said = setup.directory.join("stderr");
        let place = if setup.workers == 1 { Place::Gateway } else { Place::Both };
        let stdout = match output {
            Some(path) => Stdio::from(File::create(path)?),
            None => Stdio::null(),
        };
        let stderr = Stdio::from(File::create(&said)?);
        let began = Instant::now();
        let mut process = children.spawn(&command, place, stdout, stderr)?;
        if let Err(error) = ready(probe, &mut process) {
            let said = fs::read_to_string(said).unwrap_or_default();
            let last: Vec<&str> = said.lines().rev().take(5).collect();
            let last: String = last.iter().rev().map(|line| format!("\n    {line}")).collect();
            return Err(io::Error::other(format!("{error}{last}")));
        }
        let ready_ms = began.elapsed().as_secs_f64() * 1e3;
        process.prefer();
        let tree = Tree::of(process.pid())?;
        let address = (Ipv4Addr::LOCALHOST, setup.port).into();
        Ok(Self { address, setup, ready_ms, process, tree })
    }

    /// Waits until a request comes back from the origin, so that nothing is left to be looked up or loaded.
    ///
    /// Errors: none does; with the last status.
    pub fn reach_origin(&self) -> io::Result<()> {
        self.wait_for(HOST)
    }

    /// Waits until a host is routed and its origin answers.
    ///
    /// Errors: it is not, after half a minute; with the last status.
    pub fn wait_for(&self, host: &str) -> io::Result<()> {
        let began = Instant::now();
        loop {
            match status(self.address.port(), host) {
                Ok(200) => return Ok(()),
                _ if began.elapsed() < REACH => std::thread::sleep(LOOK * 50),
                Ok(status) => {
                    return Err(io::Error::other(format!("{host} is answered with {status}")));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Its process and all that it started.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

fn ready(port: u16, process: &mut Running) -> io::Result<()> {
    let began = Instant::now();
    loop {
        match status(port, UNROUTED) {
            Ok(404) => return Ok(()),
            Ok(status) => {
                return Err(io::Error::other(format!("{UNROUTED} is answered with {status}")));
            }
            Err(_) => std::thread::sleep(LOOK),
        }
        if let Some(status) = process.ended() {
            return Err(io::Error::other(format!("it ended: {status}")));
        }
        if began.elapsed() > READY {
            return Err(io::Error::other(format!("not ready after {} s", READY.as_secs())));
        }
    }
}

/// The status of one request.
fn status(port: u16, host: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET /1k HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    // Not to the end: Envoy leaves it to the client, for a second, to close a connection.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    let status = std::str::from_utf8(&answer[9..]).ok().and_then(|digits| digits.parse().ok());
    status.ok_or_else(|| io::Error::other("an answer without a status"))
}
