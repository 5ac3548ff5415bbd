//! Envoy, from PyPI.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use super::template::fill;
use super::{Feature, Gateway, Launch, Routes, Setup, Upstream};
use crate::work::HOST;

const BOOTSTRAP: &str = include_str!("../../gateways/envoy.yaml");
const ROUTES: &str = include_str!("../../gateways/envoy.routes.yaml");
const CLUSTER: &str = include_str!("../../gateways/envoy.cluster.yaml");
/// The cluster of [`HOST`], and of every name without its own.
const ORIGIN: &str = "origin";

/// Envoy's binary.
pub struct Envoy(pub PathBuf);

impl Gateway for Envoy {
    fn name(&self) -> &str {
        "envoy"
    }

    fn version(&self) -> String {
        let said = super::install::said(Command::new(&self.0).arg("--version"));
        let version = said.split("version:").nth(1).unwrap_or(&said).trim();
        let parts: Vec<&str> = version.split('/').collect();
        match parts[..] {
            [_, number, .., crypto] => format!("Envoy {number} ({crypto})"),
            _ => version.to_owned(),
        }
    }

    fn tuned(&self) -> &'static str {
        "no request ids, no x-envoy headers, circuit breakers at 100,000, max_session_keys 16 (default 1)"
    }

    fn has(&self, feature: Feature) -> bool {
        match feature {
            Feature::H2Origin | Feature::DnsRefresh | Feature::Scrape | Feature::Reload => true,
        }
    }

    fn set_up(&self, setup: &Setup) -> io::Result<Launch> {
        fs::write(setup.directory.join("routes.yaml"), discovered(setup))?;
        let file = setup.directory.join("envoy.yaml");
        fs::write(&file, bootstrap(setup))?;
        let mut command = Command::new(&self.0);
        command.args(["--disable-hot-restart", "-l", "error", "-c"]).arg(file);
        command.args(["--concurrency", &setup.workers.to_string()]);
        Ok(Launch::new(command, setup))
    }

    fn reload(&self, setup: &Setup, _: u32) -> io::Result<()> {
        // It watches the directory for files that are moved into their place.
        let new = setup.directory.join("routes.new");
        fs::write(&new, discovered(setup))?;
        fs::rename(new, setup.directory.join("routes.yaml"))
    }

    fn counters(&self) -> &'static str {
        "/stats/prometheus"
    }
}

fn bootstrap(setup: &Setup) -> String {
    let directory = setup.directory.display();
    let access_log = if setup.access_log {
        format!(
            "          access_log: [ {{ name: file, typed_config: {{ \"@type\": \
             type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, \
             path: {directory}/access.log }} }} ]"
        )
    } else {
        String::new()
    };
    let names = setup.routes.names();
    let mut clusters = cluster(setup, ORIGIN, HOST);
    if let Routes::Upstreams(_) = setup.routes {
        clusters.extend(names.iter().map(|name| cluster(setup, name, name)));
    }
    // Routes come from a file that is watched, so that they can be changed while it serves.
    let routes = format!(
        "          rds: {{ route_config_name: egress, config_source: {{ path_config_source: {{ \
         path: {directory}/routes.yaml }} }} }}"
    );
    fill(
        BOOTSTRAP,
        &[
            ("PORT", &setup.port.to_string()),
            ("ADMIN", &setup.admin.to_string()),
            ("ACCESS_LOG", &access_log),
            ("ROUTES", &routes),
            ("CLUSTERS", &clusters),
        ],
    )
}

/// The routes, as a response of Envoy's discovery.
fn discovered(setup: &Setup) -> String {
    let mut hosts = virtual_host(HOST, &["/".to_owned()], ORIGIN);
    let names = setup.routes.names();
    match setup.routes {
        Routes::One => {}
        Routes::Exact(_) | Routes::Wildcards(_) => {
            let domains: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
            hosts += &format!(
                "- name: names\n  domains: [{}]\n  routes: [ {} ]\n",
                domains.join(", "),
                route("/", ORIGIN)
            );
        }
        Routes::Rules { .. } => {
            let prefixes = setup.routes.prefixes();
            hosts.extend(names.iter().map(|name| virtual_host(name, &prefixes, ORIGIN)));
        }
        Routes::Upstreams(_) => {
            hosts.extend(names.iter().map(|name| virtual_host(name, &["/".to_owned()], name)));
        }
    }
    let routes = fill(ROUTES, &[("VIRTUAL_HOSTS", hosts.trim_end())]);
    let indented: String = routes.lines().map(|line| format!("  {line}\n")).collect();
    format!("resources:\n-{}", &indented[1..])
}

fn virtual_host(host: &str, prefixes: &[String], cluster: &str) -> String {
    let routes: Vec<String> = prefixes.iter().map(|prefix| route(prefix, cluster)).collect();
    format!("- name: {host}\n  domains: [\"{host}\"]\n  routes: [ {} ]\n", routes.join(", "))
}

fn route(prefix: &str, cluster: &str) -> String {
    format!("{{ match: {{ prefix: \"{prefix}\" }}, route: {{ cluster: {cluster}, timeout: 0s }} }}")
}

fn cluster(setup: &Setup, name: &str, host: &str) -> String {
    let (protocol, alpn) = match setup.upstream {
        Upstream::Http1 => ("http_protocol_options", "http/1.1"),
        Upstream::H2 => ("http2_protocol_options", "h2"),
    };
    let (discovery, address) = match setup.dns {
        None => ("type: STATIC".to_owned(), "127.0.0.1"),
        Some(port) => (
            format!(
                "type: STRICT_DNS\n    respect_dns_ttl: true\n    typed_dns_resolver_config: {{ name: \
                 cares, typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.network.\
                 dns_resolver.cares.v3.CaresDnsResolverConfig, resolvers: [ {{ socket_address: {{ \
                 address: 127.0.0.1, port_value: {port} }} }} ] }} }}"
            ),
            host,
        ),
    };
    fill(
        CLUSTER,
        &[
            ("NAME", name),
            ("HOST", host),
            ("DISCOVERY", &discovery),
            ("ADDRESS", address),
            ("ORIGIN", &setup.origin.to_string()),
            ("PROTOCOL", protocol),
            ("ALPN", alpn),
            ("CA", &setup.ca.display().to_string()),
        ],
    )
}
