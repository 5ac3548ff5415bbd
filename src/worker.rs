//! A worker: one thread, one runtime, driving one lane and its tick.

use std::collections::HashMap;
use std::io;
use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::listen;
use crate::model::HeaderPolicy;
use crate::observe::{LogBuffer, scraper};
use crate::proxy::lane::TICK;
use crate::proxy::{Lane, Phase};
use crate::snapshot::Publisher;
use crate::upstream::connect::Connector;
use crate::upstream::guard::Guard;

/// Commands that may wait for a lane.
const COMMANDS_MAX: usize = 64;
/// Scrapes that may wait for a lane.
const SCRAPES_MAX: usize = 4;

/// What control tells a lane. Configurations are not told: lanes look at what is published.
#[derive(Debug)]
pub enum Command {
    /// Accept connections on this socket.
    Listen {
        /// The listener's name, by which it is told to stop.
        name: String,
        /// The port the configuration speaks of.
        port: u16,
        /// The lane's own socket.
        socket: StdListener,
    },
    /// Accept no more on this listener; its connections go on.
    Unlisten {
        /// The listener's name.
        name: String,
        /// Dropped once the lane's socket is closed.
        closed: mpsc::Sender<()>,
    },
    /// Go on to a later phase of leaving.
    Enter(Phase),
    /// Leave now, whatever is under way.
    Stop,
}

/// A running worker, as control sees it.
#[derive(Debug)]
pub struct Worker {
    /// What to do.
    pub commands: mpsc::Sender<Command>,
    /// Who asks for counters.
    pub scrapes: mpsc::Sender<scraper::Request>,
    thread: std::thread::JoinHandle<()>,
}

impl Worker {
    /// Starts one. It serves whatever `publisher` has in force, and writes its log lines to `log`.
    pub fn start(
        index: usize,
        publisher: Publisher,
        guard: Arc<Guard>,
        headers: HeaderPolicy,
        log: Option<LogBuffer>,
    ) -> io::Result<Self> {
        let (commands, orders) = mpsc::channel(COMMANDS_MAX);
        let (scrapes, asked) = mpsc::channel(SCRAPES_MAX);
        let thread =
            std::thread::Builder::new().name(format!("lane-{index}")).spawn(move || {
                match Builder::new_current_thread()
                    .enable_all()
                    .build_local(LocalOptions::default())
                {
                    Ok(runtime) => {
                        let connector = Connector { guard, ..Connector::default() };
                        let lane = Lane::new(publisher.subscribe(), connector, headers, log);
                        runtime.block_on(drive(lane, orders, asked));
                    }
                    Err(error) => tracing::error!("lane {index} cannot start: {error}"),
                }
            })?;
        Ok(Self { commands, scrapes, thread })
    }

    /// Waits for the thread to end.
    pub fn join(self) {
        drop(self.commands);
        if self.thread.join().is_err() {
            tracing::error!("a lane ended in a panic");
        }
    }
}

async fn drive(
    lane: Rc<Lane>,
    mut orders: mpsc::Receiver<Command>,
    mut asked: mpsc::Receiver<scraper::Request>,
) {
    let mut accepting: HashMap<String, JoinHandle<()>> = HashMap::new();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => lane.tick(Instant::now()),
            Some(request) = asked.recv() => {
                // Whoever asked may have given up waiting.
                let _ = request.send(lane.stats());
            }
            order = orders.recv() => match order {
                Some(Command::Listen { name, port, socket }) => {
                    let task = listen::accept(socket, port, Rc::clone(&lane));
                    let task = tokio::task::spawn_local(task);
                    if let Some(before) = accepting.insert(name, task) {
                        before.abort();
                    }
                }
                Some(Command::Unlisten { name, closed }) => {
                    if let Some(task) = accepting.remove(&name) {
                        task.abort();
                        let _ = task.await; // that it was aborted is no news
                    }
                    drop(closed);
                }
                Some(Command::Enter(phase)) => {
                    if phase == Phase::Closing {
                        accepting.drain().for_each(|(_, task)| task.abort());
                    }
                    lane.enter_phase(phase);
                }
                Some(Command::Stop) | None => return,
            },
        }
    }
}
