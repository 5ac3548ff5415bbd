//! Istio's objects: their shapes, what they mean, and what istiod would have printed of them.
//!
//! The only folder that knows Istio's words. All three API versions are the same messages.

pub mod destination_rule;
pub mod dump;
pub mod gateway;
pub mod service_entry;
pub mod virtual_service;

mod compile;

pub(super) use compile::{compile, referenced_files};

/// The values of enumerations by their numbers, for each field that has one: the shape's name here, the
/// field, the values. Source: istio.io/api networking/v1alpha3.
pub(super) const ENUMERATIONS: [(&str, &str, &[&str]); 8] = [
    ("ClientTls", "mode", &["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"]),
    (
        "LoadBalancer",
        "simple",
        &["UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"],
    ),
    ("HttpSettings", "h2UpgradePolicy", &["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"]),
    ("CorsPolicy", "unmatchedPreflights", &["UNSPECIFIED", "FORWARD", "IGNORE"]),
    ("HttpRedirect", "derivePort", &["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"]),
    ("ProxyProtocol", "version", &["V1", "V2"]),
    ("ServiceEntry", "location", &["MESH_EXTERNAL", "MESH_INTERNAL"]),
    ("ServiceEntry", "resolution", &["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"]),
];

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::destination_rule::ClientTls;
    use super::service_entry::ServiceEntry;
    use super::virtual_service::{DerivePort, HttpRedirect};
    use crate::config::document;
    use crate::config::reading::{Habits, Reading};

    fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
        let (documents, _) = document::parse("t.yaml", text);
        T::deserialize(Reading::of(documents[0].body(), Habits::ProtoJson)).ok()
    }

    #[test]
    fn an_enumerations_value_may_be_its_number() {
        let tls: ClientTls = read("mode: 1").expect("a number");
        assert_eq!(tls.mode.as_deref(), Some("SIMPLE"));
        let entry: ServiceEntry = read("{ resolution: 2, location: 1 }").expect("numbers");
        assert_eq!(entry.resolution.as_deref(), Some("DNS"));
        assert_eq!(entry.location.as_deref(), Some("MESH_INTERNAL"));
        let redirect: HttpRedirect = read("derive_port: 1").expect("a number");
        assert_eq!(redirect.derive_port, Some(DerivePort::RequestPort));
        assert!(read::<ClientTls>("mode: 9").is_none());
    }
}
