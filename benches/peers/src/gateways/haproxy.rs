//! HAProxy, from Debian.

use std::fs;
use std::io;
use std::process::Command;

use super::template::fill;
use super::{Feature, Gateway, Launch, Routes, Setup, Upstream};
use crate::work::HOST;

const TEMPLATE: &str = include_str!("../../gateways/haproxy.cfg");

/// HAProxy on the path.
pub struct Haproxy;

impl Gateway for Haproxy {
    fn name(&self) -> &str {
        "haproxy"
    }

    fn version(&self) -> String {
        let said = super::install::said(Command::new("haproxy").arg("-vv"));
        let word =
            |after: &str| said.split(after).nth(1).and_then(|rest| rest.split_whitespace().next());
        let number = word("HAProxy version ").unwrap_or("?");
        format!(
            "HAProxy {number} (OpenSSL {})",
            word("Running on OpenSSL version : OpenSSL ").unwrap_or("?")
        )
    }

    fn tuned(&self) -> &'static str {
        "http-reuse always, timeouts of 600 s"
    }

    fn has(&self, feature: Feature) -> bool {
        match feature {
            Feature::H2Origin | Feature::DnsRefresh | Feature::Scrape => true,
            // A reload is a new process, which the old one leaves its port to.
            Feature::Reload => false,
        }
    }

    fn set_up(&self, setup: &Setup) -> io::Result<Launch> {
        let file = setup.directory.join("haproxy.cfg");
        fs::write(&file, configuration(setup)?)?;
        let mut command = Command::new("haproxy");
        command.args(["-db", "-f"]).arg(file); // -q would close the output that the log goes to
        let mut launch = Launch::new(command, setup);
        launch.output = setup.access_log.then(|| setup.directory.join("access.log"));
        Ok(launch)
    }

    fn reload(&self, _: &Setup, _: u32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn counters(&self) -> &'static str {
        "/metrics"
    }
}

fn configuration(setup: &Setup) -> io::Result<String> {
    let access_log =
        if setup.access_log { "log stdout format raw local0\n  option httplog" } else { "no log" };
    let resolvers = setup.dns.map_or_else(String::new, |port| {
        format!(
            "resolvers names\n  nameserver local 127.0.0.1:{port}\n  hold valid 1s\n  timeout resolve 1s\n"
        )
    });
    // Each proxied connection takes two descriptors.
    let connections = (setup.files.saturating_sub(200) / 2).min(100_000).to_string();
    Ok(fill(
        TEMPLATE,
        &[
            ("WORKERS", &setup.workers.to_string()),
            ("CONNECTIONS", &connections),
            ("RESOLVERS", &resolvers),
            ("ACCESS_LOG", access_log),
            ("PORT", &setup.port.to_string()),
            ("ADMIN", &setup.admin.to_string()),
            ("RULES", &rules(setup)?),
            ("BACKENDS", &backends(setup)),
        ],
    ))
}

/// What is routed: lists in files, which HAProxy keeps as trees.
fn rules(setup: &Setup) -> io::Result<String> {
    let directory = setup.directory.display();
    let names = setup.routes.names();
    let write = |file: &str, lines: Vec<String>| {
        fs::write(setup.directory.join(file), lines.join("\n") + "\n")
    };
    let host = "hdr(host),field(1,:),lower";
    Ok(match setup.routes {
        Routes::One => format!(
            "http-request return status 404 unless {{ {host} -m str {HOST} }}\n  default_backend origin"
        ),
        Routes::Exact(_) => {
            write("hosts", names)?;
            format!(
                "acl routed {host} -m str -f {directory}/hosts\n  acl routed {host} -m str {HOST}\n  \
                 http-request return status 404 unless routed\n  default_backend origin"
            )
        }
        Routes::Wildcards(_) => {
            // Ends of names would be searched one by one; what follows the first label is found in a tree.
            let ends = names.iter().map(|name| name.trim_start_matches("*.").to_owned());
            write("hosts", ends.collect())?;
            format!(
                "acl routed {host},field(2,.,0) -m str -f {directory}/hosts\n  \
                 acl routed {host} -m str {HOST}\n  http-request return status 404 unless routed\n  \
                 default_backend origin"
            )
        }
        Routes::Rules { .. } => {
            let prefixes = setup.routes.prefixes();
            let each = |name: &String| {
                prefixes.iter().map(|prefix| format!("{name}{prefix}")).collect::<Vec<_>>()
            };
            write("rules", names.iter().flat_map(each).collect())?;
            format!(
                "acl routed base -m beg -f {directory}/rules\n  acl routed {host} -m str {HOST}\n  \
                 http-request return status 404 unless routed\n  default_backend origin"
            )
        }
        Routes::Upstreams(_) => {
            let lines = names.iter().map(|name| format!("{name} {name}"));
            write("hosts", lines.chain([format!("{HOST} origin")]).collect())?;
            format!(
                "http-request set-var(txn.to) {host},map_str({directory}/hosts)\n  \
                 http-request return status 404 unless {{ var(txn.to) -m found }}\n  \
                 use_backend %[var(txn.to)]"
            )
        }
    })
}

fn backends(setup: &Setup) -> String {
    let mut text = backend(setup, "origin", HOST);
    if let Routes::Upstreams(_) = setup.routes {
        text.extend(setup.routes.names().iter().map(|name| backend(setup, name, name)));
    }
    text
}

fn backend(setup: &Setup, name: &str, host: &str) -> String {
    let alpn = if setup.upstream == Upstream::H2 { " alpn h2" } else { "" };
    let (address, lookups) = match setup.dns {
        None => ("127.0.0.1", ""),
        Some(_) => (host, " resolvers names resolve-prefer ipv4 init-addr last,127.0.0.1"),
    };
    format!(
        "backend {name}\n  server origin {address}:{}{lookups} ssl verify required ca-file {} \
         sni str({host}) verifyhost {host}{alpn}\n",
        setup.origin,
        setup.ca.display()
    )
}
