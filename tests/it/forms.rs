//! The forms of configuration besides Istio's: native YAML, `--host` without a file, flags, environment and settings.

use crate::harness::{Origin, Setup, egret};

const HOST: &str = "api.example.com";

#[test]
fn the_native_form_originates_tls() {
    let origin = Origin::tls(&[HOST]);
    let native = "listeners:\n- port: 443\nroutes:\n- hosts: [api.example.com]\n  to: https://api.example.com\n";
    let gateway = Setup::new(native).origin(HOST, 443, &origin).start();
    assert_eq!(gateway.get(HOST, "/politics").text(), "politics");
    assert_eq!(gateway.get("other.example.com", "/").status, 404);
    assert_eq!(origin.seen(|seen| seen.names.clone()), [Some(HOST.to_owned())]);
}

#[test]
fn the_native_form_has_rules_rewrites_headers_and_timeouts() {
    let (first, second) = (Origin::plain(), Origin::plain());
    let native = "\
settings: { drain: 3s }
listeners:
- port: 443
routes:
- hosts: ['*.example.com']
  rules:
  - match: { path: { prefix: /v2/ }, methods: [GET] }
    to: http://second.example.net
    host: rewritten.example.net
    timeout: 200ms
    headers: { request: { set: { x-own: 'yes' } } }
  - to: http://first.example.net
";
    let setup = Setup::new(native).origin("first.example.net", 80, &first).origin(
        "second.example.net",
        80,
        &second,
    );
    let gateway = setup.start();
    assert_eq!(gateway.get(HOST, "/").status, 200);
    assert!(
        first.last_head().contains("api.example.com"),
        "`to` keeps the client's Host: {}",
        first.last_head()
    );
    assert_eq!(gateway.get(HOST, "/v2/politics").status, 200);
    let head = second.last_head().to_lowercase();
    assert!(
        head.contains("host: rewritten.example.net\r\n") && head.contains("x-own: yes\r\n"),
        "{head}"
    );
    assert_eq!(gateway.client().post(HOST, "/v2/politics", "x").status, 200);
    assert_eq!(
        (first.requests().len(), second.requests().len()),
        (2, 1),
        "a POST is for the second rule"
    );
    second.raw("/v2/later", b"");
    assert_eq!(gateway.get(HOST, "/v2/later").status, 503, "an empty answer is none");
}

#[test]
fn native_mistakes_are_placed_and_the_rest_serves() {
    let origin = Origin::plain();
    let native = "routes:\n- hosts: [api.example.com]\n  to: http://api.example.com\n- hosts: [other.example.com]\n  too: http://other.example.com\n";
    let setup = Setup::new(native).origin(HOST, 80, &origin);
    let checked = egret(&["check", "-c", &setup.config_dir().display().to_string()]);
    assert_eq!(checked.code, 1, "{checked:?}");
    assert!(
        checked.out.contains("egress.yaml:5:3: ") && checked.out.contains("routes[1].too"),
        "{}",
        checked.out
    );
    assert_eq!(setup.start().get(HOST, "/").status, 200);
}

#[test]
fn native_tls_fails_closed() {
    let origin = Origin::plain();
    let native = "routes:\n- hosts: [api.example.com]\n  to: https://api.example.com\n  tls: { ca: /nowhere/ca.pem }\n";
    let gateway = Setup::new(native).origin(HOST, 443, &origin).start();
    assert_eq!(gateway.get(HOST, "/").token(), "proxy_configuration_error");
    assert_eq!(origin.connections(), 0);
}

#[test]
fn run_host_needs_no_file() {
    let (own, backend) = (Origin::tls(&[HOST]), Origin::tls(&["backend.example.com"]));
    let gateway = Setup::without_files()
        .flags(&["--host", HOST, "--host", "alias.example.com=https://backend.example.com:8443"])
        .origin(HOST, 443, &own)
        .origin("backend.example.com", 8443, &backend)
        .start();
    assert_eq!(gateway.get(HOST, "/politics").text(), "politics");
    assert_eq!(gateway.get("alias.example.com", "/politics").text(), "politics");
    assert_eq!(backend.seen(|seen| seen.names[0].clone()), Some("backend.example.com".to_owned()));
    assert!(
        backend.last_head().contains("alias.example.com"),
        "the client's Host is kept: {}",
        backend.last_head()
    );
    assert_eq!(gateway.get("unknown.example.com", "/").status, 404);
}

#[test]
fn a_flag_goes_before_the_environment_and_that_before_settings() {
    let native = |settings: &str| {
        format!(
            "settings: {{ {settings} }}\nroutes:\n- hosts: [api.example.com]\n  to: http://api.example.com\n"
        )
    };
    let cases: [(&'static str, Option<&str>, &str, &str); 3] = [
        ("json", Some("text"), "accessLog: text", "{"), // the flag
        ("", Some("json"), "accessLog: text", "{"),     // the environment
        ("", None, "accessLog: json", "{"),             // the file
    ];
    for (flag, variable, settings, begins) in cases {
        let origin = Origin::plain();
        let mut setup = Setup::new(&native(settings)).origin(HOST, 80, &origin);
        if let Some(value) = variable.filter(|_| flag.is_empty()) {
            setup = setup.environment("EGRET_ACCESS_LOG", value);
        } else if let Some(value) = variable {
            setup = setup.environment("EGRET_ACCESS_LOG", value).flags(&["--access-log", flag]);
        }
        let gateway = setup.log_format("").start();
        assert_eq!(gateway.get(HOST, "/which-format").status, 200);
        let line = gateway.wait_for_access("/which-format");
        assert!(line.starts_with(begins), "{flag:?} {variable:?} {settings}: {line}");
    }
}
