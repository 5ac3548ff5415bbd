//! A name server that knows one address, for a second at a time.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// For how long an answer may be used, in seconds.
const TTL: u8 = 1;
/// How soon it notices that it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// A running one; it ends when this is dropped.
pub struct NameServer {
    /// Where it is asked, by UDP on 127.0.0.1.
    pub port: u16,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    answered: AtomicU64,
    is_over: AtomicBool,
}

impl NameServer {
    /// Starts one.
    ///
    /// Errors: no port is free.
    pub fn start() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(LOOK))?;
        let port = socket.local_addr()?.port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || serve(&socket, &shared));
        Ok(Self { port, state, thread: Some(thread) })
    }

    /// How many questions it has answered.
    pub fn answered(&self) -> u64 {
        self.state.answered.load(Ordering::Relaxed)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join); // it does not panic
    }
}

fn serve(socket: &UdpSocket, state: &State) {
    let mut question = [0; 512];
    while !state.is_over.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
        if let Some(answer) = answer(&question[..length])
            && socket.send_to(&answer, from).is_ok()
        {
            state.answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// 127.0.0.1 to who asks for an IPv4 address, and nothing to who asks for anything else (RFC 1035, section 4).
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    let name = question.get(HEADER..)?.iter().position(|byte| *byte == 0)?;
    let end = HEADER + name + 5; // the end of the name, its type and class
    let is_address = question.get(end - 4..end)? == [0, 1, 0, 1];
    let mut answer = question[..end].to_vec();
    answer[2..4].copy_from_slice(&[0x85, 0x80]); // an answer, from who should know, without an error
    answer[4..HEADER].copy_from_slice(&[0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
    if is_address {
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, TTL, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(kind: u8) -> Vec<u8> {
        let mut question = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        question.extend_from_slice(b"\x07edition\x03cnn\x03com\0");
        question.extend_from_slice(&[0, kind, 0, 1]);
        question.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]); // EDNS, which it passes over
        question
    }

    #[test]
    fn an_address_is_told_for_a_second_and_nothing_else_is() {
        let told = answer(&question(1)).expect("an answer");
        assert_eq!(told[..8], [0xab, 0xcd, 0x85, 0x80, 0, 1, 0, 1]);
        assert!(told.ends_with(&[0, 0, 0, 1, 0, 4, 127, 0, 0, 1]));
        let nothing = answer(&question(28)).expect("an answer");
        assert_eq!(nothing[4..12], [0, 1, 0, 0, 0, 0, 0, 0]);
        assert!(nothing.ends_with(&[0, 28, 0, 1]));
        assert!(answer(b"short").is_none());
    }
}
