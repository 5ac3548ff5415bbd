//! The load generator as a process: set up, told to go, and listened to.

use std::env;
use std::io::{self, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use super::children::{Children, Lines, Running};
use crate::machine::cpus::Place;
use crate::work::{READY, Shape, Summary, Until, Work};

/// What connecting, a warm-up and the last answers may take beyond the work itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// A generator that is ready to go, or holds its connections.
pub struct Generator {
    process: Running,
    stdin: ChildStdin,
    lines: Lines,
    patience: Duration,
}

impl Generator {
    /// Starts one and waits until it is ready.
    ///
    /// Errors: it cannot connect.
    pub fn ready(work: &Work, children: &Children) -> io::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("load").arg(serde_json::to_string(work)?);
        let mut process =
            children.spawn(&command, Place::Load, Stdio::piped(), Stdio::inherit())?;
        let stdin = process.stdin().expect("its input is a pipe");
        let lines = process.lines().expect("its output is a pipe");
        let work_takes = match work.shape {
            Shape::Closed(Until::Seconds(seconds)) | Shape::Open { seconds, .. } => seconds,
            Shape::Closed(Until::Requests(_))
            | Shape::Idle { .. }
            | Shape::Held
            | Shape::Slow { .. } => 60.0,
        };
        let patience = PATIENCE + Duration::from_secs_f64(work_takes);
        let said = lines.next(patience).map_err(failed)?;
        process.prefer();
        if said != READY {
            return Err(io::Error::other(format!("the load generator said {said:?}")));
        }
        Ok(Self { process, stdin, lines, patience })
    }

    /// Does its work: what became of it.
    ///
    /// Errors: it does not come to an end.
    pub fn go(mut self) -> io::Result<Summary> {
        self.stdin.write_all(b"go\n")?;
        let summary = self.lines.next(self.patience).map_err(failed)?;
        Ok(serde_json::from_str(&summary)?)
    }

    /// Closes its connections.
    ///
    /// Errors: it cannot be waited for.
    pub fn end(mut self) -> io::Result<()> {
        drop(self.stdin);
        self.process.wait().map(drop)
    }
}

fn failed(error: io::Error) -> io::Error {
    io::Error::other(format!("the load generator: {error}"))
}
