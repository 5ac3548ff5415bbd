//! The whole way once: origin, gateway, load generator, results, report.
//!
//! It needs a binary of Egret, and says nothing about time: `EGRET=/path/to/egret cargo test -- --ignored`.

#![expect(clippy::disallowed_methods, reason = "the environment says where the gateway is")]

use std::fs;
use std::process::Command;

#[test]
#[ignore = "needs EGRET, the path of a binary"]
fn a_run_measures_a_gateway_and_tells_what_it_found() {
    let egret = std::env::var("EGRET").expect("EGRET is set");
    let out = tempfile::tempdir().expect("a directory");
    let status = Command::new(env!("CARGO_BIN_EXE_egret-peers"))
        .args(["--quick", "--only", "this,that", "--exp", "sat,start", "--rounds", "2"])
        .args(["--subject", &format!("this={egret}"), "--subject", &format!("that={egret}")])
        .arg("--out")
        .arg(out.path())
        .status()
        .expect("it starts");
    assert!(status.success());
    let results = fs::read(out.path().join("results.json")).expect("results");
    let results: serde_json::Value = serde_json::from_slice(&results).expect("JSON");
    assert_eq!(results["omissions"].as_array().map(Vec::len), Some(0), "{results}");
    let samples = results["samples"].as_array().expect("samples");
    assert_eq!(samples.len(), 2 * 2 * 2, "rounds, gateways, experiments");
    for sample in samples {
        assert_eq!(sample["failures"], 0, "{sample}");
        let figure = if sample["experiment"] == "sat" { "requests" } else { "ready_ms" };
        assert!(sample["values"][figure].as_f64() > Some(0.0), "{sample}");
    }
    let report = fs::read_to_string(out.path().join("README.md")).expect("a report");
    assert!(report.contains("| **this** |") && report.contains("| that |"), "{report}");
    assert!(out.path().join("sat.svg").exists());
}
