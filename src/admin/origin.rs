//! Keeps web pages away from the admin port of the machine they are looked at on.
//!
//! A browser will send requests to `127.0.0.1` for any page that asks. It is no authentication:
//! whoever can connect with something else than a browser may do everything.

use std::net::IpAddr;

use hyper::header::{HOST, HeaderMap, ORIGIN};
use hyper::{Method, StatusCode};
use tokio::net::TcpStream;

use super::Port;

/// What is checked on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// Nothing: health and metrics are for everyone.
    Open,
    /// No POST from a web page.
    Posts,
    /// Besides, no name that could be somebody else's: bound to loopback, the port is asked for by
    /// an address or as localhost. Any other name was made to point here (DNS rebinding).
    PostsAndNames,
}

impl Guard {
    /// What to check on a connection to `port`.
    pub(super) fn of(port: Port, stream: &TcpStream) -> Self {
        let loopback = |address: std::net::SocketAddr| address.ip().to_canonical().is_loopback();
        match port {
            Port::Health => Self::Open,
            // An address that cannot be told gets the stricter check.
            Port::Admin if stream.local_addr().is_ok_and(|local| !loopback(local)) => Self::Posts,
            Port::Admin => Self::PostsAndNames,
        }
    }

    /// # Errors
    /// The status and text to refuse the request with.
    pub(super) fn check(
        self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<(), (StatusCode, &'static str)> {
        if self != Self::Open && method == Method::POST && headers.contains_key(ORIGIN) {
            return Err((
                StatusCode::FORBIDDEN,
                "not from a web page: the request has an Origin\n",
            ));
        }
        let host = headers.get(HOST).map(|host| host.as_bytes());
        if self == Self::PostsAndNames && host.is_some_and(|host| !is_ours(host)) {
            return Err((
                StatusCode::FORBIDDEN,
                "ask for this port by its address or as localhost: the Host is another name\n",
            ));
        }
        Ok(())
    }
}

/// Whether a Host is `localhost` or an address, which no foreign page can have as its name.
fn is_ours(host: &[u8]) -> bool {
    let Ok(host) = str::from_utf8(host) else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split_once(']').map_or("", |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_ours() {
        let cases = [
            ("localhost", true),
            ("LocalHost:15000", true),
            ("127.0.0.1:15000", true),
            ("10.1.2.3", true),
            ("[::1]:15000", true),
            ("evil.example", false),
            ("evil.example:15000", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("[::1", false),
            ("", false),
        ];
        for (host, expected) in cases {
            assert_eq!(is_ours(host.as_bytes()), expected, "{host}");
        }
        assert!(!is_ours(b"\xff"));
    }
}
