//! Configurations of the size that large companies have.
//!
//! Times are for release builds and printed; what fails here is work that grows faster than the input.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use egret::config::{Identity, Materials, compile, document};
use egret::model::Security;

/// 10,000 objects of each kind but one gateway, 20,000 hosts in all.
fn many() -> String {
    let mut text =
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec:\n  \
                    selector: {istio: egressgateway}\n  \
                    servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [\"*\"]}]\n"
            .to_owned();
    for number in 0..10_000 {
        let hosts: Vec<String> =
            (0..2).map(|host| format!("h{host}.n{number}.example.com")).collect();
        let (first, hosts) = (&hosts[0], hosts.join(", "));
        write!(
            text,
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s{number}}}\nspec:\n  \
             hosts: [{hosts}]\n  ports: [{{number: 443, name: https, protocol: HTTPS}}]\n  resolution: DNS\n\
             ---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: d{number}}}\nspec:\n  \
             host: '*.n{number}.example.com'\n  trafficPolicy: {{tls: {{mode: SIMPLE}}}}\n\
             ---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v{number}}}\nspec:\n  \
             hosts: [{hosts}]\n  gateways: [g]\n  \
             http: [{{timeout: 5s, route: [{{destination: {{host: {first}}}}}]}}]\n"
        )
        .expect("a String takes every write");
    }
    text
}

#[test]
fn ten_thousand_objects_of_each_kind_compile() {
    let text = many();
    let start = tokio::time::Instant::now();
    let (documents, problems) = document::parse("many.yaml", &text);
    assert_eq!(problems, []);
    assert_eq!(documents.len(), 30_001);
    let parsed = start.elapsed();
    let compiled = compile(&documents, &Materials::new(), &Identity::default());
    eprintln!("parsed in {parsed:?}, compiled in {:?}", start.elapsed() - parsed);
    assert_eq!(compiled.problems, []);
    assert_eq!(compiled.plan.upstreams.len(), 20_000);
    assert_eq!(compiled.plan.routes.iter().map(|route| route.hosts.len()).sum::<usize>(), 20_000);
    let upstreams = &compiled.plan.upstreams;
    let policies: HashSet<_> = upstreams.iter().map(|one| Arc::as_ptr(&one.policy)).collect();
    assert!(
        policies.len() <= 10_000,
        "the hosts of an object share its policy: {}",
        policies.len()
    );
    let tls = upstreams.iter().filter_map(|one| match &one.key.security {
        Security::Tls(tls) => Some(Arc::as_ptr(tls)),
        Security::Plain | Security::Broken(_) => None,
    });
    assert_eq!(tls.collect::<HashSet<_>>().len(), 1, "all say the same of TLS");
}
