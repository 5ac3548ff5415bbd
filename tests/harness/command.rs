//! Commands that run to their end: `egret` itself, and curl where it is installed.

use std::process::{Command, Stdio};

/// What a command left behind.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs `egret` with these arguments, and with nothing of ours in its environment.
pub fn egret(arguments: &[&str]) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_egret"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("EGRET_")) {
        command.env_remove(name);
    }
    finish(command.args(arguments)).expect("egret can be started")
}

/// Runs curl, quietly, bounded to ten seconds; `None`, with a note, where it is not installed.
pub fn curl(arguments: &[&str]) -> Option<Finished> {
    let mut command = Command::new("curl");
    for name in [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    ] {
        command.env_remove(name);
    }
    let finished = finish(command.args(["--disable", "-sS", "--max-time", "10"]).args(arguments));
    if finished.is_none() {
        eprintln!("note: curl is not installed, so this part of the test was skipped");
    }
    finished
}

fn finish(command: &mut Command) -> Option<Finished> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    Some(Finished {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
