//! Tasks that answer HTTP/2 streams, one after the other.
//!
//! A task is some kilobytes. To make one for each stream, and to move the stream into it, costs a tenth of what the
//! answer does; so one that is done waits for the next stream, of whichever connection of its lane.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::one_stream;
use crate::downstream::Ends;
use crate::downstream::h2::Arrival;
use crate::proxy::lane::Lane;

/// Tasks of a lane that wait at the same time; more of them end when they are done.
const WAITING_MAX: usize = 128;

/// A lane's tasks that wait for a stream.
#[derive(Debug, Default)]
pub struct Tasks(RefCell<Vec<Rc<Seat>>>);

/// Where a task is given its next stream.
#[derive(Debug, Default)]
struct Seat {
    next: RefCell<Option<(Arrival, Ends)>>,
    waker: RefCell<Option<Waker>>,
}

/// Answers a stream in a task that waits, or in a new one.
pub fn answer(arrival: Arrival, ends: Ends, lane: &Rc<Lane>) {
    let waiting = lane.stream_tasks.0.borrow_mut().pop();
    let seat = waiting.unwrap_or_else(|| {
        let seat = Rc::<Seat>::default();
        tokio::task::spawn_local(run(Rc::clone(&seat), Rc::clone(lane)));
        seat
    });
    *seat.next.borrow_mut() = Some((arrival, ends));
    if let Some(waker) = &*seat.waker.borrow() {
        waker.wake_by_ref();
    }
}

async fn run(seat: Rc<Seat>, lane: Rc<Lane>) {
    loop {
        let (arrival, ends) = poll_fn(|cx| seat.poll_next(cx)).await;
        one_stream(arrival, ends, &lane).await;
        let mut waiting = lane.stream_tasks.0.borrow_mut();
        if waiting.len() >= WAITING_MAX {
            return;
        }
        waiting.push(Rc::clone(&seat));
    }
}

impl Seat {
    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<(Arrival, Ends)> {
        if let Some(next) = self.next.borrow_mut().take() {
            return Poll::Ready(next);
        }
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}
