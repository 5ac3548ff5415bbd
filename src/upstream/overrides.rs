//! What the command line says instead of DNS: curl's `--resolve` and `--connect-to`.
//!
//! Only where a connection goes is changed; SNI, the name that is checked and Host stay.

use std::net::IpAddr;

use crate::model::{Host, Target};

/// Overrides in the order they were given; the first that fits decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    resolve: Vec<Resolved>,
    connect_to: Vec<Redirected>,
}

/// `HOST:PORT:ADDR[,ADDR]...`
#[derive(Debug, Clone, PartialEq, Eq)]
struct Resolved {
    /// `None` is `*`: every host.
    host: Option<Host>,
    port: u16,
    addresses: Vec<IpAddr>,
}

/// `HOST1:PORT1:HOST2:PORT2`, where nothing in the first half means any and nothing in the second
/// half means unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Redirected {
    from_host: Option<Host>,
    from_port: Option<u16>,
    to_host: Option<Host>,
    to_port: Option<u16>,
}

impl Overrides {
    /// Reads the values of every `--resolve` and every `--connect-to`.
    ///
    /// Errors: a sentence that shows the value and the form it should have.
    pub fn parse<S: AsRef<str>>(resolve: &[S], connect_to: &[S]) -> Result<Self, String> {
        let resolve = resolve.iter().map(|text| {
            let text = text.as_ref();
            parse_resolve(text).map_err(|why| {
                format!(
                    "--resolve {text}: {why}; write HOST:PORT:ADDR, as in example.com:443:127.0.0.1"
                )
            })
        });
        let connect_to = connect_to.iter().map(|text| {
            let text = text.as_ref();
            parse_connect_to(text).map_err(|why| {
                format!("--connect-to {text}: {why}; write HOST1:PORT1:HOST2:PORT2, as in example.com:443:127.0.0.1:8443")
            })
        });
        Ok(Self {
            resolve: resolve.collect::<Result<_, _>>()?,
            connect_to: connect_to.collect::<Result<_, _>>()?,
        })
    }

    /// Where to connect in place of this target (`--connect-to`).
    pub fn apply(&self, target: &Target) -> Target {
        let rule = self.connect_to.iter().find(|rule| {
            rule.from_host.as_ref().is_none_or(|host| *host == target.host)
                && rule.from_port.is_none_or(|port| port == target.port)
        });
        let Some(rule) = rule else { return target.clone() };
        Target {
            host: rule.to_host.as_ref().unwrap_or(&target.host).clone(),
            port: rule.to_port.unwrap_or(target.port),
        }
    }

    /// The addresses of a target for which DNS must not be asked (`--resolve`).
    pub fn addresses(&self, target: &Target) -> Option<Vec<IpAddr>> {
        let rule = self.resolve.iter().find(|rule| {
            rule.host.as_ref().is_none_or(|host| *host == target.host) && rule.port == target.port
        });
        rule.map(|rule| rule.addresses.clone())
    }
}

fn parse_resolve(text: &str) -> Result<Resolved, String> {
    let (host, rest) = split_host(text)?;
    let (port, addresses) = rest.split_once(':').ok_or("no address")?;
    let host = if host == "*" { None } else { Some(Host::parse(host)?) };
    let port = port_number(port)?.ok_or("no port")?;
    let addresses = addresses.split(',').map(address).collect::<Result<Vec<_>, _>>()?;
    Ok(Resolved { host, port, addresses })
}

fn parse_connect_to(text: &str) -> Result<Redirected, String> {
    let (from_host, rest) = split_host(text)?;
    let (from_port, rest) = rest.split_once(':').ok_or("only half of it is there")?;
    let (to_host, to_port) = split_host(rest)?;
    Ok(Redirected {
        from_host: host_or_any(from_host)?,
        from_port: port_number(from_port)?,
        to_host: host_or_any(to_host)?,
        to_port: port_number(to_port)?,
    })
}

/// Splits `host:rest`, where the host may be an IPv6 address in brackets.
fn split_host(text: &str) -> Result<(&str, &str), String> {
    let colon = match text.strip_prefix('[') {
        Some(inside) => inside.find(']').map(|end| end + 2).ok_or("a bracket is not closed")?,
        None => text.find(':').ok_or("no port")?,
    };
    let host = &text[..colon];
    match text[colon..].strip_prefix(':') {
        Some(rest) => Ok((host, rest)),
        None => Err("no port".to_owned()),
    }
}

fn host_or_any(text: &str) -> Result<Option<Host>, String> {
    if text.is_empty() { Ok(None) } else { Host::parse(text).map(Some) }
}

fn port_number(text: &str) -> Result<Option<u16>, String> {
    match text.parse::<u16>() {
        _ if text.is_empty() => Ok(None),
        Ok(port) if port != 0 => Ok(Some(port)),
        _ => Err(format!("\"{text}\" is not a port")),
    }
}

fn address(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| format!("\"{text}\" is not an IP address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        let (host, port) = text.rsplit_once(':').expect("a port");
        Target { host: Host::parse(host).expect("a host"), port: port.parse().expect("a port") }
    }

    #[test]
    fn resolve_gives_addresses_for_one_host_and_port() {
        let resolve = ["a.test:443:127.0.0.1", "B.test:80:10.0.0.1,[::1],::2", "*:99:127.0.0.9"];
        let overrides = Overrides::parse(&resolve, &[]).expect("valid");
        for (asked, expected) in [
            ("a.test:443", Some(&["127.0.0.1"][..])),
            ("a.test:80", None),
            ("b.test:80", Some(&["10.0.0.1", "::1", "::2"])),
            ("x.test:99", Some(&["127.0.0.9"])),
            ("x.test:443", None),
        ] {
            let expected = expected.map(|list| {
                list.iter().map(|ip| ip.parse().expect("an address")).collect::<Vec<IpAddr>>()
            });
            assert_eq!(overrides.addresses(&target(asked)), expected, "{asked}");
        }
    }

    #[test]
    fn connect_to_changes_what_it_names_and_the_first_that_fits_decides() {
        let rules = ["a.test:443:127.0.0.1:8443", "a.test:::90", ":80:b.test:", "[::1]:1:[::2]:2"];
        let overrides = Overrides::parse(&[], &rules).expect("valid");
        for (asked, expected) in [
            ("a.test:443", "127.0.0.1:8443"),
            ("a.test:80", "a.test:90"),
            ("x.test:80", "b.test:80"),
            ("x.test:443", "x.test:443"),
            ("::1:1", "::2:2"),
        ] {
            assert_eq!(overrides.apply(&target(asked)), target(expected), "{asked}");
        }
    }

    #[test]
    fn a_value_that_cannot_be_read_is_shown_with_the_form_it_should_have() {
        for text in [
            "",
            "a.test",
            "a.test:443",
            "a.test:443:",
            "a.test::127.0.0.1",
            "a.test:0:127.0.0.1",
            "a.test:443:b.test",
            "a/b:443:127.0.0.1",
            "[::1:443:127.0.0.1",
        ] {
            let why = Overrides::parse(&[text], &[]).expect_err(text);
            assert!(why.starts_with(&format!("--resolve {text}: ")), "{why}");
            assert!(why.contains("HOST:PORT:ADDR"), "{why}");
        }
        for text in ["", "a.test", "a.test:443", "a.test:443:b.test", "a.test:x:b.test:1", "::*:1"]
        {
            let why = Overrides::parse(&[], &[text]).expect_err(text);
            assert!(why.starts_with(&format!("--connect-to {text}: ")), "{why}");
            assert!(why.contains("HOST1:PORT1:HOST2:PORT2"), "{why}");
        }
    }
}
