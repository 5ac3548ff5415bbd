//! Path and Host: what a rule makes of them, and where a redirect leads.
//!
//! The query is kept unless the configuration brings its own. Other header lines are edited where a head
//! is sent. Source: Envoy's `prefix_rewrite`,
//! `regex_rewrite` and `RedirectAction`.

use crate::model::{Authority, Forward, PathMatch, PathRewrite, Redirect, Share, UpstreamKey};
use crate::wire::{Head, Name};

/// Rewrites the path of a request that fulfilled the condition.
pub fn path(head: &mut Head, condition: &PathMatch, rewrite: &PathRewrite) {
    let path = head.path();
    let mut target = match rewrite {
        PathRewrite::Matched(with) => {
            let rest = match condition {
                PathMatch::Prefix(prefix) | PathMatch::PrefixAnyCase(prefix) => {
                    path.get(prefix.len()..).unwrap_or_default()
                }
                PathMatch::Exact(_) | PathMatch::ExactAnyCase(_) | PathMatch::Regex(_) => b"",
            };
            [with.as_bytes(), rest].concat()
        }
        PathRewrite::Regex(substitution) => substitution.apply(path),
    };
    if target.first() != Some(&b'/') {
        target.insert(0, b'/'); // a target in origin-form has one (RFC 9112, section 3.2.1)
    }
    target.extend_from_slice(&head.target()[path.len()..]);
    head.set_target(&target);
}

/// Rewrites the Host of a request that goes to an upstream.
pub fn host(head: &mut Head, forward: &Forward, share: &Share, upstream: &UpstreamKey) {
    match forward.host_sent(share) {
        Some(host) => head.set(b"Host", host.as_bytes()),
        None if !upstream.security.is_plain() => drop_default_port(head, upstream.port),
        None => {}
    }
}

/// `Host: name:80` or `name:443` on its way to TLS on 443 is `Host: name`: an origin that compares it
/// with its own name must find that name.
fn drop_default_port(head: &mut Head, upstream_port: u16) {
    let Some(host) = head.find(Name::Host) else { return };
    let bare = [&b":443"[..], b":80"].into_iter().find_map(|port| host.strip_suffix(port));
    if upstream_port == 443
        && let Some(bare) = bare.map(<[u8]>::to_vec)
    {
        head.set(b"Host", &bare);
    }
}

/// The Location that a request is sent to; `scheme` is the request's own.
pub fn location(redirect: &Redirect, head: &Head, scheme: &str) -> Vec<u8> {
    let to = redirect.scheme.as_deref().unwrap_or(scheme);
    let mut location = format!("{to}://").into_bytes();
    match &redirect.authority {
        Some(authority) => location.extend_from_slice(authority.as_bytes()),
        None => {
            let host = head.find(Name::Host).unwrap_or_default();
            let default = if scheme == "https" { 443 } else { 80 };
            let port = Authority::parse(host).and_then(|authority| authority.port);
            let port_goes = redirect.port.is_some() || (to != scheme && port == Some(default));
            let end =
                host.iter().rposition(|byte| *byte == b':').filter(|_| port.is_some() && port_goes);
            location.extend_from_slice(&host[..end.unwrap_or(host.len())]);
        }
    }
    if let Some(port) = redirect.port {
        location.extend_from_slice(format!(":{port}").as_bytes());
    }
    match &redirect.path {
        None => location.extend_from_slice(head.target()),
        Some(path) => {
            location.extend_from_slice(path.as_bytes());
            if !path.contains('?') {
                location.extend_from_slice(&head.target()[head.path().len()..]);
            }
        }
    }
    location
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HeaderEdits, Pattern, Substitution};
    use crate::wire::Version;

    fn head(target: &str, host: &str) -> Head {
        let mut head =
            Head::request(Default::default(), Version::Http11, b"GET", target.as_bytes());
        head.append(b"host", host.as_bytes());
        head
    }

    #[test]
    fn what_was_matched_is_replaced_and_the_query_stays() {
        let matched = |with: &str| PathRewrite::Matched(with.into());
        let regex = |find: &str, with: &str| {
            PathRewrite::Regex(Substitution::parse(find, with).expect("valid"))
        };
        for (condition, rewrite, target, becomes) in [
            (PathMatch::Prefix("/api".into()), matched("/v1"), "/api/x?q=/api", "/v1/x?q=/api"),
            (PathMatch::Prefix("/api/".into()), matched("/"), "/api/x", "/x"),
            (PathMatch::Prefix("/api".into()), matched("/"), "/api", "/"),
            (PathMatch::Prefix("/".into()), matched("/v1/"), "/x?y", "/v1/x?y"),
            (PathMatch::PrefixAnyCase("/API".into()), matched("/v1"), "/api/x", "/v1/x"),
            (PathMatch::Exact("/a".into()), matched("/b"), "/a?c", "/b?c"),
            (PathMatch::Regex(Pattern::parse("/a.*").expect("valid")), matched("/b"), "/abc", "/b"),
            (PathMatch::Prefix("/".into()), regex("^/a/(.*)$", r"/\1"), "/a/b?c", "/b?c"),
            (PathMatch::Prefix("/".into()), regex("^/a/", ""), "/a/b", "/b"),
        ] {
            let mut head = head(target, "a.test");
            path(&mut head, &condition, &rewrite);
            assert_eq!(head.target().escape_ascii().to_string(), becomes, "{condition:?}");
        }
    }

    #[test]
    fn what_a_redirect_does_not_name_is_the_requests_own() {
        let none = Redirect {
            status: 301,
            scheme: None,
            authority: None,
            port: None,
            path: None,
            response: HeaderEdits::default(),
        };
        let https = Redirect { scheme: Some("https".into()), ..none.clone() };
        let elsewhere = Redirect { authority: Some("b.test:81".into()), ..none.clone() };
        let port = Redirect { port: Some(8080), ..none.clone() };
        let path = Redirect { path: Some("/new".into()), ..none.clone() };
        let query = Redirect { path: Some("/new?own".into()), ..none.clone() };
        for (redirect, host, becomes) in [
            (&none, "a.test:81", "http://a.test:81/x?y"),
            (&https, "a.test", "https://a.test/x?y"),
            (&https, "a.test:80", "https://a.test/x?y"),
            (&https, "a.test:81", "https://a.test:81/x?y"),
            (&elsewhere, "a.test", "http://b.test:81/x?y"),
            (&port, "a.test:81", "http://a.test:8080/x?y"),
            (&port, "[::1]", "http://[::1]:8080/x?y"),
            (&path, "a.test", "http://a.test/new?y"),
            (&query, "a.test", "http://a.test/new?own"),
        ] {
            let location = location(redirect, &head("/x?y", host), "http");
            assert_eq!(location.escape_ascii().to_string(), becomes);
        }
    }
}
