//! The part of a policy that keeps an upstream from harm, written back; nothing that is the default.

use super::super::yaml::Node;
use super::{Fields, bracketed, number, text, texts, time};
use crate::model::resilience::{
    HashBy, HashTable, Hashed, Keepalive, Outliers, RetryBudget, UpstreamLimits,
};
use crate::model::{Balance, Policy};

/// `pool`, `hash`, `weights`, `warmup` and `outliers`, where they say something.
pub(super) fn fields(policy: &Policy) -> Fields {
    let mut fields = Fields::new();
    let pool = pool(policy);
    if !pool.is_empty() {
        fields.push(("pool".to_owned(), Node::Map(pool)));
    }
    if let Balance::Hashed(hash) = &policy.balance {
        fields.push(("hash".to_owned(), Node::Map(hashed(hash))));
    }
    if !policy.weights.is_empty() {
        let weight = |(target, weight): &(crate::model::Target, u32)| {
            let name = format!("{}:{}", bracketed(&target.host), target.port);
            number(&name, (*weight).into())
        };
        let weights = policy.weights.iter().map(weight).collect();
        fields.push(("weights".to_owned(), Node::Map(weights)));
    }
    if let Some(warmup) = &policy.warmup {
        let mut written = vec![time("duration", warmup.duration)];
        for (name, thousandths) in [
            ("minimumPercent", warmup.minimum_percent_thousandths),
            ("aggression", warmup.aggression_thousandths),
        ] {
            let decimal = |number: u32| Node::Decimal((f64::from(number) / 1000.0).to_string());
            written.extend(thousandths.map(|number| (name.to_owned(), decimal(number))));
        }
        fields.push(("warmup".to_owned(), Node::Map(written)));
    }
    if let Some(rule) = &policy.outliers {
        fields.push(("outliers".to_owned(), Node::Map(outliers(rule))));
    }
    fields
}

fn pool(policy: &Policy) -> Fields {
    let UpstreamLimits { connections, pending, requests, retries, streams } = policy.limits;
    let mut fields: Fields = [
        ("connections", connections),
        ("pending", pending),
        ("requests", requests),
        ("retries", retries),
        ("streams", streams),
    ]
    .into_iter()
    .filter_map(|(name, limit)| Some(number(name, limit?.into())))
    .collect();
    fields.extend(policy.connection_age_max.map(|age| time("connectionDuration", age)));
    let Keepalive { time: silence, interval, probes } = policy.keepalive;
    let mut keepalive = Fields::new();
    keepalive.extend(silence.map(|silence| time("time", silence)));
    keepalive.extend(interval.map(|interval| time("interval", interval)));
    keepalive.extend(probes.map(|probes| number("probes", probes.into())));
    if !keepalive.is_empty() {
        fields.push(("keepalive".to_owned(), Node::Map(keepalive)));
    }
    if let Some(pings) = policy.pings {
        let pings = vec![time("interval", pings.interval), time("timeout", pings.timeout)];
        fields.push(("pings".to_owned(), Node::Map(pings)));
    }
    if let Some(RetryBudget { percent, min }) = policy.retry_budget {
        let budget = vec![number("percent", percent.into()), number("min", min.into())];
        fields.push(("retryBudget".to_owned(), Node::Map(budget)));
    }
    fields
}

fn hashed(hash: &Hashed) -> Fields {
    let by = match &hash.by {
        HashBy::Header(name) => text("header", name),
        HashBy::Query(name) => text("query", name),
        HashBy::SourceIp => ("sourceIp".to_owned(), Node::Flag(true)),
        HashBy::Cookie(cookie) => {
            let mut fields = vec![text("name", &cookie.name)];
            if !cookie.path.is_empty() {
                fields.push(text("path", &cookie.path));
            }
            fields.extend(cookie.ttl.map(|ttl| time("ttl", ttl)));
            let attribute = |(name, value): &(String, String)| match value.as_str() {
                "" => name.clone(),
                value => format!("{name}={value}"),
            };
            if !cookie.attributes.is_empty() {
                let attributes = texts(cookie.attributes.iter().map(attribute));
                fields.push(("attributes".to_owned(), attributes));
            }
            ("cookie".to_owned(), Node::Map(fields))
        }
    };
    let mut fields = vec![by];
    match hash.table {
        table if table == HashTable::default() => {}
        HashTable::Ring { size_min } => fields.push(number("ring", size_min.into())),
        HashTable::Maglev { size } => fields.push(number("maglev", size.into())),
    }
    fields
}

fn outliers(rule: &Outliers) -> Fields {
    let defaults = Outliers::default();
    let mut fields = Fields::new();
    if !rule.statuses.is_empty() {
        let statuses = rule.statuses.iter().map(|status| Node::Number((*status).into()));
        fields.push(("statuses".to_owned(), Node::List(statuses.collect())));
    }
    if rule.errors != defaults.errors {
        fields.push(number("errors", rule.errors.unwrap_or(0).into()));
    }
    fields.extend(rule.gateway_errors.map(|count| number("gatewayErrors", count.into())));
    fields.extend(rule.local_errors.map(|count| number("localErrors", count.into())));
    if rule.interval != defaults.interval {
        fields.push(time("interval", rule.interval));
    }
    if rule.ejection != defaults.ejection {
        fields.push(time("ejection", rule.ejection));
    }
    if rule.ejected_max_percent != defaults.ejected_max_percent {
        fields.push(number("ejectedMaxPercent", rule.ejected_max_percent.into()));
    }
    if rule.healthy_min_percent != defaults.healthy_min_percent {
        fields.push(number("healthyMinPercent", rule.healthy_min_percent.into()));
    }
    fields
}
