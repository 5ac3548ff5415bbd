//! A plan printed as the JSON that istiod would have made of it: `istioctl proxy-config ... -o json`.
//!
//! A picture for people and scripts; nothing reads it back. Only what the plan knows is printed: filters,
//! access logs and tracing, which say nothing of where a request goes, are left out.
//! Source: istio `core/gateway.go`, `core/route/route.go`, `core/cluster_builder.go`, `core/cluster_tls.go`.

mod clusters;
mod extras;
mod listeners;
mod resilience;
mod routes;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::Compiled;

const TYPE: &str = "type.googleapis.com/envoy.extensions";

/// What `istioctl proxy-config listeners -o json` prints.
pub fn listeners(compiled: &Compiled) -> Value {
    compiled.plan.listeners.iter().map(listeners::listener).collect()
}

/// What `istioctl proxy-config routes -o json` prints.
pub fn routes(compiled: &Compiled) -> Value {
    let tables = compiled.plan.listeners.iter().enumerate();
    tables
        .map(|(index, listener)| {
            routes::route_table(index, listener, &compiled.plan, &compiled.provenance)
        })
        .collect()
}

/// What `istioctl proxy-config clusters -o json` prints.
pub fn clusters(compiled: &Compiled) -> Value {
    let origins = &compiled.provenance.upstreams;
    let upstreams = compiled.plan.upstreams.iter().enumerate();
    upstreams
        .map(|(index, spec)| clusters::cluster(spec, origins.get(index).map(Arc::as_ref)))
        .collect()
}

/// Resources that istiod sends on the stream this one came on; 0 s: they are waited for.
fn from_istiod() -> Value {
    json!({ "ads": {}, "initialFetchTimeout": "0s", "resourceApiVersion": "V3" })
}

fn address(address: &str, port: u16) -> Value {
    json!({ "socketAddress": { "address": address, "portValue": port } })
}

/// A duration in protobuf's JSON form: `10s`, `0.250s`.
fn seconds(time: Duration) -> String {
    match time.subsec_nanos() {
        0 => format!("{}s", time.as_secs()),
        nanos => {
            format!("{}.{nanos:09}s", time.as_secs()).replace("000000s", "s").replace("000s", "s")
        }
    }
}
