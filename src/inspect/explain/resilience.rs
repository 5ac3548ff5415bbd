//! What keeps an upstream from harm, in sentences; nothing where nothing was asked for.

use crate::model::resilience::{HashBy, Outliers, UpstreamLimits};
use crate::model::{Balance, Policy, duration};

/// How an endpoint is chosen.
pub fn balance(balance: &Balance) -> String {
    match balance {
        Balance::LeastRequest => "least request".to_owned(),
        Balance::RoundRobin => "round robin".to_owned(),
        Balance::Random => "random".to_owned(),
        Balance::Hashed(hashed) => match &hashed.by {
            HashBy::Header(name) => format!("hash of the header {name}"),
            HashBy::Cookie(cookie) if cookie.ttl.is_some() => {
                format!("hash of the cookie {}, which clients without it are given", cookie.name)
            }
            HashBy::Cookie(cookie) => format!("hash of the cookie {}", cookie.name),
            HashBy::SourceIp => "hash of the client's address".to_owned(),
            HashBy::Query(name) => format!("hash of the query's {name}"),
        },
    }
}

/// A line for each thing that was asked for.
pub fn lines(policy: &Policy) -> Vec<String> {
    let mut lines = Vec::new();
    let UpstreamLimits { connections, pending, requests, retries, streams } = policy.limits;
    let limits: Vec<String> = [
        (connections, "connections"),
        (pending, "requests waiting for one"),
        (requests, "requests under way"),
        (retries, "retries under way"),
        (streams, "HTTP/2 streams a connection"),
    ]
    .into_iter()
    .filter_map(|(limit, what)| Some(format!("{} {what}", limit?)))
    .collect();
    if !limits.is_empty() {
        lines.push(format!("at most {}, over all workers", limits.join(", ")));
    }
    if let Some(age) = policy.connection_age_max {
        lines.push(format!("no connection is used for longer than {}", duration::format(age)));
    }
    if let Some(pings) = policy.pings {
        lines.push(format!(
            "HTTP/2 PING every {}, answered within {}",
            duration::format(pings.interval),
            duration::format(pings.timeout)
        ));
    }
    if let Some(budget) = policy.retry_budget {
        lines.push(format!(
            "retries under way: {} % of the requests, or {}",
            budget.percent, budget.min
        ));
    }
    if !policy.weights.is_empty() {
        let weight = |(target, weight): &(crate::model::Target, u32)| {
            format!("{}:{} counts {weight}", target.host, target.port)
        };
        lines.push(policy.weights.iter().map(weight).collect::<Vec<_>>().join(", "));
    }
    if let Some(warmup) = &policy.warmup {
        lines.push(format!(
            "a new endpoint has its full part after {}, and {} % of it at first",
            duration::format(warmup.duration),
            warmup.minimum_percent()
        ));
    }
    lines.extend(policy.outliers.as_deref().map(outliers));
    lines
}

fn outliers(rule: &Outliers) -> String {
    let (errors, gateway_errors) = match rule.statuses.as_slice() {
        [] => ("answers from 500".to_owned(), "answers 502, 503 or 504"),
        listed => {
            let listed: Vec<String> = listed.iter().map(u16::to_string).collect();
            (format!("answers {}", listed.join(", ")), "answers 502, 503 or 504 among them")
        }
    };
    let counts: Vec<String> = [
        (rule.errors, errors.as_str()),
        (rule.gateway_errors, gateway_errors),
        (rule.local_errors, "failed connections"),
    ]
    .into_iter()
    .filter_map(|(count, what)| Some(format!("{} {what}", count?)))
    .collect();
    format!(
        "an endpoint is ejected for {} times the number of its ejections after {} in a row, while fewer than {} % are",
        duration::format(rule.ejection),
        counts.join(" or "),
        rule.ejected_max_percent,
    )
}
