//! A listener: one address and port where clients knock.

use std::net::SocketAddr;

/// One bound port. Its names are those Istio would print for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Listener name, e.g. `0.0.0.0_443`.
    pub name: String,
    /// Name of the route table it serves, e.g. `http.443`.
    pub route_table: String,
    /// The port the configuration speaks of; what `--port-map` maps from.
    pub port: u16,
    /// Where the socket is bound: the port is the one `--port-map` maps to (0: any free port).
    pub bind: SocketAddr,
}
