//! The writer thread: takes whole buffers from all lanes and writes them out, one after the other.
//!
//! It knows nothing of lines but how many a buffer holds. A sink that blocks blocks this thread
//! alone; the lanes run out of buffers and drop lines.

use std::io::{self, ErrorKind, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::Format;
use super::buffer::{BUFFERS_PER_LANE, Batch, LogBuffer, Returned};

/// How long to rest when the sink is a pipe that somebody made non-blocking, and is full.
const FULL_PIPE_REST: Duration = Duration::from_millis(5);

/// The thread that writes the access log.
#[derive(Debug)]
pub struct LogWriter {
    /// Cloned into every [`LogBuffer`]; the thread ends when all of them and this one are gone.
    batches: SyncSender<Batch>,
    /// Closed by the thread when it has written everything.
    finished: Receiver<()>,
}

/// How [`LogWriter::stop`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Every line handed over was written or counted as lost.
    Flushed,
    /// The sink still blocks, or a lane still holds its buffer: lines may be lost.
    TimedOut,
}

impl LogWriter {
    /// Starts the thread for that many lanes, writing to `sink`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(sink: impl Write + Send + 'static, lanes: usize) -> io::Result<Self> {
        let (batches, incoming) = sync_channel(lanes * BUFFERS_PER_LANE);
        let (finishing, finished) = sync_channel(0);
        thread::Builder::new().name("access-log".into()).spawn(move || {
            write_all_batches(sink, &incoming);
            drop(finishing);
        })?;
        Ok(Self { batches, finished })
    }

    /// A lane's end. No more may be alive than lanes were named at the start, or lines are lost
    /// (and counted). `unix_ms` reads the wall clock, see [`super::unix_ms`].
    pub fn buffer(&self, format: Format, unix_ms: fn() -> u64) -> LogBuffer {
        LogBuffer::new(format, unix_ms, self.batches.clone())
    }

    /// Waits, at most `limit`, until the last line is written. Every [`LogBuffer`] must have been
    /// dropped before: each hands over what it holds then.
    pub fn stop(self, limit: Duration) -> Stopped {
        drop(self.batches);
        match self.finished.recv_timeout(limit) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Stopped::Flushed,
            Err(RecvTimeoutError::Timeout) => Stopped::TimedOut,
        }
    }
}

fn write_all_batches(mut sink: impl Write, incoming: &Receiver<Batch>) {
    let mut last: Option<ErrorKind> = None;
    while let Ok(Batch { bytes, lines, home }) = incoming.recv() {
        let written = write(&mut sink, &bytes);
        let error = written.as_ref().err().map(io::Error::kind);
        if error != last {
            // Told when it begins and when it is over, not once a buffer.
            match &written {
                Err(error) => {
                    tracing::warn!(%error, "the access log cannot be written; lines are lost")
                }
                Ok(()) => tracing::info!("the access log is written again"),
            }
            last = error;
        }
        let lost = if written.is_err() { lines } else { 0 };
        // A lane that is gone needs its buffer no more; a live one has room for all it owns.
        let _ = home.try_send(Returned { bytes, lost });
    }
}

/// Writes a buffer whole. After an error part of it may have been written.
fn write(sink: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match patiently(|| sink.write(bytes))? {
            0 => return Err(ErrorKind::WriteZero.into()),
            written => bytes = &bytes[written..],
        }
    }
    patiently(|| sink.flush())
}

/// Tries again after the errors that pass.
fn patiently<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            #[expect(
                clippy::disallowed_methods,
                reason = "the writer's own thread, which nobody waits for"
            )]
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(FULL_PIPE_REST),
            done => return done,
        }
    }
}
