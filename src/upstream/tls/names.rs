//! The names inside a certificate, and whether one of a list is among them.
//!
//! Chains and signatures are not looked at: that is done before (`tls`).

use std::fmt;

use rustls::pki_types::{DnsName, IpAddr, ServerName};
use webpki::EndEntityCert;

/// Names of a certificate that are put into a message; the rest is counted.
const SHOWN_MAX: usize = 8;

/// A name that a certificate is required to carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AltName {
    /// A host or an IP address; a wildcard in the certificate may cover a host.
    Server(ServerName<'static>),
    /// The certificate's wildcard itself, `*.example.com`.
    Wildcard(String),
    /// A URI, character by character: `spiffe://cluster.local/ns/default/sa/a`.
    Uri(String),
}

impl AltName {
    /// Reads a name as configurations list them.
    ///
    /// Errors: a sentence saying what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is no DNS name, IP address or URI");
        if text.contains("://") {
            return Ok(Self::Uri(text.to_owned()));
        }
        if let Some(rest) = text.strip_prefix("*.") {
            DnsName::try_from(rest).map_err(|_| wrong())?;
            return Ok(Self::Wildcard(text.to_ascii_lowercase()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        ServerName::try_from(name).map(Self::Server).map_err(|_| wrong())
    }

    /// Whether the certificate carries it.
    pub fn is_on(&self, certificate: &EndEntityCert<'_>) -> bool {
        match self {
            Self::Server(name) => certificate.verify_is_valid_for_subject_name(name).is_ok(),
            Self::Wildcard(pattern) => {
                certificate.valid_dns_names().any(|name| name.eq_ignore_ascii_case(pattern))
            }
            Self::Uri(uri) => certificate.valid_uri_names().any(|name| name == uri),
        }
    }
}

impl fmt::Display for AltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(name) => f.write_str(&name.to_str()),
            Self::Wildcard(text) | Self::Uri(text) => f.write_str(text),
        }
    }
}

/// The certificate is good but carries none of the names it must carry one of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamesDiffer {
    /// Any of these would have done.
    pub expected: Vec<String>,
    /// What the certificate carries.
    pub presented: Vec<String>,
}

impl NamesDiffer {
    /// Compares what was expected with what the certificate carries.
    pub fn new<N: fmt::Display>(expected: &[N], certificate: &EndEntityCert<'_>) -> Self {
        let expected = expected.iter().map(|name| name.to_string()).collect();
        Self { expected, presented: presented(certificate) }
    }
}

impl fmt::Display for NamesDiffer {
    /// In Envoy's words, which people search for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (expected, presented) = (listed(&self.expected), listed(&self.presented));
        write!(
            f,
            "verify cert failed: verify SAN list, expected SANs: [{expected}], certificate SANs: [{presented}]"
        )
    }
}

impl std::error::Error for NamesDiffer {}

/// Every name of a certificate: hosts, addresses, URIs.
fn presented(certificate: &EndEntityCert<'_>) -> Vec<String> {
    // webpki lists hosts and URIs, but IP addresses only inside the error of a failed comparison;
    // no certificate is for 0.0.0.0.
    let nowhere = ServerName::IpAddress(IpAddr::from(std::net::IpAddr::from([0, 0, 0, 0])));
    match certificate.verify_is_valid_for_subject_name(&nowhere) {
        Err(webpki::Error::CertNotValidForName(context)) => {
            context.presented.iter().map(|name| plain(name).to_owned()).collect()
        }
        _ => certificate.valid_dns_names().map(str::to_owned).collect(),
    }
}

/// `www.example.com` of `DnsName("www.example.com")`.
fn plain(name: &str) -> &str {
    let inside = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(name).trim_matches('"')
}

fn listed(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
