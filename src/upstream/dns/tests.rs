//! Lookups against a tiny server on loopback that answers well, badly or not at all.

use std::sync::Arc;

use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME};
use hickory_resolver::proto::rr::{Name, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::Instant;

use super::*;

const LONG: u8 = 100;

/// How a query came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    Udp,
    Tcp,
}

/// What the responder says; `None`: nothing at all.
fn reply(query: &[u8], over: Over) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).expect("a query");
    let asked = query.queries.first().expect("a question").clone();
    let (name, kind) = (asked.name().clone(), asked.query_type());
    let label = name.to_utf8().split('.').next().expect("a label").to_owned();
    let mut reply = query.into_response();
    let a = |name: &Name, ttl, last| {
        Record::from_rdata(name.clone(), ttl, RData::A(A::new(192, 0, 2, last)))
    };
    let v6 = Record::from_rdata(
        name.clone(),
        30,
        RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    );
    match (label.as_str(), kind) {
        ("nx", _) => reply.metadata.response_code = ResponseCode::NXDomain,
        ("servfail", _) => reply.metadata.response_code = ResponseCode::ServFail,
        ("garbage", _) => return Some(b"garbage".to_vec()),
        ("dead", _) | ("dead6", RecordType::AAAA) | ("dead4", RecordType::A) => return None,
        ("half", RecordType::AAAA) => reply.metadata.response_code = ResponseCode::ServFail,
        ("long", RecordType::A) if over == Over::Udp => reply.metadata.truncation = true,
        ("long", RecordType::A) => reply.answers.extend((0..LONG).map(|n| a(&name, 60, n))),
        ("alias", RecordType::A) => {
            let target = Name::from_ascii("real.test.").expect("a name");
            let alias = RData::CNAME(CNAME(target.clone()));
            reply.answers.push(Record::from_rdata(name, 7, alias));
            reply.answers.push(a(&target, 300, 1));
        }
        ("both" | "dead4", RecordType::AAAA) => reply.answers.push(v6),
        ("both" | "one" | "dead6" | "half", RecordType::A) => {
            reply.answers.push(a(&name, 60, 1));
        }
        _ => {}
    }
    Some(reply.to_vec().expect("encodes"))
}

/// A DNS server on loopback, over UDP and TCP.
async fn server() -> Dns {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("bound")).await {
            break (Arc::new(udp), tcp);
        }
    };
    let address = udp.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, client)) = udp.recv_from(&mut buffer).await {
            if let Some(reply) = reply(&buffer[..length], Over::Udp) {
                udp.send_to(&reply, client).await.expect("sent");
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let length = stream.read_u16().await.expect("a length");
            let mut query = vec![0; length.into()];
            stream.read_exact(&mut query).await.expect("a query");
            let reply = reply(&query, Over::Tcp).expect("an answer");
            stream.write_u16(reply.len().try_into().expect("short")).await.expect("sent");
            stream.write_all(&reply).await.expect("sent");
        }
    });
    Dns::with_servers(&[address]).expect("a server")
}

fn host(name: &str) -> Host {
    Host::parse(name).expect("a host")
}

#[tokio::test]
async fn answers_have_both_families_and_the_smallest_ttl() {
    let dns = server().await;
    let (v4, v6) = ("192.0.2.1", "2001:db8::1");
    for (name, addresses, ttl, partial) in [
        ("both.test", &[v4, v6][..], 30, false),
        ("one.test", &[v4], 60, false),
        ("alias.test", &[v4], 7, false),
        ("half.test", &[v4], 60, true),
    ] {
        let answer = dns.resolve(&host(name)).await.expect(name);
        let addresses: Vec<IpAddr> =
            addresses.iter().map(|ip| ip.parse().expect("an address")).collect();
        let ttl = Duration::from_secs(ttl);
        assert_eq!(answer, Answer { addresses, ttl, partial }, "{name}");
    }
}

#[tokio::test]
async fn a_family_that_never_answers_does_not_hold_up_the_other() {
    let dns = server().await;
    for (name, expected) in [("dead6.test", "192.0.2.1"), ("dead4.test", "2001:db8::1")] {
        let started = Instant::now();
        let answer = dns.resolve(&host(name)).await.expect(name);
        assert_eq!(answer.addresses, [expected.parse::<IpAddr>().expect("an address")]);
        assert!(answer.partial);
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_denial_a_failure_and_silence_are_told_apart() {
    let dns = server().await;
    type Kind = fn(String) -> ResolveError;
    for (name, kind, why) in [
        ("nx.test", ResolveError::Denied as Kind, "no such name (NXDOMAIN)"),
        ("none.test", ResolveError::Denied, "no address at that name"),
        ("servfail.test", ResolveError::Failed, "the DNS server failed (SERVFAIL)"),
        ("dead.test", ResolveError::TimedOut, "no answer in time"),
    ] {
        let expected = kind(format!("{name} does not resolve: {why} (asked {})", dns.servers));
        assert_eq!(dns.resolve(&host(name)).await, Err(expected));
    }
    assert!(dns.servers.starts_with("127.0.0.1:"), "{}", dns.servers);
}

#[tokio::test]
async fn a_long_answer_comes_over_tcp() {
    let answer = server().await.resolve(&host("long.test")).await.expect("an answer");
    assert_eq!(answer.addresses.len(), usize::from(LONG));
}

#[tokio::test]
async fn garbage_for_one_name_harms_no_other() {
    let dns = Arc::new(server().await);
    let started = Instant::now();
    let garbage = tokio::spawn({
        let dns = dns.clone();
        async move { dns.resolve(&host("garbage.test")).await }
    });
    for name in ["one.test", "both.test", "alias.test"] {
        dns.resolve(&host(name)).await.expect(name);
    }
    let outcome = garbage.await.expect("no panic");
    assert!(
        matches!(outcome, Err(ResolveError::Failed(_) | ResolveError::TimedOut(_))),
        "{outcome:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(5), "two attempts of two seconds");
    dns.resolve(&host("half.test")).await.expect("still works");
}

#[test]
fn only_short_names_and_services_use_the_search_list() {
    for (name, complete) in [
        ("edition.cnn.com", true),
        ("origin", false),
        ("origin.default.svc", false),
        ("origin.default.svc.cluster.local", true),
    ] {
        assert_eq!(query_name(&host(name)).expect("a name").is_fqdn(), complete, "{name}");
    }
}
