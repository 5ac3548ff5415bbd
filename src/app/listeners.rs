//! What is listened on, and how it follows the configuration.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use super::tell;
use crate::listen;
use crate::model::Listener;
use crate::observe::Readiness;
use crate::observe::readiness::Pending;
use crate::proxy::Admission;
use crate::quota::Quota;
use crate::upstream::guard::Guard;
use crate::worker::{Command, Worker};

/// Where each listener really is, by its name.
pub type Addresses = HashMap<String, SocketAddr>;

/// What is listened on, by listener name.
pub struct Listeners {
    /// As planned, and where it really is.
    bound: HashMap<String, (Listener, SocketAddr)>,
    /// Where it really is, for those who only look.
    addresses: Arc<ArcSwap<Addresses>>,
    /// Where the pages beside the traffic are: no request may be led there either.
    pages: Vec<SocketAddr>,
    guard: Arc<Guard>,
    /// Client connections of all listeners.
    connections: Arc<Quota>,
    readiness: Arc<Readiness>,
    /// What stands between this gateway and its readiness: a listener that cannot be bound, or none at all.
    wanting: Vec<Pending>,
}

impl Listeners {
    /// Listens on nothing yet. `guard` is told what never to dial.
    pub fn new(guard: Arc<Guard>, readiness: &Arc<Readiness>) -> Self {
        let readiness = Arc::clone(readiness);
        let (bound, pages, wanting) = (HashMap::new(), Vec::new(), Vec::new());
        let (addresses, connections) = (Arc::default(), Arc::default());
        Self { bound, addresses, pages, guard, connections, readiness, wanting }
    }

    /// Where each listener is, now and whenever it is looked at.
    pub fn addresses(&self) -> Arc<ArcSwap<Addresses>> {
        Arc::clone(&self.addresses)
    }

    /// Never dials these addresses, at which the pages beside the traffic are served.
    pub fn keep_from(&mut self, pages: [SocketAddr; 2]) {
        self.pages = pages.to_vec();
        self.tell_guard();
    }

    /// Where the listener for a port of the configuration is bound.
    pub fn bound(&self, port: u16) -> Option<SocketAddr> {
        let mut bound = self.bound.values();
        bound.find(|(listener, _)| listener.port == port).map(|(_, address)| *address)
    }

    /// Binds what is new, lets go of what is no more, and leaves the rest alone. A listener that cannot be
    /// bound takes no other down, but the gateway is not ready without it. Returns an error for each,
    /// with what to do about it.
    pub async fn follow(&mut self, wanted: &[Listener], workers: &[Worker]) -> Vec<String> {
        let gone = self.bound.iter().filter(|(_, (bound, _))| !wanted.contains(bound));
        for name in gone.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            let (closed, mut until_closed) = mpsc::channel(1);
            tell(workers, || Command::Unlisten { name: name.clone(), closed: closed.clone() })
                .await;
            drop(closed);
            until_closed.recv().await; // by all: another listener may want the same address
            tracing::info!("listener {name} is closed");
            self.bound.remove(&name);
        }
        let (mut errors, mut wanting) = (Vec::new(), Vec::new());
        for listener in wanted {
            if self.bound.contains_key(&listener.name) {
                continue;
            }
            if let Err(error) = self.open(listener, workers).await {
                wanting
                    .push(self.readiness.wait_for(format!("port {} to be bound", listener.port)));
                errors.push(error);
            }
        }
        if wanted.is_empty() {
            wanting.push(self.readiness.wait_for("a configuration with a listener"));
            errors.push(
                "the configuration has no listener: nothing is served until it has one".into(),
            );
        }
        self.wanting = wanting;
        let bound = self.bound.iter().map(|(name, (_, address))| (name.clone(), *address));
        self.addresses.store(Arc::new(bound.collect()));
        self.tell_guard();
        errors
    }

    fn tell_guard(&self) {
        let bound = self.bound.values().map(|(_, address)| address);
        self.guard.set_listening(bound.chain(&self.pages).copied().collect());
    }

    async fn open(&mut self, listener: &Listener, workers: &[Worker]) -> Result<(), String> {
        let sockets = listen::bind(listener, workers.len())?;
        let Listener { name, port, .. } = listener;
        let bound = match sockets.first().map(std::net::TcpListener::local_addr) {
            Some(Ok(bound)) => bound,
            _ => listener.bind,
        };
        let admission = Admission::new(&self.connections);
        for (worker, socket) in workers.iter().zip(sockets) {
            let (name, port, admission) = (name.clone(), *port, admission.clone());
            let command = Command::Listen { name, port, socket, admission };
            if worker.commands.send(command).await.is_err() {
                return Err(format!("listener {}: a lane has ended", listener.name));
            }
        }
        tracing::info!("listener {name} for port {port} bound to {bound}");
        self.bound.insert(name.clone(), (listener.clone(), bound));
        Ok(())
    }
}
