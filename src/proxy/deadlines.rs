//! One lane's coarse deadlines: idle connections, stalled streams, slow heads.
//!
//! They are long and need no precision, so they cost a slot in a table that the lane's tick looks
//! through, instead of a timer each. Time is what the last tick saw.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

/// All deadlines of one lane.
#[derive(Debug)]
pub struct Deadlines {
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<u32>>,
    now: Cell<Instant>,
}

#[derive(Debug, Default)]
struct Slot {
    /// `None`: not armed.
    at: Option<Instant>,
    waits: Waits,
    waker: Option<Waker>,
}

/// What the holder of a deadline waits for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// For the other end, with work under way.
    #[default]
    Busy,
    /// For a next request that may never come: may be ended at any time.
    Idle,
}

/// One deadline; its slot is free again when it is dropped.
#[derive(Debug)]
pub struct Deadline {
    table: Rc<Deadlines>,
    index: u32,
}

impl Deadlines {
    /// A table without deadlines.
    pub fn new(now: Instant) -> Rc<Self> {
        Rc::new(Self { slots: RefCell::default(), free: RefCell::default(), now: Cell::new(now) })
    }

    /// A deadline that is not armed yet.
    pub fn enter(self: &Rc<Self>) -> Deadline {
        let index = self.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut slots = self.slots.borrow_mut();
            slots.push(Slot::default());
            u32::try_from(slots.len() - 1).expect("fewer connections than 2^32")
        });
        Deadline { table: Rc::clone(self), index }
    }

    /// What the last tick saw.
    pub fn now(&self) -> Instant {
        self.now.get()
    }

    /// Takes the time and wakes those whose deadline has passed.
    pub fn tick(&self, now: Instant) {
        self.now.set(now);
        self.wake(|slot| slot.at.is_some_and(|at| at <= now));
    }

    /// Ends the wait of all who are idle.
    pub fn expire_idle(&self) {
        let now = self.now.get();
        for slot in self.slots.borrow_mut().iter_mut() {
            if slot.at.is_some() && slot.waits == Waits::Idle {
                slot.at = Some(now);
            }
        }
        self.wake(|slot| slot.waits == Waits::Idle);
    }

    fn wake(&self, due: impl Fn(&Slot) -> bool) {
        let mut slots = self.slots.borrow_mut();
        let wakers: Vec<Waker> = slots
            .iter_mut()
            .filter(|slot| due(slot))
            .filter_map(|slot| slot.waker.take())
            .collect();
        drop(slots);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Deadline {
    /// Sets the time from now on.
    pub fn arm(&self, after: Duration, waits: Waits) {
        let slot = &mut self.table.slots.borrow_mut()[self.index as usize];
        slot.at = self.table.now.get().checked_add(after);
        slot.waits = waits;
    }

    /// Ready when the time is over.
    pub fn poll_over(&self, cx: &mut Context<'_>) -> Poll<()> {
        let slot = &mut self.table.slots.borrow_mut()[self.index as usize];
        if slot.at.is_some_and(|at| at <= self.table.now.get()) {
            return Poll::Ready(());
        }
        match &slot.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => slot.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.table.slots.borrow_mut()[self.index as usize] = Slot::default();
        self.table.free.borrow_mut().push(self.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_passes_with_the_tick_after_it() {
        let start = Instant::now();
        let deadlines = Deadlines::new(start);
        let deadline = deadlines.enter();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(deadline.poll_over(&mut cx).is_pending(), "not armed");
        deadline.arm(Duration::from_secs(5), Waits::Busy);
        deadlines.tick(start + Duration::from_secs(4));
        assert!(deadline.poll_over(&mut cx).is_pending());
        deadlines.expire_idle();
        assert!(deadline.poll_over(&mut cx).is_pending(), "busy ones are left alone");
        deadlines.tick(start + Duration::from_secs(5));
        assert!(deadline.poll_over(&mut cx).is_ready());
    }

    #[test]
    fn idle_ones_can_be_ended_and_slots_are_used_again() {
        let deadlines = Deadlines::new(Instant::now());
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            let deadline = deadlines.enter();
            deadline.arm(Duration::from_secs(3600), Waits::Idle);
            assert!(deadline.poll_over(&mut cx).is_pending());
            deadlines.expire_idle();
            assert!(deadline.poll_over(&mut cx).is_ready());
        }
        assert_eq!(deadlines.slots.borrow().len(), 1);
    }
}
