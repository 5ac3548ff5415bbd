//! Configurations: the article's five objects as it prints them, and a small one for a single host.

/// The article's ServiceEntry.
pub const SERVICE_ENTRY: &str = "\
apiVersion: networking.istio.io/v1alpha3
kind: ServiceEntry
metadata:
  name: cnn
spec:
  hosts:
  - edition.cnn.com
  ports:
  - number: 80
    name: http-port
    protocol: HTTP
  - number: 443
    name: http-port-for-tls-origination
    protocol: HTTP
  resolution: DNS
";

/// The article's Gateway.
pub const GATEWAY: &str = "\
apiVersion: networking.istio.io/v1alpha3
kind: Gateway
metadata:
  name: istio-egressgateway
spec:
  selector:
    istio: egressgateway
  servers:
  - port:
      number: 443
      name: http-port-for-tls-origination
      protocol: HTTP
    hosts:
    - edition.cnn.com
";

/// The article's DestinationRule for the sidecars.
pub const DESTINATION_RULE_GATEWAY: &str = "\
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: egressgateway-for-cnn
spec:
  host: istio-egressgateway.istio-system.svc.cluster.local
  subsets:
  - name: cnn
";

/// The article's VirtualService.
pub const VIRTUAL_SERVICE: &str = "\
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: direct-cnn-through-egress-gateway
spec:
  hosts:
  - edition.cnn.com
  gateways:
  - istio-egressgateway
  - mesh
  http:
  - match:
    - gateways:
      - mesh
      port: 80
    route:
    - destination:
        host: istio-egressgateway.istio-system.svc.cluster.local
        subset: cnn
        port:
          number: 443
      weight: 100
  - match:
    - gateways:
      - istio-egressgateway
      port: 443
    route:
    - destination:
        host: edition.cnn.com
        port:
          number: 443
      weight: 100
";

/// The article's DestinationRule that originates TLS.
pub const DESTINATION_RULE_TLS: &str = "\
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: originate-tls-for-edition-cnn-com
spec:
  host: edition.cnn.com
  trafficPolicy:
    loadBalancer:
      simple: ROUND_ROBIN
    portLevelSettings:
    - port:
        number: 443
      tls:
        mode: SIMPLE # initiates HTTPS for connections to edition.cnn.com
";

/// The article with the route but before TLS is originated.
pub fn before_tls() -> String {
    [SERVICE_ENTRY, GATEWAY, DESTINATION_RULE_GATEWAY, VIRTUAL_SERVICE].join("---\n")
}

/// All five objects.
pub fn everything() -> String {
    [before_tls().as_str(), DESTINATION_RULE_TLS].join("---\n")
}

/// A Gateway for every host on port 443.
pub const ANY_HOST: &str = "\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress}
spec:
  selector: {istio: egressgateway}
  servers:
  - port: {number: 443, name: http, protocol: HTTP}
    hosts: ['*']
";

/// One host, reached through `ANY_HOST`: what differs between tests is a field.
pub struct Egress {
    /// The host, of the requests and of the origin.
    pub host: String,
    /// The origin's port.
    pub port: u16,
    /// The protocol of that port.
    pub protocol: &'static str,
    /// The lines of the ServiceEntry besides hosts and ports, each indented by two.
    pub service: String,
    /// The TLS settings, in flow style without braces; none: plain text.
    pub tls: Option<String>,
    /// Further lines of the traffic policy, each indented by four.
    pub policy: String,
    /// Further lines of the one rule, each indented by four.
    pub rule: String,
}

impl Egress {
    /// HTTP/1.1 in plain text on port 80.
    pub fn plain(host: &str) -> Self {
        let (service, rule, policy) = ("  resolution: DNS\n".into(), String::new(), String::new());
        Self { host: host.into(), port: 80, protocol: "HTTP", service, tls: None, policy, rule }
    }

    /// TLS on port 443, verified against the host.
    pub fn tls(host: &str) -> Self {
        Self { port: 443, protocol: "HTTPS", tls: Some("mode: SIMPLE".into()), ..Self::plain(host) }
    }

    /// Another protocol for the origin's port.
    pub fn protocol(self, protocol: &'static str) -> Self {
        Self { protocol, ..self }
    }

    /// Further lines of the rule, without their indentation.
    pub fn rule(self, lines: &str) -> Self {
        Self { rule: indent(lines, 4), ..self }
    }

    /// Further lines of the traffic policy, without their indentation.
    pub fn policy(self, lines: &str) -> Self {
        Self { policy: indent(lines, 4), ..self }
    }

    /// Other lines of the ServiceEntry, without their indentation.
    pub fn service(self, lines: &str) -> Self {
        Self { service: indent(lines, 2), ..self }
    }

    /// Further TLS settings, in flow style.
    pub fn tls_also(self, settings: &str) -> Self {
        let tls = self.tls.as_ref().map(|tls| format!("{tls}, {settings}"));
        Self { tls, ..self }
    }

    /// Other TLS settings, in flow style.
    pub fn tls_only(self, settings: &str) -> Self {
        Self { tls: Some(settings.to_owned()), ..self }
    }

    /// The Gateway and this host.
    pub fn yaml(&self) -> String {
        format!("{ANY_HOST}---\n{}", self.objects())
    }

    /// This host alone, without the Gateway.
    pub fn objects(&self) -> String {
        let Self { host, port, protocol, service, policy, rule, .. } = self;
        let name = host.replace(['.', '*'], "-");
        let mut yaml = format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: e{name}}}\nspec:\n  hosts: ['{host}']\n  ports:\n  - {{number: {port}, name: main, protocol: {protocol}}}\n{service}---\n\
             apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v{name}}}\nspec:\n  hosts: ['{host}']\n  gateways: [egress]\n  http:\n  - route:\n    - destination: {{host: '{host}', port: {{number: {port}}}}}\n{rule}"
        );
        if self.tls.is_some() || !policy.is_empty() {
            yaml += &format!(
                "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: d{name}}}\nspec:\n  host: '{host}'\n  trafficPolicy:\n{policy}"
            );
        }
        if let Some(tls) = &self.tls {
            yaml += &format!("    tls: {{{tls}}}\n");
        }
        yaml
    }
}

fn indent(lines: &str, by: usize) -> String {
    lines.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}
