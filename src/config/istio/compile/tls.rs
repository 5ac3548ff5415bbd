//! `ClientTLSSettings` become `Security`; whatever cannot be done fails closed, never in plain text.
//!
//! Source: istio `core/cluster_tls.go` and `pkg/config/validation`. Two things differ on purpose: a
//! server name without alternative names is verified, and missing files never switch TLS off.

use std::sync::Arc;

use super::credential::Credential;
use super::object::Report;
use crate::config::credentials::pem;
use crate::config::istio::destination_rule::ClientTls;
use crate::config::{Materials, Severity, nearest};
use crate::model::upstream::{ClientIdentity, RevocationList, Roots};
use crate::model::{Host, Security, TlsSpec};

/// Where certificates and keys are found.
pub struct Store<'m> {
    pub materials: &'m Materials,
    /// The gateway's own namespace, in which credentials are looked for.
    pub namespace: &'m str,
}

/// What the settings at `path` come to. Each thing that is wrong is reported, and the security broken.
pub fn security(
    tls: &ClientTls,
    path: &str,
    store: &Store<'_>,
    report: &mut Report<'_>,
) -> Security {
    let outcome = match tls.mode.as_deref().unwrap_or("DISABLE") {
        "DISABLE" => return plain(tls, path, report),
        "SIMPLE" => spec(tls, None, store),
        "MUTUAL" => identity(tls, store).and_then(|identity| spec(tls, Some(identity), store)),
        "ISTIO_MUTUAL" => Err(fault(
            "EG083",
            "mode",
            "ISTIO_MUTUAL needs a mesh's certificates; not implemented",
            "use MUTUAL with files",
        )),
        other => {
            let fix = nearest(other, &["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"]);
            Err(fault("EG081", "mode", &format!("\"{other}\" is not a TLS mode"), &fix))
        }
    };
    match outcome {
        Ok(spec) => {
            remarks(tls, &spec, path, report);
            Security::Tls(Arc::new(spec))
        }
        Err(fault) => {
            let field = format!("{path}.{}", fault.field);
            let message = format!("{}; requests fail with 503, never in plain text", fault.message);
            report.fault(fault.code, Severity::Error, &field, message, fault.fix);
            Security::Broken(format!("{} {field}: {}", report.title(), fault.message))
        }
    }
}

/// The files that the settings point at.
pub fn files(tls: &ClientTls) -> Vec<String> {
    let roots = tls.ca_certificates.iter().filter(|path| path.as_str() != "system");
    let paths = [&tls.client_certificate, &tls.private_key, &tls.ca_crl].into_iter().flatten();
    roots.chain(paths).filter(|path| !path.is_empty()).cloned().collect()
}

/// A setting that cannot be carried out.
pub(super) struct Fault {
    code: &'static str,
    field: &'static str,
    message: String,
    fix: String,
}

pub(super) fn fault(code: &'static str, field: &'static str, message: &str, fix: &str) -> Fault {
    Fault { code, field, message: message.to_owned(), fix: fix.to_owned() }
}

fn plain(tls: &ClientTls, path: &str, report: &mut Report<'_>) -> Security {
    if tls.mode.is_none() {
        let message = "tls without a mode means DISABLE: plain text";
        report.tell(
            "EG040",
            Severity::Warning,
            path,
            message,
            "write mode: SIMPLE for TLS, or DISABLE to say so",
        );
    }
    Security::Plain
}

fn spec(
    tls: &ClientTls,
    identity: Option<ClientIdentity>,
    store: &Store<'_>,
) -> Result<TlsSpec, Fault> {
    let skip_verify = tls.insecure_skip_verify.unwrap_or(false);
    let credential = credential(tls, store)?;
    // A credential of a client's own is shown whether or not the origin is verified.
    let verifies_with = present(&tls.ca_certificates).is_some()
        || present(&tls.ca_crl).is_some()
        || !tls.subject_alt_names.is_empty()
        || (credential.is_some() && identity.is_none());
    if skip_verify && verifies_with {
        let message = "verification is switched off, but caCertificates, caCrl, credentialName or subjectAltNames say what to verify";
        return Err(fault("EG032", "insecureSkipVerify", message, "remove one or the other"));
    }
    if tls.subject_alt_names.iter().any(String::is_empty) {
        return Err(fault("EG081", "subjectAltNames", "a name is empty", "remove it"));
    }
    let sni = match present(&tls.sni) {
        None => None,
        Some(name) => {
            Some(Host::parse(name).ok().filter(|host| host.ip().is_none()).ok_or_else(|| {
                fault(
                    "EG037",
                    "sni",
                    &format!("\"{name}\" is not a name that can be sent as SNI"),
                    "write a host name",
                )
            })?)
        }
    };
    let (roots, revoked) = match credential {
        Some(_) if skip_verify => (Roots::Web, None),
        Some(credential) => credential.trust()?,
        None => (roots(tls, store)?, revoked(tls, store)?),
    };
    Ok(TlsSpec {
        sni,
        subject_alt_names: tls.subject_alt_names.clone(),
        service_alt_names: Vec::new(),
        roots,
        revoked,
        identity,
        skip_verify,
    })
}

/// The credential that is named in place of files.
fn credential<'s>(tls: &ClientTls, store: &'s Store<'_>) -> Result<Option<Credential<'s>>, Fault> {
    let Some(name) = present(&tls.credential_name) else { return Ok(None) };
    for (field, given) in [
        ("clientCertificate", &tls.client_certificate),
        ("privateKey", &tls.private_key),
        ("caCertificates", &tls.ca_certificates),
        ("caCrl", &tls.ca_crl),
    ] {
        if present(given).is_some() {
            let message = format!("credentialName and {field} exclude each other");
            return Err(fault("EG033", "credentialName", &message, "keep one of them"));
        }
    }
    Credential::named(name, store).map(Some)
}

fn roots(tls: &ClientTls, store: &Store<'_>) -> Result<Roots, Fault> {
    match present(&tls.ca_certificates) {
        None => Ok(Roots::Web),
        Some("system") => Ok(Roots::System),
        Some(path) => {
            let pem = pem(path, "CERTIFICATE", store.materials).map_err(|why| {
                fault("EG035", "caCertificates", &why, "name a readable PEM file")
            })?;
            Ok(Roots::Pem { path: path.to_owned(), pem })
        }
    }
}

fn revoked(tls: &ClientTls, store: &Store<'_>) -> Result<Option<RevocationList>, Fault> {
    let Some(path) = present(&tls.ca_crl) else { return Ok(None) };
    let pem = pem(path, "X509 CRL", store.materials)
        .map_err(|why| fault("EG035", "caCrl", &why, "name a readable PEM file"))?;
    Ok(Some(RevocationList { path: path.to_owned(), pem }))
}

fn identity(tls: &ClientTls, store: &Store<'_>) -> Result<ClientIdentity, Fault> {
    if let Some(credential) = credential(tls, store)? {
        return credential.identity();
    }
    let Some(certificate_path) = present(&tls.client_certificate) else {
        return Err(fault(
            "EG033",
            "mode",
            "MUTUAL without clientCertificate or credentialName",
            "add clientCertificate and privateKey, or credentialName",
        ));
    };
    let Some(key_path) = present(&tls.private_key) else {
        return Err(fault("EG033", "mode", "MUTUAL without privateKey", "add privateKey"));
    };
    let certificate = pem(certificate_path, "CERTIFICATE", store.materials)
        .map_err(|why| fault("EG033", "clientCertificate", &why, "name a readable PEM file"))?;
    let key = pem(key_path, "PRIVATE KEY", store.materials)
        .map_err(|why| fault("EG033", "privateKey", &why, "name a readable PEM file"))?;
    Ok(ClientIdentity {
        certificate_path: certificate_path.to_owned(),
        certificate,
        key_path: key_path.to_owned(),
        key,
    })
}

/// What is worth saying about settings that work.
fn remarks(tls: &ClientTls, spec: &TlsSpec, path: &str, report: &mut Report<'_>) {
    if spec.skip_verify {
        let message =
            "the certificate is NOT verified; anybody on the way can read and change everything";
        report.tell(
            "EG031",
            Severity::Warning,
            &format!("{path}.insecureSkipVerify"),
            message,
            "remove it; name a private authority in caCertificates",
        );
    } else if let Some(sni) = &spec.sni
        && spec.subject_alt_names.is_empty()
    {
        let message = format!(
            "Istio would accept any certificate from a trusted authority here; this gateway verifies it against {sni}"
        );
        report.tell(
            "EG030",
            Severity::Warning,
            &format!("{path}.sni"),
            message,
            format!("add subjectAltNames: [{sni}] to be explicit"),
        );
    }
    if spec.identity.is_none() && (tls.client_certificate.is_some() || tls.private_key.is_some()) {
        let message = "mode SIMPLE shows no client certificate; the files are not used";
        report.tell("EG033", Severity::Warning, &format!("{path}.mode"), message, "use MUTUAL");
    }
}

/// An empty text is an absent one, as in protobuf.
fn present(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}
