//! The gateway under test: a process of its own, started as a user starts it.
//!
//! Ports are learnt from its log, which says what it bound. When a test fails, both of its outputs are printed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use super::{Client, Response, Watched, get, until};

/// A running gateway; dropping it kills the process.
pub struct Gateway {
    child: Child,
    output: Arc<Watched<Lines>>,
    log: Arc<Watched<Lines>>,
    dir: TempDir,
    health: Option<SocketAddr>,
}

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

impl Gateway {
    /// Takes charge of the process and waits until its health port is known.
    pub fn watch(mut child: Child, dir: TempDir) -> Self {
        let output = collect(child.stdout.take().expect("its output is a pipe"));
        let log = collect(child.stderr.take().expect("its log is a pipe"));
        let mut gateway = Self { child, output, log, dir, health: None };
        let line = gateway.wait_for_log("health bound to ");
        gateway.health = Some(address_after(&line, "health bound to "));
        gateway
    }

    /// The address its listener for this gateway port is bound to.
    pub fn port(&self, port: u16) -> SocketAddr {
        let mark = format!("for port {port} bound to ");
        address_after(&self.wait_for_log(&mark), &mark)
    }

    /// One GET for this host on the listener for port 443, on a connection of its own.
    pub fn get(&self, host: &str, target: &str) -> Response {
        get(self.port(443), host, target)
    }

    /// A connection to the listener for port 443.
    pub fn client(&self) -> Client {
        Client::connect(self.port(443))
    }

    /// One GET on the health port.
    pub fn health(&self, path: &str) -> Response {
        get(self.health_address(), "localhost", path)
    }

    /// The address of the health port.
    pub fn health_address(&self) -> SocketAddr {
        self.health.expect("known since the start")
    }

    /// The address of the admin port.
    pub fn admin(&self) -> SocketAddr {
        address_after(&self.wait_for_log("admin bound to "), "admin bound to ")
    }

    /// Every series of `/stats/prometheus` with its value.
    pub fn metrics(&self) -> HashMap<String, f64> {
        let text = self.health("/stats/prometheus").text();
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        lines
            .map(|line| {
                let (series, value) =
                    line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line:?}"));
                (series.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line:?}")))
            })
            .collect()
    }

    /// The sum of all series of this name that bear each of these labels, written as `name="value"`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let metrics = self.metrics();
        let of_name = metrics.iter().filter(|(series, _)| series.split('{').next() == Some(name));
        of_name
            .filter(|(series, _)| labels.iter().all(|label| series.contains(label)))
            .map(|(_, value)| value)
            .sum()
    }

    /// Waits for a line of the log with this text and returns it.
    pub fn wait_for_log(&self, text: &str) -> String {
        let line = self.log.wait_for(|log| {
            let line = log.lines.iter().find(|line| line.contains(text)).cloned();
            line.map(Some).or(log.ended.then_some(None))
        });
        line.flatten().unwrap_or_else(|| panic!("the log never said {text:?}"))
    }

    /// Whether the log has a line with this text by now.
    pub fn log_contains(&self, text: &str) -> bool {
        self.log.look(|log| log.lines.iter().any(|line| line.contains(text)))
    }

    /// How many lines of the log have this text by now.
    pub fn log_count(&self, text: &str) -> usize {
        self.log.look(|log| count(log, text))
    }

    /// Waits for a line of the access log with this text and returns it.
    pub fn wait_for_access(&self, text: &str) -> String {
        let line = self
            .output
            .wait_for(|output| output.lines.iter().find(|line| line.contains(text)).cloned());
        line.unwrap_or_else(|| panic!("the access log never had {text:?}"))
    }

    /// As `wait_for_access`, for the JSON format.
    pub fn access(&self, text: &str) -> Value {
        let line = self.wait_for_access(text);
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Every line of the access log so far.
    pub fn access_log(&self) -> Vec<String> {
        self.output.look(|output| output.lines.clone())
    }

    /// Makes a change and waits until a configuration was taken after it.
    pub fn taken_after(&self, change: impl FnOnce(&Self)) {
        const TAKEN: &str = "configuration generation ";
        let before = self.log_count(TAKEN);
        change(self);
        let seen = self.log.wait_for(|log| (count(log, TAKEN) > before).then_some(()));
        assert!(seen.is_some(), "no configuration was taken");
    }

    /// Makes a change and waits until the gateway has said that it keeps what it had.
    pub fn kept_after(&self, change: impl FnOnce(&Self)) -> String {
        const KEPT: &str = "configuration kept";
        let before = self.log_count(KEPT);
        change(self);
        let line = self.log.wait_for(|log| {
            log.lines.iter().filter(|line| line.contains(KEPT)).nth(before).cloned()
        });
        line.expect("a change that is not taken is said to be kept")
    }

    /// Where the configuration files are.
    pub fn config_dir(&self) -> PathBuf {
        self.dir.path().join("config")
    }

    /// Puts a file in place by renaming, under the directory of the test.
    pub fn replace(&self, name: &str, text: &str) {
        replace(&self.dir.path().join(name), text);
    }

    /// Puts the only configuration file in place and waits until it is in force.
    pub fn reconfigure(&self, config: &str) {
        self.taken_after(|gateway| gateway.replace("config/egress.yaml", config));
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        // The shell's own `kill`: a minimal system has no program of that name.
        let kill = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status();
        assert!(sent.is_ok_and(|status| status.success()), "no signal {name} was sent");
    }

    /// Waits for its end and returns the exit code; -1 when a signal ended it.
    pub fn wait_exit(&mut self) -> i32 {
        let status = until("the gateway to exit", || self.child.try_wait().expect("our own child"));
        self.output.wait_for(|output| output.ended.then_some(()));
        status.code().unwrap_or(-1)
    }

    /// Fails the test when the process has ended.
    pub fn assert_running(&self) {
        assert!(!self.log.look(|log| log.ended), "the gateway has ended");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended already
        let _ = self.child.wait();
        if std::thread::panicking() {
            for (name, lines) in [("log", &self.log), ("access log", &self.output)] {
                eprintln!(
                    "--- the gateway's {name}:\n{}",
                    lines.look(|lines| lines.lines.join("\n"))
                );
            }
        }
    }
}

/// Puts a file in place as careful programs do: written beside it, then renamed.
pub fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).expect("a new file");
    std::fs::rename(&beside, path).expect("a file in the same directory");
}

fn count(log: &Lines, text: &str) -> usize {
    log.lines.iter().filter(|line| line.contains(text)).count()
}

/// Collects the lines of an output of the process.
fn collect(from: impl Read + Send + 'static) -> Arc<Watched<Lines>> {
    let lines = Arc::new(Watched::<Lines>::default());
    let collected = lines.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            collected.change(|lines| lines.lines.push(String::from_utf8_lossy(&line).into_owned()));
        }
        collected.change(|lines| lines.ended = true);
    });
    lines
}

fn address_after(line: &str, mark: &str) -> SocketAddr {
    let word =
        line.split(mark).nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
    word.parse().unwrap_or_else(|_| panic!("no address after {mark:?} in {line:?}"))
}
