//! The way of a line from a lane to the sink: batched, dropped when it blocks, flushed at the end.

use std::io::{self, ErrorKind, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::{Format, LogBuffer, LogWriter, Stopped};
use crate::observe::{Noted, Record, RequestFacts};

const SOON: Duration = Duration::from_secs(10);

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn lines(&self) -> usize {
        self.0.lock().unwrap().iter().filter(|&&byte| byte == b'\n').count()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says when a write begins, and lets it end when told; after that nothing blocks.
struct Blocked {
    kept: Kept,
    entered: Sender<()>,
    go_on: Receiver<()>,
}

impl Write for Blocked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.entered.send(());
        let _ = self.go_on.recv();
        self.kept.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Fails as told, one write after the other, then works; writes seven bytes at a time.
struct Failing {
    kept: Kept,
    errors: Vec<ErrorKind>,
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.errors.pop() {
            Some(kind) => Err(kind.into()),
            None => self.kept.write(&bytes[..bytes.len().min(7)]),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn append(log: &mut LogBuffer, lines: usize) {
    let address = "127.0.0.1:80".parse().unwrap();
    let record = Record::begin(Instant::now(), address, address);
    let facts = RequestFacts { method: b"GET", path: &[b'a'; 1000], ..RequestFacts::default() };
    let noted = Noted::take(Vec::new(), facts);
    for _ in 0..lines {
        log.append(&record, &noted, record.started);
    }
}

fn epoch() -> u64 {
    0
}

#[test]
fn the_last_lines_of_every_lane_are_written_at_stop() {
    let kept = Kept::default();
    let writer = LogWriter::start(kept.clone(), 2).unwrap();
    let mut one = writer.buffer(Format::Text, epoch);
    let mut two = writer.buffer(Format::Json, epoch);
    append(&mut one, 1);
    append(&mut two, 40); // more than a buffer
    drop((one, two));
    assert_eq!(writer.stop(SOON), Stopped::Flushed);
    assert_eq!(kept.lines(), 41);
}

#[test]
fn the_tick_hands_over_a_buffer_that_is_not_full() {
    let (entered, entering) = channel();
    let (release, go_on) = channel();
    let sink = Blocked { kept: Kept::default(), entered, go_on };
    let writer = LogWriter::start(sink, 1).unwrap();
    let mut log = writer.buffer(Format::Text, epoch);
    append(&mut log, 1);
    assert!(entering.try_recv().is_err(), "nothing was handed over yet");
    log.flush();
    entering.recv_timeout(SOON).unwrap();
    drop((release, log));
    assert_eq!(writer.stop(SOON), Stopped::Flushed);
}

#[test]
fn lines_are_dropped_and_counted_while_the_sink_blocks() {
    let kept = Kept::default();
    let (entered, entering) = channel();
    let (release, go_on) = channel();
    let writer = LogWriter::start(Blocked { kept: kept.clone(), entered, go_on }, 1).unwrap();
    let mut log = writer.buffer(Format::Text, epoch);
    append(&mut log, 1);
    log.flush();
    entering.recv_timeout(SOON).unwrap();

    append(&mut log, 200); // room for some 60 of a thousand bytes each
    let dropped = log.take_dropped();
    assert!((100..180).contains(&dropped), "{dropped}");
    log.flush();
    append(&mut log, 1);
    assert_eq!(log.take_dropped(), 1, "a tick makes no room");

    drop((release, log));
    assert_eq!(writer.stop(SOON), Stopped::Flushed);
    assert_eq!(kept.lines() as u64, 201 - dropped);
}

#[test]
fn stop_does_not_wait_for_a_blocked_sink_for_ever() {
    let (entered, entering) = channel();
    let (_release, go_on) = channel();
    let sink = Blocked { kept: Kept::default(), entered, go_on };
    let writer = LogWriter::start(sink, 1).unwrap();
    let mut log = writer.buffer(Format::Text, epoch);
    append(&mut log, 1);
    drop(log);
    entering.recv_timeout(SOON).unwrap();
    assert_eq!(writer.stop(Duration::from_millis(1)), Stopped::TimedOut);
}

#[test]
fn errors_that_pass_lose_nothing() {
    let kept = Kept::default();
    let errors = vec![ErrorKind::Interrupted, ErrorKind::WouldBlock];
    let writer = LogWriter::start(Failing { kept: kept.clone(), errors }, 1).unwrap();
    let mut log = writer.buffer(Format::Text, epoch);
    append(&mut log, 2);
    drop(log);
    assert_eq!(writer.stop(SOON), Stopped::Flushed);
    assert_eq!(kept.lines(), 2);
}

#[test]
fn lines_that_could_not_be_written_are_counted_and_the_log_goes_on() {
    let kept = Kept::default();
    let errors = vec![ErrorKind::BrokenPipe];
    let writer = LogWriter::start(Failing { kept: kept.clone(), errors }, 1).unwrap();
    let mut log = writer.buffer(Format::Text, epoch);
    append(&mut log, 3);
    log.flush();
    let mut dropped = 0;
    while dropped == 0 {
        std::thread::yield_now();
        log.flush();
        dropped = log.take_dropped();
    }
    assert_eq!(dropped, 3);
    append(&mut log, 2);
    drop(log);
    assert_eq!(writer.stop(SOON), Stopped::Flushed);
    assert_eq!(kept.lines(), 2);
}

#[test]
fn buffers_are_used_again() {
    let (entered, entering) = channel();
    let (_, go_on) = channel(); // nobody holds it up
    let sink = Blocked { kept: Kept::default(), entered, go_on };
    let writer = LogWriter::start(sink, 1).unwrap();
    let mut log = writer.buffer(Format::Text, epoch);
    for _ in 0..20 {
        append(&mut log, 1);
        log.flush();
        // Of the three, the one before this has come home when this one is being written.
        entering.recv_timeout(SOON).unwrap();
    }
    assert_eq!(log.take_dropped(), 0);
    drop(log);
    assert_eq!(writer.stop(SOON), Stopped::Flushed);
}
