//! The origins of a run: one process for each kind, started when it is first asked for.

use std::cell::RefCell;
use std::collections::HashMap;
use std::env;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::children::{Children, Running};
use super::pki::Pki;
use crate::machine::cpus::Place;
use crate::machine::process::{CpuTime, Tree};
use crate::work::{Counts, OriginPorts};

/// What an origin offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kind {
    /// No tickets: nothing can be resumed.
    pub no_tickets: bool,
    /// X25519MLKEM768 besides X25519.
    pub post_quantum: bool,
    /// HTTP/2 besides HTTP/1.1.
    pub h2: bool,
}

/// A running origin.
pub struct Origin {
    /// Where it listens for TLS.
    pub port: u16,
    stats: u16,
    process: Running,
}

impl Origin {
    /// What it has counted.
    ///
    /// Errors: it is gone.
    pub fn counts(&self) -> io::Result<Counts> {
        self.say("counts")
    }

    /// Lets all that it holds go on.
    ///
    /// Errors: it is gone.
    pub fn release(&self) -> io::Result<Counts> {
        self.say("release")
    }

    /// Waits until it holds so many requests.
    ///
    /// Errors: after half a minute it still does not, and they are let go.
    pub fn wait_until_held(&self, requests: u64) -> io::Result<()> {
        let began = Instant::now();
        loop {
            let held = self.counts()?.held;
            if held == requests {
                return Ok(());
            }
            if began.elapsed() > Duration::from_secs(30) {
                self.release()?;
                return Err(io::Error::other(format!("{held} of {requests} reached the origin")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn say(&self, line: &str) -> io::Result<Counts> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.stats))?;
        writeln!(stream, "{line}")?;
        let mut counts = String::new();
        stream.read_to_string(&mut counts)?;
        Ok(serde_json::from_str(&counts)?)
    }
}

/// All origins of a run.
#[derive(Default)]
pub struct Origins(RefCell<HashMap<Kind, Rc<Origin>>>);

impl Origins {
    /// The CPU time of all that run.
    pub fn cpu_time(&self) -> CpuTime {
        let origins = self.0.borrow();
        let mut sum = CpuTime::default();
        for origin in origins.values() {
            let time = Tree::one(origin.process.pid()).cpu_time();
            sum.user += time.user;
            sum.system += time.system;
        }
        sum
    }

    /// The one of a kind.
    ///
    /// Errors: it cannot be started.
    pub fn of(&self, kind: Kind, children: &Children, pki: &Pki) -> io::Result<Rc<Origin>> {
        if let Some(origin) = self.0.borrow().get(&kind) {
            return Ok(Rc::clone(origin));
        }
        let origin = Rc::new(start(kind, children, pki)?);
        self.0.borrow_mut().insert(kind, Rc::clone(&origin));
        Ok(origin)
    }
}

fn start(kind: Kind, children: &Children, pki: &Pki) -> io::Result<Origin> {
    let mut command = Command::new(env::current_exe()?);
    command.arg("origin").arg("--certificate").arg(&pki.certificate).arg("--key").arg(&pki.key);
    for (asked, flag) in [
        (kind.no_tickets, "--no-tickets"),
        (kind.post_quantum, "--post-quantum"),
        (kind.h2, "--h2"),
    ] {
        if asked {
            command.arg(flag);
        }
    }
    let mut process = children.spawn(&command, Place::Load, Stdio::piped(), Stdio::inherit())?;
    let lines = process.lines().expect("its output is a pipe");
    let ports = lines.next(Duration::from_secs(10))?;
    process.prefer();
    let OriginPorts { tls, stats } = serde_json::from_str(&ports)?;
    Ok(Origin { port: tls, stats, process })
}
