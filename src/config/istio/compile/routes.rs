//! The rules of all objects for one host are joined: each host of a listener has one list of rules.
//!
//! Hosts with the same list share a route, so that 100,000 hosts of one object are one route.
//! Source: istio `core/gateway.go:buildGatewayHTTPRouteConfig`, `collapseDuplicateRoutes`.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::gateway::{Gateways, OpenServer};
use super::upstreams::Known;
use super::virtual_service::{Rules, Site, Virtual};
use crate::config::provenance::Skipped;
use crate::config::{Compiled, Identity};
use crate::model::{Action, Condition, HeaderEdits, HostPattern, Redirect, Route, Rule};

/// The contributions of objects to one host, in order, as indices.
type Share = SmallVec<[usize; 2]>;

/// Adds the routes of every listener to the plan.
pub fn build(
    virtuals: &mut [Virtual<'_>],
    delegates: &mut [Virtual<'_>],
    gateways: &Gateways,
    known: &Known,
    identity: &Identity,
    compiled: &mut Compiled,
) {
    // Istio's order: private to the namespace, exported to it, public; else as written.
    virtuals.sort_by_key(|one| one.visibility);
    let bound = bound_to(gateways, virtuals);
    for listener in 0..compiled.plan.listeners.len() {
        let mut table = Table::default();
        for server in gateways.servers.iter().filter(|server| server.listener == listener) {
            let mut redirected = Vec::new();
            for index in bound[server.gateway.as_str()].iter().copied() {
                let one = &mut virtuals[index];
                let hosts = one.hosts_on(server);
                if hosts.is_empty() {
                    continue;
                }
                // Two servers of one gateway give the same rules; a second copy would only be dead weight.
                let key = (index, server.gateway.as_str());
                let share = match table.made.get(&key) {
                    Some(share) => *share,
                    None => table.take(
                        key,
                        one.rules_on(Site { server, known, identity }, delegates),
                        &mut compiled.provenance.skipped,
                    ),
                };
                if server.redirects.is_some() {
                    redirected.extend(hosts.iter().cloned());
                    let reason = "the server sends every client of these hosts to https";
                    let skipped = one.skipped("spec.hosts", server, reason.to_owned());
                    compiled.provenance.skipped.push(skipped);
                }
                table.add(share, hosts);
                one.made_rules |= table.says_something(share);
            }
            if server.redirects.is_some() {
                redirected.extend(server.admitted.all().cloned());
            }
            table.redirect(server, redirected);
        }
        table.finish(listener, compiled);
    }
    for one in virtuals {
        one.report_no_rule();
    }
}

/// The objects that are bound to each gateway which has a server, in their order.
fn bound_to<'g>(gateways: &'g Gateways, virtuals: &[Virtual<'_>]) -> HashMap<&'g str, Vec<usize>> {
    let names = gateways.servers.iter().map(|server| (server.gateway.as_str(), Vec::new()));
    let mut bound: HashMap<&str, Vec<usize>> = names.collect();
    for (index, one) in virtuals.iter().enumerate() {
        for gateway in &one.gateways {
            if let Some(objects) = bound.get_mut(gateway.as_str()) {
                objects.push(index);
            }
        }
    }
    bound
}

/// The hosts of one listener.
#[derive(Default)]
struct Table<'g> {
    contributions: Vec<Rules>,
    /// By the index of the object and its gateway.
    made: HashMap<(usize, &'g str), usize, RandomState>,
    shares: HashMap<HostPattern, Share, RandomState>,
    /// Hosts in the order they were first met.
    hosts: Vec<HostPattern>,
    /// Hosts whose clients are sent to https, whatever else is said of them.
    redirected: Vec<(HostPattern, usize)>,
}

impl<'g> Table<'g> {
    fn take(
        &mut self,
        key: (usize, &'g str),
        mut rules: Rules,
        skipped: &mut Vec<Skipped>,
    ) -> usize {
        skipped.append(&mut rules.skipped);
        self.contributions.push(rules);
        self.made.insert(key, self.contributions.len() - 1);
        self.contributions.len() - 1
    }

    fn add(&mut self, share: usize, hosts: Vec<HostPattern>) {
        if !self.says_something(share) {
            return; // as Istio: an object with no rule here makes no virtual host
        }
        for host in hosts {
            let shares = self.shares.entry(host).or_insert_with_key(|host| {
                self.hosts.push(host.clone());
                Share::new()
            });
            if !shares.contains(&share) {
                shares.push(share);
            }
        }
    }

    /// Sends clients of these hosts to https, as the server says.
    fn redirect(&mut self, server: &OpenServer, hosts: Vec<HostPattern>) {
        let Some(origin) = &server.redirects else { return };
        let redirect = Redirect {
            status: 301,
            scheme: Some("https".to_owned()),
            authority: None,
            port: None,
            path: None,
            response: HeaderEdits::default(),
        };
        let rule = Rule {
            name: String::new(),
            stat_prefix: String::new(),
            condition: Condition::default(),
            fault: None,
            action: Action::Redirect(redirect),
        };
        let mut rules = Rules::default();
        rules.rules.push((Arc::new(rule), origin.clone()));
        self.contributions.push(rules);
        let index = self.contributions.len() - 1;
        self.redirected.extend(hosts.into_iter().map(|host| (host, index)));
    }

    /// Whether a contribution has a rule, or had one that could not be compiled.
    fn says_something(&self, share: usize) -> bool {
        let rules = &self.contributions[share];
        !rules.rules.is_empty() || rules.left_out > 0
    }

    fn finish(mut self, listener: usize, compiled: &mut Compiled) {
        for (host, index) in std::mem::take(&mut self.redirected) {
            let share = std::iter::once(index).collect();
            if self.shares.insert(host.clone(), share).is_none() {
                self.hosts.push(host);
            }
        }
        let mut groups: Vec<(Share, Vec<HostPattern>)> = Vec::new();
        let mut by_share: HashMap<Share, usize> = HashMap::new();
        for host in self.hosts {
            let Some(share) = self.shares.remove(&host) else {
                continue;
            };
            let group = *by_share.entry(share).or_insert_with_key(|share| {
                groups.push((share.clone(), Vec::new()));
                groups.len() - 1
            });
            groups[group].1.push(host);
        }
        let port = compiled.plan.listeners[listener].port;
        for (share, mut hosts) in groups {
            let parts =
                share.iter().flat_map(|index| self.contributions[*index].rules.iter().cloned());
            // Rules for every request go last, so that a later object's rules are reached.
            let (last, first): (Vec<_>, Vec<_>) =
                parts.partition(|(rule, _)| rule.condition.is_any());
            let (mut rules, mut origins): (Vec<_>, Vec<_>) = first.into_iter().chain(last).unzip();
            rules.shrink_to_fit();
            origins.shrink_to_fit();
            hosts.shrink_to_fit();
            let name = hosts.first().map_or_else(String::new, |host| virtual_host(host, port));
            compiled.plan.routes.push(Route { name, listeners: vec![listener], hosts, rules });
            compiled.provenance.routes.push(origins);
        }
    }
}

/// `edition.cnn.com:443`.
fn virtual_host(host: &HostPattern, port: u16) -> String {
    match host {
        HostPattern::Exact(host) if host.as_str().contains(':') => format!("[{host}]:{port}"),
        host => format!("{host}:{port}"),
    }
}
