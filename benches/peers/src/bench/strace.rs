//! strace on a running gateway.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::children::{Children, Running};
use super::started::Started;
use crate::machine::cpus::Place;

/// How long attaching to all threads may take.
const ATTACH: Duration = Duration::from_secs(10);

/// It counts until it is ended.
pub struct Strace {
    process: Running,
    table: PathBuf,
}

impl Strace {
    /// Attaches to every process of a gateway, and all their threads.
    ///
    /// Errors: it cannot, for want of a right.
    pub fn attach(started: &Started, children: &Children) -> io::Result<Self> {
        let table = started.setup.directory.join("strace");
        let said = started.setup.directory.join("strace.said");
        let pids = started.tree().pids();
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-o"]).arg(&table);
        for pid in pids {
            command.args(["-p", &pid.to_string()]);
        }
        let output = Stdio::from(File::create(&said)?);
        let process = children.spawn(&command, Place::Load, Stdio::null(), output)?;
        let began = Instant::now();
        loop {
            let text = fs::read_to_string(&said)?;
            if text.lines().filter(|line| line.contains(" attached")).count() >= pids.len() {
                return Ok(Self { process, table });
            }
            if began.elapsed() > ATTACH {
                return Err(io::Error::other(format!("strace is not attached: {}", text.trim())));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it: the file with its table.
    ///
    /// Errors: it cannot be told to.
    pub fn end(mut self) -> io::Result<PathBuf> {
        self.process.interrupt()?;
        self.process.wait()?;
        Ok(self.table)
    }
}
