//! The article with one mistake at a time: `egret check` names the field that is to blame, with its line,
//! and so does `egret explain` of a request that comes to grief by it.

use std::fmt::Write;
use std::fs;

use crate::{check, run};

const FILES: [&str; 5] = [
    "service-entry",
    "gateway",
    "destination-rule-gateway",
    "virtual-service",
    "destination-rule-tls",
];

/// A mistake: the file, what stands there, what is written instead, the code and the field that are told, and
/// a piece of the line that is to blame.
struct Mistake {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    code: &'static str,
    field: &'static str,
    line: &'static str,
}

const fn mistake(
    file: &'static str,
    [from, to]: [&'static str; 2],
    code: &'static str,
    field: &'static str,
    line: &'static str,
) -> Mistake {
    Mistake { file, from, to, code, field, line }
}

const TLS: &str = "destination-rule-tls";
const ROUTES: &str = "virtual-service";
const SERVICE: &str = "service-entry";
const GATEWAY: &str = "gateway";
const MODE: &str = "mode: SIMPLE";
const POLICY: &str = "spec.trafficPolicy.portLevelSettings[0].tls";
const ROUTED: &str = "        host: edition.cnn.com\n        port:\n          number: 443";

#[rustfmt::skip] // a table reads best as one
const MISTAKES: [Mistake; 36] = [
    // TLS that is not what was meant
    mistake(TLS, [MODE, "mode: SIMPEL"], "EG081", "tls.mode: \"SIMPEL\" is not a TLS mode", "SIMPEL"),
    mistake(TLS, [MODE, "mode: simple"], "EG081", "did you mean \"SIMPLE\"?", "mode: simple"),
    mistake(TLS, ["portLevelSettings", "portLevelSetting"], "EG075", "spec.trafficPolicy.portLevelSetting: ", "portLevelSetting:"),
    mistake(TLS, ["  trafficPolicy:", "trafficPolicy:"], "EG075", ": trafficPolicy: unknown field", "trafficPolicy:"),
    mistake(TLS, ["number: 443", "number: 8443"], "EG002", "portLevelSettings[0].port.number", "number: 8443"),
    mistake(TLS, ["host: edition.cnn.com", "host: edition.cnn.co"], "EG011", "spec.host: ", "edition.cnn.co\n"),
    mistake(TLS, ["kind: DestinationRule", "kind: DestinationRules"], "EG084", "kind: ", "kind: DestinationRules"),
    mistake(TLS, ["  name: originate", "  namespace: other\n  name: originate"], "EG015", "metadata.namespace", "namespace: other"),
    mistake(TLS, [MODE, "mode: DISABLE"], "EG040", POLICY, "tls:"),
    mistake(TLS, [MODE, "mode: MUTUAL"], "EG033", "tls.mode: MUTUAL without clientCertificate", "MUTUAL"),
    mistake(TLS, [MODE, "mode: SIMPLE\n        caCertificates: /absent/ca.pem"], "EG035", "tls.caCertificates", "/absent"),
    mistake(TLS, [MODE, "mode: SIMPLE\n        insecureSkipVerify: true\n        subjectAltNames: [a]"], "EG032", "tls.insecureSkipVerify", "insecure"),
    mistake(TLS, [MODE, "mode: SIMPLE\n        sni: 192.0.2.1"], "EG037", "tls.sni", "sni:"),
    mistake(TLS, [MODE, "mode: MUTUAL\n        credentialName: absent"], "EG034", "tls.credentialName", "absent"),
    mistake(TLS, ["simple: ROUND_ROBIN", "simple: ROUND_ROBBIN"], "EG081", "did you mean \"ROUND_ROBIN\"?", "ROBBIN"),
    // Routes that lead nowhere
    mistake(ROUTES, [ROUTED, "        host: edition.cnn.com\n        port:\n          number: 8443"], "EG010", "spec.http[1].route[0].destination.port.number", "number: 8443"),
    mistake(ROUTES, ["        host: edition", "        host: editon"], "EG011", "did you mean \"edition.cnn.com\"?", "editon"),
    mistake(ROUTES, [ROUTED, "        subset: cnn\n        host: edition.cnn.com\n        port:\n          number: 443"], "EG012", "spec.http[1].route[0].destination.subset", "        subset: cnn\n        host"),
    mistake(ROUTES, ["port: 443", "port: 8443"], "EG005", "spec.http[1].match[0].port", "port: 8443"),
    mistake(ROUTES, ["      - istio-egressgateway", "      - egressgateway"], "EG006", "spec.http[1].match[0].gateways[0]", "- egressgateway"),
    mistake(ROUTES, ["  - istio-egressgateway\n  - mesh", "  - istio-egresgateway"], "EG007", "did you mean \"istio-egressgateway\"?", "egresgateway"),
    mistake(ROUTES, ["  gateways:\n  - istio-egressgateway\n  - mesh\n", ""], "EG008", "spec.gateways", "spec:\n  hosts:\n  - edition.cnn.com\n  http"),
    mistake(ROUTES, ["  - edition.cnn.com", "  - https://edition.cnn.com:443"], "EG071", "spec.hosts[0]", "https://"),
    mistake(ROUTES, ["  hosts:", "  exportTo: [\".\"]\n  hosts:"], "EG079", "spec.exportTo", "exportTo"),
    mistake(ROUTES, ["      port: 443\n    route:", "      port: 443\n    rout:"], "EG075", "spec.http[1].rout: ", "rout:"),
    mistake(ROUTES, ["      port: 443\n    route:", "      port: 443\n    timeout: 5\n    route:"], "EG081", "spec.http[1].timeout", "timeout: 5"),
    mistake(ROUTES, ["      port: 443\n    route:", "      port: 443\n      uri: {prefx: /}\n    route:"], "EG075", "did you mean \"prefix\"?", "prefx"),
    mistake(ROUTES, ["      port: 443\n    route:", "      port: 443\n    redirect: {derivePort: FROM_REQUEST}\n    rout:"], "EG081", "did you mean \"FROM_REQUEST_PORT\"?", "derivePort"),
    // A service that cannot be found
    mistake(SERVICE, ["resolution: DNS", "resolution: dns"], "EG081", "spec.resolution", "resolution: dns"),
    mistake(SERVICE, ["  resolution: DNS\n", ""], "EG050", "spec.http[1].route[0].destination.host", "        host: edition"),
    mistake(SERVICE, ["number: 443", "number: https"], "EG081", "spec.ports[1].number", "number: https"),
    mistake(SERVICE, ["v1alpha3", "v2"], "EG081", "apiVersion", "istio.io/v2"),
    // A gateway that does not open
    mistake(GATEWAY, ["istio: egressgateway", "istio: ingressgateway"], "EG076", "spec.selector", "selector:"),
    mistake(GATEWAY, ["    - edition.cnn.com", "    - www.cnn.com"], "EG009", "VirtualService/direct-cnn-through-egress-gateway: spec.hosts[0]", "  - edition.cnn.com\n  gateways"),
    mistake(GATEWAY, ["protocol: HTTP", "protocol: HTTPX"], "EG081", "spec.servers[0].port.protocol", "HTTPX"),
    mistake(GATEWAY, ["    hosts:", "\thosts:"], "EG080", "document: ", "protocol: HTTP\n\thosts:"),
];

#[test]
fn every_mistake_in_the_article_is_named_at_its_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut missed = String::new();
    for (number, mistake) in MISTAKES.iter().enumerate() {
        let Mistake { file, from, to, code, field, line } = mistake;
        let mut text = String::new();
        for name in FILES {
            let path = format!("config/article/{name}.yaml");
            let mut part = fs::read_to_string(&path).expect("the article is there");
            if name == *file {
                assert!(part.contains(from), "{path} has no {from}");
                part = part.replacen(from, to, 1);
            }
            write!(text, "---\n{part}").expect("a String takes every write");
        }
        let path = directory.path().join(format!("{number}.yaml"));
        fs::write(&path, &text).expect("written");
        let offset = text.find(line).unwrap_or_else(|| panic!("{line} is nowhere in {text}"));
        let blamed = 1 + text[..offset].matches('\n').count();
        let (told, exit) = check(&path, &["--strict"]);
        let place = format!("{}:{blamed}:", path.display());
        let named =
            |one: &str| one.starts_with(&place) && one.contains(code) && one.contains(field);
        if exit != 1 || !told.lines().any(named) {
            let expected = format!("line {blamed}, {code}, {field}; exit {exit}");
            writeln!(missed, "{to:?}: expected {expected} in\n{told}").expect("as above");
        }
        let (explained, _) = run(&["explain", "http://edition.cnn.com:443/politics"], &path);
        if !explained.contains(code) || !explained.contains(field) {
            writeln!(missed, "{to:?}: {code} and {field} are not explained in\n{explained}")
                .expect("as above");
        }
    }
    assert!(missed.is_empty(), "{missed}");
}
