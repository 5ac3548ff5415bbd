//! Which endpoints are left out for a while, since requests to them keep failing (Envoy's outlier detection).
//!
//! A state machine: what has become of requests goes in, whether that ejects the endpoint comes out, and
//! time is passed in. It is shared by all lanes, and costs one load of a flag where no policy asks for it.
//! It asks no endpoint how it is. An endpoint keeps its record as long as its upstream lives, by address.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::Upstream;
use super::endpoints::{Endpoint, Endpoints, Known};
use crate::model::resilience::{Ejection, Outliers};
use crate::model::{Failure, duration};

/// The longest ejection (Envoy's `max_ejection_time`), unless the first is longer.
const EJECTION_MAX: Duration = Duration::from_secs(300);

/// What has become of a request, or of a connection for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The origin answered with this status.
    Answer(u16),
    /// No answer: no connection, a broken one, or none in time.
    Lost,
}

/// The record of one endpoint. Times are milliseconds of its upstream's [`Watch`].
#[derive(Debug, Default)]
pub struct Health {
    errors: AtomicU32,
    gateway_errors: AtomicU32,
    local_errors: AtomicU32,
    /// How often it was ejected, less what was forgiven.
    ejections: AtomicU32,
    /// It is out until then; 0: it is in.
    until: AtomicU64,
    /// When it came in again after the last time.
    back: AtomicU64,
}

impl Health {
    /// Counts an event; says for what the endpoint is to be ejected, if it is.
    pub fn count(&self, event: Event, rule: &Outliers) -> Option<Ejection> {
        let status = match (event, rule.local_errors) {
            (Event::Lost, Some(limit)) => {
                return reaches(&self.local_errors, Some(limit)).then_some(Ejection::LocalErrors);
            }
            (Event::Lost, None) => 503,
            (Event::Answer(status), _) => {
                reset(&self.local_errors);
                rule.counted(status)
            }
        };
        if status < 500 {
            reset(&self.errors);
            reset(&self.gateway_errors);
            return None;
        }
        let gateway = if matches!(status, 502..=504) {
            reaches(&self.gateway_errors, rule.gateway_errors)
        } else {
            reset(&self.gateway_errors);
            false
        };
        let errors = reaches(&self.errors, rule.errors);
        match (gateway, errors) {
            (true, _) => Some(Ejection::GatewayErrors),
            (false, true) => Some(Ejection::Errors),
            (false, false) => None,
        }
    }

    /// Whether it was ever ejected, so that its record is worth keeping.
    pub fn has_record(&self) -> bool {
        self.ejections.load(Ordering::Relaxed) != 0
    }

    /// Whether it is left out.
    pub fn is_out(&self, now: u64) -> bool {
        now < self.until.load(Ordering::Relaxed)
    }

    /// Puts it out, and says for how long: each time for longer, but one time is forgiven for each
    /// interval that it was in since.
    pub fn eject(&self, rule: &Outliers, now: u64) -> Duration {
        let since = now.saturating_sub(self.back.load(Ordering::Relaxed));
        let forgiven = since / millis(rule.interval).max(1);
        let forgiven = u32::try_from(forgiven).unwrap_or(u32::MAX);
        let times = self.ejections.load(Ordering::Relaxed).saturating_sub(forgiven) + 1;
        let time = rule.ejection.saturating_mul(times).min(EJECTION_MAX.max(rule.ejection));
        let until = now + millis(time).max(1);
        self.ejections.store(times, Ordering::Relaxed);
        self.back.store(until, Ordering::Relaxed);
        self.until.store(until, Ordering::Relaxed);
        time
    }

    /// Whether its time out is over, which is told once.
    fn comes_back(&self, now: u64) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        let swap =
            || self.until.compare_exchange(until, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        until != 0 && now >= until && swap()
    }
}

/// Counts one more in a row; at the limit the row begins anew.
fn reaches(row: &AtomicU32, limit: Option<u32>) -> bool {
    let Some(limit) = limit else { return false };
    let reached = row.fetch_add(1, Ordering::Relaxed).saturating_add(1) >= limit;
    if reached {
        row.store(0, Ordering::Relaxed);
    }
    reached
}

/// Ends a row; mostly there is none, and nothing is written that other cores would have to fetch.
fn reset(row: &AtomicU32) {
    if row.load(Ordering::Relaxed) != 0 {
        row.store(0, Ordering::Relaxed);
    }
}

fn words(reason: Ejection, rule: &Outliers) -> &'static str {
    match reason {
        Ejection::Errors if rule.statuses.is_empty() => "answers from 500 or failures in a row",
        Ejection::Errors => "answers that count as errors or failures in a row",
        Ejection::GatewayErrors => "answers 502, 503, 504 or failures in a row",
        Ejection::LocalErrors => "connections in a row that failed or broke",
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2)
}

/// Whether an upstream's endpoints are watched, and by which clock.
#[derive(Debug)]
pub struct Watch {
    asked_for: AtomicBool,
    since: Instant,
}

impl Watch {
    /// Beginning now.
    pub(super) fn new(rule: Option<&Outliers>) -> Self {
        Self { asked_for: AtomicBool::new(rule.is_some()), since: Instant::now() }
    }

    /// Takes another policy. Without a rule nobody is out any more.
    pub(super) fn adopt(&self, rule: Option<&Outliers>) {
        self.asked_for.store(rule.is_some(), Ordering::Relaxed);
    }

    fn now(&self, now: Instant) -> u64 {
        millis(now.duration_since(self.since))
    }
}

impl Upstream {
    /// Whether it is of use to say what becomes of requests.
    pub fn is_watched(&self) -> bool {
        self.watch.asked_for.load(Ordering::Relaxed)
    }

    /// Notes what has become of a request to an endpoint; says for what that ejects it, if it does.
    pub fn note(&self, endpoint: &Endpoint, event: Event, now: Instant) -> Option<Ejection> {
        let policy = self.policy.load();
        let rule = policy.outliers.as_deref()?;
        let now = self.watch.now(now);
        if endpoint.health.is_out(now) {
            return None; // what was under way when it was ejected says nothing new
        }
        let reason = endpoint.health.count(event, rule)?;
        let Known::Ready(endpoints) = &**self.endpoints.load() else { return None };
        let out = endpoints.list.iter().filter(|one| one.health.is_out(now)).count();
        let (name, address) = (&self.key.name, endpoint.address);
        if 100 * out >= rule.ejected_max_percent as usize * endpoints.list.len() {
            tracing::debug!("{address} of {name} is not ejected: {out} others are");
            return None;
        }
        let time = duration::format(endpoint.health.eject(rule, now));
        self.endpoints.some_out.store(true, Ordering::Relaxed);
        tracing::warn!(
            "{address} of {name} is ejected for {time}: too many {}",
            words(reason, rule)
        );
        Some(reason)
    }

    /// The endpoints without those that are out; `None`: all of them.
    ///
    /// Errors: `NoEndpoint`, when none is left.
    pub fn without_ejected(
        &self,
        endpoints: &Endpoints,
        now: Instant,
    ) -> Result<Option<Arc<Endpoints>>, Failure> {
        if !self.endpoints.some_out.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let rule = self.policy.load().outliers.clone();
        let now = self.watch.now(now);
        for endpoint in endpoints.list.iter().filter(|endpoint| endpoint.health.comes_back(now)) {
            tracing::info!("{} of {} is no longer ejected", endpoint.address, self.key.name);
        }
        let is_in = |index: &usize| !endpoints.list[*index].health.is_out(now);
        let within: Vec<usize> = (0..endpoints.list.len()).filter(is_in).collect();
        let Some(rule) = rule.filter(|_| within.len() < endpoints.list.len()) else {
            self.endpoints.some_out.store(false, Ordering::Relaxed);
            // Whoever was ejected meanwhile must not be overlooked.
            let again = endpoints.list.iter().any(|endpoint| endpoint.health.is_out(now));
            self.endpoints.some_out.store(again, Ordering::Relaxed);
            return Ok(None);
        };
        if 100 * within.len() < rule.healthy_min_percent as usize * endpoints.list.len() {
            return Ok(None);
        }
        if within.is_empty() {
            let (count, name) = (endpoints.list.len(), &self.key.name);
            return Err(Failure::NoEndpoint(format!(
                "all {count} endpoints of {name} are ejected"
            )));
        }
        let weights = &endpoints.weights;
        Ok(Some(Arc::new(Endpoints {
            list: within.iter().map(|index| Arc::clone(&endpoints.list[*index])).collect(),
            logical: endpoints.logical,
            weights: within.iter().filter_map(|index| weights.get(*index).copied()).collect(),
        })))
    }

    /// How many of its endpoints are left out.
    pub fn ejected(&self) -> u64 {
        if !self.is_watched() {
            return 0; // mostly nobody is, and there may be a hundred thousand to be asked
        }
        let Known::Ready(endpoints) = &**self.endpoints.load() else { return 0 };
        let now = Instant::now();
        let list = endpoints.list.iter();
        list.filter(|endpoint| self.ejected_for(endpoint, now).is_some()).count() as u64
    }

    /// How long an endpoint is left out still; `None`: it is in.
    pub fn ejected_for(&self, endpoint: &Endpoint, now: Instant) -> Option<Duration> {
        let left =
            endpoint.health.until.load(Ordering::Relaxed).checked_sub(self.watch.now(now))?;
        (self.is_watched() && left > 0).then_some(Duration::from_millis(left))
    }
}

#[cfg(test)]
mod tests;
