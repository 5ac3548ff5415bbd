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
use crate::listen::spread::{Arrival, Spread};
use crate::model::HeaderPolicy;
use crate::observe::{LogBuffer, scraper};
use crate::proxy::lane::TICK;
use crate::proxy::{Admission, Lane, Phase, clients};
use crate::quota::Quota;
use crate::settings::Limits;
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
        /// Who may come in.
        admission: Admission,
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

/// What every lane is started with.
#[derive(Debug, Clone)]
pub struct Common {
    /// Where the configuration in force is published.
    pub publisher: Publisher,
    /// Which addresses are never dialled.
    pub guard: Arc<Guard>,
    /// Limits.
    pub limits: Limits,
    /// What heads tell of clients and of this gateway.
    pub headers: HeaderPolicy,
    /// Connections to origins, counted over all lanes.
    pub upstream_connections: Arc<Quota>,
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
    /// Starts one. It serves whatever is published, and writes its log lines to `log`.
    pub fn start(
        index: usize,
        common: Common,
        (spread, passed): (Spread, mpsc::Receiver<Arrival>),
        log: Option<LogBuffer>,
    ) -> io::Result<Self> {
        let (commands, orders) = mpsc::channel(COMMANDS_MAX);
        let (scrapes, asked) = mpsc::channel(SCRAPES_MAX);
        let told = Told { orders, asked, passed };
        let thread =
            std::thread::Builder::new().name(format!("lane-{index}")).spawn(move || {
                match Builder::new_current_thread()
                    .enable_all()
                    .build_local(LocalOptions::default())
                {
                    Ok(runtime) => {
                        let lane = lane(common, log);
                        runtime.block_on(drive(lane, Rc::new(spread), told));
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

fn lane(common: Common, log: Option<LogBuffer>) -> Rc<Lane> {
    let Common { publisher, guard, limits, headers, upstream_connections } = common;
    let connector = Connector {
        guard,
        connections: upstream_connections,
        connections_max: limits.upstream_connections.unwrap_or(u32::MAX),
        ..Connector::default()
    };
    Lane::new(publisher.subscribe(), connector, limits, headers, log)
}

/// What comes to a lane from other threads.
struct Told {
    orders: mpsc::Receiver<Command>,
    asked: mpsc::Receiver<scraper::Request>,
    passed: mpsc::Receiver<Arrival>,
}

async fn drive(lane: Rc<Lane>, spread: Rc<Spread>, told: Told) {
    let Told { mut orders, mut asked, mut passed } = told;
    let mut clients = tokio::task::spawn_local(clients::drive(Rc::clone(&lane)));
    let mut accepting: HashMap<String, JoinHandle<()>> = HashMap::new();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => lane.tick(Instant::now()),
            Some(request) = asked.recv() => {
                let lane = Rc::clone(&lane);
                tokio::task::spawn_local(async move {
                    // Whoever asked may have given up waiting.
                    let _ = request.send(lane.stats().await);
                });
            }
            Some(arrival) = passed.recv() => arrival.serve(&lane),
            ended = &mut clients => {
                // Without it nobody is served: other lanes take over what this one would accept.
                return tracing::error!("a lane ends, since its clients' task did: {ended:?}");
            }
            order = orders.recv() => match order {
                Some(Command::Listen { name, port, socket, admission }) => {
                    let (spread, lane) = (Rc::clone(&spread), Rc::clone(&lane));
                    let task = listen::accept(socket, port, admission, spread, lane);
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
