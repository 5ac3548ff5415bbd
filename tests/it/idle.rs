//! Clients that say nothing, more of them than keep what a request needs: served, closed and counted as all others.

use crate::harness::article::Egress;
use crate::harness::client::h2_request;
use crate::harness::{Client, Gateway, H2Client, Origin, Setup, until};

const HOST: &str = "api.example.com";
/// The gateway lets 256 of a worker's connections pause.
const MANY: usize = 300;

/// One worker before a plain origin, and many clients that it has accepted.
fn with_many(flags: &[&str]) -> (Gateway, Origin, Vec<Client>) {
    let origin = Origin::plain();
    let setup = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin);
    let gateway = setup.flags(&["--workers", "1"]).flags(flags).start();
    let clients = (0..MANY).map(|_| gateway.client()).collect();
    wait_for(&gateway, "egret_client_connections_total", MANY);
    (gateway, origin, clients)
}

fn wait_for(gateway: &Gateway, metric: &str, count: usize) {
    until("so many clients", || (gateway.metric(metric, &[]) == count as f64).then_some(()));
}

#[test]
fn each_is_answered_whenever_it_speaks() {
    let (gateway, origin, mut clients) = with_many(&[]);
    for round in ["/first", "/second"] {
        for client in &mut clients {
            assert_eq!(client.get(HOST, round).status, 200);
        }
    }
    assert_eq!(origin.requests().len(), 2 * MANY);
    assert_eq!(gateway.metric("egret_client_connections_open", &[]), MANY as f64);
    assert_eq!(gateway.metric("egret_client_connections_total", &[]), MANY as f64);
    drop(clients);
    wait_for(&gateway, "egret_client_connections_open", 0);
}

#[test]
fn each_may_begin_slowly_or_send_ahead() {
    let (_gateway, _origin, mut clients) = with_many(&[]);
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let (begin, rest) = request.split_at(1);
    clients.iter_mut().for_each(|client| client.send(begin));
    clients.iter_mut().for_each(|client| client.send(format!("{rest}{request}{request}{begin}")));
    for client in &mut clients {
        (0..3).for_each(|_| assert_eq!(client.response().status, 200));
        client.send(rest);
        assert_eq!(client.response().status, 200);
    }
}

#[test]
fn http2_is_found_among_them() {
    let (gateway, _origin, clients) = with_many(&[]);
    let later = H2Client::connect(gateway.port(443));
    assert_eq!(later.request(h2_request("GET", HOST, "/", &[]), "").status, 200);
    drop((clients, later));
    wait_for(&gateway, "egret_client_connections_open", 0);
}

#[test]
fn those_who_stay_silent_are_closed_and_counted() {
    for limit in ["clientIdle", "connectionDuration"] {
        let (gateway, _origin, clients) = with_many(&["--limits", &format!("{limit}=2s")]);
        for mut client in clients {
            assert!(client.is_closed());
        }
        let reached = |limit: &str| {
            gateway.metric("egret_limit_reached_total", &[&format!("limit=\"{limit}\"")])
        };
        assert_eq!(reached("clientIdle") + reached("connectionDuration"), MANY as f64);
        assert_eq!(reached(limit), MANY as f64);
        wait_for(&gateway, "egret_client_connections_open", 0);
    }
}

#[test]
fn they_do_not_hold_up_the_end() {
    let (mut gateway, _origin, mut clients) = with_many(&[]);
    for client in &mut clients[MANY / 2..] {
        assert_eq!(client.get(HOST, "/").status, 200);
    }
    gateway.signal("TERM");
    for mut client in clients {
        assert!(client.is_closed());
    }
    assert_eq!(gateway.wait_exit(), 0);
}
