//! Settings from three sources: what is taken is within its limits, and what is not is told.
//!
//! A line of the input is a source (0 flags, 1 environment, 2 document), a name and a value: `0drain=25s`.
#![no_main]

use std::collections::HashSet;

use egret::model::{Host, duration};
use egret::settings::{Given, Layer, NAMES, Settings, Wrong, environment};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let mut layers = [Layer::new(), Layer::new(), Layer::new()];
    for line in text.lines() {
        let mut letters = line.chars();
        let source = letters.next().and_then(|source| source.to_digit(3));
        let Some((name, value)) = letters.as_str().split_once('=') else { continue };
        let Some(name) = NAMES.into_iter().find(|known| *known == name) else { continue };
        let given = Given::split(name, format!("--{name}"), &[value.to_owned()]);
        layers[source.unwrap_or(0) as usize].insert(name, given);
        if let Ok(time) = duration::parse(value) {
            assert_eq!(duration::parse(&duration::format(time)), Ok(time));
        }
    }
    let variable = |name: &str| {
        layers[1].values().find_map(|given| {
            let is_it =
                name == format!("EGRET{}", given.source[1..].replace('-', "_").to_uppercase());
            is_it.then(|| given.values.join(","))
        })
    };
    let _ = environment(&variable);
    match Settings::merge(layers) {
        Ok(settings) => hold(&settings),
        Err(wrongs) => told(&wrongs),
    }
});

fn hold(settings: &Settings) {
    assert!((1..=1024).contains(&settings.workers));
    assert!(!settings.port_map.contains_key(&0));
    let mut bound = HashSet::new();
    assert!(settings.port_map.values().all(|port| *port == 0 || bound.insert(*port)));
    let mut resolved = HashSet::new();
    for one in &settings.resolve {
        assert!(one.port != 0 && !one.addresses.is_empty());
        assert!(resolved.insert((&one.host, one.port)));
        is_a_host(&one.host);
    }
    for one in &settings.connect_to {
        assert!(one.port != Some(0) && one.to_port != Some(0));
        assert!(one.to_host.is_some() || one.to_port.is_some());
        one.host.iter().chain(&one.to_host).for_each(is_a_host);
    }
    assert!(settings.dns_server.iter().all(|server| server.port() != 0));
    assert!(settings.labels.keys().all(|name| !name.is_empty()));
    assert!(!settings.namespace.is_empty() && !settings.root_namespace.is_empty());
    let same = settings.admin == settings.health;
    assert!(!same || settings.admin.port() == 0);
}

fn is_a_host(host: &Host) {
    assert_eq!(Host::parse(host.as_str()).as_ref(), Ok(host));
}

fn told(wrongs: &[Wrong]) {
    assert!(!wrongs.is_empty());
    for wrong in wrongs {
        assert!(NAMES.contains(&wrong.name) && !wrong.source.is_empty());
        assert!(!wrong.message.is_empty() && wrong.to_string().contains(&wrong.message));
    }
}
