//! What people are told about a mistake in a file, and that the rest of it serves.

use crate::harness::article::Egress;
use crate::harness::{Origin, Setup, egret};

const HOST: &str = "api.example.com";

/// A broken object, the place and words its problem must bear.
const MISTAKES: [(&str, &str, &[&str]); 4] = [
    (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: typo}\nspec:\n  host: typo.example.com\n  trafficPolicy:\n    portLevelSetting:\n    - port: {number: 443}\n",
        ":7:5: ",
        &["DestinationRule/typo", "spec.trafficPolicy.portLevelSetting", "portLevelSettings"],
    ),
    (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: number}\nspec:\n  hosts: [number.example.com]\n  gateways: [egress]\n  http:\n  - route:\n    - destination:\n        host: number.example.com\n        port:\n          number: abc\n",
        ":12:19: ",
        &["VirtualService/number", "spec.http[0].route[0].destination.port.number"],
    ),
    (
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: resolution}\nspec:\n  hosts: [r.example.com]\n  ports: [{number: 80, name: http, protocol: HTTP}]\n  resolution: DSN\n",
        ":7:15: ",
        &["ServiceEntry/resolution", "spec.resolution", "DSN"],
    ),
    (
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: broken\nspec: [\n",
        ":",
        &["broken.yaml"],
    ),
];

#[test]
fn a_mistake_is_named_with_its_place_and_the_other_objects_serve() {
    for (broken, place, words) in MISTAKES {
        let origin = Origin::plain();
        let setup = Setup::new(&Egress::plain(HOST).yaml()).config("broken.yaml", broken);
        let checked = egret(&["check", "-c", &setup.config_dir().display().to_string()]);
        assert_eq!(checked.code, 1, "{checked:?}");
        let mark = format!("broken.yaml{place}");
        let line = checked
            .out
            .lines()
            .find(|line| line.contains(&mark) && words.iter().all(|word| line.contains(word)));
        assert!(line.is_some(), "no line has {mark} and {words:?}:\n{}", checked.out);
        let gateway = setup.origin(HOST, 80, &origin).start();
        assert_eq!(gateway.get(HOST, "/").status, 200, "the other objects serve");
        gateway.wait_for_log(&mark);
    }
}

#[test]
fn a_broken_document_does_not_take_its_neighbours_down() {
    let origin = Origin::plain();
    let config = format!(
        "kind: Gateway\napiVersion: networking.istio.io/v1\nspec: {{servers: [}}\n---\n{}",
        Egress::plain(HOST).yaml()
    );
    let gateway = Setup::new(&config).origin(HOST, 80, &origin).start();
    assert_eq!(gateway.get(HOST, "/").status, 200);
}

#[test]
fn a_field_not_supported_yet_is_reported_by_name_and_place() {
    let config = Egress::plain(HOST).rule("corsPolicy: {maxAge: 1h}").yaml();
    let setup = Setup::new(&config);
    let checked = egret(&["check", "-c", &setup.config_dir().display().to_string()]);
    assert!(
        checked.out.contains("spec.http[0].corsPolicy") && checked.out.contains("egress.yaml:"),
        "{}",
        checked.out
    );
}
