//! A run: its processes, its rounds and its results.

mod children;
mod generator;
pub mod name_server;
pub mod origins;
mod pki;
mod progress;
pub mod results;
pub mod schedule;
mod started;
mod strace;
pub mod turn;

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use tempfile::TempDir;

use self::children::Children;
use self::origins::Origins;
use self::pki::Pki;
use self::turn::Scale;
use crate::machine::cpus::{self, Cpus, Place};
use crate::machine::ports::Ports;

pub use self::started::Started;
pub use self::turn::{Measured, Turn, work};

/// What all turns of a run share.
pub struct Bench {
    /// When it began.
    pub began: Instant,
    /// How much is done.
    pub scale: Scale,
    /// Which CPUs are used.
    pub cpus: Cpus,
    /// How many files each process may open.
    pub files: u64,
    ports: Ports,
    pki: Pki,
    children: Children,
    origins: Origins,
    directories: Cell<u32>,
    // The last one: its files are in use until all others are gone.
    directory: TempDir,
}

impl Bench {
    /// One without any process.
    ///
    /// Errors: there is one CPU only, or files cannot be written.
    pub fn new(scale: Scale) -> io::Result<Self> {
        let cpus = Cpus::choose()?;
        let files = cpus::allow_files()?;
        let directory = tempfile::Builder::new().prefix("egret-peers-").tempdir()?;
        // nginx's workers give root up, and must still read what is in it.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(directory.path(), open)?;
        let children = Children::new(cpus, directory.path().to_owned())?;
        cpus.go_to(Place::Load)?;
        Ok(Self {
            began: Instant::now(),
            scale,
            cpus,
            files,
            ports: Ports::new(),
            pki: Pki::make(directory.path())?,
            children,
            origins: Origins::default(),
            directories: Cell::new(0),
            directory,
        })
    }

    /// An empty directory.
    fn fresh_directory(&self) -> io::Result<PathBuf> {
        self.directories.set(self.directories.get() + 1);
        let path = self.directory.path().join(self.directories.get().to_string());
        fs::create_dir(&path)?;
        Ok(path)
    }
}
