//! TLS origination: modes, names, trust, identities, versions, protocols, resumption; and that it fails closed.

use tokio_rustls::rustls::SupportedProtocolVersion;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::harness::article::Egress;
use crate::harness::client::h2_request;
use crate::harness::{Gateway, H2Client, Origin, Setup, Tls, certs};

const HOST: &str = "api.example.com";

static EACH_VERSION: [&[&SupportedProtocolVersion]; 2] = [&[&TLS12], &[&TLS13]];

fn before(origin: &Origin, egress: &Egress) -> Gateway {
    Setup::new(&egress.yaml()).origin(HOST, egress.port, origin).start()
}

/// Expects a request to fail with this token, telling the client nothing else, and the log to have these words.
fn expect_failure(gateway: &Gateway, token: &str, words: &[&str]) {
    let response = gateway.get(HOST, "/secret");
    assert_eq!((response.status, response.token()), (503, token), "{}", response.head);
    let line = gateway.access("/secret");
    let reason = line["upstream_transport_failure_reason"].as_str().unwrap_or_default().to_owned();
    for word in words {
        // The access log writes blanks as `_`, as Envoy does.
        assert!(reason.contains(&word.replace(' ', "_")), "{word} is not in the reason: {reason}");
        let told = response.head.clone() + &response.text();
        assert!(!told.contains(word), "the client is told {word}: {told}");
    }
}

#[test]
fn simple_verifies_and_sends_the_host_as_sni() {
    let origin = Origin::tls(&[HOST]);
    let gateway = before(&origin, &Egress::tls(HOST));
    assert_eq!(gateway.get(HOST, "/").status, 200);
    assert_eq!(origin.seen(|seen| seen.names.clone()), [Some(HOST.to_owned())]);
    assert!(!gateway.log_contains("NOT verified") && !gateway.log_contains("WITHOUT TLS"));
}

#[test]
fn disable_speaks_plain_text() {
    let origin = Origin::plain();
    let gateway = before(&origin, &Egress::tls(HOST).tls_only("mode: DISABLE"));
    assert_eq!(gateway.get(HOST, "/").status, 200);
}

#[test]
fn each_unacceptable_certificate_is_refused_and_named_in_the_log_only() {
    let trusted = certs::trusted();
    let cases = [
        (trusted.issue(&["wrong.example.com"]), ["CERTIFICATE_VERIFY_FAILED", "wrong.example.com"]),
        (trusted.issue_expired(&[HOST]), ["CERTIFICATE_VERIFY_FAILED", "certificate has expired"]),
        (certs::stranger().issue(&[HOST]), ["CERTIFICATE_VERIFY_FAILED", "issuer"]),
    ];
    for (certificate, words) in cases {
        let origin = Origin::with(Tls::showing(certificate));
        let gateway = before(&origin, &Egress::tls(HOST));
        expect_failure(&gateway, "tls_certificate_error", &words);
        assert_eq!(
            gateway.access("/secret")["response_flags"].as_str().map(|flags| flags.contains("UF")),
            Some(true)
        );
        assert!(origin.requests().is_empty(), "not a byte of the request went out");
    }
}

#[test]
fn an_origin_that_speaks_plain_http_on_the_tls_port_is_named() {
    let origin = Origin::plain();
    let gateway = before(&origin, &Egress::tls(HOST));
    expect_failure(&gateway, "tls_protocol_error", &["WRONG_VERSION_NUMBER"]);
}

#[test]
fn an_origin_that_refuses_the_connection_is_named() {
    let gone = Origin::plain();
    let egress = Egress::tls(HOST);
    let setup = Setup::new(&egress.yaml()).origin(HOST, 443, &gone);
    drop(gone);
    expect_failure(&setup.start(), "connection_refused", &["Connection refused"]);
}

#[test]
fn subject_alt_names_replace_the_host_in_the_check() {
    let origin = Origin::tls(&["backend.example.net"]);
    let gateway = before(
        &origin,
        &Egress::tls(HOST).tls_also("subjectAltNames: [other.example.net, backend.example.net]"),
    );
    assert_eq!(gateway.get(HOST, "/").status, 200);
    assert_eq!(
        origin.seen(|seen| seen.names[0].clone()),
        Some(HOST.to_owned()),
        "SNI stays the host"
    );
    let gateway = before(
        &origin,
        &Egress::tls(HOST).tls_also("subjectAltNames: [api.example.com, other.example.net]"),
    );
    expect_failure(
        &gateway,
        "tls_certificate_error",
        &["CERTIFICATE_VERIFY_FAILED", "backend.example.net"],
    );
}

#[test]
fn sni_is_sent_and_checked_when_no_alt_names_are_given() {
    let origin = Origin::tls(&["backend.example.net"]);
    let gateway = before(&origin, &Egress::tls(HOST).tls_also("sni: backend.example.net"));
    assert_eq!(gateway.get(HOST, "/").status, 200);
    assert_eq!(origin.seen(|seen| seen.names[0].clone()), Some("backend.example.net".to_owned()));
    let only_host = Origin::tls(&[HOST]);
    let gateway = before(&only_host, &Egress::tls(HOST).tls_also("sni: backend.example.net"));
    expect_failure(&gateway, "tls_certificate_error", &["CERTIFICATE_VERIFY_FAILED"]);
}

#[test]
fn alt_names_of_the_service_are_required_besides() {
    let origin = Origin::tls(&[HOST]);
    let service = "resolution: DNS\nsubjectAltNames: [must.example.net]";
    let gateway = before(&origin, &Egress::tls(HOST).service(service));
    expect_failure(&gateway, "tls_certificate_error", &["must.example.net"]);
    let both = Origin::tls(&[HOST, "must.example.net"]);
    assert_eq!(before(&both, &Egress::tls(HOST).service(service)).get(HOST, "/").status, 200);
}

#[test]
fn the_rewritten_host_is_what_is_checked() {
    let origin = Origin::tls(&["real.example.net"]);
    let gateway =
        before(&origin, &Egress::tls(HOST).rule("rewrite: {authority: real.example.net}"));
    assert_eq!(gateway.get(HOST, "/").status, 200);
    assert_eq!(origin.seen(|seen| seen.names[0].clone()), Some("real.example.net".to_owned()));
}

#[test]
fn each_name_under_a_wildcard_is_checked_and_never_shares_a_connection() {
    let origin = Origin::tls(&["en.wiki.example", "de.wiki.example"]);
    // `*.wiki.example` is routed onto the one service www.wiki.example.
    let yaml = Egress::tls("www.wiki.example").yaml().replacen(
        "hosts: ['www.wiki.example']\n  gateways",
        "hosts: ['*.wiki.example']\n  gateways",
        1,
    );
    let gateway = Setup::new(&yaml).origin("www.wiki.example", 443, &origin).start();
    let mut client = gateway.client();
    for (host, status) in [
        ("en.wiki.example", 200),
        ("de.wiki.example", 200),
        ("en.wiki.example", 200),
        ("fr.wiki.example", 503),
    ] {
        assert_eq!(client.get(host, "/").status, status, "{host}");
    }
    let of = |host: &str| {
        origin
            .requests()
            .into_iter()
            .filter(|request| request.head.contains(host))
            .map(|request| request.connection)
            .collect::<Vec<_>>()
    };
    assert!(
        of("en.wiki").iter().all(|connection| !of("de.wiki").contains(connection)),
        "one connection for two names"
    );
}

#[test]
fn insecure_skip_verify_connects_and_is_warned_about_at_every_start() {
    let origin = Origin::with(Tls::showing(certs::stranger().issue_expired(&["wrong.example"])));
    let gateway = before(&origin, &Egress::tls(HOST).tls_also("insecureSkipVerify: true"));
    assert_eq!(gateway.get(HOST, "/").status, 200);
    let warned = gateway.wait_for_log("NOT verified");
    assert!(
        warned.contains("DestinationRule/") && warned.contains("insecureSkipVerify"),
        "{warned}"
    );
}

#[test]
fn ca_certificates_replace_the_web_roots() {
    let origin = Origin::with(Tls::showing(certs::stranger().issue(&[HOST])));
    let egress = Egress::tls(HOST);
    let setup = Setup::new("");
    let ca = setup.material("stranger.pem", &certs::stranger().pem);
    let gateway = setup
        .config("egress.yaml", &egress.tls_also(&format!("caCertificates: '{ca}'")).yaml())
        .origin(HOST, 443, &origin)
        .start();
    assert_eq!(gateway.get(HOST, "/").status, 200);
}

#[test]
fn mutual_shows_the_client_certificate() {
    let origin = Origin::with(Tls {
        client_authority: Some(certs::trusted().pem.clone()),
        ..Tls::new(&[HOST])
    });
    let identity = certs::trusted().issue(&["client.example"]);
    let setup = Setup::new("");
    let (certificate, key) = (
        setup.material("client.pem", &identity.certificate),
        setup.material("client.key", &identity.key),
    );
    let tls = format!("mode: MUTUAL, clientCertificate: '{certificate}', privateKey: '{key}'");
    let gateway = setup
        .config("egress.yaml", &Egress::tls(HOST).tls_only(&tls).yaml())
        .origin(HOST, 443, &origin)
        .start();
    assert_eq!(gateway.get(HOST, "/").status, 200);
    assert_eq!(origin.seen(|seen| seen.client_certificates[0].clone()), identity.der);
    let without = before(&origin, &Egress::tls(HOST));
    let response = without.get(HOST, "/");
    assert_eq!(response.status, 503, "the origin insists on a certificate");
}

#[test]
fn an_unusable_tls_policy_fails_closed() {
    let identity = certs::trusted().issue(&["client.example"]);
    let other = certs::trusted().issue(&["other.example"]);
    let setup = Setup::new("");
    let (certificate, key) = (
        setup.material("client.pem", &identity.certificate),
        setup.material("other.key", &other.key),
    );
    let cases = [
        "mode: MUTUAL".to_owned(),
        "mode: simple".to_owned(),
        "mode: ISTIO_MUTUAL".to_owned(),
        "mode: SIMPLE, credentialName: not-there".to_owned(),
        "mode: SIMPLE, caCertificates: /nowhere/ca.pem".to_owned(),
        format!("mode: SIMPLE, caCertificates: '{key}'"),
        format!("mode: MUTUAL, clientCertificate: '{certificate}', privateKey: '{key}'"),
        "mode: SIMPLE, sni: 'not a name'".to_owned(),
    ];
    for tls in cases {
        let origin = Origin::plain();
        let gateway = before(&origin, &Egress::tls(HOST).tls_only(&tls));
        let response = gateway.get(HOST, "/");
        assert_eq!(
            (response.status, response.token()),
            (503, "proxy_configuration_error"),
            "{tls}"
        );
        assert_eq!(origin.connections(), 0, "{tls}: nothing is sent in plain text");
    }
}

#[test]
fn both_versions_of_tls_are_spoken() {
    for versions in EACH_VERSION {
        let origin = Origin::with(Tls { versions, ..Tls::new(&[HOST]) });
        assert_eq!(before(&origin, &Egress::tls(HOST)).get(HOST, "/").status, 200, "{versions:?}");
    }
}

#[test]
fn the_negotiated_protocol_is_used() {
    for (alpn, negotiated, version) in [
        (["h2", "http/1.1"].as_slice(), "h2", "HTTP/2"),
        (["http/1.1"].as_slice(), "http/1.1", "HTTP/1.1"),
        ([].as_slice(), "", "HTTP/1.1"),
    ] {
        let origin = Origin::with(Tls { alpn, ..Tls::new(&[HOST]) });
        let gateway = before(&origin, &Egress::tls(HOST));
        let response = gateway.get(HOST, "/politics");
        assert_eq!((response.status, response.text().as_str()), (200, "politics"), "{negotiated}");
        assert_eq!(origin.seen(|seen| seen.protocols.clone()), [negotiated]);
        assert!(origin.last_head().contains(version), "{}", origin.last_head());
    }
}

#[test]
fn a_second_connection_resumes_the_session() {
    for versions in EACH_VERSION {
        let origin = Origin::with(Tls { versions, ..Tls::new(&[HOST]) });
        let gateway = before(&origin, &Egress::tls(HOST));
        for _ in 0..4 {
            // The origin ends the connection after these, so that the next request needs another.
            assert_eq!(gateway.get(HOST, "/until-close").status, 200);
        }
        assert_eq!(origin.seen(|seen| (seen.full, seen.resumed)), (1, 3), "{versions:?}");
        assert_eq!(gateway.metric("egret_handshakes_total", &["kind=\"resumed\""]), 3.0);
        assert_eq!(gateway.metric("egret_handshakes_total", &["kind=\"full\""]), 1.0);
    }
}

#[test]
fn grpc_clients_get_a_tls_failure_as_a_grpc_status() {
    let origin = Origin::with(Tls::showing(certs::stranger().issue(&[HOST])));
    let gateway = before(&origin, &Egress::tls(HOST));
    let client = H2Client::connect(gateway.port(443));
    let response = client.request(
        h2_request(
            "POST",
            HOST,
            "/s/m",
            &[("content-type", "application/grpc"), ("te", "trailers")],
        ),
        "m",
    );
    assert_eq!(
        (response.status, response.fields["grpc-status"].as_bytes()),
        (200, b"14".as_slice())
    );
    assert!(
        response.fields["proxy-status"]
            .to_str()
            .is_ok_and(|status| status.contains("error=tls_certificate_error"))
    );
}

#[test]
fn a_client_certificate_that_is_missed_after_the_handshake_is_named() {
    for alpn in ["http/1.1", "h2"] {
        let origin = Origin::with(Tls {
            client_authority: Some(certs::trusted().pem.clone()),
            versions: EACH_VERSION[1],
            alpn: if alpn == "h2" { &["h2"] } else { &["http/1.1"] },
            ..Tls::new(&[HOST])
        });
        let gateway = before(&origin, &Egress::tls(HOST));
        let words = ["TLSV1_ALERT_CERTIFICATE_REQUIRED", "it asks for a client certificate"];
        expect_failure(&gateway, "tls_protocol_error", &words);
        // Over HTTP/2 it may be heard before the request is sent, which is tried again then.
        let flags = &gateway.access("/secret")["response_flags"];
        assert!(flags == "UF" || flags == "URX,UF", "{alpn}: {flags}");
    }
}
