//! A connection's own waits, with the lane's time in the test's hand.

use tokio::io::AsyncWriteExt;
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::*;
use crate::proxy::clients;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING: [u8; 17] = *b"\x00\x00\x08\x06\x00\x00\x00\x00\x00the mark";
const PONG: [u8; 9] = [0, 0, 8, 6, 1, 0, 0, 0, 0];

/// A client on a lane that has no routes, and whose time stands still between two steps.
struct Client {
    lane: Rc<Lane>,
    stream: TcpStream,
    read: Vec<u8>,
    start: Instant,
}

impl Client {
    async fn connect() -> Self {
        let lane = clients::tests::lane();
        let stream = clients::tests::client(&lane).await;
        tokio::task::spawn_local(clients::drive(Rc::clone(&lane)));
        Self { lane, stream, read: Vec::new(), start: Instant::now() }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("room");
    }

    /// Begins, sends these bytes, and waits until the ping in front of them was answered: they came with it.
    async fn begin(&mut self, bytes: &[u8]) {
        self.send(&[PREFACE, &SETTINGS, &PING, bytes].concat()).await;
        self.wait_for(&PONG).await;
    }

    async fn wait_for(&mut self, bytes: &[u8]) {
        while !self.read.windows(bytes.len()).any(|window| window == bytes) {
            let count = self.stream.read_buf(&mut self.read).await.expect("an open connection");
            assert!(count > 0, "the connection ended before {bytes:x?}");
        }
    }

    async fn at(&self, seconds: u64) {
        self.lane.deadlines.tick(self.start + Duration::from_secs(seconds));
        // Whoever was woken has its turn.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    /// Reads to the end: the codes of the GOAWAYs that came.
    async fn farewell(mut self) -> Vec<u32> {
        self.stream.read_to_end(&mut self.read).await.expect("an end");
        self.go_aways().into_iter().map(|(_, code)| code).collect()
    }

    /// The last stream and the code of each GOAWAY so far.
    fn go_aways(&self) -> Vec<(u32, u32)> {
        let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().expect("four bytes"));
        let (mut found, mut rest) = (Vec::new(), &self.read[..]);
        while let Some((header, after)) = rest.split_at_checked(9) {
            let length = usize::from(header[1]) << 8 | usize::from(header[2]);
            let Some((payload, next)) = after.split_at_checked(length) else { break };
            if header[3] == 7 {
                found.push((number(&payload[..4]), number(&payload[4..8])));
            }
            rest = next;
        }
        found
    }

    fn is_open(&mut self) -> bool {
        !matches!(self.stream.try_read_buf(&mut self.read), Ok(0))
    }
}

/// Runs a test where tasks of a lane can be spawned.
async fn on_a_lane(test: impl Future<Output = ()>) {
    let within = timeout(Duration::from_secs(10), test);
    LocalSet::new().run_until(within).await.expect("within the patience of a test");
}

#[tokio::test]
async fn what_was_begun_must_be_ended_within_the_time_for_a_head() {
    let headers_open = [0, 0, 1, 1, 1, 0, 0, 0, 1, 0x82];
    let half_a_header = [0, 0, 1];
    let half_a_ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2];
    let settings_unfinished = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0];
    for bytes in [&headers_open[..], &half_a_header, &half_a_ping, &settings_unfinished] {
        on_a_lane(async {
            let mut client = Client::connect().await;
            client.begin(bytes).await;
            client.at(29).await;
            assert!(client.is_open(), "{bytes:x?}");
            client.at(31).await;
            let lane = Rc::clone(&client.lane);
            assert_eq!(client.farewell().await, [0], "{bytes:x?}");
            assert_eq!(lane.stats().await.clients_ended(ClientEnd::HeadTimeout), 1);
        })
        .await;
    }
}

#[tokio::test]
async fn a_preface_cut_short_or_without_settings_is_not_waited_for_as_an_idle_client_is() {
    for bytes in [&PREFACE[..3], &PREFACE[..20], PREFACE] {
        on_a_lane(async {
            let mut client = Client::connect().await;
            client.send(bytes).await;
            let mut seconds = 0;
            while client.is_open() {
                seconds += 31;
                assert!(seconds < 3000, "{} bytes: as long as an idle client", bytes.len());
                client.at(seconds).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_idle_client_is_told_to_go() {
    on_a_lane(async {
        let mut client = Client::connect().await;
        client.begin(&[]).await;
        client.at(3599).await;
        assert!(client.is_open());
        client.at(3601).await;
        while client.go_aways().is_empty() {
            client.stream.read_buf(&mut client.read).await.expect("an open connection");
        }
        assert_eq!(client.go_aways(), [(0x7fff_ffff, 0)]);
        client.at(3605).await;
        assert!(client.is_open(), "it has not answered the ping yet, and may still");
        client.at(3607).await;
        assert_eq!(client.farewell().await, [0, 0]);
    })
    .await;
}
