//! What finding a route costs with few and with many hosts: callgrind's count for this bench itself,
//! which runs again as a program that does nothing but look up.

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use egret::model::{
    Action, Condition, Destination, Forward, HostPattern, Listener, Plan, Route, Rule,
};
use egret::observe::StatPrefixes;
use egret::snapshot::{Asked, RouteTable};
use egret::wire::{Head, Version};

use super::callgrind;
use super::support::Origin;
use super::table::{Budget, Row};

/// Tells the bench to be that program: form, number of hosts, number of rounds.
pub const FLAG: &str = "--look-up";

/// Hosts that are looked up in each round, whatever the number in the table.
const ASKED: usize = 10;
const ROUNDS: [usize; 2] = [100, 1_100];

/// Exact and wildcard hosts.
pub fn measure(_: &Origin) -> Vec<Row> {
    if let Err(why) = callgrind::installed() {
        return vec![Row::unmeasured("instructions per lookup", why)];
    }
    let growth = Budget { must: 2.0, aim: 1.1 };
    let mut rows = Vec::new();
    for form in ["exact", "wildcard"] {
        let counts = [10, 1_000, 100_000].map(|hosts| {
            let count = per_lookup(form, hosts);
            rows.push(Row::told(format!("instructions per lookup, {hosts} {form} hosts"), count));
            count
        });
        let what = format!("  growth from 10 to 100,000 {form} hosts, times");
        rows.push(Row::judged(what, counts[2] / counts[0], 1.1, growth));
        let what = format!("  ns per lookup, 100,000 {form} hosts, in any order");
        rows.push(Row::told(what, nanoseconds(form)));
    }
    rows
}

fn per_lookup(form: &str, hosts: usize) -> f64 {
    let [short, long] = ROUNDS.map(|rounds| {
        let directory = tempfile::tempdir().expect("a directory");
        let tool = callgrind::tool(directory.path());
        let own = std::env::current_exe().expect("it runs");
        let mut program = Command::new(&tool[0]);
        program.args(&tool[1..]).arg(own).args([FLAG, form]);
        let ended = program.args([hosts, rounds].map(|number| number.to_string())).status();
        assert!(ended.expect("valgrind runs").success());
        callgrind::read(directory.path(), "main").instructions
    });
    (long - short) / ((ROUNDS[1] - ROUNDS[0]) * ASKED) as f64
}

/// Looks up, as its arguments say.
pub fn look_up(arguments: &[String]) {
    let [form, hosts, rounds] = arguments else { panic!("{FLAG} FORM HOSTS ROUNDS") };
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let (hosts, rounds) = (number(hosts), number(rounds));
    let table = table(form, hosts);
    let asked: Vec<String> = (0..ASKED).map(|at| name(form, at * hosts / ASKED)).collect();
    let head = head();
    for _ in 0..rounds {
        asked.iter().for_each(|host| find(&table, host, &head));
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn nanoseconds(form: &str) -> f64 {
    const HOSTS: usize = 100_000;
    let table = table(form, HOSTS);
    let mut asked: Vec<String> = (0..HOSTS).map(|at| name(form, at)).collect();
    fastrand::Rng::with_seed(1).shuffle(&mut asked);
    let head = head();
    let started = Instant::now();
    asked.iter().for_each(|host| find(&table, host, &head));
    started.elapsed().as_secs_f64() * 1e9 / HOSTS as f64
}

fn head() -> Head {
    Head::request(Default::default(), Version::Http11, b"GET", b"/")
}

fn find(table: &RouteTable, host: &str, head: &Head) {
    let at = ([127, 0, 0, 1], 443).into();
    let found = table.find((at, 443), black_box(host), Asked { head, scheme: "http" });
    assert!(black_box(found).is_some_and(|found| found.rule.is_some()));
}

/// The host asked for that only pattern number `at` covers.
fn name(form: &str, at: usize) -> String {
    match form {
        "exact" => format!("host-{at}.example.com"),
        _ => format!("any.host-{at}.example.com"),
    }
}

fn table(form: &str, hosts: usize) -> RouteTable {
    let listener = Listener {
        name: "0.0.0.0_443".into(),
        route_table: "http.443".into(),
        port: 443,
        bind: ([0, 0, 0, 0], 443).into(),
    };
    let pattern = |at| match form {
        "exact" => name(form, at),
        _ => format!("*.host-{at}.example.com"),
    };
    let hosts = (0..hosts).map(|at| HostPattern::parse(&pattern(at)).expect("valid"));
    let rule = Rule {
        name: String::new(),
        stat_prefix: String::new(),
        condition: Condition::default(),
        fault: None,
        action: Action::Forward(Forward::new(Destination::Missing("nowhere".into()))),
    };
    let route = Route {
        name: "hosts".into(),
        listeners: vec![0],
        hosts: hosts.collect(),
        rules: vec![rule.into()],
    };
    let plan = Plan { listeners: vec![listener], routes: vec![route], upstreams: vec![] };
    RouteTable::build(&plan, &[], &mut StatPrefixes::default())
}
