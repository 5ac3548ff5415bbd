//! A name server on loopback that answers A and AAAA questions as a test wants, over UDP.
//!
//! It writes the few bytes of an answer itself (RFC 1035, section 4.1): a library that refuses to write
//! nonsense would be in the way of the tests that need some. No TCP, no other record types.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, OnceLock};

use super::Watched;

/// What the server says about a name.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These addresses, with a TTL in seconds.
    Addresses(Vec<IpAddr>, u32),
    /// Another name, which has these addresses, with a TTL in seconds.
    Alias(&'static str, Vec<IpAddr>, u32),
    /// There is no such name.
    NoSuchName,
    /// The server has failed.
    ServerFailure,
    /// Nothing at all.
    Silence,
    /// Bytes that are no DNS message.
    Garbage,
}

#[derive(Default)]
struct State {
    names: HashMap<String, Answer>,
    questions: Vec<String>,
    stopped: bool,
}

/// A running name server.
pub struct Dns {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Watched<State>>,
}

impl Dns {
    /// A server that says 127.0.0.1 for every name, except that names under `.invalid` don't exist.
    pub fn here() -> &'static Dns {
        static DNS: OnceLock<Dns> = OnceLock::new();
        DNS.get_or_init(|| Dns::start(&[]))
    }

    /// A server with these names; what is not listed is answered as `here` does.
    pub fn start(names: &[(&str, Answer)]) -> Dns {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket on loopback");
        let address = socket.local_addr().expect("a bound socket has an address");
        let state = Arc::new(Watched::<State>::default());
        let dns = Dns { address, state: state.clone() };
        for (name, answer) in names {
            dns.say(name, answer.clone());
        }
        std::thread::spawn(move || serve(&socket, &state));
        dns
    }

    /// From now on, says this about the name.
    pub fn say(&self, name: &str, answer: Answer) {
        self.state.change(|state| state.names.insert(name.to_owned(), answer));
    }

    /// How often the name was asked for, A and AAAA counted apart.
    pub fn asked(&self, name: &str) -> usize {
        self.state.look(|state| state.questions.iter().filter(|question| *question == name).count())
    }

    /// Every name that was asked for.
    pub fn questions(&self) -> Vec<String> {
        self.state.look(|state| state.questions.clone())
    }

    /// Waits until the name was asked for at least so often.
    pub fn wait_asked(&self, name: &str, times: usize) {
        let seen = self.state.wait_for(|state| {
            (state.questions.iter().filter(|question| *question == name).count() >= times)
                .then_some(())
        });
        assert!(seen.is_some(), "{name} was not asked for {times} times: {:?}", self.questions());
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.state.change(|state| state.stopped = true);
        // The thread waits in recv; an empty datagram wakes it.
        if let Ok(socket) = UdpSocket::bind("127.0.0.1:0") {
            let _ = socket.send_to(&[], self.address);
        }
    }
}

fn serve(socket: &UdpSocket, state: &Watched<State>) {
    let mut buffer = [0; 1500];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        if state.look(|state| state.stopped) {
            return;
        }
        let Some((name, kind, question_end)) = question(&buffer[..length]) else { continue };
        let answer = state.change(|state| {
            state.questions.push(name.clone());
            state.names.get(&name).cloned()
        });
        let answer = answer.unwrap_or_else(|| match name.ends_with(".invalid") {
            true => Answer::NoSuchName,
            false => Answer::Addresses(vec![IpAddr::from([127, 0, 0, 1])], 60),
        });
        if let Some(reply) = reply(&buffer[..question_end], kind, &answer) {
            let _ = socket.send_to(&reply, from);
        }
    }
}

/// The name (lower case), the type and the end of the first question.
fn question(message: &[u8]) -> Option<(String, u16, usize)> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]);
    (message.len() >= at + 4).then(|| (labels.join("."), kind, at + 4))
}

const A: u16 = 1;
const AAAA: u16 = 28;

fn reply(asked: &[u8], kind: u16, answer: &Answer) -> Option<Vec<u8>> {
    let (code, addresses, ttl) = match answer {
        Answer::Addresses(addresses, ttl) => (0, addresses.as_slice(), *ttl),
        Answer::Alias(_, addresses, ttl) => (0, addresses.as_slice(), *ttl),
        Answer::NoSuchName => (3, [].as_slice(), 0),
        Answer::ServerFailure => (2, [].as_slice(), 0),
        Answer::Silence => return None,
        Answer::Garbage => return Some(b"this is not a DNS message, whatever it is".to_vec()),
    };
    let fitting: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|address| match address {
            IpAddr::V4(v4) if kind == A => Some(v4.octets().to_vec()),
            IpAddr::V6(v6) if kind == AAAA => Some(v6.octets().to_vec()),
            _ => None,
        })
        .collect();
    let mut out = asked.to_vec();
    out[2..4].copy_from_slice(&[0x84 | (asked[2] & 1), 0x80 | code]); // an authoritative answer; recursion available
    let mut owner = vec![0xc0, 12]; // the name of the question
    let mut records = fitting.len() as u8;
    if let Answer::Alias(name, ..) = answer {
        let alias: Vec<u8> = name
            .split('.')
            .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
            .chain([0])
            .collect();
        out.extend(&owner);
        out.extend([0, 5, 0, 1]); // CNAME
        out.extend(ttl.to_be_bytes());
        out.extend((alias.len() as u16).to_be_bytes());
        out.extend(&alias);
        (owner, records) = (alias, records + 1);
    }
    out[4..12].copy_from_slice(&[0, 1, 0, records, 0, 0, 0, 0]);
    for octets in fitting {
        out.extend(&owner);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1]);
        out.extend(ttl.to_be_bytes());
        out.extend((octets.len() as u16).to_be_bytes());
        out.extend(octets);
    }
    Some(out)
}
