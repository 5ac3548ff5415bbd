//! A timer of the kernel's own resolution: tokio's has a millisecond, half a request at 2,000 a second.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A timer for one who waits.
pub struct Pace(AsyncFd<OwnedFd>);

impl Pace {
    /// A timer that does not run yet.
    ///
    /// Errors: no descriptor is left.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for descriptors that are not owned as this one is"
        )]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Self(timer))
    }

    /// Waits until then.
    pub async fn until(&self, then: Instant) -> io::Result<()> {
        let wait = then.saturating_duration_since(Instant::now());
        let in_force = Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: i64::from(wait.subsec_nanos().max(1)), // nought would stop it
        };
        let once =
            Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: in_force };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        // Setting it again takes the last expiry back, so that it need not be read.
        self.0.readable().await?.clear_ready();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_waits_as_long_as_it_is_told_again_and_again() {
        let pace = Pace::new().expect("a timer");
        for micros in [1, 100, 3_000] {
            let then = Instant::now() + Duration::from_micros(micros);
            pace.until(then).await.expect("a timer");
            assert!(Instant::now() >= then);
        }
    }
}
