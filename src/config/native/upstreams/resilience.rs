//! `pool`, `hash`, `weights` and `outliers` become a part of an upstream's policy.

use std::time::Duration;

use super::super::report::{Parts, Report};
use super::super::shapes::{self, Rule};
use super::parse_endpoint;
use crate::model::resilience::{
    HashBy, HashCookie, HashTable, Hashed, Keepalive, Outliers, Pings, RetryBudget, UpstreamLimits,
    Warmup,
};
use crate::model::{Balance, Policy, Target, duration};

/// Time for the answer to a PING when none is given.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Reads the blocks of one destination.
pub(super) struct Reader<'r, 'd> {
    pub report: &'r mut Report<'d>,
    pub parts: Parts<'r>,
}

impl Reader<'_, '_> {
    /// Puts what a rule says into a policy that has the rest.
    pub fn apply(&mut self, rule: &Rule, target: &Target, policy: &mut Policy) {
        if let Some(pool) = &rule.pool {
            self.pool(pool, policy);
        }
        if let Some(hash) = &rule.hash
            && let Some(by) = self.hash_by(hash)
        {
            let table = match (count(hash.maglev), count(hash.ring)) {
                (Some(size), _) => HashTable::Maglev { size },
                (None, Some(size_min)) => HashTable::Ring { size_min },
                (None, None) => HashTable::default(),
            };
            policy.balance = Balance::Hashed(Box::new(Hashed { by, table }));
        }
        for (text, weight) in rule.weights.iter().flatten() {
            match parse_endpoint(text, target.port) {
                Ok(endpoint) if *weight != 0 => policy.weights.push((endpoint, *weight)),
                Ok(_) => {
                    self.error("weights", "a weight of 0 is not one; it counts 1", "leave it out")
                }
                Err(why) => self.error("weights", &why, ""),
            }
        }
        policy.sort_weights();
        policy.warmup = rule.warmup.as_ref().and_then(|warmup| self.warmup(warmup));
        policy.outliers = rule.outliers.as_ref().map(|outliers| Box::new(self.outliers(outliers)));
    }

    fn pool(&mut self, pool: &shapes::Pool, policy: &mut Policy) {
        policy.limits = UpstreamLimits {
            connections: count(pool.connections),
            pending: count(pool.pending),
            requests: count(pool.requests),
            retries: count(pool.retries),
            streams: count(pool.streams),
        };
        policy.connection_age_max = self.time("pool.connectionDuration", &pool.connection_duration);
        if let Some(keepalive) = &pool.keepalive {
            let seconds = |time: Duration| Duration::from_secs(time.as_secs().max(1));
            policy.keepalive = Keepalive {
                time: self.time("pool.keepalive.time", &keepalive.time).map(seconds),
                interval: self.time("pool.keepalive.interval", &keepalive.interval).map(seconds),
                probes: count(keepalive.probes),
            };
        }
        if let Some(pings) = &pool.pings {
            let timeout = self.time("pool.pings.timeout", &pings.timeout).unwrap_or(PING_TIMEOUT);
            match self.time("pool.pings.interval", &pings.interval) {
                Some(interval) => policy.pings = Some(Pings { interval, timeout }),
                None => self.error("pool.pings", "without an interval no PING is sent", "add it"),
            }
        }
        if let Some(budget) = &pool.retry_budget {
            let defaults = RetryBudget::default();
            policy.retry_budget = Some(RetryBudget {
                percent: self.percent("pool.retryBudget.percent", budget.percent, defaults.percent),
                min: budget.min.unwrap_or(defaults.min),
            });
        }
    }

    fn hash_by(&mut self, hash: &shapes::Hash) -> Option<HashBy> {
        let cookie = hash.cookie.as_ref().and_then(|cookie| self.cookie(cookie));
        let mut keys = [
            hash.header.clone().map(HashBy::Header),
            cookie,
            hash.source_ip.filter(|wanted| *wanted).map(|_| HashBy::SourceIp),
            hash.query.clone().map(HashBy::Query),
        ]
        .into_iter()
        .flatten();
        let first = keys.next();
        let count = usize::from(first.is_some()) + keys.count();
        if count != 1 {
            let message = format!("{count} things are named to hash; there must be one");
            self.error("hash", &message, "name one of header, cookie, sourceIp, query");
        }
        first
    }

    fn cookie(&mut self, cookie: &shapes::Cookie) -> Option<HashBy> {
        let fits = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
        let (name, path) =
            (cookie.name.clone().unwrap_or_default(), cookie.path.clone().unwrap_or_default());
        if name.is_empty() || !fits(&name) || !fits(&path) || name.contains(['=', '"', ',']) {
            self.error("hash.cookie", "the name or the path does not fit a cookie", "name it");
            return None;
        }
        let ttl = match cookie.ttl.as_deref().map(duration::parse) {
            None => None,
            Some(Ok(ttl)) => Some(Duration::from_secs(ttl.as_secs())),
            Some(Err(why)) => {
                self.error("hash.cookie.ttl", &why, "");
                None
            }
        };
        let mut attributes = Vec::new();
        for text in &cookie.attributes {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            if HashCookie::takes(name, value) {
                attributes.push((name.to_owned(), value.to_owned()));
            } else {
                let message = format!("\"{text}\" does not fit a cookie; it is left out");
                self.error("hash.cookie.attributes", &message, "write e.g. SameSite=Strict");
            }
        }
        Some(HashBy::Cookie(HashCookie { name, path, ttl, attributes }))
    }

    fn warmup(&mut self, warmup: &shapes::Warmup) -> Option<Warmup> {
        let mut number = |written: Option<f64>, name: &str, least: f64, most: f64| {
            let written = written?;
            if (least..=most).contains(&written) {
                return Warmup::thousandths(written);
            }
            let message = format!("it is from {least} to {most}; the default is used");
            self.error(&format!("warmup.{name}"), &message, "");
            None
        };
        let aggression_thousandths = number(warmup.aggression, "aggression", 1.0, 1_000.0);
        let minimum_percent_thousandths =
            number(warmup.minimum_percent, "minimumPercent", 0.0, 100.0);
        if warmup.duration.is_none() {
            self.error("warmup.duration", "it is missing", "write e.g. duration: 60s");
        }
        let duration = self.time("warmup.duration", &warmup.duration)?;
        Some(Warmup { duration, aggression_thousandths, minimum_percent_thousandths })
    }

    fn outliers(&mut self, outliers: &shapes::Outliers) -> Outliers {
        let defaults = Outliers::default();
        let (ejected, healthy) = (outliers.ejected_max_percent, outliers.healthy_min_percent);
        let is_status = |status: &u16| (100..600).contains(status);
        if !outliers.statuses.iter().all(is_status) {
            self.error("outliers.statuses", "a status is from 100 to 599; others don't count", "");
        }
        Outliers {
            statuses: outliers.statuses.iter().copied().filter(is_status).collect(),
            errors: outliers.errors.map_or(defaults.errors, |number| count(Some(number))),
            gateway_errors: count(outliers.gateway_errors),
            local_errors: count(outliers.local_errors),
            interval: self
                .time("outliers.interval", &outliers.interval)
                .unwrap_or(defaults.interval),
            ejection: self
                .time("outliers.ejection", &outliers.ejection)
                .unwrap_or(defaults.ejection),
            ejected_max_percent: self.percent(
                "outliers.ejectedMaxPercent",
                ejected,
                defaults.ejected_max_percent,
            ),
            healthy_min_percent: self.percent(
                "outliers.healthyMinPercent",
                healthy,
                defaults.healthy_min_percent,
            ),
        }
    }

    fn percent(&mut self, field: &str, written: Option<u32>, default: u32) -> u32 {
        match written {
            Some(percent) if percent > 100 => {
                self.error(field, &format!("{percent} is more than 100 percent"), "write 0 to 100");
                default
            }
            written => written.unwrap_or(default),
        }
    }

    fn time(&mut self, field: &str, text: &Option<String>) -> Option<Duration> {
        match duration::parse(text.as_deref()?) {
            Ok(Duration::ZERO) => {
                self.error(field, "it must be longer than nothing; the default is used", "");
                None
            }
            Ok(time) => Some(time),
            Err(why) => {
                self.error(field, &format!("{why}; the default is used"), "");
                None
            }
        }
    }

    fn error(&mut self, field: &str, message: &str, fix: &'static str) {
        let field = self.report.field(self.parts, field);
        self.report.error("EG081", &field, message, fix);
    }
}

/// A number of which 0 says that there is no limit.
fn count(number: Option<u32>) -> Option<u32> {
    number.filter(|number| *number != 0)
}
