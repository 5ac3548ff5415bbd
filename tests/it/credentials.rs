//! Secrets and ConfigMaps as credentials, and revocation lists.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::harness::article::Egress;
use crate::harness::{Gateway, Origin, Setup, Tls, certs};

const HOST: &str = "api.example.com";

/// A Secret of the gateway's namespace, its values in base64.
fn secret(name: &str, entries: &[(&str, &str)]) -> String {
    let entry = |(key, value): &(&str, &str)| format!("  {key}: {}\n", STANDARD.encode(value));
    let entries: String = entries.iter().map(entry).collect();
    format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ndata:\n{entries}")
}

/// A ConfigMap of the gateway's namespace with one entry.
fn config_map(name: &str, key: &str, value: &str) -> String {
    let value = serde_json::to_string(value).expect("a text");
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: istio-system}}\ndata: {{{key}: {value}}}\n"
    )
}

fn gateway(origin: &Origin, tls: &str, objects: &str) -> Gateway {
    let config = Egress::tls(HOST).tls_only(tls).yaml();
    Setup::new(&format!("{config}{objects}")).origin(HOST, 443, origin).start()
}

/// An origin with a certificate of an authority that only a credential can vouch for.
fn strange_origin() -> Origin {
    Origin::with(Tls::showing(certs::stranger().issue(&[HOST])))
}

#[test]
fn a_secret_brings_certificate_key_and_roots() {
    let origin = Origin::with(Tls {
        client_authority: Some(certs::trusted().pem.clone()),
        ..Tls::showing(certs::stranger().issue(&[HOST]))
    });
    let identity = certs::trusted().issue(&["client.example"]);
    let (certificate, key) = (identity.certificate.as_str(), identity.key.as_str());
    let roots = certs::stranger().pem.as_str();
    for secrets in [
        secret("client", &[("tls.crt", certificate), ("tls.key", key), ("ca.crt", roots)]),
        secret("client", &[("cert", certificate), ("key", key), ("cacert", roots)]),
        secret("client", &[("tls.crt", certificate), ("tls.key", key)])
            + &secret("client-cacert", &[("cacert", roots)]),
    ] {
        let gateway = gateway(&origin, "mode: MUTUAL, credentialName: client", &secrets);
        assert_eq!(gateway.get(HOST, "/").status, 200, "{secrets}");
    }
    assert!(origin.seen(|seen| seen.client_certificates.iter().all(|one| *one == identity.der)));
}

#[test]
fn roots_alone_come_from_a_secret_or_a_config_map() {
    let roots = certs::stranger().pem.as_str();
    for (name, objects) in [
        ("trust", secret("trust", &[("ca.crt", roots)])),
        ("trust", secret("trust-cacert", &[("ca.crt", roots)])),
        ("configmap://trust", config_map("trust", "ca.crt", roots)),
    ] {
        let origin = strange_origin();
        let tls = format!("mode: SIMPLE, credentialName: '{name}'");
        let gateway = gateway(&origin, &tls, &objects);
        assert_eq!(gateway.get(HOST, "/").status, 200, "{objects}");
    }
}

#[test]
fn a_credential_that_is_not_usable_fails_closed_and_is_named() {
    let roots = certs::stranger().pem.as_str();
    for (tls, objects, told) in [
        (
            "mode: SIMPLE, credentialName: trust",
            String::new(),
            "there is no Secret istio-system/trust",
        ),
        (
            "mode: SIMPLE, credentialName: other/trust",
            secret("trust", &[("ca.crt", roots)]),
            "is in namespace other",
        ),
        (
            "mode: SIMPLE, credentialName: trust",
            secret("trust", &[("tls.crt", roots)]),
            "secret:istio-system/trust/ca.crt does not exist",
        ),
        (
            "mode: SIMPLE, credentialName: trust",
            secret("trust", &[("ca.crt", "hello")]),
            "has no CERTIFICATE in PEM",
        ),
        (
            "mode: MUTUAL, credentialName: trust",
            secret("trust", &[("ca.crt", roots)]),
            "secret:istio-system/trust/tls.crt does not exist",
        ),
        (
            "mode: SIMPLE, credentialName: trust, caCertificates: system",
            secret("trust", &[("ca.crt", roots)]),
            "exclude each other",
        ),
        (
            "mode: SIMPLE, credentialName: trust, insecureSkipVerify: true",
            secret("trust", &[("ca.crt", roots)]),
            "verification is switched off",
        ),
    ] {
        let origin = strange_origin();
        let gateway = gateway(&origin, tls, &objects);
        gateway.wait_for_log(told);
        let response = gateway.get(HOST, "/");
        assert_eq!(
            (response.status, response.token()),
            (503, "proxy_configuration_error"),
            "{tls}"
        );
        assert_eq!(origin.connections(), 0, "{tls}");
    }
}

#[test]
fn a_secret_that_changes_is_in_force_at_once() {
    let origin = strange_origin();
    let config = Egress::tls(HOST).tls_only("mode: SIMPLE, credentialName: trust").yaml();
    let with = |roots: &str| format!("{config}{}", secret("trust", &[("ca.crt", roots)]));
    let gateway = Setup::new(&with(&certs::trusted().pem)).origin(HOST, 443, &origin).start();
    assert_eq!(gateway.get(HOST, "/").token(), "tls_certificate_error");
    gateway.reconfigure(&with(&certs::stranger().pem));
    assert_eq!(gateway.get(HOST, "/").status, 200);
}

#[test]
fn a_certificate_that_was_taken_back_is_refused() {
    let authority = certs::stranger();
    let (good, bad) = (authority.issue(&[HOST]), authority.issue(&[HOST]));
    let list = authority.revoke(&bad);
    let setup = Setup::new("");
    let (roots, crl) = (setup.material("ca.pem", &authority.pem), setup.material("crl.pem", &list));
    let by_file = format!("mode: SIMPLE, caCertificates: '{roots}', caCrl: '{crl}'");
    let by_secret = secret("trust", &[("ca.crt", &authority.pem), ("ca.crl", &list)]);
    for (tls, objects) in
        [(by_file.as_str(), ""), ("mode: SIMPLE, credentialName: trust", by_secret.as_str())]
    {
        let honest = Origin::with(Tls::showing(good.clone()));
        assert_eq!(gateway(&honest, tls, objects).get(HOST, "/").status, 200, "{tls}");
        let taken_back = Origin::with(Tls::showing(bad.clone()));
        let gateway = gateway(&taken_back, tls, objects);
        let response = gateway.get(HOST, "/revoked");
        assert_eq!((response.status, response.token()), (503, "tls_certificate_error"), "{tls}");
        let line = gateway.access("/revoked");
        let reason = line["upstream_transport_failure_reason"].as_str().unwrap_or_default();
        assert!(reason.to_lowercase().contains("revoked"), "{reason}");
    }
}
