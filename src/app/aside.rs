//! A thread for long work, which gives way to the lanes on a CPU that they share; so does control, a little.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use tokio::sync::oneshot;

/// How much less urgent control is than a lane: of a CPU that both want it gets a quarter. It resolves names and
/// answers probes, which should not wait for long.
const CONTROL_NICENESS: i32 = 5;
/// The same of long work: of a CPU that lanes have enough to do for it gets a seventieth, of another one all.
const ASIDE_NICENESS: i32 = 19;

type Work = Box<dyn FnOnce() + Send>;

/// The thread. It is one and the same each time, since the allocator keeps memory for each: what one configuration
/// leaves, the next one takes.
pub struct Aside {
    work: SyncSender<Work>,
}

impl Aside {
    /// Starts it, as urgent as all others. Errors: it cannot be started.
    pub fn start() -> Result<Self, String> {
        let (work, queue) = sync_channel::<Work>(1);
        let thread = thread::Builder::new()
            .name("aside".into())
            .spawn(move || queue.into_iter().for_each(|work| work()));
        thread.map(|_| Self { work }).map_err(|error| format!("cannot start a thread: {error}"))
    }

    /// Does long work there, and waits for it without holding up this thread. It is finished even if nobody waits
    /// any more.
    ///
    /// Errors: it ended in a panic, or the thread is busy with what nobody waits for any more.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        let (done, result) = oneshot::channel();
        let work = move || {
            // What work shares with others are caches and swapped pointers, whole at any time.
            let done_with = catch_unwind(AssertUnwindSafe(work));
            let _ = done.send(done_with); // whoever asked may have been told to stop meanwhile
        };
        self.work
            .try_send(Box::new(work))
            .map_err(|_| "it is still busy with another".to_owned())?;
        let ended = result.await;
        ended
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| "a bug of Egret's: a panic, see above".to_owned())
    }

    /// Lets lanes go before control and long work. They must have started: a thread is as urgent as the one that
    /// starts it.
    pub async fn give_way(&self) -> Result<(), String> {
        be_less_urgent(CONTROL_NICENESS);
        self.run(|| be_less_urgent(ASIDE_NICENESS)).await
    }
}

/// Makes this thread less urgent. It is as urgent as it was started, and only once less.
fn be_less_urgent(niceness: i32) {
    if let Err(error) = rustix::process::nice(niceness) {
        tracing::debug!("a thread runs as urgently as the lanes: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_and_the_next_work_is_done() {
        let aside = Aside::start().expect("a thread");
        let failed = aside.run(|| panic!("a broken invariant")).await;
        assert!(failed.is_err_and(|why| why.contains("panic")));
        assert_eq!(aside.run(|| 6 * 7).await, Ok(42));
    }
}
