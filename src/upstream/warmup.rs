//! New endpoints get their part of the requests by and by (Envoy's slow start).
//!
//! An endpoint is new for a while after its address has come to be known; endpoints that are equally new
//! have equal parts. While none is, that costs one load of a flag.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::Upstream;
use super::endpoints::{Endpoints, Known};
use crate::model::Balance;
use crate::model::resilience::Warmup;

/// What a full part counts while others don't have one; less where weights are so large that they would not fit.
const FULL: u32 = 1_000_000;

impl Upstream {
    /// The endpoints with what they count while some of them are new; `None`: with what they have.
    pub fn warmed(&self, endpoints: &Endpoints, now: Instant) -> Option<Arc<Endpoints>> {
        if !self.endpoints.some_new.load(Ordering::Relaxed) {
            return None;
        }
        let policy = self.policy.load();
        let warmup = policy.warmup.filter(|_| slows(&policy.balance) && !endpoints.logical);
        let warm = |endpoints: &Endpoints, warmup: &Warmup| {
            let mut list = endpoints.list.iter();
            list.all(|one| now.saturating_duration_since(one.since) >= warmup.duration)
        };
        let Some(warmup) = warmup.filter(|warmup| !warm(endpoints, warmup)) else {
            self.endpoints.some_new.store(false, Ordering::Relaxed);
            // Whoever is new since then must not be overlooked.
            if let (Some(warmup), Known::Ready(latest)) = (warmup, &**self.endpoints.load()) {
                self.endpoints.some_new.store(!warm(latest, &warmup), Ordering::Relaxed);
            }
            return None;
        };
        let weight = |index: usize| f64::from(endpoints.weight(index));
        let largest = (0..endpoints.list.len()).map(weight).fold(1.0, f64::max);
        let full = f64::from(FULL).min(f64::from(u32::MAX) / largest);
        let weights = endpoints.list.iter().enumerate().map(|(index, one)| {
            let part = part(&warmup, now.saturating_duration_since(one.since));
            (weight(index) * part * full).max(1.0) as u32
        });
        let (list, weights) = (endpoints.list.clone(), weights.collect());
        Some(Arc::new(Endpoints { list, logical: false, weights }))
    }
}

/// Whether a way to balance goes by it; Envoy's others don't.
fn slows(balance: &Balance) -> bool {
    matches!(balance, Balance::RoundRobin | Balance::LeastRequest)
}

/// The part of its full share that an endpoint of an age has, up to 1.
fn part(warmup: &Warmup, age: Duration) -> f64 {
    if age >= warmup.duration {
        return 1.0;
    }
    let passed = age.max(Duration::from_millis(1)).as_secs_f64() / warmup.duration.as_secs_f64();
    passed.powf(1.0 / warmup.aggression()).max(warmup.minimum()).min(1.0)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::model::{Addressing, Host, Policy, Protocol, Security, UpstreamKey, UpstreamSpec};
    use crate::upstream::balance;
    use crate::upstream::tls::TlsContext;

    fn warmup(seconds: u64, aggression: f64, minimum_percent: f64) -> Warmup {
        let (aggression, minimum) =
            (Warmup::thousandths(aggression), Warmup::thousandths(minimum_percent));
        Warmup {
            duration: Duration::from_secs(seconds),
            aggression_thousandths: aggression,
            minimum_percent_thousandths: minimum,
        }
    }

    fn upstream(balance: Balance, warmup: Option<Warmup>) -> Arc<Upstream> {
        let spec = UpstreamSpec {
            key: UpstreamKey {
                name: "outbound|80||origin.test".to_owned(),
                host: Host::parse("origin.test").expect("valid"),
                port: 80,
                security: Security::Plain,
                protocol: Protocol::Http1,
                proxy_protocol: None,
            }
            .into(),
            policy: Policy { balance, warmup, ..Policy::default() }.into(),
            addressing: Addressing::Dns(Vec::new()).into(),
        };
        Upstream::new(&spec, &TlsContext::new(&[]).expect("no files"))
    }

    fn addresses(count: u16) -> Vec<SocketAddr> {
        (1..=count).map(|port| ([127, 0, 0, 1], port).into()).collect()
    }

    /// How many of a thousand requests each endpoint gets now; `None`: nothing is slowed.
    fn parts(upstream: &Upstream) -> Option<Vec<u32>> {
        let Known::Ready(endpoints) = &**upstream.endpoints.load() else { panic!("published") };
        let warmed = upstream.warmed(endpoints, Instant::now())?;
        let policy = upstream.policy.load();
        let (mut turn, mut random) = (0, fastrand::Rng::with_seed(7));
        let mut counts = vec![0; warmed.list.len()];
        for _ in 0..1000 {
            counts[balance::pick(&warmed, &policy.balance, &mut turn, &mut random)] += 1;
        }
        Some(counts)
    }

    #[test]
    fn the_part_grows_as_envoy_lets_it_grow() {
        for (aggression, minimum, age, expected) in [
            (1.0, 10.0, 0, 0.1),
            (1.0, 10.0, 5, 0.1),
            (1.0, 10.0, 50, 0.5),
            (1.0, 0.0, 0, 0.000_01),
            (2.0, 10.0, 25, 0.5),
            (2.0, 80.0, 25, 0.8),
            (1.0, 10.0, 100, 1.0),
            (1.0, 10.0, 1_000, 1.0),
        ] {
            let part = part(&warmup(100, aggression, minimum), Duration::from_secs(age));
            assert!((part - expected).abs() < 1e-9, "{aggression} {minimum} {age}: {part}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_joins_gets_its_part_by_and_by() {
        for balance in [Balance::RoundRobin, Balance::LeastRequest] {
            let upstream = upstream(balance.clone(), Some(warmup(100, 1.0, 10.0)));
            upstream.endpoints.publish(&addresses(2));
            let even = parts(&upstream).expect("both are new");
            assert!(even[0].abs_diff(500) < 60, "{balance:?} {even:?}");
            tokio::time::advance(Duration::from_secs(100)).await;
            assert_eq!(parts(&upstream), None);
            upstream.endpoints.publish(&addresses(3));
            for (age, expected) in [(0, 48), (50, 200), (25, 273)] {
                tokio::time::advance(Duration::from_secs(age)).await;
                let parts = parts(&upstream).expect("one is new");
                assert!(parts[2].abs_diff(expected) < 40, "{balance:?} {age} {parts:?}");
                assert!(parts[0].abs_diff(parts[1]) < 80, "{balance:?} {parts:?}");
            }
            tokio::time::advance(Duration::from_secs(25)).await;
            assert_eq!(parts(&upstream), None);
            assert!(!upstream.endpoints.some_new.load(Ordering::Relaxed), "nobody looks any more");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_policy_that_comes_later_slows_who_is_new_still() {
        let upstream = upstream(Balance::RoundRobin, None);
        upstream.endpoints.publish(&addresses(1));
        tokio::time::advance(Duration::from_secs(200)).await;
        upstream.endpoints.publish(&addresses(2));
        assert_eq!(parts(&upstream), None);
        let spec = UpstreamSpec {
            key: upstream.key.clone(),
            policy: Policy {
                balance: Balance::RoundRobin,
                warmup: Some(warmup(100, 1.0, 10.0)),
                ..Policy::default()
            }
            .into(),
            addressing: Addressing::Dns(Vec::new()).into(),
        };
        upstream.adopt(&spec);
        let parts = parts(&upstream).expect("one is new");
        assert!(parts[1].abs_diff(91) < 20, "{parts:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn other_ways_to_balance_go_on_as_ever() {
        let upstream = upstream(Balance::Random, Some(warmup(100, 1.0, 10.0)));
        upstream.endpoints.publish(&addresses(2));
        assert_eq!(parts(&upstream), None);
    }
}
