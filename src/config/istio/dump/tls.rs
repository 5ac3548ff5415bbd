//! TLS origination: certificates by the names under which the agent serves them.
//!
//! Source: istio `core/cluster_tls.go`, `pilot/pkg/security/model/authentication.go`, `pkg/security`.

use serde_json::{Map, Value, json};

use super::TYPE;
use crate::model::upstream::{ClientIdentity, Roots};
use crate::model::{Protocol, ProxyProtocol, TlsSpec};

/// The transport socket of a cluster that originates TLS.
pub fn transport_socket(tls: &TlsSpec, protocol: Protocol) -> Value {
    let mut common = json!({
        "tlsParams": { "tlsMinimumProtocolVersion": "TLSv1_2", "tlsMaximumProtocolVersion": "TLSv1_3" },
    });
    match tls.skip_verify {
        true => common["validationContext"] = json!({}),
        false => {
            common["combinedValidationContext"] = json!({
                "defaultValidationContext": validation(tls),
                "validationContextSdsSecretConfig": roots(&tls.roots),
            });
        }
    }
    if let Some(identity) = &tls.identity {
        common["tlsCertificateSdsSecretConfigs"] = json!([certificate(identity)]);
    }
    // Istio offers HTTP/2 only where nothing else is spoken, and leaves ALPN out otherwise.
    if protocol == Protocol::Http2 {
        common["alpnProtocols"] = json!(["h2"]);
    }
    let mut context = json!({
        "@type": format!("{TYPE}.transport_sockets.tls.v3.UpstreamTlsContext"),
        "commonTlsContext": common,
    });
    if let Some(sni) = &tls.sni {
        context["sni"] = json!(sni.as_str());
    }
    json!({ "name": "envoy.transport_sockets.tls", "typedConfig": context })
}

/// The transport socket that sends a PROXY header first, then does what another does; none: plain text.
///
/// Source: istio `core/cluster_traffic_policy.go:applyUpstreamProxyProtocol`.
pub fn behind_proxy_header(version: ProxyProtocol, socket: Option<Value>) -> Value {
    let config = match version {
        ProxyProtocol::V1 => json!({}), // Envoy's default, which is not printed
        ProxyProtocol::V2 => json!({ "version": "V2" }),
    };
    let plain = || {
        let typed = json!({ "@type": format!("{TYPE}.transport_sockets.raw_buffer.v3.RawBuffer") });
        json!({ "name": "envoy.transport_sockets.raw_buffer", "typedConfig": typed })
    };
    let kind = "transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport";
    json!({
        "name": "envoy.transport_sockets.upstream_proxy_protocol",
        "typedConfig": {
            "@type": format!("{TYPE}.{kind}"),
            "config": config,
            "transportSocket": socket.unwrap_or_else(plain),
        },
    })
}

/// Which names follow the request's host.
pub fn upstream_options(tls: &TlsSpec) -> Map<String, Value> {
    let mut options = Map::new();
    if tls.sni.is_none() {
        options.insert("autoSni".to_owned(), json!(true));
        if tls.subject_alt_names.is_empty() && !tls.skip_verify {
            options.insert("autoSanValidation".to_owned(), json!(true));
        }
    }
    options
}

/// The names to verify, the service's own where the policy has none, and what was revoked.
fn validation(tls: &TlsSpec) -> Value {
    let names = match tls.subject_alt_names.is_empty() {
        true => &tls.service_alt_names,
        false => &tls.subject_alt_names,
    };
    let mut context = Map::new();
    if !names.is_empty() {
        let exact: Vec<Value> = names.iter().map(|name| json!({ "exact": name })).collect();
        context.insert("matchSubjectAltNames".to_owned(), exact.into());
    }
    // A credential's own list comes with its roots.
    if let Some(revoked) = tls.revoked.as_ref().filter(|list| credential(&list.path).is_none()) {
        context.insert("crl".to_owned(), json!({ "filename": revoked.path }));
    }
    Value::Object(context)
}

fn roots(roots: &Roots) -> Value {
    let path = match roots {
        Roots::Web | Roots::System => "system", // Istio's default
        Roots::Pem { path, .. } => path,
    };
    match credential(path) {
        Some(name) => by_name(&format!("{}-cacert", name.trim_end_matches("-cacert"))),
        None => by_file(&format!("file-root:{path}")),
    }
}

fn certificate(identity: &ClientIdentity) -> Value {
    let ClientIdentity { certificate_path, key_path, .. } = identity;
    match credential(certificate_path) {
        Some(name) => by_name(&name),
        None => by_file(&format!("file-cert:{certificate_path}~{key_path}")),
    }
}

/// The credential that a path is an entry of, in Istio's spelling; none: it is a file.
fn credential(path: &str) -> Option<String> {
    let (scheme, entry) = match path.split_once(':')? {
        ("secret", entry) => ("kubernetes", entry),
        ("configmap", entry) => ("configmap", entry),
        _ => return None,
    };
    let name = entry.split('/').nth(1)?;
    Some(format!("{scheme}://{name}"))
}

fn by_name(name: &str) -> Value {
    json!({ "name": name, "sdsConfig": { "ads": {}, "resourceApiVersion": "V3" } })
}

/// Files are served by the agent beside Envoy.
fn by_file(name: &str) -> Value {
    json!({
        "name": name,
        "sdsConfig": {
            "apiConfigSource": {
                "apiType": "GRPC",
                "grpcServices": [{ "envoyGrpc": { "clusterName": "sds-grpc" } }],
                "setNodeOnFirstMessageOnly": true,
                "transportApiVersion": "V3",
            },
            "resourceApiVersion": "V3",
        },
    })
}
