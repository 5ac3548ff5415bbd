//! What one upstream's origins gave to resume sessions with, shared by all lanes.
//!
//! A ticket of TLS 1.3 is used once (RFC 8446, appendix C.4). Who has none and is not the first to shake hands
//! waits a moment for one: a burst of connections to an origin that is not known yet costs a few full handshakes
//! then, and not one for each.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Unused tickets that are kept for a name.
const TICKETS_MAX: usize = 32;
/// How long a handshake waits for the ticket of another that began no longer ago.
const PATIENCE: Duration = Duration::from_millis(5);

/// Tickets and sessions by the name that they are good for.
pub struct Tickets {
    names: Mutex<HashMap<ServerName<'static>, Kept>>,
    names_max: usize,
    patience: Duration,
}

/// What is known of one name.
#[derive(Default)]
struct Kept {
    group: Option<NamedGroup>,
    session: Option<Tls12ClientSessionValue>,
    tickets: VecDeque<Tls13ClientSessionValue>,
    /// When a handshake last began.
    begun: Option<Instant>,
    /// Somebody has waited in vain.
    barren: bool,
    /// Told of each ticket.
    arrived: Arc<Notify>,
}

impl Tickets {
    /// For so many names at most.
    pub fn for_names(names_max: usize) -> Arc<Self> {
        Arc::new(Self { names: Mutex::default(), names_max, patience: PATIENCE })
    }

    /// Waits for a ticket while another handshake may bring one; returns when it is time for the caller's own.
    pub async fn wait(&self, name: &ServerName<'static>) {
        let until = Instant::now() + self.patience;
        while let Some(arrived) = self.expected(name) {
            if timeout_at(until, arrived.notified()).await.is_err() {
                self.edit(name.clone(), |kept| kept.barren = !kept.resumes());
                break;
            }
        }
        self.edit(name.clone(), |kept| kept.begun = Some(Instant::now()));
    }

    /// What tells of the next ticket, if it makes sense to wait for that.
    fn expected(&self, name: &ServerName<'static>) -> Option<Arc<Notify>> {
        let names = self.lock();
        let kept = names.get(name)?;
        let recently = kept.begun.is_some_and(|begun| begun.elapsed() < self.patience);
        (recently && !kept.barren && !kept.resumes()).then(|| Arc::clone(&kept.arrived))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ServerName<'static>, Kept>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn edit(&self, name: ServerName<'static>, edit: impl FnOnce(&mut Kept)) {
        let mut names = self.lock();
        if names.len() >= self.names_max && !names.contains_key(&name) {
            let oldest =
                names.iter().min_by_key(|(_, kept)| kept.begun).map(|(name, _)| name.clone());
            oldest.map(|oldest| names.remove(&oldest));
        }
        edit(names.entry(name).or_default());
    }
}

impl Kept {
    fn resumes(&self) -> bool {
        self.session.is_some() || !self.tickets.is_empty()
    }

    fn tell(&mut self) {
        self.barren = false;
        self.arrived.notify_one();
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.edit(name, |kept| kept.group = Some(group));
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.lock().get(&name.to_owned())?.group
    }

    fn set_tls12_session(&self, name: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.edit(name, |kept| {
            kept.session = Some(session);
            kept.tell();
        });
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.lock().get(&name.to_owned())?.session.clone()
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        if let Some(kept) = self.lock().get_mut(name) {
            kept.session = None;
        }
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.edit(name, |kept| {
            if kept.tickets.len() == TICKETS_MAX {
                kept.tickets.pop_front();
            }
            kept.tickets.push_back(ticket);
            kept.tell();
        });
    }

    /// The newest, which is good for longest.
    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.lock().get_mut(name)?.tickets.pop_back()
    }
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tickets(for {} names)", self.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::SocketAddr;
    use std::rc::Rc;

    use rustls::client::Resumption;
    use rustls::{ClientConfig, HandshakeKind, ServerConfig, version};
    use tokio::io::ReadBuf;
    use tokio::net::TcpStream;
    use tokio::task::{JoinSet, LocalSet};

    use super::super::session::Session;
    use super::super::session::tests::{NAME, configs};
    use super::super::tests::origin;
    use super::*;

    fn name() -> ServerName<'static> {
        ServerName::try_from(NAME).expect("a name")
    }

    fn tickets(patience: Duration) -> Arc<Tickets> {
        Arc::new(Tickets { names: Mutex::default(), names_max: 1, patience })
    }

    /// Connects and hears what the origin says; how the handshake was.
    async fn connect(
        address: SocketAddr,
        tickets: Arc<Tickets>,
        client: Arc<ClientConfig>,
    ) -> Option<HandshakeKind> {
        tickets.wait(&name()).await;
        let tcp = TcpStream::connect(address).await.expect("it listens");
        let begun = Session::begin(tcp, client, name(), Rc::default()).await;
        let mut session = begun.expect("it is trusted");
        let mut bytes = [0; 8];
        let mut buffer = ReadBuf::new(&mut bytes);
        poll_fn(|cx| session.poll_read(cx, &mut buffer)).await.expect("it says hello");
        session.agreed().handshake_kind()
    }

    /// Connects this often at once to an origin that is not known; how many handshakes were full ones.
    async fn full_handshakes(
        tickets: &Arc<Tickets>,
        adjust: impl FnOnce(&mut ServerConfig),
        connections: usize,
    ) -> usize {
        let (mut server, client) = configs(&[&version::TLS13]);
        adjust(&mut server);
        let mut client = Arc::unwrap_or_clone(client);
        client.resumption = Resumption::store(Arc::clone(tickets) as Arc<_>);
        let client = Arc::new(client);
        let address = origin(server).await;
        let burst = async {
            let mut burst = JoinSet::new();
            for _ in 0..connections {
                burst.spawn_local(connect(address, Arc::clone(tickets), Arc::clone(&client)));
            }
            burst.join_all().await
        };
        let kinds = LocalSet::new().run_until(burst).await;
        kinds.into_iter().filter(|kind| *kind != Some(HandshakeKind::Resumed)).count()
    }

    #[tokio::test]
    async fn of_a_burst_only_the_first_shakes_hands_in_full() {
        let tickets = tickets(Duration::from_secs(60));
        assert_eq!(full_handshakes(&tickets, |_| {}, 32).await, 1);
    }

    #[tokio::test]
    async fn an_origin_without_tickets_is_waited_for_once() {
        let tickets = tickets(Duration::from_millis(20));
        let silent = |server: &mut ServerConfig| server.send_tls13_tickets = 0;
        assert_eq!(full_handshakes(&tickets, silent, 3).await, 3);
        tickets.edit(name(), |kept| kept.begun = Some(Instant::now()));
        assert!(tickets.expected(&name()).is_none());
        assert!(tickets.lock()[&name()].barren);
    }

    #[tokio::test]
    async fn names_are_bounded_and_the_one_that_was_not_called_for_longest_goes() {
        let tickets = tickets(Duration::ZERO);
        for name in ["a.test", "b.test"] {
            tickets.wait(&ServerName::try_from(name).expect("a name")).await;
        }
        let kept: Vec<_> = tickets.lock().keys().map(|name| name.to_str().into_owned()).collect();
        assert_eq!(kept, ["b.test"]);
    }
}
