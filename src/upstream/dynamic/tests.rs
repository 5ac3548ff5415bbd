//! Names come when they are asked for, go when nobody asks, and are never too many.

use std::sync::atomic::AtomicUsize;

use tokio::time::sleep;

use super::super::dns::Resolve;
use super::super::dns::Resolving;
use super::super::endpoints::{Lookups, keep_fresh};
use super::super::tls::TlsContext;
use super::*;
use crate::model::{
    Addressing, GuardPolicy, Network, Policy, Protocol, Security, UpstreamKey, UpstreamSpec,
};

/// Says what it is told to of every name, a second after it was asked.
#[derive(Default)]
struct Told {
    answer: Mutex<Option<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Told {
    fn say(&self, addresses: Option<&[&str]>) {
        let parse = |list: &[&str]| {
            list.iter().map(|text| text.parse().expect("an address")).collect::<Vec<IpAddr>>()
        };
        *self.answer.lock().expect("not poisoned") = addresses.map(parse);
    }
}

impl Resolve for Told {
    fn resolve<'a>(&'a self, name: &'a Host) -> Resolving<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            sleep(Duration::from_secs(1)).await;
            match self.answer.lock().expect("not poisoned").clone() {
                Some(addresses) => {
                    Ok(Answer { addresses, ttl: Duration::from_secs(60), partial: false })
                }
                None => Err(ResolveError::Denied(format!("{name} does not exist"))),
            }
        })
    }
}

fn followed(told: &Arc<Told>) -> Arc<Upstream> {
    let spec = UpstreamSpec {
        key: UpstreamKey {
            name: "outbound|443||*.example.com".to_owned(),
            host: Host::parse("example.com").expect("a host"),
            port: 443,
            security: Security::Plain,
            protocol: Protocol::Http1,
            proxy_protocol: None,
        }
        .into(),
        policy: Policy::default().into(),
        addressing: Addressing::Dynamic(8443).into(),
    };
    let upstream = Upstream::new(&spec, &TlsContext::new(&[]).expect("no files"));
    let allow = vec![Network::parse("127.0.0.7").expect("a range")];
    let guard = Guard::new(GuardPolicy { allow, ..GuardPolicy::default() });
    let resolver: Arc<dyn Resolve> = Arc::clone(told) as _;
    let lookups = Lookups::new(resolver, Arc::default(), Arc::new(guard));
    tokio::spawn(keep_fresh(Arc::downgrade(&upstream), Arc::new(lookups)));
    upstream
}

fn names(upstream: &Upstream) -> &Names {
    upstream.names.as_ref().expect("it is dynamic")
}

/// Asks for a name, as a request does.
async fn ask(upstream: &Upstream, host: &str) -> Result<Vec<String>, Failure> {
    let entry = names(upstream).find(host, Instant::now())?;
    let ready = entry.endpoints.ready().await?;
    Ok(ready.list.iter().map(|endpoint| endpoint.address.to_string()).collect())
}

#[tokio::test(start_paused = true)]
async fn a_name_is_looked_up_once_for_all_who_ask_and_what_is_inside_is_left_out() {
    let told = Arc::new(Told::default());
    told.say(Some(&["93.184.216.34", "10.0.0.1", "127.0.0.7"]));
    let upstream = followed(&told);
    let (one, other) =
        tokio::join!(ask(&upstream, "a.example.com"), ask(&upstream, "a.example.com"));
    let expected = ["93.184.216.34:8443", "127.0.0.7:8443"].map(str::to_owned);
    let mut one = one.expect("addresses");
    one.sort_by_key(|address| address.starts_with("127"));
    assert_eq!((one.as_slice(), other.expect("addresses").len()), (&expected[..], 2));
    assert_eq!(told.asked.load(Ordering::Relaxed), 1);
    told.say(Some(&["169.254.169.254"]));
    sleep(Duration::from_secs(70)).await;
    let failure = ask(&upstream, "a.example.com").await.expect_err("it is inside now");
    assert!(matches!(&failure, Failure::Prohibited(why) if why.contains("169.254.169.254")));
}

#[tokio::test(start_paused = true)]
async fn a_name_without_an_address_is_asked_for_again_after_a_second() {
    let told = Arc::new(Told::default());
    let upstream = followed(&told);
    for _ in 0..3 {
        let failure = ask(&upstream, "a.example.com").await.expect_err("there is none");
        assert!(matches!(failure, Failure::DynamicUnresolved(_)), "{failure:?}");
    }
    assert_eq!(told.asked.load(Ordering::Relaxed), 1, "for a second that is known");
    told.say(Some(&["93.184.216.34"]));
    sleep(Duration::from_secs(2)).await;
    assert!(names(&upstream).all().is_empty(), "who does not exist is not kept");
    assert_eq!(ask(&upstream, "a.example.com").await, Ok(vec!["93.184.216.34:8443".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn idle_names_are_forgotten_and_looked_up_no_more() {
    let told = Arc::new(Told::default());
    told.say(Some(&["93.184.216.34"]));
    let upstream = followed(&told);
    ask(&upstream, "idle.example.com").await.expect("an address");
    ask(&upstream, "held.example.com").await.expect("an address");
    let held = names(&upstream).find("held.example.com", Instant::now()).expect("known");
    let held = held.endpoints.ready().await.expect("known");
    held.list[0].active.fetch_add(1, Ordering::Relaxed);
    for _ in 0..8 {
        sleep(Duration::from_secs(40)).await;
        ask(&upstream, "used.example.com").await.expect("an address");
    }
    let known = |host| names(&upstream).knows(host);
    assert!(known("held.example.com") && known("used.example.com") && !known("idle.example.com"));
    held.list[0].active.fetch_sub(1, Ordering::Relaxed);
    sleep(Duration::from_secs(330)).await;
    let before = told.asked.load(Ordering::Relaxed);
    assert!(names(&upstream).all().is_empty());
    sleep(Duration::from_secs(1_000)).await;
    assert_eq!(told.asked.load(Ordering::Relaxed), before);
}

#[tokio::test(start_paused = true)]
async fn names_are_bounded_the_least_used_goes_and_those_in_use_stay() {
    let told = Arc::new(Told::default());
    told.say(Some(&["93.184.216.34"]));
    let upstream = followed(&told);
    let names = names(&upstream);
    let find = |index: usize| names.find(&format!("n{index}.example.com"), Instant::now());
    for index in 0..NAMES_MAX {
        find(index).expect("there is room");
    }
    let failure = find(NAMES_MAX).err().expect("all are being looked up");
    assert!(matches!(failure, Failure::NamesOverflow(_)), "{failure:?}");
    sleep(Duration::from_secs(5)).await;
    for index in (0..NAMES_MAX).filter(|index| *index != 7) {
        find(index).expect("it is known");
    }
    find(NAMES_MAX).expect("the one that was not asked for makes room");
    assert_eq!(names.all().len(), NAMES_MAX);
    assert!(!names.knows("n7.example.com") && names.knows("n8.example.com"));
    sleep(Duration::from_secs(2)).await;
    let again = ask(&upstream, "n7.example.com").await;
    assert_eq!(again, Ok(vec!["93.184.216.34:8443".to_owned()]), "it comes back");
}

#[test]
fn only_names_under_the_pattern_are_admitted() {
    let under = |text: &str| {
        let host = Host::parse(text).expect("a host");
        Names::new(host, 443, Arc::default())
    };
    let names = under("example.com");
    for (host, admitted) in [
        ("a.example.com", true),
        ("a.b.example.com", true),
        ("localhost.example.com", true), // what it resolves to is judged, not how it is called
        ("10.0.0.1.example.com", true),
        ("example.com", false),
        ("aexample.com", false),
        (".example.com", false),
        ("a.example.com.evil.test", false),
        ("localhost", false),
        ("a..example.com", false),
        ("", false),
    ] {
        assert_eq!(names.admit(host).is_ok(), admitted, "{host}");
    }
    // However an address is spelled, a resolver may take it for one.
    for (host, pattern) in [
        ("127.0.0.1", "0.0.1"),
        ("127.1", "1"),
        ("0x7f.0x1", "0x1"),
        ("0177.0.0.01", "0.0.01"),
        ("a.2130706433", "2130706433"),
        ("0x7f.0.0.0x", "0.0x"),
        ("::1", "example.com"),
    ] {
        let failure = under(pattern).admit(host).expect_err(host);
        assert!(matches!(&failure, Failure::Prohibited(why) if why.contains("is an address")));
    }
}
