//! What the settings say instead of DNS: curl's `--resolve` and `--connect-to`.
//!
//! Only where a connection goes is changed; SNI, the name that is checked and Host stay.

use std::net::IpAddr;

use crate::model::Target;
use crate::settings::{ConnectTo, Resolve};

/// Overrides in the order they were given; the first that fits decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    resolve: Vec<Resolve>,
    connect_to: Vec<ConnectTo>,
}

impl Overrides {
    /// Takes them from the settings.
    pub fn new(resolve: &[Resolve], connect_to: &[ConnectTo]) -> Self {
        Self { resolve: resolve.to_vec(), connect_to: connect_to.to_vec() }
    }

    /// Where to connect in place of this target (`--connect-to`).
    pub fn apply(&self, target: &Target) -> Target {
        let rule = self.connect_to.iter().find(|rule| {
            rule.host.as_ref().is_none_or(|host| *host == target.host)
                && rule.port.is_none_or(|port| port == target.port)
        });
        let Some(rule) = rule else { return target.clone() };
        Target {
            host: rule.to_host.as_ref().unwrap_or(&target.host).clone(),
            port: rule.to_port.unwrap_or(target.port),
        }
    }

    /// The addresses of a target for which DNS must not be asked (`--resolve`).
    pub fn addresses(&self, target: &Target) -> Option<Vec<IpAddr>> {
        let fits = |rule: &&Resolve| rule.host == target.host && rule.port == target.port;
        self.resolve.iter().find(fits).map(|rule| rule.addresses.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Host;

    fn host(text: &str) -> Host {
        Host::parse(text).expect("a host")
    }

    fn target(text: &str) -> Target {
        let (name, port) = text.rsplit_once(':').expect("a port");
        Target { host: host(name), port: port.parse().expect("a port") }
    }

    #[test]
    fn resolve_gives_addresses_for_one_host_and_port() {
        let addresses: Vec<IpAddr> =
            vec!["10.0.0.1".parse().expect("valid"), "::1".parse().expect("valid")];
        let rule = Resolve { host: host("b.test"), port: 80, addresses: addresses.clone() };
        let overrides = Overrides::new(&[rule], &[]);
        assert_eq!(overrides.addresses(&target("b.test:80")), Some(addresses));
        assert_eq!(overrides.addresses(&target("b.test:443")), None);
        assert_eq!(overrides.addresses(&target("a.test:80")), None);
    }

    #[test]
    fn connect_to_changes_what_it_names_and_the_first_that_fits_decides() {
        let rule = |from: (Option<&str>, Option<u16>), to: (Option<&str>, Option<u16>)| ConnectTo {
            host: from.0.map(host),
            port: from.1,
            to_host: to.0.map(host),
            to_port: to.1,
        };
        let rules = [
            rule((Some("a.test"), Some(443)), (Some("127.0.0.1"), Some(8443))),
            rule((Some("a.test"), None), (None, Some(90))),
            rule((None, Some(80)), (Some("b.test"), None)),
        ];
        let overrides = Overrides::new(&[], &rules);
        for (asked, expected) in [
            ("a.test:443", "127.0.0.1:8443"),
            ("a.test:80", "a.test:90"),
            ("x.test:80", "b.test:80"),
            ("x.test:443", "x.test:443"),
        ] {
            assert_eq!(overrides.apply(&target(asked)), target(expected), "{asked}");
        }
    }
}
