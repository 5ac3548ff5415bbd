//! The real binary in front of the bench's origin, alone or under a tool that watches it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::support::{HOST, Origin};

/// The article's objects, as they are shipped.
pub const ARTICLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/article");

/// How to start one.
pub struct Setup<'o> {
    /// Whom it leads to.
    pub origin: &'o Origin,
    /// What it is configured with.
    pub config: PathBuf,
    /// `--access-log`; lines go to `/dev/null`.
    pub access_log: &'static str,
    /// A tool and its arguments, under which it runs.
    pub tool: Vec<String>,
}

impl<'o> Setup<'o> {
    /// The article's configuration, without an access log or a tool.
    pub fn article(origin: &'o Origin) -> Self {
        Self { origin, config: ARTICLE.into(), access_log: "off", tool: vec![] }
    }
}

/// A running gateway of one lane; it ends when this is dropped.
pub struct Gateway {
    /// Where its listener for port 443 is bound.
    pub address: SocketAddr,
    process: Child,
    _directory: TempDir,
}

impl Gateway {
    /// Starts one and waits until it says where it listens.
    pub fn start(setup: &Setup<'_>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut process = command(setup, directory.path()).spawn().expect("the gateway starts");
        let mut log = BufReader::new(process.stderr.take().expect("its log is a pipe"));
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            if log.read_line(&mut line).expect("its log is text") == 0 {
                panic!("the gateway ended:\n{said}");
            }
            if let Some((_, address)) = line.split_once("for port 443 bound to ") {
                break address.trim().parse().expect("an address");
            }
            said.push_str(&line);
        };
        // Whatever it says further on must not fill the pipe.
        std::thread::spawn(move || log.lines().for_each(drop));
        Self { address, process, _directory: directory }
    }

    /// Its process, also where a tool runs it as a child.
    pub fn pid(&self) -> u32 {
        let own = self.process.id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
        children.ok().and_then(|children| children.trim().parse().ok()).unwrap_or(own)
    }

    /// Its resident memory, in bytes.
    pub fn resident(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1024.0
    }

    /// Ends it as a terminal would, and waits until it has.
    pub fn stop(mut self) {
        let pid = self.pid().to_string();
        let told = Command::new("kill").args(["-INT", &pid]).status().expect("kill is installed");
        assert!(told.success(), "the gateway had ended before");
        self.process.wait().expect("it was started here");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // After `stop` there is nothing left to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What `EGRET_BINARY` names; else what cargo built with the bench, by the bench's own profile.
#[expect(clippy::disallowed_methods, reason = "a bench has no settings that could gather it")]
pub fn binary() -> String {
    std::env::var("EGRET_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_egret").to_owned())
}

fn command(setup: &Setup<'_>, directory: &Path) -> Command {
    let ca = directory.join("ca.pem");
    fs::write(&ca, &setup.origin.ca).expect("a file");
    let binary = binary();
    let words: Vec<&String> = setup.tool.iter().chain([&binary]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg("run").arg("-c").arg(&setup.config);
    command.args(["--bind", "127.0.0.1", "--port-map", "443:0", "--workers", "1"]);
    command.args(["--admin", "127.0.0.1:0", "--health", "127.0.0.1:0"]);
    command.args(["--access-log", setup.access_log]).arg("--cacert").arg(ca);
    command.args(["--connect-to", &format!("{HOST}:443:{}", setup.origin.address)]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}
