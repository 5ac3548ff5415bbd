//! A gateway before it is started: its files, its flags, its name server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::gateway::Gateway;
use super::{Dns, Origin, certs, until};

/// A gateway that is about to be started.
pub struct Setup {
    dir: TempDir,
    ports: Vec<u16>,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    dns: SocketAddr,
    log: &'static str,
    files: Option<u32>,
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
            files: None,
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

    /// Lets it have so many files open, sockets included, and no more.
    pub fn files(mut self, count: u32) -> Self {
        self.files = Some(count);
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
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Gateway::watch(command.spawn().expect("egret can be started"), self.dir)
    }

    /// Starts it where it cannot run and waits for its end: exit code and log.
    pub fn start_in_vain(self) -> (i32, String) {
        let output = self.command().stdin(Stdio::null()).output().expect("egret can be started");
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn program(&self) -> Command {
        let egret = env!("CARGO_BIN_EXE_egret");
        let Some(files) = self.files else { return Command::new(egret) };
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit -n {files} && exec \"$0\" \"$@\"")).arg(egret);
        shell
    }

    fn command(&self) -> Command {
        let mut command = self.program();
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
