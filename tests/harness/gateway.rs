//! The gateway under test: a process of its own, started as a user starts it.
//!
//! Ports are learnt from its log, which says what it bound. When a test fails, both of its outputs are printed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use super::{Client, Dns, Origin, Response, Watched, certs, get, until};

/// A gateway that is about to be started.
pub struct Setup {
    dir: TempDir,
    ports: Vec<u16>,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    dns: SocketAddr,
    log: &'static str,
}

impl Setup {
    /// With this as its only configuration file, `config/egress.yaml`, and listeners for port 443.
    pub fn new(config: &str) -> Self {
        let setup = Self::without_files();
        std::fs::create_dir(setup.dir.path().join("config")).expect("a new directory");
        setup.config("egress.yaml", config)
    }

    /// Without any configuration file: a test says `--host`.
    pub fn without_files() -> Self {
        let dir = TempDir::new().expect("a directory for temporary files");
        std::fs::write(dir.path().join("trusted.pem"), &certs::trusted().pem).expect("a new file");
        Self {
            dir,
            ports: vec![443],
            flags: Vec::new(),
            environment: Vec::new(),
            dns: Dns::here().address,
            log: "json",
        }
    }

    /// One more configuration file, or another text for one.
    pub fn config(self, name: &str, text: &str) -> Self {
        std::fs::write(self.dir.path().join("config").join(name), text).expect("a new file");
        self
    }

    /// Writes a file that a configuration points at; the path is for it.
    pub fn material(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).expect("a new file");
        path.display().to_string()
    }

    /// Where the configuration files are.
    pub fn config_dir(&self) -> PathBuf {
        self.dir.path().join("config")
    }

    /// Maps these gateway ports, each to any free one.
    pub fn ports(mut self, ports: &[u16]) -> Self {
        self.ports = ports.to_vec();
        self
    }

    /// Connects to the origin instead of to this host and port.
    pub fn origin(self, host: &str, port: u16, origin: &Origin) -> Self {
        let to = format!("{host}:{port}::{}", origin.port());
        self.flags(&["--connect-to", &to])
    }

    /// Further flags.
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| flag.to_string()));
        self
    }

    /// A variable of its environment.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Asks this name server.
    pub fn dns(mut self, dns: &Dns) -> Self {
        self.dns = dns.address;
        self
    }

    /// Writes the access log as `off`, `text` or `json`; the empty text leaves the flag out.
    pub fn log_format(mut self, format: &'static str) -> Self {
        self.log = format;
        self
    }

    /// Starts it and waits until it is ready.
    pub fn start(self) -> Gateway {
        let gateway = self.start_unready();
        until("the gateway to be ready", || {
            gateway.assert_running();
            (gateway.health("/healthz/ready").status == 200).then_some(())
        });
        gateway
    }

    /// Starts it and waits for its health port alone.
    pub fn start_unready(self) -> Gateway {
        let mut command = self.command();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("egret can be started");
        let output = collect(child.stdout.take().expect("a pipe was asked for"));
        let log = collect(child.stderr.take().expect("a pipe was asked for"));
        let mut gateway = Gateway { child, output, log, dir: self.dir, health: None };
        let line = gateway.wait_for_log("health bound to ");
        gateway.health = Some(address_after(&line, "health bound to "));
        gateway
    }

    /// Starts it where it cannot run and waits for its end: exit code and log.
    pub fn start_in_vain(self) -> (i32, String) {
        let output = self.command().stdin(Stdio::null()).output().expect("egret can be started");
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_egret"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("EGRET_")) {
            command.env_remove(name);
        }
        command
            .arg("run")
            .args(&self.flags)
            .envs(self.environment.iter().cloned())
            .env("NO_COLOR", "1");
        let mut standard = vec![
            ("--bind", "127.0.0.1".to_owned()),
            (
                "--port-map",
                self.ports.iter().map(|port| format!("{port}:0")).collect::<Vec<_>>().join(","),
            ),
            ("--admin", "127.0.0.1:0".to_owned()),
            ("--health", "127.0.0.1:0".to_owned()),
            ("--workers", "2".to_owned()),
            ("--dns-server", self.dns.to_string()),
            ("--cacert", self.dir.path().join("trusted.pem").display().to_string()),
            ("--access-log", self.log.to_owned()),
        ];
        if self.config_dir().exists() {
            standard.push(("-c", self.config_dir().display().to_string()));
        }
        // What a test says itself, as a flag or a variable, is not said again.
        let set = |flag: &str| {
            let variable =
                format!("EGRET_{}", flag.trim_start_matches('-').to_uppercase().replace('-', "_"));
            self.flags.iter().any(|own| own == flag)
                || self.environment.iter().any(|(name, _)| *name == variable)
        };
        for (flag, value) in standard.iter().filter(|(flag, _)| *flag == "-c" || !set(flag)) {
            if !value.is_empty() {
                command.arg(flag).arg(value);
            }
        }
        command
    }
}

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
        get(self.health.expect("known since the start"), "localhost", path)
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
        const TAKEN: &str = "in force";
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
        let sent =
            Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "no signal {name} was sent");
    }

    /// Waits for its end and returns the exit code; -1 when a signal ended it.
    pub fn wait_exit(&mut self) -> i32 {
        let status = until("the gateway to exit", || self.child.try_wait().expect("our own child"));
        self.output.wait_for(|output| output.ended.then_some(()));
        status.code().unwrap_or(-1)
    }

    fn assert_running(&self) {
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
