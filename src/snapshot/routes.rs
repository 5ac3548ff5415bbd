//! The route table: listener, host, then rules in order.
//!
//! The host decides first, and alone: exact name, else the longest suffix, else `*` (Envoy's virtual
//! host matching with the port ignored). A host whose rules all decline is not tried elsewhere. Finding
//! a host costs one hash per label, however many hosts there are.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::condition::{self, Asked};
use crate::model::{self, Authority, Forward, HeaderEdits, Host, HostPattern, Plan, Share};
use crate::observe::StatPrefixes;
use crate::observe::stat_prefixes::Slot;
use crate::upstream::Upstream;

/// Who gets what, for every listener.
#[derive(Debug, Default)]
pub struct RouteTable {
    listeners: Vec<ListenerTable>,
}

/// The virtual hosts of one listener.
#[derive(Debug)]
struct ListenerTable {
    bind: SocketAddr,
    port: u16,
    exact: HashMap<Host, u32, RandomState>,
    /// By what follows `*.`; the pattern itself beside the index.
    suffix: HashMap<Host, (u32, Box<str>), RandomState>,
    any: Option<u32>,
    routes: Vec<Arc<VirtualHost>>,
}

/// One virtual host.
#[derive(Debug)]
struct VirtualHost {
    rules: Vec<Arc<Rule>>,
}

/// A rule ready to serve, and what a request under way holds on to.
#[derive(Debug)]
pub struct Rule {
    /// The rule as it was planned.
    pub plan: Arc<model::Rule>,
    /// Where it leads, in the plan's order; empty for a rule that answers itself.
    pub onward: Vec<Onward>,
    /// Who gets a copy, in the plan's order.
    pub mirrors: Vec<Destination>,
    /// Where its requests are counted besides, if it has a stat prefix.
    pub stat_prefix: Option<Slot>,
    /// The sum of the weights.
    weights: u64,
}

/// Where a rule leads, with one of its shares.
#[derive(Debug)]
pub struct Onward {
    /// Whom to.
    pub to: Destination,
    /// Its part of the requests.
    pub weight: u32,
    /// The host, without a port, that takes the place of the client's.
    pub rewritten_host: Option<Host>,
}

/// Whom a rule leads to.
#[derive(Debug)]
pub enum Destination {
    /// To this upstream.
    Upstream(Arc<Upstream>),
    /// To a name that no upstream has.
    Missing(String),
}

/// What was found for a request.
#[derive(Debug)]
pub struct Found<'t> {
    /// The pattern that the host matched, e.g. `*.example.com`: its label in counters.
    pub pattern: &'t str,
    /// The rule; none when the host's rules all decline.
    pub rule: Option<&'t Arc<Rule>>,
}

impl RouteTable {
    /// Makes a plan's routes ready; `upstreams` are those of the plan, by index, and `prefixes` gets
    /// those that are new.
    pub fn build(plan: &Plan, upstreams: &[Arc<Upstream>], prefixes: &mut StatPrefixes) -> Self {
        let mut listeners: Vec<ListenerTable> = plan
            .listeners
            .iter()
            .map(|listener| ListenerTable::new(listener.bind, listener.port))
            .collect();
        for route in &plan.routes {
            let ready = |rule| Arc::new(Rule::new(rule, upstreams, prefixes));
            let rules = route.rules.iter().map(ready);
            let host = Arc::new(VirtualHost { rules: rules.collect() });
            for index in &route.listeners {
                if let Some(listener) = listeners.get_mut(*index) {
                    listener.insert(&route.hosts, &host);
                }
            }
        }
        Self { listeners }
    }

    /// Finds the rule for a request; `None` when no virtual host answers to the host at all.
    pub fn find(
        &self,
        (bind, port): (SocketAddr, u16),
        host: &str,
        asked: Asked<'_>,
    ) -> Option<Found<'_>> {
        let listener = self.listener(bind, port)?;
        let (index, pattern) = listener.host(host)?;
        let rules = &listener.routes[index as usize].rules;
        let takes = |rule: &&Arc<Rule>| condition::check(&rule.plan.condition, asked).is_ok();
        Some(Found { pattern, rule: rules.iter().find(takes) })
    }

    /// The table of the listener that is bound there, for that port of the configuration.
    fn listener(&self, bind: SocketAddr, port: u16) -> Option<&ListenerTable> {
        self.listeners.iter().find(|table| {
            table.port == port && (table.bind.ip().is_unspecified() || table.bind.ip() == bind.ip())
        })
    }
}

impl ListenerTable {
    fn new(bind: SocketAddr, port: u16) -> Self {
        Self {
            bind,
            port,
            exact: HashMap::default(),
            suffix: HashMap::default(),
            any: None,
            routes: Vec::new(),
        }
    }

    /// The first route that claims a host keeps it.
    fn insert(&mut self, hosts: &[HostPattern], route: &Arc<VirtualHost>) {
        let index = u32::try_from(self.routes.len()).unwrap_or(u32::MAX);
        self.routes.push(Arc::clone(route));
        if hosts.len() > self.exact.capacity() {
            self.exact.reserve(hosts.len());
        }
        for host in hosts {
            match host {
                HostPattern::Exact(name) => {
                    self.exact.entry(name.clone()).or_insert(index);
                }
                HostPattern::Suffix(name) => {
                    let pattern = || (index, format!("*.{name}").into());
                    self.suffix.entry(name.clone()).or_insert_with(pattern);
                }
                HostPattern::Any => {
                    self.any.get_or_insert(index);
                }
            }
        }
    }

    fn host(&self, host: &str) -> Option<(u32, &str)> {
        if let Some((name, index)) = self.exact.get_key_value(host) {
            return Some((*index, name.as_str()));
        }
        if !self.suffix.is_empty() {
            let mut rest = host;
            while let Some((label, parent)) = rest.split_once('.') {
                // `*.` needs at least one character before the dot
                let has_front = rest.len() < host.len() || !label.is_empty();
                if has_front && let Some((index, pattern)) = self.suffix.get(parent) {
                    return Some((*index, pattern));
                }
                rest = parent;
            }
        }
        self.any.map(|index| (index, "*"))
    }
}

impl Rule {
    fn new(
        plan: &Arc<model::Rule>,
        upstreams: &[Arc<Upstream>],
        prefixes: &mut StatPrefixes,
    ) -> Self {
        let forward = plan.action.forward();
        let onward: Vec<Onward> = forward.map_or_else(Vec::new, |forward| {
            forward.to.iter().map(|share| Onward::new(forward, share, upstreams)).collect()
        });
        let mirrors = forward.map_or(&[][..], |forward| &forward.mirrors);
        let mirrors =
            mirrors.iter().map(|mirror| Destination::new(&mirror.to, upstreams)).collect();
        let weights = onward.iter().map(|onward| u64::from(onward.weight)).sum();
        let stat_prefix = Some(plan.stat_prefix.as_str()).filter(|prefix| !prefix.is_empty());
        let stat_prefix = stat_prefix.map(|prefix| prefixes.slot(prefix));
        Self { plan: Arc::clone(plan), onward, mirrors, stat_prefix, weights }
    }

    /// What is done with the head of an answer, by one of its shares and by itself.
    pub fn response_edits(&self, share: usize) -> Option<[&HeaderEdits; 2]> {
        let forward = self.plan.action.forward()?;
        Some([&forward.to[share].response, &forward.response])
    }

    /// One of its shares by weight, by its index in the plan; `None`: it leads nowhere.
    pub fn pick(&self, random: &mut fastrand::Rng) -> Option<usize> {
        if self.onward.len() == 1 {
            return Some(0);
        }
        let mut ticket = if self.weights == 0 { return None } else { random.u64(0..self.weights) };
        self.onward.iter().position(|onward| {
            let weight = u64::from(onward.weight);
            let is_it = ticket < weight;
            ticket = ticket.saturating_sub(weight);
            is_it
        })
    }
}

impl Destination {
    fn new(plan: &model::Destination, upstreams: &[Arc<Upstream>]) -> Self {
        match plan {
            model::Destination::Upstream(index) => Self::Upstream(Arc::clone(&upstreams[*index])),
            model::Destination::Missing(name) => Self::Missing(name.clone()),
        }
    }
}

impl Onward {
    fn new(forward: &Forward, share: &Share, upstreams: &[Arc<Upstream>]) -> Self {
        let to = Destination::new(&share.to, upstreams);
        let host = forward.host_sent(share).and_then(|text| Authority::parse(text.as_bytes()));
        let rewritten_host = host.and_then(|host| Host::parse(host.host()).ok());
        Self { to, weight: share.weight, rewritten_host }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Action, Condition, Listener, PathMatch, Route};
    use crate::wire::{Head, Version};

    fn table(routes: Vec<Route>) -> RouteTable {
        let listener = Listener {
            name: "0.0.0.0_443".into(),
            route_table: "http.443".into(),
            port: 443,
            bind: "0.0.0.0:443".parse().expect("valid"),
        };
        let plan = Plan { listeners: vec![listener], routes, upstreams: vec![] };
        RouteTable::build(&plan, &[], &mut StatPrefixes::default())
    }

    fn route(hosts: &[&str], rules: &[(&str, PathMatch)]) -> Route {
        let rules = rules.iter().map(|(name, path)| model::Rule {
            name: (*name).into(),
            stat_prefix: String::new(),
            condition: Condition { path: path.clone(), ..Condition::default() },
            fault: None,
            action: Action::Forward(Forward::new(model::Destination::Missing("nowhere".into()))),
        });
        Route {
            name: hosts[0].into(),
            listeners: vec![0],
            hosts: hosts.iter().map(|host| HostPattern::parse(host).expect("valid")).collect(),
            rules: rules.map(Arc::new).collect(),
        }
    }

    fn find<'t>(
        table: &'t RouteTable,
        host: &str,
        path: &str,
    ) -> Option<(String, Option<&'t str>)> {
        let at = "127.0.0.1:443".parse().expect("valid");
        let head = Head::request(Default::default(), Version::Http11, b"GET", path.as_bytes());
        let found = table.find((at, 443), host, Asked { head: &head, scheme: "http" })?;
        Some((found.pattern.to_owned(), found.rule.map(|rule| rule.plan.name.as_str())))
    }

    fn any() -> PathMatch {
        PathMatch::Prefix("/".into())
    }

    #[test]
    fn exact_beats_the_longest_suffix_beats_any() {
        let table = table(vec![
            route(&["*"], &[("any", any())]),
            route(&["*.b.com"], &[("short", any())]),
            route(&["*.a.b.com"], &[("long", any())]),
            route(&["x.a.b.com"], &[("exact", any())]),
        ]);
        for (host, rule) in [
            ("x.a.b.com", "exact"),
            ("y.a.b.com", "long"),
            ("z.y.a.b.com", "long"),
            ("a.b.com", "short"),
            ("b.com", "any"),
            ("com", "any"),
        ] {
            assert_eq!(find(&table, host, "/").and_then(|(_, rule)| rule), Some(rule), "{host}");
        }
    }

    #[test]
    fn rules_are_tried_in_order_and_no_other_host_is_tried() {
        let table = table(vec![
            route(&["*"], &[("any", any())]),
            route(
                &["a.com"],
                &[
                    ("exact", PathMatch::Exact("/x".into())),
                    ("prefix", PathMatch::Prefix("/x".into())),
                ],
            ),
        ]);
        assert_eq!(find(&table, "a.com", "/x"), Some(("a.com".into(), Some("exact"))));
        assert_eq!(find(&table, "a.com", "/xy"), Some(("a.com".into(), Some("prefix"))));
        assert_eq!(find(&table, "a.com", "/"), Some(("a.com".into(), None)));
    }

    proptest! {
        /// The table agrees with trying every pattern in order of rank.
        #[test]
        fn the_table_agrees_with_the_definition(
            patterns in proptest::collection::hash_set("(\\*\\.)?([ab]\\.){0,3}[ab]|\\*", 1..8),
            host in "([ab]\\.){0,4}[ab]",
        ) {
            let routes = patterns.iter().map(|text| route(&[text.as_str()], &[(text.as_str(), any())]));
            let table = table(routes.collect());
            let rank = |text: &&String| (!text.starts_with('*'), text.len());
            let expected = patterns
                .iter()
                .filter(|text| HostPattern::parse(text).expect("valid").matches(&host))
                .max_by_key(rank);
            prop_assert_eq!(find(&table, &host, "/").map(|(pattern, _)| pattern), expected.cloned());
        }
    }
}
