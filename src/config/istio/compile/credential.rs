//! `credentialName`: certificates and keys in a Secret of the gateway's namespace, or roots in a ConfigMap.
//!
//! What is missing fails closed. Source: istio `pilot/pkg/credentials/kube/secrets.go`, whose names of
//! entries these are.

use super::tls::{Fault, Store, fault};
use crate::config::Materials;
use crate::config::credentials::{config_map, pem, secret};
use crate::model::upstream::{ClientIdentity, RevocationList, Roots};

const CERTIFICATE: [&str; 2] = ["tls.crt", "cert"];
const KEY: [&str; 2] = ["tls.key", "key"];
const ROOTS: [&str; 2] = ["ca.crt", "cacert"];
const REVOKED: [&str; 2] = ["ca.crl", "crl"];
/// What follows the name of a Secret that holds the roots alone.
const ROOTS_SUFFIX: &str = "-cacert";

/// A credential by its name.
pub struct Credential<'s> {
    /// What the names of its files begin with: certificate and key stand in the last of these objects,
    /// the roots in any.
    objects: Vec<String>,
    materials: &'s Materials,
}

impl<'s> Credential<'s> {
    /// `NAME` is a Secret, `configmap://NAME` a ConfigMap; both are the gateway's namespace's own.
    ///
    /// Errors: it names another namespace, or nothing that exists.
    pub fn named(written: &str, store: &'s Store<'_>) -> Result<Self, Fault> {
        let (name, is_map) = match written.strip_prefix("configmap://") {
            Some(name) => (name, true),
            None => (written.strip_prefix("kubernetes://").unwrap_or(written), false),
        };
        let name = match name.split_once('/') {
            None => name,
            Some((namespace, name)) if namespace == store.namespace => name,
            Some((namespace, _)) => {
                let message = format!(
                    "\"{written}\" is in namespace {namespace}; a gateway's credentials are in its own, {}",
                    store.namespace
                );
                return Err(fault("EG034", "credentialName", &message, "copy it there"));
            }
        };
        let objects = match is_map {
            true => vec![config_map(store.namespace, name, "")],
            false => vec![
                secret(store.namespace, &format!("{name}{ROOTS_SUFFIX}"), ""),
                secret(store.namespace, name, ""),
            ],
        };
        let exists = |prefix: &String| store.materials.keys().any(|name| name.starts_with(prefix));
        if objects.iter().any(exists) {
            return Ok(Self { objects, materials: store.materials });
        }
        let kind = if is_map { "ConfigMap" } else { "Secret" };
        let message = format!("there is no {kind} {}/{name}", store.namespace);
        Err(fault("EG034", "credentialName", &message, "add it to the configuration"))
    }

    /// The certificate that the gateway shows, with its key.
    pub fn identity(&self) -> Result<ClientIdentity, Fault> {
        let own = &self.objects[self.objects.len() - 1..];
        let wrong = |why: String| fault("EG033", "credentialName", &why, "add tls.crt and tls.key");
        let certificate_path = self.entry(own, CERTIFICATE);
        let key_path = self.entry(own, KEY);
        let certificate = pem(&certificate_path, "CERTIFICATE", self.materials).map_err(wrong)?;
        let key = pem(&key_path, "PRIVATE KEY", self.materials).map_err(wrong)?;
        Ok(ClientIdentity { certificate_path, certificate, key_path, key })
    }

    /// Who is trusted, and who no more.
    pub fn trust(&self) -> Result<(Roots, Option<RevocationList>), Fault> {
        let wrong = |why: String| fault("EG035", "credentialName", &why, "add ca.crt");
        let path = self.entry(&self.objects, ROOTS);
        let roots = pem(&path, "CERTIFICATE", self.materials).map_err(wrong)?;
        let revoked = self.entry(&self.objects, REVOKED);
        let revoked = match self.materials.contains_key(&revoked) {
            true => {
                let list = pem(&revoked, "X509 CRL", self.materials).map_err(wrong)?;
                Some(RevocationList { path: revoked, pem: list })
            }
            false => None,
        };
        Ok((Roots::Pem { path, pem: roots }, revoked))
    }

    /// The first of the entries that exists in any of the objects; else the name that was to be expected.
    fn entry(&self, objects: &[String], keys: [&str; 2]) -> String {
        let names =
            objects.iter().rev().flat_map(|object| keys.map(|key| format!("{object}{key}")));
        let mut names: Vec<String> = names.collect();
        let found = names.iter().position(|name| self.materials.contains_key(name));
        names.swap_remove(found.unwrap_or(0))
    }
}
