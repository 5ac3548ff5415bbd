//! Configuration that changes under a running gateway: how a change is noticed, and what survives it.

use std::os::unix::fs::symlink;

use crate::harness::article::{ANY_HOST, Egress};
use crate::harness::{Gateway, Origin, Setup, Tls, certs, get, until};

const HOST: &str = "api.example.com";
const NEW: &str = "new.example.com";

/// Serves HOST, and has connections for NEW go to the same origin once it is configured.
fn serving() -> (Gateway, Origin) {
    let origin = Origin::plain();
    let gateway = Setup::new(&Egress::plain(HOST).yaml())
        .origin(HOST, 80, &origin)
        .origin(NEW, 80, &origin)
        .start();
    assert_eq!(gateway.get(NEW, "/").status, 404);
    (gateway, origin)
}

/// HOST and NEW.
fn both() -> String {
    format!("{}---\n{}", Egress::plain(HOST).yaml(), Egress::plain(NEW).objects())
}

fn expect_new(gateway: &Gateway) {
    assert_eq!((gateway.get(NEW, "/").status, gateway.get(HOST, "/").status), (200, 200));
}

#[test]
fn a_plain_write_is_noticed() {
    let (gateway, _origin) = serving();
    gateway.taken_after(|gateway| {
        std::fs::write(gateway.config_dir().join("egress.yaml"), both()).expect("a write")
    });
    until("the new host to be served", || (gateway.get(NEW, "/").status == 200).then_some(()));
    expect_new(&gateway);
}

#[test]
fn rename_and_replace_is_noticed() {
    let (gateway, _origin) = serving();
    gateway.reconfigure(&both());
    expect_new(&gateway);
}

#[test]
fn a_new_file_and_a_removed_one_are_noticed() {
    let (gateway, _origin) = serving();
    gateway
        .taken_after(|gateway| gateway.replace("config/more.yaml", &Egress::plain(NEW).objects()));
    expect_new(&gateway);
    gateway.taken_after(|gateway| {
        std::fs::remove_file(gateway.config_dir().join("more.yaml")).expect("a file")
    });
    assert_eq!(gateway.get(NEW, "/").status, 404);
}

#[test]
fn a_configmap_swap_is_noticed() {
    let origin = Origin::plain();
    let setup = Setup::new("").origin(HOST, 80, &origin).origin(NEW, 80, &origin);
    let dir = setup.config_dir();
    std::fs::remove_file(dir.join("egress.yaml")).expect("the empty one");
    let version = |name: &str, text: &str| {
        std::fs::create_dir(dir.join(name)).expect("a new directory");
        std::fs::write(dir.join(name).join("egress.yaml"), text).expect("a new file");
    };
    // As kubelet lays a ConfigMap out: files link through `..data` into a directory with a time in its name.
    version("..2024_01", &Egress::plain(HOST).yaml());
    symlink("..2024_01", dir.join("..data")).expect("a link");
    symlink("..data/egress.yaml", dir.join("egress.yaml")).expect("a link");
    let gateway = setup.start();
    assert_eq!((gateway.get(HOST, "/").status, gateway.get(NEW, "/").status), (200, 404));
    gateway.taken_after(|_| {
        version("..2024_02", &both());
        symlink("..2024_02", dir.join("..data_tmp")).expect("a link");
        std::fs::rename(dir.join("..data_tmp"), dir.join("..data")).expect("the swap");
        std::fs::remove_dir_all(dir.join("..2024_01")).expect("the old one");
    });
    expect_new(&gateway);
}

#[test]
fn sighup_reloads() {
    let origin = Origin::plain();
    let setup = Setup::new("").origin(HOST, 80, &origin).origin(NEW, 80, &origin);
    // The file itself is out of the sight of whoever watches the configuration's directory.
    let elsewhere = tempfile::tempdir().expect("a directory");
    let file = elsewhere.path().join("egress.yaml");
    std::fs::write(&file, Egress::plain(HOST).yaml()).expect("a file");
    std::fs::remove_file(setup.config_dir().join("egress.yaml")).expect("the empty one");
    symlink(&file, setup.config_dir().join("egress.yaml")).expect("a link");
    let gateway = setup.start();
    gateway.taken_after(|gateway| {
        std::fs::write(&file, both()).expect("a write");
        gateway.signal("HUP");
    });
    expect_new(&gateway);
}

/// Serves HOST; a configuration of so many hosts that it takes a while to compile lies ready, where nobody watches.
fn before_a_large_one() -> (Gateway, Origin, tempfile::TempDir) {
    let origin = Origin::plain();
    let setup = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin);
    let elsewhere = tempfile::tempdir().expect("a directory");
    let file = elsewhere.path().join("many.yaml");
    std::fs::write(&file, "# nothing yet\n").expect("a file");
    symlink(&file, setup.config_dir().join("many.yaml")).expect("a link");
    let gateway = setup.start();
    let hosts: String = (0..100_000).map(|at| format!("  - host-{at}.example.com\n")).collect();
    let many = format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: many}}\nspec:\n  gateways: [egress]\n  http:\n  - route:\n    - destination: {{host: {HOST}, port: {{number: 80}}}}\n  hosts:\n{hosts}"
    );
    std::fs::write(&file, many).expect("a write");
    (gateway, origin, elsewhere)
}

#[test]
fn probes_and_requests_are_answered_while_a_large_configuration_is_compiled() {
    let (gateway, _origin, _elsewhere) = before_a_large_one();
    let mut client = gateway.client();
    gateway.signal("HUP");
    let mut answered = 0;
    until("the large configuration to be in force", || {
        assert_eq!(gateway.health("/healthz/live").status, 200);
        assert_eq!(client.get(HOST, "/").status, 200);
        answered += 1;
        gateway.log_contains("configuration generation 2 in force").then_some(())
    });
    // Of those that had to wait for the compiler, the first one would be the last.
    assert!(answered > 10, "{answered} were answered");
    assert_eq!(client.get("host-99999.example.com", "/").status, 200);
}

#[test]
fn a_large_configuration_that_is_being_compiled_does_not_hold_up_the_end() {
    let (mut gateway, _origin, _elsewhere) = before_a_large_one();
    gateway.signal("HUP");
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit(), 0);
    assert!(gateway.log_contains("stopped: everything under way was finished"));
    assert!(!gateway.log_contains("generation 2"), "it was not waited for");
}

#[test]
fn an_unchanged_upstream_keeps_its_connection() {
    let (gateway, origin) = serving();
    let mut client = gateway.client();
    assert_eq!(client.get(HOST, "/").status, 200);
    gateway.reconfigure(&both());
    assert_eq!(client.get(HOST, "/").status, 200);
    assert_eq!(origin.connections(), 1, "the connection outlived the reload");
    // A policy may change without a new connection either.
    gateway.reconfigure(&Egress::plain(HOST).policy("loadBalancer: {simple: ROUND_ROBIN}").yaml());
    assert_eq!(client.get(HOST, "/").status, 200);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_request_under_way_finishes_on_the_old_configuration() {
    let (gateway, origin) = serving();
    let mut client = gateway.client();
    client.send("GET /hold HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    origin.wait("the request", |seen| (!seen.requests.is_empty()).then_some(()));
    gateway.reconfigure(ANY_HOST);
    assert_eq!(gateway.get(HOST, "/").status, 404);
    origin.release();
    assert_eq!(client.response().text(), "held");
    assert_eq!(client.get(HOST, "/").status, 404, "and the next one meets the new");
}

#[test]
fn a_rotated_client_certificate_is_used() {
    let origin = Origin::with(Tls {
        client_authority: Some(certs::trusted().pem.clone()),
        ..Tls::new(&[HOST])
    });
    let (first, second) =
        (certs::trusted().issue(&["first.example"]), certs::trusted().issue(&["second.example"]));
    let setup = Setup::new("");
    let (certificate, key) = (
        setup.material("client.pem", &first.certificate),
        setup.material("client.key", &first.key),
    );
    let tls = format!("mode: MUTUAL, clientCertificate: '{certificate}', privateKey: '{key}'");
    let gateway = setup
        .config("egress.yaml", &Egress::tls(HOST).tls_only(&tls).yaml())
        .origin(HOST, 443, &origin)
        .start();
    assert_eq!(gateway.get(HOST, "/").status, 200);
    assert_eq!(origin.seen(|seen| seen.client_certificates.last().cloned()), Some(first.der));
    gateway.taken_after(|gateway| {
        gateway.replace("client.key", &second.key);
        gateway.replace("client.pem", &second.certificate);
    });
    until("the new certificate to be shown", || {
        let status = gateway.get(HOST, "/").status; // 503 between the two files, which don't belong together
        (status == 200 && origin.seen(|seen| seen.client_certificates.last() == Some(&second.der)))
            .then_some(())
    });
}

#[test]
fn a_rotated_authority_is_used() {
    let origin = Origin::with(Tls::showing(certs::stranger().issue(&[HOST])));
    let setup = Setup::new("");
    let ca = setup.material("ca.pem", &certs::trusted().pem);
    let config = Egress::tls(HOST).tls_also(&format!("caCertificates: '{ca}'")).yaml();
    let gateway = setup.config("egress.yaml", &config).origin(HOST, 443, &origin).start();
    assert_eq!(gateway.get(HOST, "/").token(), "tls_certificate_error");
    gateway.taken_after(|gateway| gateway.replace("ca.pem", &certs::stranger().pem));
    assert_eq!(gateway.get(HOST, "/").status, 200);
}

#[test]
fn the_last_good_configuration_stays_when_the_new_one_is_unusable_as_a_whole() {
    for unusable in
        ["{{{ this is not YAML", "", "kind: ConfigMap\napiVersion: v1\nmetadata: {name: nothing}\n"]
    {
        let (gateway, _origin) = serving();
        gateway.kept_after(|gateway| gateway.replace("config/egress.yaml", unusable));
        assert_eq!(gateway.get(HOST, "/").status, 200, "{unusable:?}");
        assert_eq!(gateway.health("/healthz/ready").status, 200);
        gateway.reconfigure(&both());
        expect_new(&gateway);
    }
}

#[test]
fn a_mistake_in_one_object_leaves_the_others_in_force() {
    let (gateway, _origin) = serving();
    let broken =
        Egress::plain("broken.example.com").objects().replace("resolution: DNS", "resolution: DSN");
    gateway.reconfigure(&format!("{}---\n{broken}", both()));
    expect_new(&gateway);
    gateway.wait_for_log("spec.resolution");
}

#[test]
fn listeners_come_and_go_while_others_keep_their_socket() {
    let origin = Origin::plain();
    let one = Egress::plain(HOST).yaml();
    let two = one.replacen("    hosts: ['*']\n", "    hosts: ['*']\n  - port: {number: 8080, name: second, protocol: HTTP}\n    hosts: ['*']\n", 1);
    let gateway = Setup::new(&one).ports(&[443, 8080]).origin(HOST, 80, &origin).start();
    let first = gateway.port(443);
    gateway.reconfigure(&two);
    let second = gateway.port(8080);
    assert_eq!(get(second, HOST, "/").status, 200);
    assert_eq!(
        (gateway.port(443), gateway.log_count("for port 443 bound to")),
        (first, 1),
        "bound once"
    );
    gateway.reconfigure(&one);
    until("the listener to be gone", || {
        std::net::TcpStream::connect(second).is_err().then_some(())
    });
    assert_eq!(get(first, HOST, "/").status, 200);
}

#[test]
fn a_listener_can_take_the_address_of_one_that_goes() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let config = |port: u16| {
        format!(
            "listeners:\n- {{port: {port}, bind: '{address}'}}\nroutes:\n- hosts: [api.example.com]\n  to: https://api.example.com\n"
        )
    };
    let gateway = Setup::new(&config(443)).start();
    gateway.reconfigure(&config(8443));
    assert_eq!(gateway.port(8443), address);
    assert_eq!(crate::harness::get(address, "unknown.example", "/").status, 404);
}
