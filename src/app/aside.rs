//! Who gives way to the lanes on a CPU that they share: control a little, long work altogether.

use std::thread;

use tokio::sync::oneshot;

/// How much less urgent control is than a lane: of a CPU that both want it gets a quarter. It resolves names and
/// answers probes, which should not wait for long.
const CONTROL_NICENESS: i32 = 5;
/// The same of long work. Of a CPU that lanes have enough to do for it gets a seventieth, of another one all.
const ASIDE_NICENESS: i32 = 19;

/// Lets lanes go before control. This thread alone, so the lanes must have started.
pub fn give_way() {
    be_less_urgent(CONTROL_NICENESS);
}

/// Does long work on a thread of its own, and waits for it without holding up this one. It is finished even if
/// nobody waits any more.
///
/// Errors: the thread cannot be started, or what it did ended in a panic.
pub async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (done, result) = oneshot::channel();
    let work = move || {
        be_less_urgent(ASIDE_NICENESS);
        // Whoever asked may have been told to stop meanwhile.
        let _ = done.send(work());
    };
    let thread = thread::Builder::new().name("aside".into()).spawn(work);
    thread.map_err(|error| format!("cannot start a thread: {error}"))?;
    result.await.map_err(|_| "compiling it ended in a panic, which is a bug of Egret's".to_owned())
}

/// Makes this thread less urgent, if it is not so already.
fn be_less_urgent(niceness: i32) {
    let now = rustix::process::nice(0);
    if let Err(error) = now.and_then(|now| rustix::process::nice(niceness - now)) {
        tracing::debug!("a thread runs as urgently as the lanes: {error}");
    }
}
