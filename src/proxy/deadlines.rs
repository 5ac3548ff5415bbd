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
    /// It is over then at the latest, however often it is armed.
    end: Option<Instant>,
    waits: Waits,
    waker: Option<Waker>,
}

/// What the holder of a deadline waits for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// For the other end, with work under way.
    #[default]
    Busy,
    /// For a next request that may well come at once: ended only when the lane closes, or nobody else is idle.
    Pause,
    /// For a next request that may never come: may be ended at any time.
    Idle,
    /// For nothing more: it was idle and was told to end.
    Told,
}

/// Why a deadline is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The time it was armed with has passed.
    Idle,
    /// The end that no arming moves has come.
    End,
    /// Whoever was idle was told to make room, or that the lane is closing.
    Told,
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
            if slot.is_idle() {
                slot.tell(now);
            }
        }
        self.wake(|slot| slot.waits == Waits::Told);
    }

    /// Ends the wait of a sixteenth of all who are idle, at least one: those who would be next anyway.
    pub fn expire_longest_idle(&self) {
        let mut slots = self.slots.borrow_mut();
        let mut idle: Vec<&mut Slot> = slots.iter_mut().filter(|slot| slot.is_idle()).collect();
        if idle.is_empty() {
            return;
        }
        let count = idle.len().div_ceil(16);
        idle.select_nth_unstable_by_key(count - 1, |slot| (slot.waits == Waits::Pause, slot.at));
        let now = self.now.get();
        idle.into_iter().take(count).for_each(|slot| slot.tell(now));
        drop(slots);
        self.wake(|slot| slot.waits == Waits::Told);
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

impl Slot {
    fn is_idle(&self) -> bool {
        self.at.is_some() && matches!(self.waits, Waits::Pause | Waits::Idle)
    }

    fn tell(&mut self, now: Instant) {
        self.at = Some(now);
        self.waits = Waits::Told;
    }
}

impl Deadline {
    /// Sets the time from now on.
    pub fn arm(&self, after: Duration, waits: Waits) {
        let slot = &mut self.table.slots.borrow_mut()[self.index as usize];
        let at = self.table.now.get().checked_add(after);
        slot.at = match slot.end {
            Some(end) => Some(at.map_or(end, |at| at.min(end))),
            None => at,
        };
        slot.waits = waits;
    }

    /// It is not over until it is armed again.
    pub fn disarm(&self) {
        self.table.slots.borrow_mut()[self.index as usize].at = None;
    }

    /// Lets it be over at this time from now on at the latest, however often it is armed.
    pub fn end_after(&self, after: Duration) {
        let slot = &mut self.table.slots.borrow_mut()[self.index as usize];
        slot.end = self.table.now.get().checked_add(after);
    }

    /// Why it is over, once it is.
    pub fn over(&self) -> Over {
        let slot = &self.table.slots.borrow()[self.index as usize];
        match slot.end {
            _ if slot.waits == Waits::Told => Over::Told,
            Some(end) if end <= self.table.now.get() => Over::End,
            _ => Over::Idle,
        }
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
    fn the_end_comes_however_often_it_is_armed() {
        let start = Instant::now();
        let deadlines = Deadlines::new(start);
        let deadline = deadlines.enter();
        let mut cx = Context::from_waker(Waker::noop());
        deadline.end_after(Duration::from_secs(10));
        for seconds in 0..10 {
            deadlines.tick(start + Duration::from_secs(seconds));
            deadline.arm(Duration::from_secs(3), Waits::Busy);
            assert!(deadline.poll_over(&mut cx).is_pending(), "{seconds}");
        }
        deadlines.tick(start + Duration::from_secs(10));
        assert!(deadline.poll_over(&mut cx).is_ready());
        assert_eq!(deadline.over(), Over::End);
        let other = deadlines.enter();
        other.arm(Duration::from_secs(1), Waits::Busy);
        deadlines.tick(start + Duration::from_secs(11));
        assert_eq!((other.poll_over(&mut cx), other.over()), (Poll::Ready(()), Over::Idle));
    }

    #[test]
    fn the_longest_idle_make_room_first() {
        let start = Instant::now();
        let deadlines = Deadlines::new(start);
        let mut cx = Context::from_waker(Waker::noop());
        deadlines.expire_longest_idle();
        let waiting: Vec<Deadline> = (0..20).map(|_| deadlines.enter()).collect();
        for (seconds, deadline) in waiting.iter().enumerate() {
            deadlines.tick(start + Duration::from_secs(seconds as u64));
            let waits = if seconds == 0 { Waits::Busy } else { Waits::Idle };
            deadline.arm(Duration::from_secs(3600), waits);
            assert!(deadline.poll_over(&mut cx).is_pending());
        }
        deadlines.expire_longest_idle();
        let over: Vec<usize> =
            (0..20).filter(|n| waiting[*n].poll_over(&mut cx).is_ready()).collect();
        assert_eq!(over, [1, 2], "a sixteenth, and not who is busy");
    }

    #[test]
    fn a_pause_is_ended_only_when_nobody_else_is_idle() {
        let deadlines = Deadlines::new(Instant::now());
        let mut cx = Context::from_waker(Waker::noop());
        let (pausing, idle) = (deadlines.enter(), deadlines.enter());
        pausing.arm(Duration::from_secs(1), Waits::Pause);
        idle.arm(Duration::from_secs(3600), Waits::Idle);
        for told in [[false, true], [true, true]] {
            deadlines.expire_longest_idle();
            let over = [&pausing, &idle].map(|one| one.poll_over(&mut cx).is_ready());
            assert_eq!(over, told);
        }
        pausing.arm(Duration::from_secs(1), Waits::Pause);
        deadlines.expire_idle();
        assert!(pausing.poll_over(&mut cx).is_ready(), "the lane closes");
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
            assert_eq!(deadline.over(), Over::Told);
        }
        assert_eq!(deadlines.slots.borrow().len(), 1);
    }
}
