//! Which endpoint an attempt goes to: those that may be picked, what is hashed, and whose turn it is.
//!
//! A request whose upstream has one endpoint gets here no further than the first lines.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::timeout;

use super::exchange::Order;
use super::lane::Lane;
use super::limits;
use super::retry::Tried;
use crate::model::resilience::{HashBy, HashCookie};
use crate::model::retry::RetryHosts;
use crate::model::{Balance, Failure};
use crate::upstream::dynamic::Names;
use crate::upstream::endpoints::{Endpoints, Known};
use crate::upstream::{Upstream, balance, hash};
use crate::wire::{Head, Name};

/// Endpoints drawn anew when the one drawn was tried before (Istio's `hostSelectionRetryMaxAttempts`).
const REPICKS_MAX: u32 = 5;

/// The endpoints that may be picked; `None`: the name server has not answered yet.
pub fn known(upstream: &Upstream, lane: &Lane) -> Result<Option<Arc<Endpoints>>, Failure> {
    let all = match &**upstream.endpoints.load() {
        Known::Ready(endpoints) => Arc::clone(endpoints),
        Known::Failed(failure) => return Err(failure.clone()),
        Known::Pending => return Ok(None),
    };
    let now = lane.deadlines.now();
    let left = upstream.without_ejected(&all, now)?.unwrap_or(all);
    Ok(Some(upstream.warmed(&left, now).unwrap_or(left)))
}

/// Waits for the name server's first answer, of the request's own host where that is the destination: the
/// upstream itself then never has any. Nothing of it can be ejected yet.
pub async fn first(order: &Order<'_, '_>, lane: &Lane) -> Result<Arc<Endpoints>, Failure> {
    let upstream = order.upstream;
    if let Some(names) = &upstream.names {
        return of_name(names, order, lane).await;
    }
    let _place = limits::wait_for(upstream, lane)?;
    let limit = upstream.policy.load().connect_timeout;
    timeout(limit, upstream.endpoints.ready()).await.unwrap_or_else(|_| {
        let host = &upstream.key.host;
        Err(Failure::ResolveTimeout(format!("{host} does not resolve: no answer after {limit:?}")))
    })
}

/// The endpoints of the request's own host, waiting for the first answer if need be.
async fn of_name(
    names: &Names,
    order: &Order<'_, '_>,
    lane: &Lane,
) -> Result<Arc<Endpoints>, Failure> {
    let (upstream, host) = (order.upstream, order.server_name);
    let entry = names.find(host, lane.deadlines.now())?;
    let _place = match &**entry.endpoints.load() {
        Known::Ready(endpoints) => return Ok(Arc::clone(endpoints)),
        Known::Failed(failure) => return Err(failure.clone()),
        Known::Pending => limits::wait_for(upstream, lane)?,
    };
    let limit = upstream.policy.load().connect_timeout;
    timeout(limit, entry.endpoints.ready()).await.unwrap_or_else(|_| {
        let why = format!("{host} does not resolve: no answer after {limit:?}");
        Err(Failure::DynamicResolveTimeout(why))
    })
}

/// Whose turn it is: of those that were not tried yet, while there are any and the route wants that.
pub fn pick(order: &mut Order<'_, '_>, endpoints: &Endpoints, tried: &Tried, lane: &Lane) -> usize {
    let count = endpoints.list.len();
    if count < 2 {
        return 0;
    }
    let upstream = order.upstream;
    let policy = upstream.policy.load();
    let elsewhere = order.forward.retry.hosts != RetryHosts::Any;
    let was_tried = |index: usize| elsewhere && tried.has_been_at(endpoints.list[index].address);
    if let Balance::Hashed(hashed) = &policy.balance
        && let Some(key) = key(&hashed.by, order, lane)
        && !endpoints.logical
    {
        return hash::pick(endpoints, key, was_tried);
    }
    let draw = || {
        let mut turn = match &policy.balance {
            Balance::RoundRobin => upstream.turn.fetch_add(1, Ordering::Relaxed),
            Balance::LeastRequest | Balance::Random | Balance::Hashed(_) => 0,
        };
        balance::pick(endpoints, &policy.balance, &mut turn, &mut lane.random.borrow_mut())
    };
    let mut picked = draw();
    for _ in 0..REPICKS_MAX {
        if !was_tried(picked) {
            return picked;
        }
        picked = draw();
    }
    // Chance has had its turns; what is left is looked through.
    (picked..picked + count).map(|index| index % count).find(|i| !was_tried(*i)).unwrap_or(picked)
}

/// The hash of what the policy names; `None`: the request has nothing of the kind.
fn key(by: &HashBy, order: &mut Order<'_, '_>, lane: &Lane) -> Option<u64> {
    match by {
        HashBy::Header(name) if name.eq_ignore_ascii_case("host") || name == ":authority" => {
            order.head.find(Name::Host).map(hash::of)
        }
        HashBy::Header(name) => order.head.find_named(name.as_bytes()).map(hash::of),
        HashBy::SourceIp => Some(hash::of(order.client.to_string().as_bytes())),
        HashBy::Query(name) => parameter(order.head.target(), name.as_bytes()).map(hash::of),
        HashBy::Cookie(cookie) => match cookie_value(order.head, cookie.name.as_bytes()) {
            Some(value) => Some(hash::of(value)),
            None => given(cookie, order, lane),
        },
    }
}

/// The value of a parameter, as it stands in the target.
fn parameter<'t>(target: &'t [u8], name: &[u8]) -> Option<&'t [u8]> {
    let query = &target[memchr::memchr(b'?', target)? + 1..];
    let query = query.split(|byte| *byte == b'#').next()?;
    query.split(|byte| *byte == b'&').find_map(|pair| value_of(pair, name))
}

/// The value of the client's cookie (RFC 6265, section 5.4), without the quotes around it.
fn cookie_value<'h>(head: &'h Head, name: &[u8]) -> Option<&'h [u8]> {
    let cookies = head.lines().filter(|(line, _)| line.eq_ignore_ascii_case(b"cookie"));
    let mut pairs = cookies.flat_map(|(_, value)| value.split(|byte| *byte == b';'));
    let value = pairs.find_map(|pair| value_of(pair.trim_ascii(), name))?;
    let unquoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    Some(unquoted.unwrap_or(value))
}

fn value_of<'p>(pair: &'p [u8], name: &[u8]) -> Option<&'p [u8]> {
    let (key, value) = pair.split_at(memchr::memchr(b'=', pair)?);
    (key == name).then_some(&value[1..])
}

/// The value of the cookie that this client is given with the answer, if it is to be given one; the same
/// for all attempts.
fn given(cookie: &HashCookie, order: &mut Order<'_, '_>, lane: &Lane) -> Option<u64> {
    if order.given_key.is_none() {
        let value = format!("{:016x}", lane.random.borrow_mut().u64(..));
        order.given_key = Some((hash::of(value.as_bytes()), cookie.given(&value)?));
    }
    order.given_key.as_ref().map(|(key, _)| *key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_by_their_whole_name() {
        for (target, expected) in [
            ("/p?user=ann&x=1", Some("ann")),
            ("/p?xuser=bob&user=ann#user=eve", Some("ann")),
            ("/p?user=", Some("")),
            ("/p?user", None),
            ("/p/user=ann", None),
        ] {
            let found = parameter(target.as_bytes(), b"user");
            assert_eq!(found, expected.map(str::as_bytes), "{target}");
        }
    }
}
