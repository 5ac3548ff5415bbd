//! Files that are there and cannot serve: `egret check` reads them as the gateway would.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

use crate::check;

/// A certificate and its key, valid in these years.
fn issued(directory: &Path, name: &str, (from, to): (i32, i32), is_ca: IsCa) {
    let mut params = CertificateParams::new(vec!["client.example.com".to_owned()]).expect("a name");
    params.is_ca = is_ca;
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 2), date_time_ymd(to, 1, 2));
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    fs::write(directory.join(format!("{name}.pem")), certificate.pem()).expect("written");
    fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).expect("written");
}

/// A gateway whose only policy has these TLS settings, a line each.
fn configuration(tls: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: g}}\nspec:\n  \
         selector: {{istio: egressgateway}}\n  \
         servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: [\"*\"]}}]\n\
         ---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s}}\nspec:\n  \
         hosts: [a.com]\n  ports: [{{number: 443, name: https, protocol: HTTPS}}]\n  resolution: DNS\n\
         ---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: d}}\nspec:\n  \
         host: a.com\n  trafficPolicy:\n    tls:\n{tls}"
    )
}

#[test]
fn keys_that_do_not_fit_and_certificates_out_of_date_are_told_at_their_field() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    let ca = || IsCa::Ca(BasicConstraints::Unconstrained);
    issued(root, "good", (2020, 4000), IsCa::NoCa);
    issued(root, "other", (2020, 4000), IsCa::NoCa);
    issued(root, "old", (2001, 2002), IsCa::NoCa);
    issued(root, "early", (3000, 4000), IsCa::NoCa);
    issued(root, "ca", (2020, 4000), ca());
    issued(root, "old-ca", (2001, 2002), ca());
    fs::write(root.join("words.pem"), "no certificate").expect("written");
    let file = |name: &str| root.join(name).display().to_string();
    // certificate, key and roots; the problem's severity and code, its field, what it says
    let cases: [([&str; 3], Option<[&str; 3]>); 7] = [
        (["good.pem", "good.key", "ca.pem"], None),
        (
            ["good.pem", "other.key", "ca.pem"],
            Some(["error EG033", "tls.privateKey", "does not belong to the certificate"]),
        ),
        (
            ["old.pem", "old.key", "ca.pem"],
            Some(["error EG033", "tls.clientCertificate", "has expired on 2002-01-02"]),
        ),
        (
            ["early.pem", "early.key", "ca.pem"],
            Some([
                "error EG033",
                "tls.clientCertificate",
                "is not yet valid, but only from 3000-01-02",
            ]),
        ),
        (
            ["good.pem", "good.key", "old-ca.pem"],
            Some(["warning EG035", "tls.caCertificates", "has expired on 2002-01-02"]),
        ),
        (
            ["good.pem", "good.key", "words.pem"],
            Some(["error EG035", "tls.caCertificates", "has no CERTIFICATE in PEM"]),
        ),
        (
            ["good.pem", "good.key", "none.pem"],
            Some(["error EG035", "tls.caCertificates", "cannot be read"]),
        ),
    ];
    for ([certificate, key, roots], told) in cases {
        let tls = format!(
            "      mode: MUTUAL\n      clientCertificate: {}\n      privateKey: {}\n      caCertificates: {}\n",
            file(certificate),
            file(key),
            file(roots)
        );
        let path = root.join("config.yaml");
        fs::write(&path, configuration(&tls)).expect("written");
        let (out, exit) = check(&path, &[]);
        let Some(parts) = told else {
            assert!(exit == 0 && !out.contains("EG03"), "{out}");
            continue;
        };
        assert_eq!(exit, i32::from(parts[0].starts_with("error")), "{out}");
        let named = |line: &str| parts.iter().all(|part| line.contains(part));
        let line =
            out.lines().find(|line| named(line)).unwrap_or_else(|| panic!("{parts:?}: {out}"));
        let field = parts[1].rsplit('.').next().unwrap_or_default();
        let at = configuration(&tls).lines().position(|line| line.contains(field)).expect("there");
        assert!(line.starts_with(&format!("{}:{}:", path.display(), at + 1)), "{line}");
    }
}
