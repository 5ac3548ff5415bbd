//! nginx, from Debian.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::template::fill;
use super::{Clients, Feature, Gateway, Launch, Routes, Setup};
use crate::work::HOST;

const TEMPLATE: &str = include_str!("../../gateways/nginx.conf");
/// Idle connections that are kept to one upstream, by each worker: more than any experiment has at once.
const KEPT: usize = 2_048;
/// The same where there are many upstreams: nginx sets the memory for them aside.
const KEPT_FEW: usize = 16;

/// nginx on the path.
pub struct Nginx;

impl Gateway for Nginx {
    fn name(&self) -> &str {
        "nginx"
    }

    fn version(&self) -> String {
        let said = super::install::said(Command::new("nginx").arg("-V"));
        let word =
            |after: &str| said.split(after).nth(1).and_then(|rest| rest.split_whitespace().next());
        let crypto = word("running with OpenSSL ").or_else(|| word("built with OpenSSL "));
        let number = word("nginx/").unwrap_or("?");
        format!("nginx {number} (OpenSSL {})", crypto.unwrap_or("?"))
    }

    fn tuned(&self) -> &'static str {
        "2,048 kept upstream connections, reuseport, no temporary files, uploads not collected, no limit of requests on a connection"
    }

    fn has(&self, feature: Feature) -> bool {
        match feature {
            Feature::Reload => true,
            Feature::H2Origin | Feature::DnsRefresh | Feature::Scrape => false,
        }
    }

    fn set_up(&self, setup: &Setup) -> io::Result<Launch> {
        let file = setup.directory.join("nginx.conf");
        fs::write(&file, configuration(setup))?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&setup.directory).arg("-c").arg(file);
        let mut launch = Launch::new(command, setup);
        if setup.clients == Clients::H2c {
            launch.probe = setup.admin;
        }
        Ok(launch)
    }

    fn reload(&self, setup: &Setup, pid: u32) -> io::Result<()> {
        fs::write(setup.directory.join("nginx.conf"), configuration(setup))?;
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.expect("a process has a number"), Signal::HUP)?)
    }

    fn counters(&self) -> &'static str {
        ""
    }
}

fn configuration(setup: &Setup) -> String {
    let directory = setup.directory.display().to_string();
    let access_log = if setup.access_log {
        format!("access_log {directory}/access.log combined buffer=64k flush=1s;")
    } else {
        "access_log off;".to_owned()
    };
    // A port of nginx's with http2 speaks nothing else, so that the probe needs another one.
    let (http2, probe) = match setup.clients {
        Clients::Http1 => ("", String::new()),
        Clients::H2c => (" http2", format!("listen 127.0.0.1:{};", setup.admin)),
    };
    let count = setup.routes.count();
    let hashes = if count > 100 {
        "server_names_hash_max_size 1048576; server_names_hash_bucket_size 128; \
         map_hash_max_size 1048576; map_hash_bucket_size 128;"
    } else {
        ""
    };
    // Its tables are made for so many connections, whether they are used or not.
    let connections = setup.files.saturating_sub(200).min(32_768).to_string();
    fill(
        TEMPLATE,
        &[
            ("WORKERS", &setup.workers.to_string()),
            ("DIRECTORY", &directory),
            ("CONNECTIONS", &connections),
            ("ACCESS_LOG", &access_log),
            ("CA", &setup.ca.display().to_string()),
            ("HASHES", hashes),
            ("PORT", &setup.port.to_string()),
            ("HTTP2", http2),
            ("PROBE", &probe),
            ("SERVERS", &servers(setup)),
        ],
    )
}

fn servers(setup: &Setup) -> String {
    let names = setup.routes.names();
    let http2 = if setup.clients == Clients::H2c { " http2" } else { "" };
    let server = |names: &str, tls: &str, locations: &str| {
        format!(
            "  server {{ listen 127.0.0.1:{}{http2}; server_name {names}; proxy_ssl_name {tls}; {locations}}}\n",
            setup.port
        )
    };
    let to = |prefix: &str, upstream: &str| {
        format!("location {prefix} {{ proxy_pass https://{upstream}; }} ")
    };
    let mut text = upstream("origin", setup.origin, KEPT);
    match setup.routes {
        Routes::One | Routes::Exact(_) | Routes::Wildcards(_) => {
            text += &server(&format!("{HOST} {}", names.join(" ")), HOST, &to("/", "origin"));
        }
        Routes::Rules { .. } => {
            // A location for each rule would have a TLS context each, 10,000 of them; a map finds it as well.
            text += "  map $uri $first { default \"\"; ~^(?<prefix>/[^/]*/) $prefix; }\n";
            text += "  map $host$first $routed {\n    default 0;\n";
            for name in &names {
                for prefix in setup.routes.prefixes() {
                    let _ = writeln!(text, "    {name}{prefix} 1;"); // writing to text does not fail
                }
            }
            text += "  }\n";
            text += &server(HOST, HOST, &to("/", "origin"));
            let routed = format!("if ($routed = 0) {{ return 404; }} {}", to("/", "origin"));
            text += &server(&names.join(" "), HOST, &routed);
        }
        Routes::Upstreams(_) => {
            text += &server(HOST, HOST, &to("/", "origin"));
            for name in &names {
                text += &upstream(name, setup.origin, KEPT_FEW);
                text += &server(name, name, &to("/", name));
            }
        }
    }
    text
}

fn upstream(name: &str, origin: u16, kept: usize) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "  upstream {name} {{ server 127.0.0.1:{origin}; keepalive {kept}; \
         keepalive_requests 1000000000; keepalive_timeout 600s; }}"
    ); // writing to text does not fail
    text
}
