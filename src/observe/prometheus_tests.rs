//! The metrics page is one that Prometheus can read.

use std::collections::{HashMap, HashSet};

use super::prometheus::{Facts, render};
use super::scraper::Collected;
use super::{Handshake, StatPrefixes, Stats, UpstreamEvent};
use crate::model::Flag;

fn page() -> String {
    let mut stats = Stats::default();
    stats.request("edition.cnn.com", 200, Flag::None);
    stats.request("edition.cnn.com", 200, Flag::None);
    stats.request("*.api.example.com", 503, Flag::UpstreamConnect);
    stats.request("a\"b\\c\nd", 200, Flag::None);
    stats.request_unrouted(404, Flag::NoRoute);
    let mut stat_prefixes = StatPrefixes::default();
    stats.by_prefix.count(stat_prefixes.slot("news"), 200, Flag::None);
    stats.failure("tls_certificate_error");
    stats.handshake(Handshake::Full);
    stats.upstream_connection(UpstreamEvent::Opened);
    let facts = Facts {
        version: "0.1.0",
        generation: 3,
        problems: vec![("error", 1), ("warning", 2)],
        objects: vec![("applied", 4)],
        stat_prefixes: stat_prefixes.names().to_vec(),
        resident_bytes: Some(8_000_000),
        ..Facts::default()
    };
    render(&Collected { stats, silent: 1 }, &facts)
}

#[test]
fn every_line_is_a_comment_or_a_sample_of_the_family_above_it() {
    let page = page();
    assert!(page.ends_with('\n'));
    let (mut family, mut seen, mut kinds) = (String::new(), HashSet::new(), HashMap::new());
    let mut families = HashSet::new();
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split_once(' ').expect("a name and a text").0.to_owned();
            assert!(families.insert(family.clone()), "{family} comes twice");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a name and a type");
            assert_eq!(name, family);
            kinds.insert(name.to_owned(), kind.to_owned());
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a series and a value");
            value.parse::<u64>().expect("a number");
            assert!(seen.insert(series.to_owned()), "{series} comes twice");
            let labels = series.strip_prefix(&family).expect("the name of its family");
            assert!(labels.is_empty() || (labels.starts_with('{') && labels.ends_with("\"}")));
        }
    }
    for (name, kind) in kinds {
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
    }
}

#[test]
fn the_page_says_what_was_counted() {
    let page = page();
    let expected = [
        "egret_requests_total{host=\"edition.cnn.com\",code=\"200\",flag=\"-\"} 2",
        "egret_requests_total{host=\"*.api.example.com\",code=\"503\",flag=\"UF\"} 1",
        "egret_requests_total{host=\"a\\\"b\\\\c\\nd\",code=\"200\",flag=\"-\"} 1",
        "egret_requests_total{host=\"(other)\",code=\"404\",flag=\"NR\"} 1",
        "egret_route_requests_total{stat_prefix=\"news\",code=\"200\",flag=\"-\"} 1",
        "egret_failures_total{token=\"tls_certificate_error\"} 1",
        "egret_handshakes_total{kind=\"full\"} 1",
        "egret_handshakes_total{kind=\"resumed\"} 0",
        "egret_upstream_connections_total{event=\"opened\"} 1",
        "egret_config_generation 3",
        "egret_config_problems{severity=\"warning\"} 2",
        "egret_config_objects{outcome=\"applied\"} 4",
        "egret_build_info{version=\"0.1.0\"} 1",
        "egret_lanes_silent 1",
        "process_resident_memory_bytes 8000000",
    ];
    for line in expected {
        assert!(page.lines().any(|found| found == line), "no {line} in\n{page}");
    }
    assert!(!page.contains("process_open_fds"), "what is not known is left out");
}
