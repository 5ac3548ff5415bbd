//! May this address be dialled? Never one that leads back to our own listeners; and where a request says
//! itself whom to call, none inside the network.
//!
//! What is judged is the very address that is dialled, after every lookup, so that a name that answers
//! differently the next time gains nothing. It looks up nothing itself.

mod class;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use arc_swap::ArcSwap;

pub use class::{Class, classify};

use crate::model::{Failure, GuardMode, GuardPolicy, Network};

/// Any port at all; nothing is sent to it.
const DISCARD_PORT: u16 = 9;

/// Who says where a connection leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// The configuration: the host stands there.
    ByConfiguration,
    /// The request: its own host is the destination.
    ByRequest,
}

/// What is never dialled: the addresses we listen on, and what the policy refuses.
#[derive(Debug, Default)]
pub struct Guard {
    listening: ArcSwap<Vec<SocketAddr>>,
    policy: GuardPolicy,
}

impl Guard {
    /// A guard that judges by these settings.
    pub fn new(policy: GuardPolicy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Says which sockets this process listens on, as bound.
    pub fn set_listening(&self, addresses: Vec<SocketAddr>) {
        self.listening.store(addresses.into());
    }

    /// Refuses an address that one of our own listeners answers at, and what the policy does not let pass.
    ///
    /// Errors: [`Failure::Loop`], [`Failure::Prohibited`].
    pub fn check(&self, address: SocketAddr, chosen: Chosen) -> Result<(), Failure> {
        let ip = address.ip().to_canonical();
        self.check_policy(address, ip, chosen)?;
        self.check_loop(address, ip)
    }

    fn check_policy(&self, address: SocketAddr, ip: IpAddr, chosen: Chosen) -> Result<(), Failure> {
        let refuse = |why: String| Err(Failure::Prohibited(refusal(address, why)));
        if let Some(range) = self.denied(ip) {
            return refuse(format!("in {range}, which is denied"));
        }
        let by_request = chosen == Chosen::ByRequest;
        if self.is_allowed(ip) || !(by_request || self.policy.mode == GuardMode::Enforce) {
            return Ok(());
        }
        match classify(ip) {
            Class::Public if by_request && is_ours(ip) => refuse("this machine's own".to_owned()),
            Class::Public => Ok(()),
            class => refuse(class.to_string()),
        }
    }

    /// The kind of network that dialling this address on behalf of the configuration is worth a warning for.
    pub fn concern(&self, ip: IpAddr) -> Option<Class> {
        let class = classify(ip);
        let is_concern = class != Class::Public
            && self.policy.mode != GuardMode::Off
            && !self.is_allowed(ip.to_canonical());
        is_concern.then_some(class)
    }

    /// Whether what is a concern is dialled all the same.
    pub fn mode(&self) -> GuardMode {
        self.policy.mode
    }

    fn check_loop(&self, address: SocketAddr, ip: IpAddr) -> Result<(), Failure> {
        let listening = self.listening.load();
        let answers = |listener: &&SocketAddr| {
            listener.port() == address.port() && accepts(listener.ip().to_canonical(), ip)
        };
        match listening.iter().find(answers) {
            Some(listener) if is_ours(ip) => {
                Err(Failure::Loop(format!("{address} is our own listener {listener}")))
            }
            _ => Ok(()),
        }
    }

    /// The denied range that the address is of, or the IPv4 address that it leads to.
    fn denied(&self, ip: IpAddr) -> Option<&Network> {
        let leads_to = match ip {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => class::embedded_v4(v6).map(IpAddr::V4),
        };
        let is_in = |range: &&Network| {
            range.contains(ip) || leads_to.is_some_and(|leads_to| range.contains(leads_to))
        };
        self.policy.deny.iter().find(is_in)
    }

    fn is_allowed(&self, ip: IpAddr) -> bool {
        self.policy.allow.iter().any(|range| range.contains(ip))
    }
}

fn refusal(address: SocketAddr, why: String) -> String {
    format!("{address} may not be dialled: {why}")
}

/// Whether a listener bound to `bound` takes connections to `ip`, if `ip` is this machine's.
fn accepts(bound: IpAddr, ip: IpAddr) -> bool {
    if ip.is_unspecified() {
        return bound.is_unspecified() || bound.is_loopback(); // the kernel dials loopback
    }
    match bound {
        IpAddr::V6(bound) if bound.is_unspecified() => true, // dual stack
        IpAddr::V4(bound) if bound.is_unspecified() => ip.is_ipv4(),
        _ => bound == ip,
    }
}

/// Whether the address is this machine's now: a socket can be bound to it. The kernel is asked each time,
/// so an address that comes or goes is known at once.
///
/// Where `net.ipv4.ip_nonlocal_bind` lets a socket be bound to anything, an address is ours if packets to
/// it would come from it; of those given to an interface besides its first, that need not be true.
fn is_ours(ip: IpAddr) -> bool {
    if ip.is_unspecified() || ip.is_loopback() {
        return true;
    }
    can_be_bound(ip) && (is_own_source(ip) || !can_be_bound(nobodys(ip)))
}

fn can_be_bound(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// Whether the kernel would send packets to this address from it. None is sent.
fn is_own_source(ip: IpAddr) -> bool {
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((ip, DISCARD_PORT))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}

/// An address that no interface has: reserved for ever (RFC 1112), or for discarding (RFC 6666).
fn nobodys(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::new(240, 0, 0, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1).into(),
    }
}
