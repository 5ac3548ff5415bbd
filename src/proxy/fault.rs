//! Faults that a rule puts in the way of its requests: a wait, then an answer of our own.
//!
//! Before anything else is done with the request, as Envoy's fault filter; whom they meet is chance.

use std::pin::pin;
use std::rc::Rc;

use super::lane::Lane;
use super::presence::while_here;
use crate::downstream::Client;
use crate::model::{Failure, Fault, Fraction};
use crate::observe::Record;

/// Lets the request wait, if its lot says so.
///
/// Errors: the answer in place of the origin's, if its lot says that; or that the client left meanwhile.
pub async fn inject(
    fault: &Fault,
    client: &mut Client<'_>,
    record: &mut Record<'_>,
    lane: &Rc<Lane>,
) -> Result<(), Failure> {
    let is_meant = |fraction: Fraction| fraction.takes(&mut lane.random.borrow_mut());
    if let Some(delay) = &fault.delay
        && is_meant(delay.fraction)
    {
        record.delayed = true;
        while_here(client, lane, pin!(tokio::time::sleep(delay.time))).await?;
    }
    match &fault.abort {
        Some(abort) if is_meant(abort.fraction) => Err(Failure::Injected(abort.answer)),
        _ => Ok(()),
    }
}
