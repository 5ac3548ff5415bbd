//! Pingora, from the crates registry: a small gateway made with it, in `gateways/pingora`.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use super::{Feature, Gateway, Launch, Routes, Setup, Upstream};
use crate::work::HOST;

const LOCK: &str = include_str!("../../gateways/pingora/Cargo.lock");

/// The gateway's binary.
pub struct Pingora(pub PathBuf);

impl Gateway for Pingora {
    fn name(&self) -> &str {
        "pingora"
    }

    fn version(&self) -> String {
        let version = |package: &str| {
            let after = LOCK.split(&format!("name = \"{package}\"\nversion = \"")).nth(1);
            after.and_then(|rest| rest.split('"').next()).unwrap_or("?")
        };
        format!("Pingora {} (rustls {})", version("pingora"), version("rustls"))
    }

    fn tuned(&self) -> &'static str {
        "16,384 kept upstream connections"
    }

    fn has(&self, feature: Feature) -> bool {
        match feature {
            Feature::H2Origin => true,
            // A framework: these would be of our own making.
            Feature::DnsRefresh | Feature::Scrape | Feature::Reload => false,
        }
    }

    fn set_up(&self, setup: &Setup) -> io::Result<Launch> {
        let file = setup.directory.join("routes");
        let mut lines = vec![HOST.to_owned()];
        for name in setup.routes.names() {
            match setup.routes {
                Routes::Rules { .. } => {
                    lines.extend(
                        setup.routes.prefixes().iter().map(|prefix| format!("{name} {prefix}")),
                    );
                }
                _ => lines.push(name),
            }
        }
        fs::write(&file, lines.join("\n") + "\n")?;
        let mut command = Command::new(&self.0);
        command.arg(format!("listen=127.0.0.1:{}", setup.port));
        command.arg(format!("origin=127.0.0.1:{}", setup.origin));
        command.arg(format!("ca={}", setup.ca.display()));
        command.arg(format!("workers={}", setup.workers));
        command.arg(format!("routes={}", file.display()));
        if !matches!(setup.routes, Routes::Upstreams(_)) {
            command.arg(format!("sni={HOST}"));
        }
        if setup.upstream == Upstream::H2 {
            command.arg("h2=on");
        }
        if setup.access_log {
            command.arg(format!("log={}", setup.directory.join("access.log").display()));
        }
        Ok(Launch::new(command, setup))
    }

    fn reload(&self, _: &Setup, _: u32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn counters(&self) -> &'static str {
        ""
    }
}
