//! Ports for gateways: free ones, out of the range that outgoing connections take theirs from.

use std::cell::Cell;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Where the search begins; what is privileged or well known lies below.
const LOWEST: u16 = 10_000;
/// Where outgoing connections begin, if the kernel does not say.
const EPHEMERAL: u16 = 32_768;

/// Hands out ports, each only once.
pub struct Ports {
    next: Cell<u16>,
    end: u16,
}

impl Ports {
    /// Begins somewhere that depends on the process, so that two runs hardly meet.
    pub fn new() -> Self {
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        let lowest = range
            .ok()
            .and_then(|range| range.split_whitespace().next()?.parse().ok())
            .unwrap_or(EPHEMERAL);
        // Where outgoing connections may take any port, there is no better place than above them.
        let end = if lowest > LOWEST + 1_000 { lowest } else { u16::MAX };
        let begin = LOWEST + (std::process::id() % u32::from(end - LOWEST)) as u16;
        Self { next: Cell::new(begin), end }
    }

    /// One that nobody listens on.
    ///
    /// Errors: every port is taken.
    pub fn free(&self) -> io::Result<u16> {
        for _ in LOWEST..self.end {
            let port = self.next.get();
            self.next.set(if port + 1 >= self.end { LOWEST } else { port + 1 });
            // Without SO_REUSEPORT, this fails where anybody listens, even those who would share.
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
                && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
            {
                return Ok(port);
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no port is free"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_handed_out_once_and_never_one_that_is_taken() {
        let ports = Ports::new();
        let port = ports.free().expect("a port");
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port + 1));
        let next = ports.free().expect("a port");
        assert!(next != port && (taken.is_err() || next != port + 1));
    }
}
