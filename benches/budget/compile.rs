//! What a large configuration costs to read and compile: instructions and the most memory in use at once, for
//! each host, by valgrind's counts of `egret check`.
//!
//! Two sizes are compared, so that what every start costs falls out, and growth shows.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::callgrind;
use super::gateway::binary;
use super::instructions::on_this_machine;
use super::support::Origin;
use super::table::Row;

/// Hosts of each object; a `ServiceEntry`, a `DestinationRule` and a `VirtualService` have the same.
const HOSTS_EACH: usize = 10;
/// Objects of each kind in the configurations that are compared.
const SIZES: [usize; 3] = [100, 500, 1_000];

/// What reading and compiling one configuration took.
#[derive(Clone, Copy)]
struct Cost {
    instructions: f64,
    /// Bytes of the heap that were in use at once, at most.
    peak: f64,
}

/// For each host of a company's configuration.
pub fn measure(_: &Origin) -> Vec<Row> {
    if let Err(why) = callgrind::installed() {
        return vec![Row::unmeasured("instructions to compile a host", why)];
    }
    let directory = tempfile::tempdir().expect("a directory");
    let costs = SIZES.map(|objects| cost(directory.path(), objects));
    let hosts = |from: usize, to: usize| ((SIZES[to] - SIZES[from]) * HOSTS_EACH) as f64;
    let each = |from: usize, to: usize| Cost {
        instructions: (costs[to].instructions - costs[from].instructions) / hosts(from, to),
        peak: (costs[to].peak - costs[from].peak) / hosts(from, to),
    };
    let (few, many) = (each(0, 1), each(1, 2));
    vec![
        Row::held("instructions to compile a host", many.instructions, on_this_machine(65_000.0)),
        Row::held("bytes of heap, at most, to compile a host", many.peak, 1_600.0),
        Row::held("  growth of instructions, times", many.instructions / few.instructions, 1.1),
    ]
}

fn cost(directory: &Path, objects: usize) -> Cost {
    let config = directory.join("objects.yaml");
    fs::write(&config, configuration(objects)).expect("a file");
    let counted = directory.join(objects.to_string());
    fs::create_dir(&counted).expect("a directory");
    run(&callgrind::tool(&counted), &config);
    let instructions = callgrind::read(&counted, "egret::config::").instructions;
    let report = format!("--dhat-out-file={}", counted.join("heap").display());
    let told = run(&["valgrind", "--tool=dhat", &report].map(str::to_owned), &config);
    Cost { instructions, peak: peak(&String::from_utf8_lossy(&told.stderr)) }
}

/// Runs `egret check` under a tool.
fn run(tool: &[String], config: &PathBuf) -> Output {
    let mut program = Command::new(&tool[0]);
    program.args(&tool[1..]).args([&binary(), "check", "-c"]).arg(config);
    let ended = program.stdin(Stdio::null()).output().expect("valgrind runs");
    if !ended.status.success() {
        std::io::stderr().write_all(&ended.stdout).expect("to be seen");
        panic!("the configuration is refused");
    }
    ended
}

/// What dhat says of the moment at which most was in use: `At t-gmax: 1,234 bytes in 5 blocks`.
fn peak(told: &str) -> f64 {
    let said = told.split_once("At t-gmax: ").and_then(|(_, rest)| rest.split_once(" bytes"));
    let (bytes, _) = said.expect("dhat sums up");
    bytes.replace(',', "").parse().expect("a number")
}

/// Objects of each kind, and one gateway.
fn configuration(objects: usize) -> String {
    const API: &str = "apiVersion: networking.istio.io/v1";
    let mut text = format!(
        "{API}
kind: Gateway
metadata: {{name: egress}}
spec:
  selector: {{istio: egressgateway}}
  servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ['*']}}]
"
    );
    for number in 0..objects {
        let hosts: String =
            (0..HOSTS_EACH).map(|host| format!("  - h{host}.n{number}.example.com\n")).collect();
        text.push_str(&format!(
            "---
{API}
kind: ServiceEntry
metadata:
  name: s{number}
spec:
  hosts:
{hosts}  ports:
  - number: 443
    name: https
    protocol: HTTPS
  resolution: DNS
---
{API}
kind: DestinationRule
metadata:
  name: d{number}
spec:
  host: '*.n{number}.example.com'
  trafficPolicy:
    tls:
      mode: SIMPLE
---
{API}
kind: VirtualService
metadata:
  name: v{number}
spec:
  hosts:
{hosts}  gateways:
  - egress
  http:
  - timeout: 5s
    route:
    - destination:
        host: h0.n{number}.example.com
        port:
          number: 443
"
        ));
    }
    text
}
