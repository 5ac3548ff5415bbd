//! Resident memory: empty, with idle clients, with requests under way, with many hosts.
//!
//! The kernel's own memory for sockets is not part of it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::gateway::{Gateway, Setup};
use super::load::{Clients, KILOBYTE};
use super::support::{HOST, Origin};
use super::table::{Budget, Row};

/// Idle clients: what the usual limit of 20,000 open files has room for.
const IDLE: usize = 8_000;
/// Requests under way at once.
const UNDER_WAY: usize = 1_000;
/// Hosts onto one upstream.
const HOSTS: usize = 100_000;

const KB: f64 = 1024.0;
const MB: f64 = 1024.0 * 1024.0;

/// Everything that has a budget.
pub fn measure(origin: &Origin) -> Vec<Row> {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: String| -> PathBuf {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    };
    let mut rows = vec![empty(origin)];
    rows.extend(idle(origin));
    rows.push(under_way(origin));
    let hosts = Budget { must: 60.0, aim: 40.0 };
    for (form, config, limit) in [
        ("own form", file("own.yaml", own_form()), 26.0),
        ("Istio's", file("istio.yaml", istio()), 33.0),
    ] {
        let gateway = Gateway::start(&Setup { config, ..Setup::article(origin) });
        let what = format!("MB resident, 100,000 hosts onto one upstream, {form}");
        rows.push(Row::judged(what, gateway.resident() / MB, limit, hosts));
    }
    rows
}

fn empty(origin: &Origin) -> Row {
    let gateway = Gateway::start(&Setup::article(origin));
    Clients::connect(gateway.address, 1).each_once(KILOBYTE);
    Row::judged(
        "MB resident, empty, after one request",
        gateway.resident() / MB,
        14.0,
        Budget { must: 12.0, aim: 8.0 },
    )
}

fn idle(origin: &Origin) -> Vec<Row> {
    const WHAT: &str = "KB for each of 8,000 idle clients";
    if let Err(why) = allow_files() {
        return vec![Row::unmeasured(WHAT, why)];
    }
    let gateway = Gateway::start(&Setup::article(origin));
    Clients::connect(gateway.address, 1).each_once(KILOBYTE);
    let before = gateway.resident();
    let each = |now: f64| (now - before) / KB / IDLE as f64;
    let mut clients = Clients::connect(gateway.address, IDLE);
    let accepted = Clients::connect(gateway.address, 1); // the last one: the others are accepted
    { accepted }.each_once(KILOBYTE);
    let silent = each(gateway.resident());
    clients.each_once(KILOBYTE);
    let served = each(gateway.resident());
    let each_idle = Budget { must: 2.0, aim: 1.0 };
    vec![
        Row::judged(format!("{WHAT} that said nothing yet"), silent, 0.75, each_idle),
        Row::judged(format!("{WHAT} after a request"), served, 0.9, each_idle),
    ]
}

fn under_way(origin: &Origin) -> Row {
    const WHAT: &str = "KB for each of 1,000 requests under way, both ends";
    if let Err(why) = allow_files() {
        return Row::unmeasured(WHAT, why);
    }
    let gateway = Gateway::start(&Setup::article(origin));
    Clients::connect(gateway.address, 1).each_once(KILOBYTE);
    let before = gateway.resident();
    let mut clients = Clients::connect(gateway.address, UNDER_WAY);
    let during = clients.hold(&origin.held, || gateway.resident());
    Row::judged(
        WHAT,
        (during - before) / KB / UNDER_WAY as f64,
        14.0,
        Budget { must: 25.0, aim: 12.0 },
    )
}

/// Lets this process open as many files as it may: it is client and origin at once.
fn allow_files() -> Result<(), String> {
    let limits = fs::read_to_string("/proc/self/limits").map_err(|error| error.to_string())?;
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    let hard = line.split_whitespace().nth(4).unwrap_or_default();
    if hard.parse::<usize>().is_ok_and(|hard| hard < IDLE + 100) {
        return Err(format!("needs {} open files, the hard limit is {hard}", IDLE + 100));
    }
    let pid = std::process::id().to_string();
    let raised = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--nofile={hard}:{hard}")])
        .status()
        .map_err(|_| "install prlimit (util-linux)".to_owned())?;
    if raised.success() { Ok(()) } else { Err("prlimit could not raise the limit".into()) }
}

fn own_form() -> String {
    let hosts: String = (0..HOSTS).map(|at| format!("  - host-{at}.example.com\n")).collect();
    format!("routes:\n- to: https://{HOST}\n  hosts:\n{hosts}")
}

fn istio() -> String {
    let hosts: String = (0..HOSTS).map(|at| format!("  - host-{at}.example.com\n")).collect();
    format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: origin}}
spec: {{hosts: [{HOST}], resolution: DNS, ports: [{{number: 443, name: http, protocol: HTTP}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: tls}}
spec: {{host: {HOST}, trafficPolicy: {{tls: {{mode: SIMPLE, sni: {HOST}}}}}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: egress}}
spec:
  selector: {{istio: egressgateway}}
  servers: [{{port: {{number: 443, name: http, protocol: HTTP}}, hosts: ['*']}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: routes}}
spec:
  gateways: [egress]
  http: [{{route: [{{destination: {{host: {HOST}, port: {{number: 443}}}}}}]}}]
  hosts:
{hosts}"
    )
}
