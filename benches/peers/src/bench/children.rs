//! The processes of a run: each in a session of its own, none of which outlives the run.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::signal::unix::{SignalKind, signal};

use crate::machine::cpus::{Cpus, Place};

/// The niceness of each process's session, where the kernel schedules by sessions.
const PRIORITY: &str = "-10";

/// Starts processes, and knows those that run.
pub struct Children {
    cpus: Cpus,
    running: Arc<Mutex<Vec<Pid>>>,
}

/// A process that ends when this is dropped, and all that it started.
pub struct Running {
    child: Child,
    pid: Pid,
    running: Arc<Mutex<Vec<Pid>>>,
}

impl Children {
    /// None yet. From now on, a signal to end ends them and the run, and removes the directory.
    ///
    /// Errors: signals cannot be waited for.
    pub fn new(cpus: Cpus, directory: PathBuf) -> io::Result<Self> {
        let running: Arc<Mutex<Vec<Pid>>> = Arc::default();
        let known = Arc::clone(&running);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut signals = {
            let _inside = runtime.enter();
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
                .map(signal)
                .into_iter()
                .collect::<io::Result<Vec<_>>>()?
        };
        std::thread::spawn(move || {
            let [first, second, third] = &mut signals[..] else { return };
            runtime.block_on(async {
                tokio::select! { _ = first.recv() => {}, _ = second.recv() => {}, _ = third.recv() => {} }
            });
            end(&known, &directory);
        });
        Ok(Self { cpus, running })
    }

    /// Starts a program on its CPUs; its standard input is a pipe.
    ///
    /// Errors: it cannot be started.
    pub fn spawn(
        &self,
        command: &Command,
        place: Place,
        stdout: Stdio,
        stderr: Stdio,
    ) -> io::Result<Running> {
        // A session of its own is a process group that can be ended, and one that Ctrl-C does not reach first.
        let mut session = Command::new("setsid");
        session.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            session.env(name, value.unwrap_or_default());
        }
        session.stdin(Stdio::piped()).stdout(stdout).stderr(stderr);
        // Held, so that whoever ends all of them misses none.
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.cpus.go_to(place)?; // children inherit it
        let started = session.spawn();
        self.cpus.go_to(Place::Load)?;
        let child = started?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.expect("a process has a number");
        running.push(pid);
        Ok(Running { child, pid, running: Arc::clone(&self.running) })
    }
}

/// Ends every process, and this one. From here on none can be started.
fn end(running: &Mutex<Vec<Pid>>, directory: &Path) {
    let running = running.lock().unwrap_or_else(PoisonError::into_inner);
    for pid in &*running {
        let _ = kill_process_group(*pid, Signal::KILL); // it may have ended
    }
    // The rest of this process may just be writing into it.
    for _ in 0..100 {
        if fs::remove_dir_all(directory).is_ok() || !directory.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    eprintln!("interrupted: everything that was started is ended");
    std::process::exit(130);
}

impl Running {
    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives it priority, so that what else the machine does comes between less; only root may. For one that
    /// has said something: before that it may still belong to this process's own session.
    pub fn prefer(&self) {
        let _ = fs::write(format!("/proc/{}/autogroup", self.child.id()), PRIORITY); // not everywhere
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Its standard input; once.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// The lines of its standard output, which is a pipe; once.
    pub fn lines(&mut self) -> Option<Lines> {
        let stdout = self.child.stdout.take()?;
        let (said, heard) = sync_channel(16);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        Some(Lines(heard))
    }

    /// Asks it to end.
    ///
    /// Errors: it has ended.
    pub fn interrupt(&self) -> io::Result<()> {
        Ok(kill_process(self.pid, Signal::INT)?)
    }

    /// Waits for its end.
    ///
    /// Errors: it cannot be waited for.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill_process_group(self.pid, Signal::KILL); // it may have ended
        let _ = self.child.wait();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|pid| *pid != self.pid);
    }
}

/// What a process prints, line by line.
pub struct Lines(Receiver<String>);

impl Lines {
    /// The next line.
    ///
    /// Errors: it has ended, or says nothing for so long.
    pub fn next(&self, patience: Duration) -> io::Result<String> {
        self.0.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                io::Error::other(format!("nothing was said for {} s", patience.as_secs()))
            }
            RecvTimeoutError::Disconnected => io::Error::other("it ended"),
        })
    }
}
