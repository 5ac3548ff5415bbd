//! How Istio's names are resolved and compared: hosts, gateways, namespaces, clusters.
//!
//! Pure functions over text; no object is known here.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use crate::model::{Host, HostPattern};

/// The reserved gateway name that means all sidecars.
pub const MESH: &str = "mesh";

/// `namespace/name` of a gateway as an object in `namespace` names it.
pub fn gateway(name: &str, namespace: &str) -> String {
    match name.split_once('/') {
        _ if name == MESH => MESH.to_owned(),
        Some((".", rest)) => format!("{namespace}/{rest}"),
        Some(_) => name.to_owned(),
        None => match name.split_once('.') {
            // The old form, name.namespace.svc.cluster.local.
            Some((short, rest)) => format!("{}/{short}", rest.split('.').next().unwrap_or(rest)),
            None => format!("{namespace}/{name}"),
        },
    }
}

/// The full name of a service host: one without a dot is a cluster's own service.
pub fn service(host: &str, namespace: &str) -> String {
    if host.contains('.') || host == "*" || host.is_empty() {
        host.to_ascii_lowercase()
    } else {
        format!("{}.{namespace}.svc.cluster.local", host.to_ascii_lowercase())
    }
}

/// Whether a host is a service inside the cluster.
pub fn is_cluster_service(host: &str) -> bool {
    host.ends_with(".svc.cluster.local") || host.ends_with(".svc")
}

/// `outbound|443||edition.cnn.com`.
pub fn cluster(port: u16, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}

/// How widely an object is visible, from the narrowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Visibility {
    /// Its own namespace, which is this one.
    Private,
    /// This namespace by name.
    Exported,
    /// Every namespace.
    Public,
    /// Not this namespace.
    Hidden,
}

/// Whether an object of one namespace is seen from another (`exportTo`).
pub fn visibility(export_to: &[String], owner: &str, viewer: &str) -> Visibility {
    if export_to.is_empty() || export_to.iter().any(|to| to == "*") {
        Visibility::Public
    } else if export_to.iter().any(|to| to == viewer && viewer != owner) {
        Visibility::Exported
    } else if owner == viewer && export_to.iter().any(|to| to == "." || to == owner) {
        Visibility::Private
    } else {
        Visibility::Hidden
    }
}

/// Whether a name can be a label of DNS (RFC 1123), as Kubernetes and Istio ask of names.
pub fn is_dns_label(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Whether every wanted label is there with the wanted value.
pub fn selects(wanted: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
}

/// A host as it was written, brought to its normal form.
pub enum Normal {
    /// It was in normal form, but for the case of letters.
    Same(HostPattern),
    /// It had a scheme, a port, a path or a trailing dot.
    Mended(HostPattern),
}

/// Reads a host pattern, mending what can only be meant one way: `https://Edition.CNN.com:443/`.
pub fn host_pattern(text: &str) -> Result<Normal, String> {
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = bare.split('/').next().unwrap_or(bare);
    let bare = match bare.rsplit_once(':') {
        Some((host, port))
            if !host.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            host
        }
        _ => bare,
    };
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    let pattern = HostPattern::parse(bare)?;
    Ok(if bare == text && !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Normal::Same(pattern)
    } else {
        Normal::Mended(pattern)
    })
}

/// Something for each of many host patterns, asked for those that cover another; no asking is linear in their
/// number.
#[derive(Debug)]
pub struct PatternMap<T> {
    exact: HashMap<Host, T, RandomState>,
    /// By what follows `*.`.
    suffix: HashMap<Host, T, RandomState>,
    any: Option<T>,
}

impl<T> Default for PatternMap<T> {
    fn default() -> Self {
        Self { exact: HashMap::default(), suffix: HashMap::default(), any: None }
    }
}

impl<T> PatternMap<T> {
    /// What this very pattern has.
    pub fn get(&self, pattern: &HostPattern) -> Option<&T> {
        match pattern {
            HostPattern::Exact(host) => self.exact.get(host),
            HostPattern::Suffix(host) => self.suffix.get(host),
            HostPattern::Any => self.any.as_ref(),
        }
    }

    /// What this very pattern has, made where there is nothing.
    pub fn entry(&mut self, pattern: &HostPattern) -> &mut T
    where
        T: Default,
    {
        match pattern {
            HostPattern::Exact(host) => self.exact.entry(host.clone()).or_default(),
            HostPattern::Suffix(host) => self.suffix.entry(host.clone()).or_default(),
            HostPattern::Any => self.any.get_or_insert_default(),
        }
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.exact.values().chain(self.suffix.values()).chain(&self.any)
    }

    /// What the patterns have that cover this one, from itself on to `*`.
    pub fn covering<'s>(&'s self, pattern: &'s HostPattern) -> impl Iterator<Item = &'s T> {
        self.get(pattern).into_iter().chain(self.wider(pattern))
    }

    /// The same without the pattern itself.
    pub fn wider<'s>(&'s self, pattern: &'s HostPattern) -> impl Iterator<Item = &'s T> {
        let name = match pattern {
            HostPattern::Exact(host) if host.ip().is_none() => host.as_str(),
            HostPattern::Suffix(host) => host.as_str(),
            HostPattern::Exact(_) | HostPattern::Any => "",
        };
        let parents = std::iter::successors(parent(name), |name| parent(name));
        let any = self.any.as_ref().filter(|_| *pattern != HostPattern::Any);
        parents.filter_map(|parent| self.suffix.get(parent)).chain(any)
    }
}

/// What follows the first label of a name.
fn parent(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, parent)| parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateway_names_resolve_against_the_namespace() {
        for (name, resolved) in [
            ("g", "prod/g"),
            ("./g", "prod/g"),
            ("other/g", "other/g"),
            ("g.other.svc.cluster.local", "other/g"),
            ("mesh", "mesh"),
        ] {
            assert_eq!(gateway(name, "prod"), resolved, "{name}");
        }
    }

    #[test]
    fn a_label_of_dns_is_lower_case_and_short() {
        for (name, is_label) in [
            ("a", true),
            ("http-2", true),
            ("", false),
            ("Http", false),
            ("-a", false),
            ("a-", false),
            ("a.b", false),
            (&"a".repeat(64), false),
        ] {
            assert_eq!(is_dns_label(name), is_label, "{name}");
        }
    }

    #[test]
    fn visibility_follows_export_to() {
        let to = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (export_to, owner, seen) in [
            (&[][..], "a", Visibility::Public),
            (&["*"], "a", Visibility::Public),
            (&["."], "a", Visibility::Hidden),
            (&["."], "us", Visibility::Private),
            (&["us"], "a", Visibility::Exported),
            (&["them"], "a", Visibility::Hidden),
            (&["~"], "us", Visibility::Hidden),
        ] {
            assert_eq!(visibility(&to(export_to), owner, "us"), seen, "{export_to:?} {owner}");
        }
    }

    #[test]
    fn hosts_are_mended_where_only_one_thing_can_be_meant() {
        for (text, host, mended) in [
            ("edition.cnn.com", "edition.cnn.com", false),
            ("Edition.CNN.com", "edition.cnn.com", true),
            ("edition.cnn.com:443", "edition.cnn.com", true),
            ("https://edition.cnn.com/", "edition.cnn.com", true),
            ("edition.cnn.com.", "edition.cnn.com", true),
            ("*.cnn.com", "*.cnn.com", false),
            ("::1", "::1", false),
        ] {
            let (pattern, was) = match host_pattern(text).expect(text) {
                Normal::Same(pattern) => (pattern, false),
                Normal::Mended(pattern) => (pattern, true),
            };
            assert_eq!((pattern.to_string().as_str(), was), (host, mended), "{text}");
        }
        assert!(
            host_pattern("a b").is_err()
                && host_pattern("").is_err()
                && host_pattern("a.*.com").is_err()
        );
    }

    #[test]
    fn a_pattern_is_covered_by_itself_and_all_that_are_wider() {
        let pattern = |text: &str| HostPattern::parse(text).expect(text);
        let mut map = PatternMap::default();
        for text in ["a.com", "*.a.com", "*.b.com", "*.com"] {
            *map.entry(&pattern(text)) = text.to_owned();
        }
        for (text, covering) in [
            ("a.com", &["a.com", "*.com"][..]),
            ("x.a.com", &["*.a.com", "*.com"]),
            ("*.a.com", &["*.a.com", "*.com"]),
            ("*.x.b.com", &["*.b.com", "*.com"]),
            ("com", &[]),
            ("10.0.0.1", &[]),
            ("*", &[]),
        ] {
            assert_eq!(map.covering(&pattern(text)).collect::<Vec<_>>(), covering, "{text}");
        }
        *map.entry(&HostPattern::Any) = "*".to_owned();
        for text in ["10.0.0.1", "*", "a.net"] {
            assert_eq!(map.covering(&pattern(text)).collect::<Vec<_>>(), ["*"], "{text}");
        }
        assert_eq!(map.wider(&pattern("*.a.com")).collect::<Vec<_>>(), ["*.com", "*"]);
    }
}
