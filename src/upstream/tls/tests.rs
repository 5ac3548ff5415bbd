//! Handshakes with real origins on loopback, through the front door (`connect::open`).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::model::upstream::{ClientIdentity, Roots};
use crate::model::{Addressing, Host, Policy, Security, UpstreamKey, UpstreamSpec};
use crate::upstream::Upstream;
use crate::upstream::connect::{self, Connected, Connector};

/// A certificate authority of one test.
struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    name: String,
}

/// A certificate with its key.
struct Leaf {
    pem: String,
    key: KeyPair,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = format!("CA {}", fastrand::u64(..));
        params.distinguished_name.push(DnType::CommonName, name.clone());
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a CA").pem();
        Self { issuer: Issuer::new(params, key), pem, name }
    }

    fn sign(&self, names: &[&str], adjust: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let names = names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).expect("names");
        adjust(&mut params);
        let key = KeyPair::generate().expect("a key");
        let pem = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Leaf { pem, key }
    }

    fn leaf(&self, names: &[&str]) -> Leaf {
        self.sign(names, |_| {})
    }

    fn roots(&self) -> Roots {
        Roots::Pem { path: "ca.pem".to_owned(), pem: self.pem.as_bytes().into() }
    }

    fn trusted(&self) -> TlsSpec {
        TlsSpec {
            sni: None,
            subject_alt_names: Vec::new(),
            service_alt_names: Vec::new(),
            roots: self.roots(),
            revoked: None,
            identity: None,
            skip_verify: false,
        }
    }

    fn identity(&self) -> ClientIdentity {
        let leaf = self.leaf(&["client"]);
        ClientIdentity {
            certificate_path: "client.pem".to_owned(),
            certificate: leaf.pem.as_bytes().into(),
            key_path: "client.key".to_owned(),
            key: leaf.key.serialize_pem().as_bytes().into(),
        }
    }
}

fn server(leaf: &Leaf, alpn: &[&str], client_ca: Option<&Ca>) -> ServerConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(ca.pem.as_bytes()).expect("pem")).expect("ca");
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                    .build()
                    .expect("roots"),
            )
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(leaf.pem.as_bytes()).expect("pem")];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf.key.serialize_der()));
    let mut config = builder.with_single_cert(chain, key).expect("a key that fits");
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// An origin that says "hello" over TLS, again and again.
pub async fn origin(config: ServerConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut tls = acceptor.accept(tcp).await?;
                tls.write_all(b"hello").await?;
                tls.read_to_end(&mut Vec::new()).await
            });
        }
    });
    address
}

async fn upstream(address: SocketAddr, tls: TlsSpec, protocol: Protocol) -> Arc<Upstream> {
    upstream_of(&TlsContext::new(&[]).expect("no files"), address, tls, protocol)
}

fn upstream_of(
    context: &TlsContext,
    address: SocketAddr,
    tls: TlsSpec,
    protocol: Protocol,
) -> Arc<Upstream> {
    let spec = UpstreamSpec {
        key: UpstreamKey {
            name: "outbound|443||origin.test".to_owned(),
            host: Host::parse("origin.test").expect("valid"),
            port: 443,
            security: Security::Tls(Arc::new(tls)),
            protocol,
            proxy_protocol: None,
        }
        .into(),
        policy: Policy { connect_timeout: Duration::from_secs(5), ..Policy::default() }.into(),
        addressing: Addressing::Static(vec![address]).into(),
    };
    Upstream::new(&spec, context)
}

async fn open(upstream: &Upstream, host: &str, want: Want) -> Result<Connected, Failure> {
    let endpoints = upstream.endpoints.ready().await?;
    let connector = Connector::default();
    connect::open(upstream, &endpoints, 0, host, want, None, &connector).await
}

async fn hello(connected: &mut Connected) -> io::Result<String> {
    let mut bytes = [0; 5];
    connected.stream.read_exact(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A certificate that nobody has signed but its own key.
fn self_signed(names: &[&str], is_ca: IsCa) -> Leaf {
    let names = names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let mut params = CertificateParams::new(names).expect("names");
    params.is_ca = is_ca;
    let key = KeyPair::generate().expect("a key");
    Leaf { pem: params.self_signed(&key).expect("a certificate").pem(), key }
}

/// What came of it, in a form that tables can hold.
fn verdict(outcome: Result<Connected, Failure>) -> String {
    match outcome {
        Ok(_) => "ok".to_owned(),
        Err(failure) => format!("{} {}", failure.row().token, failure.reason()),
    }
}

#[tokio::test]
async fn the_name_is_that_of_the_list_or_of_sni_or_of_the_request() {
    let ca = Ca::new();
    let names = ["www.origin.test", "*.wild.test", "127.0.0.1"];
    let leaf = ca.sign(&names, |params| {
        let uri = "spiffe://cluster.local/ns/a/sa/b".try_into().expect("ascii");
        params.subject_alt_names.push(SanType::URI(uri));
    });
    let address = origin(server(&leaf, &[], None)).await;
    let differs = |expected: &str| {
        format!(
            "tls_certificate_error TLS error: CERTIFICATE_VERIFY_FAILED: verify cert failed: verify SAN list, \
             expected SANs: [{expected}], certificate SANs: [www.origin.test, *.wild.test, 127.0.0.1, \
             spiffe://cluster.local/ns/a/sa/b]|remote_address:{address}"
        )
    };
    // request host, sni, subject alt names, the service's, expected; "" is ok
    for (host, sni, any_of, service, expected) in [
        ("www.origin.test", "", &[][..], &[][..], ""),
        ("a.wild.test", "", &[], &[], ""),
        ("127.0.0.1", "", &[], &[], ""),
        ("origin.test", "", &[], &[], "origin.test"),
        ("a.b.wild.test", "", &[], &[], "a.b.wild.test"),
        ("127.0.0.2", "", &[], &[], "127.0.0.2"),
        ("else.test", "www.origin.test", &[], &[], ""),
        ("www.origin.test", "else.test", &[], &[], "else.test"),
        ("else.test", "", &["no.test", "www.origin.test"], &[], ""),
        ("else.test", "", &["spiffe://cluster.local/ns/a/sa/b"], &[], ""),
        ("else.test", "", &["*.wild.test"], &[], ""),
        ("else.test", "", &["127.0.0.1"], &[], ""),
        ("www.origin.test", "", &["no.test", "*.origin.test"], &[], "no.test, *.origin.test"),
        ("www.origin.test", "www.origin.test", &["no.test"], &[], "no.test"),
        ("www.origin.test", "", &[], &["spiffe://cluster.local/ns/a/sa/b"], ""),
        ("www.origin.test", "", &[], &["spiffe://other"], "spiffe://other"),
        ("else.test", "", &[], &["spiffe://cluster.local/ns/a/sa/b"], "else.test"),
        ("else.test", "", &["www.origin.test"], &["no.test"], "no.test"),
    ] {
        let tls = TlsSpec {
            sni: Host::parse(sni).ok(),
            subject_alt_names: any_of.iter().map(|name| name.to_string()).collect(),
            service_alt_names: service.iter().map(|name| name.to_string()).collect(),
            ..ca.trusted()
        };
        let upstream = upstream(address, tls, Protocol::Negotiate).await;
        let expected = if expected.is_empty() { "ok".to_owned() } else { differs(expected) };
        let case = format!("{host} sni={sni} {any_of:?} {service:?}");
        assert_eq!(verdict(open(&upstream, host, Want::Any).await), expected, "{case}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_good_is_refused_and_the_reason_told() {
    let (ca, stranger) = (Ca::new(), Ca::new());
    let name = ["origin.test"];
    let expired = ca.sign(&name, |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2024, 2, 29);
    });
    let early = ca.sign(&name, |params| params.not_before = date_time_ymd(2999, 12, 31));
    let for_clients = ca.sign(&name, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    for (leaf, expected) in [
        (expired, "certificate has expired on 2024-02-29".to_owned()),
        (early, "certificate is not yet valid, but only from 2999-12-31".to_owned()),
        (
            stranger.leaf(&name),
            format!(
                "unknown issuer \"{}\": the certificate leads to none of the roots in ca.pem",
                stranger.name
            ),
        ),
        (
            self_signed(&name, IsCa::NoCa),
            "self-signed certificate: nobody else vouches for it, and it is none of the roots in ca.pem".to_owned(),
        ),
        (
            self_signed(&name, IsCa::Ca(BasicConstraints::Unconstrained)),
            "self-signed certificate: nobody else vouches for it, and it is none of the roots in ca.pem".to_owned(),
        ),
        (
            for_clients,
            "wrong purpose: it is no certificate for a server (certificate does not allow extended \
             key usage for server authentication, allows client authentication)".to_owned(),
        ),
    ] {
        let address = origin(server(&leaf, &[], None)).await;
        let strict = upstream(address, ca.trusted(), Protocol::Negotiate).await;
        let expected = format!(
            "tls_certificate_error TLS error: CERTIFICATE_VERIFY_FAILED: {expected}|remote_address:{address}"
        );
        assert_eq!(verdict(open(&strict, "origin.test", Want::Any).await), expected);

        let lax = TlsSpec { skip_verify: true, ..ca.trusted() };
        let lax = upstream(address, lax, Protocol::Negotiate).await;
        assert_eq!(verdict(open(&lax, "wrong.test", Want::Any).await), "ok");
    }
}

#[tokio::test]
async fn http_versions_are_negotiated_unless_the_protocol_or_an_upgrade_says_otherwise() {
    let ca = Ca::new();
    let leaf = ca.leaf(&["origin.test"]);
    let both = &["h2", "http/1.1"][..];
    for (offered, protocol, want, expected) in [
        (both, Protocol::Negotiate, Want::Any, "Http2"),
        (both, Protocol::Negotiate, Want::Http1, "Http1"),
        (both, Protocol::Http1, Want::Any, "Http1"),
        (both, Protocol::Http2, Want::Any, "Http2"),
        (both, Protocol::Http2, Want::Http1, "Http1"),
        (&["http/1.1"], Protocol::Negotiate, Want::Any, "Http1"),
        (&[], Protocol::Negotiate, Want::Any, "Http1"),
        (&[], Protocol::Http2, Want::Any, "Http2"),
        (&["h2"], Protocol::Http1, Want::Any, "TLSV1_ALERT_NO_APPLICATION_PROTOCOL"),
    ] {
        let address = origin(server(&leaf, offered, None)).await;
        let upstream = upstream(address, ca.trusted(), protocol).await;
        let got = match open(&upstream, "origin.test", want).await {
            Ok(connected) => format!("{:?}", connected.alpn),
            Err(failure) => failure.reason().to_owned(),
        };
        assert!(got.contains(expected), "{offered:?} {protocol:?} {want:?}: {got}");
    }
}

#[tokio::test]
async fn the_second_handshake_with_a_name_is_resumed_even_for_an_upgrade() {
    let ca = Ca::new();
    let leaf = ca.leaf(&["a.test", "b.test"]);
    let address = origin(server(&leaf, &["h2", "http/1.1"], None)).await;
    let upstream = upstream(address, ca.trusted(), Protocol::Negotiate).await;
    for (host, want, expected) in [
        ("a.test", Want::Any, Handshake::Full),
        ("a.test", Want::Any, Handshake::Resumed),
        ("a.test", Want::Http1, Handshake::Resumed),
        ("b.test", Want::Any, Handshake::Full),
    ] {
        let mut connected = open(&upstream, host, want).await.expect("connected");
        assert_eq!(connected.handshake, Some(expected), "{host} {want:?}");
        assert_eq!(hello(&mut connected).await.expect("read"), "hello"); // tickets come before it
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_who_asks_for_one() {
    let ca = Ca::new();
    let leaf = ca.leaf(&["origin.test"]);
    let address = origin(server(&leaf, &[], Some(&ca))).await;

    let known = TlsSpec { identity: Some(ca.identity()), ..ca.trusted() };
    let known = upstream(address, known, Protocol::Negotiate).await;
    let mut connected = open(&known, "origin.test", Want::Any).await.expect("connected");
    assert_eq!(hello(&mut connected).await.expect("read"), "hello");

    // TLS 1.3 refuses after the client's side of the handshake is done.
    let nobody = upstream(address, ca.trusted(), Protocol::Negotiate).await;
    let mut connected = open(&nobody, "origin.test", Want::Any).await.expect("connected");
    let error = hello(&mut connected).await.expect_err("refused");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(error.to_string().contains("TLSV1_ALERT_CERTIFICATE_REQUIRED"), "{error}");
    assert!(error.to_string().contains("asks for a client certificate"), "{error}");
}

#[tokio::test]
async fn an_unusable_policy_fails_closed_and_names_what_is_wrong() {
    let ca = Ca::new();
    let good = ca.identity();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let bundle = |pem: &[u8]| Roots::Pem { path: "bad.pem".to_owned(), pem: pem.into() };
    let begun = b"-----BEGIN CERTIFICATE-----\nAAAA\n".as_slice();
    for (tls, expected) in [
        (TlsSpec { roots: bundle(b""), ..ca.trusted() }, "bad.pem has no certificate"),
        (TlsSpec { roots: bundle(begun), ..ca.trusted() }, "bad.pem is not PEM"),
        (
            TlsSpec { subject_alt_names: vec!["a b".to_owned()], ..ca.trusted() },
            "\"a b\" is no DNS name, IP address or URI",
        ),
        (
            TlsSpec {
                identity: Some(ClientIdentity { key: ca.identity().key, ..good.clone() }),
                ..ca.trusted()
            },
            "the key in client.key does not belong to the certificate in client.pem",
        ),
        (
            TlsSpec {
                identity: Some(ClientIdentity { key: b"".as_slice().into(), ..good.clone() }),
                ..ca.trusted()
            },
            "client.key has no private key",
        ),
    ] {
        let upstream = upstream(address, tls, Protocol::Negotiate).await;
        assert!(upstream.broken().is_some_and(|reason| reason.contains(expected)), "{expected}");
        let failure = open(&upstream, "origin.test", Want::Any).await.expect_err("closed");
        assert!(matches!(&failure, Failure::Misconfigured(_)), "{failure:?}");
    }
    let untouched = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
    assert!(untouched.is_err(), "nothing may be dialled");
}

/// A ServerHello of TLS 1.0 (RFC 2246, section 7.4.1.3): version, random, no session, a cipher suite, no
/// compression.
const OLD_SERVER_HELLO: &[u8] = b"\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01\
    01234567890123456789012345678901\x00\xc0\x13\x00";

#[tokio::test]
async fn what_is_not_tls_is_called_by_its_name() {
    for (answer, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "WRONG_VERSION_NUMBER"),
        (
            b"\x15\x03\x03\x00\x02\x02\x28",
            "TLSV1_ALERT_HANDSHAKE_FAILURE: the origin ended TLS with \"handshake failure\"",
        ),
        (b"\x15\x03\x03\x00\x02\x02\x70", "TLSV1_ALERT_UNRECOGNIZED_NAME"),
        (
            b"\x15\x03\x01\x00\x02\x02\x46",
            "TLSV1_ALERT_PROTOCOL_VERSION: the origin ended TLS with \"protocol version\"; it speaks neither TLS 1.2 nor 1.3, and older versions are not spoken (EG041)",
        ),
        (b"\x15\x03\x03\x00\x02\x02\x30", "it does not accept the client certificate"),
        (OLD_SERVER_HELLO, "UNSUPPORTED_PROTOCOL: the origin speaks neither TLS 1.2 nor 1.3"),
        (b"", "closed the connection during the TLS handshake"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await?;
            let mut hello = [0; 5];
            tcp.read_exact(&mut hello).await?;
            let mut rest = vec![0; usize::from(u16::from_be_bytes([hello[3], hello[4]]))];
            tcp.read_exact(&mut rest).await?;
            tcp.write_all(answer).await
        });
        let upstream = upstream(address, Ca::new().trusted(), Protocol::Negotiate).await;
        let failure = open(&upstream, "origin.test", Want::Any).await.expect_err("no TLS");
        assert!(matches!(&failure, Failure::Handshake(_)), "{failure:?}");
        assert!(failure.reason().contains(expected), "{failure:?}");
        assert!(failure.reason().contains(&address.to_string()), "{failure:?}");
    }
}

#[tokio::test]
async fn an_origin_that_never_answers_the_hello_is_a_connect_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port"); // accepted by nobody
    let address = listener.local_addr().expect("bound");
    let upstream = upstream(address, Ca::new().trusted(), Protocol::Negotiate).await;
    let policy = Policy { connect_timeout: Duration::from_millis(50), ..Policy::default() };
    upstream.policy.store(Arc::new(policy));
    let failure = open(&upstream, "origin.test", Want::Any).await.expect_err("no answer");
    assert!(matches!(&failure, Failure::ConnectTimeout(_)), "{failure:?}");
    assert!(failure.reason().contains("TLS handshake not done after 50ms"), "{failure:?}");
}

/// Every policy is carried out as if it were alone, whichever of the others came first: what they have in common is
/// shared, and nothing else. The paths of all files are the same, so that only their content tells them apart.
#[tokio::test]
async fn upstreams_of_one_process_keep_to_their_own_policies() {
    let (ca, other, clients) = (Ca::new(), Ca::new(), Ca::new());
    let names = ["origin.test", "listed.test"];
    let asking = server(&ca.leaf(&names), &["h2", "http/1.1"], Some(&clients));
    let origins = [
        origin(server(&ca.leaf(&names), &["h2", "http/1.1"], None)).await,
        origin(server(&other.leaf(&names), &["http/1.1"], None)).await,
        origin(asking).await,
    ];
    let shown = |by: &Ca| TlsSpec { identity: Some(by.identity()), ..ca.trusted() };
    let listed = |name: &str| TlsSpec { subject_alt_names: vec![name.to_owned()], ..ca.trusted() };
    let at_service =
        |name: &str| TlsSpec { service_alt_names: vec![name.to_owned()], ..ca.trusted() };
    let lax = TlsSpec { skip_verify: true, ..ca.trusted() };
    let named = TlsSpec { sni: Host::parse("absent.test").ok(), ..ca.trusted() };
    // What comes of it at each of the origins: the HTTP version, or nothing.
    let policies = [
        (ca.trusted(), Protocol::Negotiate, ["h2", "", ""]),
        (ca.trusted(), Protocol::Http1, ["http1", "", ""]),
        (other.trusted(), Protocol::Negotiate, ["", "http1", ""]),
        (lax, Protocol::Negotiate, ["h2", "http1", ""]),
        (shown(&clients), Protocol::Negotiate, ["h2", "", "h2"]),
        (shown(&other), Protocol::Negotiate, ["h2", "", ""]),
        (listed("listed.test"), Protocol::Negotiate, ["h2", "", ""]),
        (listed("absent.test"), Protocol::Negotiate, ["", "", ""]),
        (at_service("absent.test"), Protocol::Negotiate, ["", "", ""]),
        (named, Protocol::Negotiate, ["", "", ""]),
    ];
    for reversed in [false, true] {
        let context = TlsContext::new(&[]).expect("no files");
        let mut upstreams = Vec::new();
        for (tls, protocol, expected) in &policies {
            for (address, expected) in origins.iter().zip(expected) {
                let upstream = upstream_of(&context, *address, tls.clone(), *protocol);
                upstreams.push((upstream, *expected, tls));
            }
        }
        if reversed {
            upstreams.reverse(); // the other one of two is the first to be called
        }
        for (upstream, expected, tls) in &upstreams {
            let met = match open(upstream, "origin.test", Want::Any).await {
                // Whether an origin takes the certificate shows when it is read from.
                Ok(mut connected) => match (hello(&mut connected).await, connected.alpn) {
                    (Err(_), _) => "",
                    (Ok(_), Alpn::Http2) => "h2",
                    (Ok(_), Alpn::Http1) => "http1",
                },
                Err(_) => "",
            };
            assert_eq!(met, *expected, "{:?} {tls:?}", upstream.addressing());
        }
    }
}

/// Sessions are an upstream's own, whatever it shares with others.
#[tokio::test]
async fn a_ticket_is_offered_by_the_upstream_alone_that_it_was_given_to() {
    let ca = Ca::new();
    let address = origin(server(&ca.leaf(&["origin.test"]), &[], None)).await;
    let context = TlsContext::new(&[]).expect("no files");
    let [one, other] =
        [(), ()].map(|()| upstream_of(&context, address, ca.trusted(), Protocol::Negotiate));
    for (upstream, expected) in
        [(&one, Handshake::Full), (&one, Handshake::Resumed), (&other, Handshake::Full)]
    {
        let mut connected = open(upstream, "origin.test", Want::Any).await.expect("trusted");
        hello(&mut connected).await.expect("it says hello"); // after its tickets
        assert_eq!(connected.handshake, Some(expected));
    }
}

#[test]
fn policies_that_differ_in_names_alone_share_what_is_read() {
    let ca = Ca::new();
    let context = TlsContext::new(&[]).expect("no files");
    let template = |spec: &TlsSpec| context.template(spec).expect("usable");
    let mutual = TlsSpec { identity: Some(ca.identity()), ..ca.trusted() };
    let named = TlsSpec { sni: Host::parse("a.test").ok(), ..mutual.clone() };
    let listed = TlsSpec { subject_alt_names: vec!["b.test".to_owned()], ..mutual.clone() };
    let first = template(&mutual);
    assert!([named, listed].iter().all(|same| Arc::ptr_eq(&template(same), &first)));
    let renewed = TlsSpec { identity: Some(ca.identity()), ..mutual.clone() };
    let lax = TlsSpec { skip_verify: true, ..mutual.clone() };
    for different in [renewed, lax, ca.trusted(), Ca::new().trusted()] {
        assert!(!Arc::ptr_eq(&template(&different), &first), "{different:?}");
    }
}

#[test]
fn roots_are_parsed_once_and_further_ones_leave_a_bundle_alone() {
    let (ca, further) = (Ca::new(), Ca::new());
    let context = TlsContext::new(&[("further.pem".to_owned(), further.pem.clone().into_bytes())])
        .expect("PEM");
    let spec = TlsSpec { roots: Roots::Web, ..ca.trusted() };
    let web = context.verifier(&spec).expect("built in");
    assert!(Arc::ptr_eq(&web, &context.verifier(&spec).expect("built in")));
    let count = |roots| context.root_store(&roots).expect("usable").len();
    assert_eq!(count(Roots::Web), webpki_roots::TLS_SERVER_ROOTS.len() + 1);
    assert_eq!(count(ca.roots()), 1);
    assert!(TlsContext::new(&[("none.pem".to_owned(), Vec::new())]).is_err());
}

#[test]
fn connections_are_told_apart_by_name_unless_it_is_fixed() {
    let ca = Ca::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let listed = TlsSpec { subject_alt_names: vec!["a.test".to_owned()], ..ca.trusted() };
    let fixed = TlsSpec { sni: Host::parse("a.test").ok(), ..ca.trusted() };
    for (tls, expected) in
        [(ca.trusted(), Some("www.test")), (listed, Some("www.test")), (fixed, None)]
    {
        let upstream = runtime.block_on(upstream(address, tls, Protocol::Negotiate));
        assert_eq!(upstream.server_name("www.test"), expected);
    }
}

#[test]
fn files_that_are_not_fit_for_their_purpose_are_found() {
    let (ca, other) = (Ca::new(), Ca::new());
    let context = TlsContext::new(&[]).expect("no files");
    let good = ca.identity();
    let mismatched = ClientIdentity { key: other.identity().key, ..good.clone() };
    let trusting = |spec: TlsSpec, identity: &ClientIdentity| TlsSpec {
        identity: Some(identity.clone()),
        ..spec
    };
    let (early, late) = (60 * 60, 60 * 60 * 24 * 365 * 5_000);
    let now = UnixTime::now().as_secs();
    for (identity, at, told) in [
        (&good, now, &[][..]),
        (&mismatched, now, &["does not belong to the certificate"]),
        (
            &good,
            early,
            &["the certificate in client.pem is not yet valid, but only from", "not yet"],
        ),
        (&good, late, &["the certificate in client.pem has expired on", "has expired on"]),
    ] {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        let found = context.unfit_at(&trusting(ca.trusted(), identity), at);
        let found: Vec<String> = found.into_iter().map(|one| one.why).collect();
        assert_eq!(found.len(), told.len(), "{found:?}");
        for (why, words) in found.iter().zip(told) {
            assert!(why.contains(words), "{why}");
        }
    }
    let empty = Roots::Pem { path: "ca.pem".to_owned(), pem: b"nothing"[..].into() };
    let found = context.unfit_at(&TlsSpec { roots: empty, ..ca.trusted() }, UnixTime::now());
    assert_eq!((found.len(), found[0].purpose), (1, fitness::Purpose::Trust), "{found:?}");
}
