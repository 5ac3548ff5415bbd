//! `loadBalancer`: which endpoint is next.
//!
//! Source: istio `cluster_traffic_policy.go:applyLoadBalancer`, `route.go:consistentHashToHashPolicy`.

use std::time::Duration;

use super::{count, duration_or_report};
use crate::config::istio::compile::object::Report;
use crate::config::istio::destination_rule::{
    ConsistentHash, CookieAttribute, HttpCookie, LoadBalancer,
};
use crate::config::{Severity, nearest};
use crate::model::Balance;
use crate::model::resilience::{HashBy, HashCookie, HashTable, Hashed};

/// Envoy's table for Maglev hashing, when its size is not given.
const MAGLEV_SIZE: u32 = 65_537;

/// Istio's word for a way to balance.
pub fn text(balance: &Balance) -> &'static str {
    match balance {
        Balance::LeastRequest => "LEAST_REQUEST",
        Balance::RoundRobin => "ROUND_ROBIN",
        Balance::Random => "RANDOM",
        Balance::Hashed(_) => "consistentHash",
    }
}

pub fn read(block: &LoadBalancer, path: &str, report: &mut Report<'_>) -> Balance {
    for (name, present) in [
        ("localityLbSetting", block.locality_lb_setting.is_some()),
        ("zoneAwareLbSetting", block.zone_aware_lb_setting.is_some()),
    ] {
        if present {
            report.unsupported(Severity::Warning, &format!("{path}.{name}"), "it is not in force");
        }
    }
    if let Some(hash) = &block.consistent_hash {
        return hashed(hash, &format!("{path}.consistentHash"), report);
    }
    let field = format!("{path}.simple");
    match block.simple.as_deref() {
        None | Some("UNSPECIFIED" | "LEAST_REQUEST") => Balance::LeastRequest,
        Some("ROUND_ROBIN") => Balance::RoundRobin,
        Some("RANDOM") => Balance::Random,
        Some("LEAST_CONN") => {
            let message = "LEAST_CONN is deprecated";
            report.tell("EG074", Severity::Warning, &field, message, "write LEAST_REQUEST");
            Balance::LeastRequest
        }
        Some("PASSTHROUGH") => {
            let message = "a gateway has no original destination to pass a request to; LEAST_REQUEST is in force";
            report.fault("EG050", Severity::Error, &field, message, "leave it out");
            Balance::LeastRequest
        }
        Some(other) => {
            let fix = nearest(other, &["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"]);
            let message = format!("\"{other}\" is not a load balancer; LEAST_REQUEST is in force");
            report.fault("EG081", Severity::Error, &field, message, fix);
            Balance::LeastRequest
        }
    }
}

fn hashed(hash: &ConsistentHash, path: &str, report: &mut Report<'_>) -> Balance {
    let keys = [
        hash.http_header_name.clone().filter(|name| !name.is_empty()).map(HashBy::Header),
        hash.http_cookie.as_ref().and_then(|cookie| cookie_key(cookie, path, report)),
        hash.use_source_ip.filter(|wanted| *wanted).map(|_| HashBy::SourceIp),
        hash.http_query_parameter_name.clone().filter(|name| !name.is_empty()).map(HashBy::Query),
    ];
    let mut keys = keys.into_iter().flatten();
    let Some(by) = keys.next() else {
        let message = "nothing is named to hash; LEAST_REQUEST is in force";
        let fix = "name one of httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName";
        report.fault("EG082", Severity::Error, path, message, fix);
        return Balance::LeastRequest;
    };
    if keys.next().is_some() {
        let message = "more than one thing is named to hash; the first counts";
        report.fault("EG082", Severity::Error, path, message, "name one");
    }
    let ring = hash.ring_hash.as_ref().and_then(|ring| count(ring.minimum_ring_size));
    let table = match (&hash.maglev, ring.or(count(hash.minimum_ring_size))) {
        (Some(maglev), _) => {
            HashTable::Maglev { size: count(maglev.table_size).unwrap_or(MAGLEV_SIZE) }
        }
        (None, Some(size_min)) => HashTable::Ring { size_min },
        (None, None) => HashTable::default(),
    };
    Balance::Hashed(Box::new(Hashed { by, table }))
}

fn cookie_key(cookie: &HttpCookie, path: &str, report: &mut Report<'_>) -> Option<HashBy> {
    let field = format!("{path}.httpCookie");
    // Unlike other durations it may be 0: the cookie of a session.
    let ttl = cookie.ttl.as_deref().and_then(|text| {
        duration_or_report(text, &format!("{field}.ttl"), report).map(|ttl| {
            Duration::from_secs(ttl.as_secs()) // as Envoy writes it: whole seconds
        })
    });
    let fits = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
    let attributes = attributes(&cookie.attributes, &format!("{field}.attributes"), report);
    if !attributes.is_empty() && cookie.ttl.is_none() {
        let message = "without a ttl no client is given the cookie, so they have no effect";
        let field = format!("{field}.attributes");
        report.tell("EG073", Severity::Warning, &field, message, "add ttl: 0s for a session");
    }
    if cookie.name.is_empty() || !fits(&cookie.name) || cookie.name.contains(['=', '"', ',']) {
        let message = "a cookie needs a name that fits one";
        report.fault("EG082", Severity::Error, &format!("{field}.name"), message, "name it");
        return None;
    }
    if !fits(&cookie.path) {
        let message = "the path does not fit a cookie; it is left out";
        report.fault("EG081", Severity::Error, &format!("{field}.path"), message, "");
    }
    let path = Some(cookie.path.clone()).filter(|path| fits(path)).unwrap_or_default();
    Some(HashBy::Cookie(HashCookie { name: cookie.name.clone(), path, ttl, attributes }))
}

/// What is said of the cookie besides, without what would break it.
fn attributes(
    written: &[CookieAttribute],
    field: &str,
    report: &mut Report<'_>,
) -> Vec<(String, String)> {
    let mut attributes = Vec::new();
    for (index, CookieAttribute { name, value }) in written.iter().enumerate() {
        if HashCookie::takes(name, value) {
            attributes.push((name.clone(), value.clone()));
        } else {
            let message =
                format!("\"{name}\" with \"{value}\" does not fit a cookie; it is left out");
            let fix = "write e.g. {name: SameSite, value: Strict}";
            report.fault("EG081", Severity::Error, &format!("{field}[{index}]"), message, fix);
        }
    }
    attributes
}
