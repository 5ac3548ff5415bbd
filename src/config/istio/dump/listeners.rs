//! A listener with its HTTP connection manager.
//!
//! Source: istio `core/gateway.go:buildGatewayConnectionManager`, `core/listener.go:buildGatewayListener`,
//! `core/listener_builder.go:buildHTTPConnectionManager`.

use serde_json::{Value, json};

use super::{TYPE, address, from_istiod};
use crate::model::Listener;

pub fn listener(listener: &Listener) -> Value {
    json!({
        "name": listener.name,
        "address": address(&listener.bind.ip().to_string(), listener.bind.port()),
        "filterChains": [{
            "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typedConfig": connection_manager(listener),
            }],
            "transportSocketConnectTimeout": "15s",
        }],
        "trafficDirection": "OUTBOUND",
        "maxConnectionsToAcceptPerSocketEvent": 1,
    })
}

fn connection_manager(listener: &Listener) -> Value {
    json!({
        "@type": format!("{TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "statPrefix": format!("outbound_{};", listener.name),
        "rds": { "configSource": from_istiod(), "routeConfigName": listener.route_table },
        "httpProtocolOptions": {},
        "serverName": "istio-envoy",
        "useRemoteAddress": true,
        "generateRequestId": true,
        "forwardClientCertDetails": "SANITIZE_SET",
        "setCurrentClientCertDetails": { "subject": true, "cert": true, "dns": true, "uri": true },
        "upgradeConfigs": [{ "upgradeType": "websocket" }],
        "streamIdleTimeout": "0s",
        "normalizePath": true,
        "pathWithEscapedSlashesAction": "KEEP_UNCHANGED",
        "proxy100Continue": true,
        "requestIdExtension": {
            "typedConfig": {
                "@type": format!("{TYPE}.request_id.uuid.v3.UuidRequestIdConfig"),
                "useRequestIdForTraceSampling": true,
            },
        },
    })
}
