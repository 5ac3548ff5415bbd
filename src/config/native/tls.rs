//! The `tls` field of Egret's own form. Whatever is wrong in it makes the upstream unusable: it fails closed.

use std::sync::Arc;

use super::report::Report;
use super::shapes::Tls;
use super::upstreams::{Reach, Scheme, Url, Written};
use crate::config::Materials;
use crate::config::credentials::pem;
use crate::model::upstream::{ClientIdentity, RevocationList, Roots};
use crate::model::{Host, Security, TlsSpec};

/// The word that stands for each request's own host in `sni`.
pub(super) const SNI_OF_REQUEST: &str = "request";

/// The word that stands for the operating system's roots in `ca`.
pub(super) const CA_OF_SYSTEM: &str = "system";

/// What is wrong: the code, the field inside `tls` (empty: `tls` itself), the message and the fix.
struct Wrong {
    code: &'static str,
    field: &'static str,
    message: String,
    fix: String,
}

/// How connections to an upstream are secured.
pub(super) fn security(
    url: &Url,
    written: &Written<'_>,
    materials: &Materials,
    report: &mut Report<'_>,
) -> Security {
    if written.faults.tls {
        // What exactly has been reported with its place already.
        return Security::Broken("its tls is not understood".to_owned());
    }
    let default = Tls::default();
    let tls = match (&written.rule.tls, url.scheme) {
        (None, Scheme::Http) => return Security::Plain,
        (Some(_), Scheme::Http) => {
            let field = report.field(written.parts, "tls");
            let message = "tls is given, but the destination is http://; requests get 503";
            report.error("EG073", &field, message, "write https:// in to, or remove tls");
            return Security::Broken("tls is given for an http:// destination".to_owned());
        }
        (Some(tls), Scheme::Https) => tls,
        (None, Scheme::Https) => &default,
    };
    if let Some(reason) = &tls.unusable {
        return Security::Broken(reason.clone());
    }
    match build(url, tls, materials) {
        Ok(spec) => {
            if spec.skip_verify {
                let field = report.field(written.parts, "tls.insecureSkipVerify");
                let message = format!(
                    "the certificate of {} is NOT verified (man-in-the-middle possible)",
                    url.target.host
                );
                report.warning("EG031", &field, message, "remove it, or name the issuer with ca");
            }
            Security::Tls(Arc::new(spec))
        }
        Err(wrong) => {
            let field = if wrong.field.is_empty() {
                "tls".to_owned()
            } else {
                format!("tls.{}", wrong.field)
            };
            let field = report.field(written.parts, &field);
            report.error(
                wrong.code,
                &field,
                format!("{}; requests get 503", wrong.message),
                wrong.fix,
            );
            Security::Broken(wrong.message)
        }
    }
}

/// One line for people: how the connection is secured.
pub(super) fn describe(security: &Security) -> String {
    match security {
        Security::Plain => "tls: none, plain text".to_owned(),
        Security::Broken(reason) => format!("tls: unusable: {reason}"),
        Security::Tls(tls) if tls.skip_verify => "tls: not verified".to_owned(),
        Security::Tls(tls) => match (&tls.subject_alt_names[..], &tls.sni) {
            ([], Some(sni)) => format!("tls: verified as {sni}"),
            ([], None) => "tls: verified as the host of each request".to_owned(),
            (names, _) => format!("tls: verified as {}", names.join(" or ")),
        },
    }
}

fn build(url: &Url, tls: &Tls, materials: &Materials) -> Result<TlsSpec, Wrong> {
    let skip_verify = tls.insecure_skip_verify == Some(true);
    if skip_verify
        && (tls.ca.is_some()
            || tls.crl.is_some()
            || tls.subject_alt_names.is_some()
            || tls.service_alt_names.is_some())
    {
        return Err(Wrong {
            code: "EG032",
            field: "insecureSkipVerify",
            message: "verification is switched off and configured at once".to_owned(),
            fix: "remove insecureSkipVerify, or else ca, crl, subjectAltNames and serviceAltNames"
                .to_owned(),
        });
    }
    let sni = match tls.sni.as_deref() {
        None => (url.reach == Reach::One).then(|| url.target.host.clone()),
        Some(SNI_OF_REQUEST) => None,
        Some(name) => Some(Host::parse(name).map_err(|message| Wrong {
            code: "EG081",
            field: "sni",
            message,
            fix: "write a host name, or leave it out for the host of to".to_owned(),
        })?),
    };
    Ok(TlsSpec {
        sni,
        subject_alt_names: names("subjectAltNames", &tls.subject_alt_names)?,
        service_alt_names: names("serviceAltNames", &tls.service_alt_names)?,
        roots: roots(tls, materials)?,
        revoked: revoked(tls, materials)?,
        identity: identity(tls, materials)?,
        skip_verify,
    })
}

fn names(field: &'static str, names: &Option<Vec<String>>) -> Result<Vec<String>, Wrong> {
    match names {
        None => Ok(Vec::new()),
        Some(names) if names.is_empty() || names.iter().any(String::is_empty) => Err(Wrong {
            code: "EG081",
            field,
            message: "it has an empty name, or none".to_owned(),
            fix: "list the names, or leave it out".to_owned(),
        }),
        Some(names) => Ok(names.clone()),
    }
}

fn roots(tls: &Tls, materials: &Materials) -> Result<Roots, Wrong> {
    match tls.ca.as_deref() {
        None => Ok(Roots::Web),
        Some(CA_OF_SYSTEM) => Ok(Roots::System),
        Some(path) => {
            let pem = pem(path, "CERTIFICATE", materials).map_err(|message| Wrong {
                code: "EG035",
                field: "ca",
                message,
                fix: "name a PEM file with the issuer's certificate, or write system".to_owned(),
            })?;
            Ok(Roots::Pem { path: path.to_owned(), pem })
        }
    }
}

fn revoked(tls: &Tls, materials: &Materials) -> Result<Option<RevocationList>, Wrong> {
    let Some(path) = &tls.crl else { return Ok(None) };
    let wrong = |message| Wrong {
        code: "EG035",
        field: "crl",
        message,
        fix: "name a PEM file with the lists of every authority of the chain".to_owned(),
    };
    let pem = pem(path, "X509 CRL", materials).map_err(wrong)?;
    Ok(Some(RevocationList { path: path.clone(), pem }))
}

fn identity(tls: &Tls, materials: &Materials) -> Result<Option<ClientIdentity>, Wrong> {
    let wrong = |field, message: String, fix: &str| Wrong {
        code: "EG033",
        field,
        message,
        fix: fix.to_owned(),
    };
    let (certificate_path, key_path) = match (&tls.certificate, &tls.key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) => {
            return Err(wrong(
                "certificate",
                "a certificate without its key".to_owned(),
                "add key",
            ));
        }
        (None, Some(_)) => {
            return Err(wrong(
                "key",
                "a key without its certificate".to_owned(),
                "add certificate",
            ));
        }
    };
    let fix = "name a PEM file";
    Ok(Some(ClientIdentity {
        certificate_path: certificate_path.clone(),
        certificate: pem(certificate_path, "CERTIFICATE", materials)
            .map_err(|why| wrong("certificate", why, fix))?,
        key_path: key_path.clone(),
        key: pem(key_path, "PRIVATE KEY", materials).map_err(|why| wrong("key", why, fix))?,
    }))
}
