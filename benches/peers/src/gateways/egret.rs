//! Egret, with Istio's objects in a file.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::process::Command;

use super::template::fill;
use super::{Feature, Gateway, Launch, Routes, Setup};
use crate::work::HOST;

const OBJECTS: &str = include_str!("../../gateways/egret.yaml");

/// One of its binaries.
pub struct Egret {
    /// What it is called in tables.
    pub name: String,
    /// The program, and words that go before its own.
    pub command: Vec<String>,
    /// What it was built from, if that is known.
    pub revision: Option<String>,
}

impl Egret {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]);
        command
    }
}

impl Gateway for Egret {
    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> String {
        let said = super::install::said(self.command().arg("--version"));
        match &self.revision {
            Some(revision) => format!("{said} ({revision})"),
            None => said,
        }
    }

    fn tuned(&self) -> &'static str {
        "defaults"
    }

    fn has(&self, _: Feature) -> bool {
        true
    }

    fn set_up(&self, setup: &Setup) -> io::Result<Launch> {
        let file = setup.directory.join("egress.yaml");
        fs::write(&file, objects(setup))?;
        let mut command = self.command();
        command.args(["run", "--bind", "127.0.0.1", "--health", "127.0.0.1:0", "-c"]).arg(file);
        command.args(["--workers", &setup.workers.to_string()]);
        command.args(["--admin", &format!("127.0.0.1:{}", setup.admin)]);
        command.args(["--access-log", if setup.access_log { "text" } else { "off" }]);
        match setup.dns {
            Some(port) => command.args(["--dns-server", &format!("127.0.0.1:{port}")]),
            None => {
                command.args(["--connect-to", &format!("{HOST}:443:127.0.0.1:{}", setup.origin)])
            }
        };
        let mut launch = Launch::new(command, setup);
        launch.output = setup.access_log.then(|| setup.directory.join("access.log"));
        Ok(launch)
    }

    fn reload(&self, setup: &Setup, _: u32) -> io::Result<()> {
        // It watches its files; a rename is seen as one change.
        let new = setup.directory.join("egress.new");
        fs::write(&new, objects(setup))?;
        fs::rename(new, setup.directory.join("egress.yaml"))
    }

    fn counters(&self) -> &'static str {
        "/stats/prometheus"
    }
}

fn objects(setup: &Setup) -> String {
    let target = match setup.dns {
        Some(_) => format!(", targetPort: {}", setup.origin),
        None => String::new(),
    };
    let (port, ca) = (setup.port.to_string(), setup.ca.display().to_string());
    let mut objects =
        fill(OBJECTS, &[("PORT", &port), ("HOST", HOST), ("CA", &ca), ("TARGET_PORT", &target)]);
    let names = setup.routes.names();
    let to_origin = format!("route: [{{destination: {{host: {HOST}, port: {{number: 443}}}}}}]");
    match setup.routes {
        Routes::One | Routes::Exact(_) | Routes::Wildcards(_) => {
            let hosts = std::iter::once(HOST).chain(names.iter().map(String::as_str));
            objects += &virtual_service("routes", hosts, &format!("  - {to_origin}\n"));
        }
        Routes::Rules { .. } => {
            let rules = setup.routes.prefixes().into_iter().map(|prefix| {
                format!("  - match: [{{uri: {{prefix: {prefix}}}}}]\n    {to_origin}\n")
            });
            let rules: String = rules.collect();
            objects += &virtual_service("routes", [HOST], &format!("  - {to_origin}\n"));
            for name in &names {
                objects += &virtual_service(name, [name.as_str()], &rules);
            }
        }
        Routes::Upstreams(_) => {
            objects += &virtual_service("routes", [HOST], &format!("  - {to_origin}\n"));
            for name in &names {
                objects += &upstream(name, setup.origin, &ca);
            }
        }
    }
    objects
}

fn virtual_service<'h>(name: &str, hosts: impl IntoIterator<Item = &'h str>, http: &str) -> String {
    let mut object = format!(
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\n\
         spec:\n  gateways: [egress]\n  http:\n{http}  hosts:\n"
    );
    for host in hosts {
        let _ = writeln!(object, "  - \"{host}\""); // writing to text does not fail
    }
    object
}

/// A host with an upstream of its own, at an address that is given.
fn upstream(host: &str, origin: u16, ca: &str) -> String {
    let http = format!("  - route: [{{destination: {{host: {host}, port: {{number: 443}}}}}}]\n");
    virtual_service(host, [host], &http)
        + &format!(
            "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {host}}}
spec:
  hosts: [{host}]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{{number: 443, name: tls, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{tls: {origin}}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {host}}}
spec: {{host: {host}, trafficPolicy: {{tls: {{mode: SIMPLE, sni: {host}, caCertificates: {ca}}}}}}}
"
        )
}
