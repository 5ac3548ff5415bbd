//! Gateways: servers that share a port, hosts by namespace, and what is said of servers that are not opened.

use crate::harness::{Setup, egret, get};

const HOST: &str = "api.example.com";

/// A Gateway of namespace `gates` with these servers, and a VirtualService of namespace `team`.
fn config(servers: &str) -> String {
    let servers: String = servers.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: egress, namespace: gates}}\nspec:\n  selector: {{istio: egressgateway}}\n  servers:\n{servers}---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: one, namespace: team}}\nspec:\n  hosts: [{HOST}]\n  gateways: [gates/egress]\n  http: [{{directResponse: {{status: 201}}}}]\n"
    )
}

const HTTP: &str = "port: {number: 443, name: http, protocol: HTTP}";

fn check(config: &str) -> String {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("egret.yaml");
    std::fs::write(&file, config).expect("written");
    egret(&["check", "-c", file.to_str().expect("UTF-8")]).out
}

#[test]
fn hosts_are_admitted_by_the_namespace_that_binds_to_them() {
    for (host, status) in [
        ("'*'", 201),
        ("'*/*'", 201),
        ("team/api.example.com", 201),
        ("'team/*.example.com'", 201),
        ("'*/api.example.com'", 201),
        ("./api.example.com", 404),
        ("other/api.example.com", 404),
        ("'*.example.org'", 404),
    ] {
        let gateway = Setup::new(&config(&format!("- {{{HTTP}, hosts: [{host}]}}"))).start();
        assert_eq!(gateway.get(HOST, "/").status, status, "{host}");
    }
}

#[test]
fn servers_of_one_port_share_it_and_others_have_their_own() {
    let servers = format!(
        "- {{{HTTP}, hosts: [a.example.com]}}\n- {{{HTTP}, hosts: [{HOST}]}}\n- {{port: {{number: 8080, name: other, protocol: grpc}}, hosts: [{HOST}]}}\n- {{port: {{number: 9090, name: third, protocol: http2}}, hosts: [a.example.com]}}"
    );
    let gateway = Setup::new(&config(&servers)).ports(&[443, 8080, 9090]).start();
    for (port, status) in [(443, 201), (8080, 201), (9090, 404)] {
        assert_eq!(get(gateway.port(port), HOST, "/").status, status, "{port}");
    }
}

#[test]
fn a_server_that_is_not_for_http_is_told_with_each_of_its_fields() {
    for (server, words) in [
        (
            "port: {number: 8443, name: tls, protocol: https}, hosts: ['*'], tls: {mode: MUTUAL, credentialName: c, minProtocolVersion: TLSV1_2}",
            &[
                "spec.servers[1].port.protocol",
                "spec.servers[1].tls.mode",
                "spec.servers[1].tls.credentialName",
                "spec.servers[1].tls.minProtocolVersion",
                "EG083",
            ][..],
        ),
        (
            "port: {number: 443, name: tls, protocol: TLS}, hosts: ['*'], tls: {mode: PASSTHROUGH}",
            &["EG016", "dropped: port 443 already has protocol HTTP from gates/egress"],
        ),
        (
            "port: {number: 8443, name: tls, protocol: TLS}, hosts: ['*'], tls: {mod: PASSTHROUGH}",
            &["EG075", "spec.servers[1].tls.mod", "did you mean \"mode\"?"],
        ),
        (
            "port: {number: 9000, name: tcp, protocol: TCP}, hosts: ['*']",
            &["TCP servers: port 9000 is not opened"],
        ),
    ] {
        let told = check(&config(&format!("- {{{HTTP}, hosts: ['*']}}\n- {{{server}}}")));
        for word in words {
            assert!(told.contains(word), "{word:?} is missing in {told}");
        }
    }
}

#[test]
fn a_server_may_send_its_clients_to_https() {
    let servers = format!(
        "- {{{HTTP}, hosts: [{HOST}], tls: {{httpsRedirect: true}}}}\n- {{{HTTP}, hosts: [other.example.com]}}"
    );
    let config = config(&servers).replace(
        &format!("hosts: [{HOST}]\n  gateways"),
        &format!("hosts: [{HOST}, other.example.com]\n  gateways"),
    );
    let gateway = Setup::new(&config).start();
    let response = gateway.get(HOST, "/x?y");
    assert_eq!(
        (response.status, response.field("location")),
        (301, Some("https://api.example.com/x?y"))
    );
    assert_eq!(gateway.get("other.example.com", "/").status, 201);
    assert!(check(&config).contains("EG097"));
}
