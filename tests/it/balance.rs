//! Which of several endpoints a request goes to: by weight, or by what is hashed.

use std::collections::HashSet;

use crate::harness::article::Egress;
use crate::harness::origin::Scripted::Status;
use crate::harness::{Client, Gateway, Origin, Response, Setup, Tls};

const HOST: &str = "api.example.com";

/// A gateway before origins at addresses of their own, each with what follows its address.
fn group(endpoints: &[&str], balancer: &str, rule: &str) -> (Gateway, Vec<Origin>) {
    let origins = Origin::plain_group(u8::try_from(endpoints.len()).expect("few"));
    let endpoints: String = origins
        .iter()
        .zip(endpoints)
        .map(|(origin, more)| format!("- {{address: {}{more}}}\n", origin.address.ip()))
        .collect();
    let egress = Egress { port: origins[0].port(), ..Egress::plain(HOST) }
        .service(&format!("resolution: STATIC\nendpoints:\n{endpoints}"))
        .policy(&format!("loadBalancer: {{{balancer}}}"))
        .rule(rule);
    (Setup::new(&egress.yaml()).start(), origins)
}

fn ask(client: &mut Client, target: &str, fields: &str) -> Response {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n"));
    client.response()
}

/// The index of the origins that saw a path.
fn seen_by(origins: &[Origin], path: &str) -> Vec<usize> {
    (0..origins.len()).filter(|index| origins[*index].count(path) > 0).collect()
}

#[test]
fn endpoints_get_what_they_count() {
    let (gateway, origins) = group(&["", ", weight: 3"], "simple: ROUND_ROBIN", "");
    let mut client = gateway.client();
    (0..40).for_each(|_| assert_eq!(ask(&mut client, "/w", "").status, 200));
    assert_eq!([origins[0].count("/w"), origins[1].count("/w")], [10, 30]);
}

#[test]
fn endpoints_that_are_equally_new_have_equal_parts() {
    let origins = Origin::plain_group(2);
    let config = |count: usize| {
        let endpoint = |origin: &Origin| format!("- {{address: {}}}\n", origin.address.ip());
        let endpoints: String = origins.iter().take(count).map(endpoint).collect();
        Egress { port: origins[0].port(), ..Egress::plain(HOST) }
            .service(&format!("resolution: STATIC\nendpoints:\n{endpoints}"))
            .policy(
                "loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 1h, minimumPercent: 50}}",
            )
            .yaml()
    };
    let gateway = Setup::new(&config(1)).start();
    let mut client = gateway.client();
    ask(&mut client, "/one", "");
    gateway.reconfigure(&config(2));
    (0..40).for_each(|_| assert_eq!(ask(&mut client, "/w", "").status, 200));
    let counts = [origins[0].count("/w"), origins[1].count("/w")];
    assert!(counts[0].abs_diff(20) <= 2, "{counts:?}");
}

#[test]
fn a_hashed_request_always_goes_to_the_same_endpoint() {
    for (balancer, target, field) in [
        ("consistentHash: {httpHeaderName: X-User}", "", "x-user: "),
        ("consistentHash: {httpQueryParameterName: user}", "?a=b&user=", ""),
        (
            "consistentHash: {httpCookie: {name: user, ttl: 0s}, maglev: {}}",
            "",
            "Cookie: a=b; user=",
        ),
    ] {
        let (gateway, origins) = group(&["", "", ""], balancer, "");
        let mut used = HashSet::new();
        for user in 0..12 {
            let path = format!("/u{user}");
            for _ in 0..3 {
                let key = format!("name-{user}");
                let (target, field) = match (target, field) {
                    ("", field) => (path.clone(), format!("{field}{key}\r\n")),
                    (query, _) => (format!("{path}{query}{key}"), String::new()),
                };
                let response = ask(&mut gateway.client(), &target, &field);
                assert_eq!(response.status, 200);
                assert_eq!(response.field("set-cookie"), None, "it has one");
            }
            let seen = (0..3).filter(|index| {
                origins[*index].requests().iter().any(|one| {
                    one.head
                        .contains(&format!("{path}{}", if target.is_empty() { " " } else { "?" }))
                })
            });
            let seen: Vec<usize> = seen.collect();
            assert_eq!(seen.len(), 1, "{balancer}: {path} went to {seen:?}");
            used.extend(seen);
        }
        assert!(used.len() > 1, "{balancer}: keys are spread");
    }
}

#[test]
fn the_clients_address_decides_whatever_the_connection() {
    let (gateway, origins) = group(&["", "", ""], "consistentHash: {useSourceIp: true}", "");
    (0..9).for_each(|_| assert_eq!(gateway.get(HOST, "/ip").status, 200));
    assert_eq!(seen_by(&origins, "/ip").len(), 1);
}

#[test]
fn a_client_without_the_cookie_is_given_one_that_leads_back() {
    let balancer = "consistentHash: {httpCookie: {name: lane, path: /p, ttl: 60s}}";
    let (gateway, origins) = group(&["", "", "", ""], balancer, "");
    let mut values = HashSet::new();
    for round in 0..6 {
        let (first, again) = (format!("/first{round}"), format!("/again{round}"));
        let given = ask(&mut gateway.client(), &first, "");
        let cookie = given.field("set-cookie").expect("a cookie").to_owned();
        let (pair, rest) = cookie.split_once("; ").expect("attributes");
        assert_eq!(rest, "Max-Age=60; Path=/p; HttpOnly");
        for _ in 0..3 {
            ask(&mut gateway.client(), &again, &format!("Cookie: x=y; {pair}\r\n"));
        }
        assert_eq!(seen_by(&origins, &first), seen_by(&origins, &again), "{pair}");
        values.insert(pair.to_owned());
    }
    assert_eq!(values.len(), 6, "each client has its own");
}

#[test]
fn a_cookie_that_is_given_bears_its_attributes_in_envoys_order() {
    let attributes = "[{name: SameSite, value: Strict}, {name: Secure}, {name: x, value: a b}]";
    let balancer = format!(
        "consistentHash: {{httpCookie: {{name: lane, path: /p, ttl: 60s, attributes: {attributes}}}}}"
    );
    let (gateway, _origins) = group(&["", ""], &balancer, "");
    let given = ask(&mut gateway.client(), "/one", "");
    let cookie = given.field("set-cookie").expect("a cookie");
    let (_, rest) = cookie.split_once("; ").expect("attributes");
    assert_eq!(rest, "Max-Age=60; Path=/p; SameSite=Strict; Secure; x=a b; HttpOnly");
    let again = ask(&mut gateway.client(), "/two", &format!("Cookie: {cookie}\r\n"));
    assert_eq!(again.field("set-cookie"), None);
}

#[test]
fn a_retry_leaves_the_endpoint_that_the_hash_says() {
    let rule = "retries: {attempts: 1, retryOn: 5xx, backoff: 1ms}";
    let (gateway, origins) = group(&["", "", ""], "consistentHash: {httpHeaderName: x-user}", rule);
    let mut client = gateway.client();
    ask(&mut client, "/one", "x-user: ann\r\n");
    let usual = seen_by(&origins, "/one")[0];
    origins[usual].script("/down", &vec![Status(503, "", ""); 20]);
    for _ in 0..10 {
        assert_eq!(ask(&mut client, "/down", "x-user: ann\r\n").status, 200);
    }
    let others: Vec<usize> = (0..3).filter(|index| *index != usual).collect();
    let counts = others.iter().map(|index| origins[*index].count("/down")).collect::<Vec<_>>();
    assert!(
        counts.contains(&10) && counts.contains(&0),
        "its second choice is one too: {counts:?}"
    );
}

#[test]
fn with_the_clients_protocol_each_version_stays_what_it_is() {
    use crate::harness::H2Client;
    use crate::harness::client::h2_request;
    let both = || Tls { alpn: &["h2", "http/1.1"], ..Tls::new(&[HOST]) };
    for (egress, origin) in
        [(Egress::plain(HOST), Origin::plain()), (Egress::tls(HOST), Origin::with(both()))]
    {
        let egress = egress.policy("connectionPool: {http: {useClientProtocol: true}}");
        let gateway = Setup::new(&egress.yaml())
            .origin(HOST, egress.port, &origin)
            .flags(&["--workers", "1"])
            .start();
        let client = H2Client::connect(gateway.port(443));
        for _ in 0..2 {
            assert_eq!(gateway.get(HOST, "/h1").status, 200);
            assert_eq!(client.request(h2_request("GET", HOST, "/h2", &[]), "").status, 200);
        }
        let seen: Vec<bool> =
            origin.requests().iter().map(|one| one.head.contains("/h2 HTTP/2")).collect();
        assert_eq!(seen, [false, true, false, true], "{:?}", origin.requests());
        assert_eq!(origin.connections(), 2);
    }
}
