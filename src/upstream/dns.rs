//! Names to addresses, with hickory behind one trait.
//!
//! Whether an old answer is still good is not decided here (`freshness`), nor is anything looked up
//! for an IP literal or an override: callers never ask for those.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;

use crate::model::Host;

/// Time for one attempt, and how often one is made again.
const ATTEMPT: (Duration, usize) = (Duration::from_secs(2), 1);
/// How long the answer of one address family waits for the other's (RFC 8305, section 3).
const FAMILY_GRACE: Duration = Duration::from_millis(50);
/// Answers kept besides our own, shared by upstreams of the same name.
const CACHE_SIZE: u64 = 1024;
/// How long a denial is kept: shorter than any wait of ours, so that asking again asks.
const DENIAL_TTL_MAX: Duration = Duration::from_millis(500);
/// Lookups under way at once over one connection to a server.
const LOOKUPS_MAX: usize = 1024;

/// Something that knows the addresses of names.
pub trait Resolve: Send + Sync {
    /// Looks a name up. Takes a few seconds at most.
    fn resolve<'a>(&'a self, name: &'a Host) -> Resolving<'a>;
}

/// A lookup under way.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = Result<Answer, ResolveError>> + Send + 'a>>;

/// The addresses of a name; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// IPv4 first, each family in the order of the server.
    pub addresses: Vec<IpAddr>,
    /// How long the answer holds: the smallest TTL on the way to the addresses.
    pub ttl: Duration,
    /// One of the two families did not answer in time: what was known of it may still hold.
    pub partial: bool,
}

/// Why a name has no addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolveError {
    /// A server said so: no such name, or no address at that name.
    Denied(String),
    /// No server gave a usable answer.
    Failed(String),
    /// No server gave any answer in time.
    TimedOut(String),
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Denied(why) | Self::Failed(why) | Self::TimedOut(why)) = self;
        f.write_str(why)
    }
}

/// The real resolver.
pub struct Dns {
    resolver: TokioResolver,
    /// The addresses of the servers, for messages.
    servers: String,
}

impl Dns {
    /// Asks the servers of the system's configuration (resolv.conf and the hosts file).
    ///
    /// Errors: why that configuration cannot be used.
    pub fn system() -> Result<Self, String> {
        let (config, options) = read_system_conf().map_err(|error| {
            format!("cannot read the system's DNS configuration ({error}); give --dns-server")
        })?;
        Self::build(config, options)
    }

    /// Asks these servers alone, over UDP and, for long answers, TCP.
    ///
    /// Errors: why they cannot be used.
    pub fn with_servers(servers: &[SocketAddr]) -> Result<Self, String> {
        let servers = servers.iter().map(|address| {
            let mut server = NameServerConfig::udp_and_tcp(address.ip());
            for connection in &mut server.connections {
                connection.port = address.port();
            }
            server
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        Self::build(config, ResolverOpts::default())
    }

    fn build(config: ResolverConfig, mut options: ResolverOpts) -> Result<Self, String> {
        let servers = listed(config.name_servers());
        tune(&mut options);
        let provider = TokioRuntimeProvider::default();
        let resolver = TokioResolver::builder_with_config(config, provider)
            .with_options(options)
            .build()
            .map_err(|error| format!("cannot start DNS: {error}"))?;
        Ok(Self { resolver, servers })
    }

    async fn addresses(&self, host: &Host) -> Result<Answer, ResolveError> {
        let name = query_name(host)?;
        // Apart, so that a server that never answers AAAA does not hold up A.
        let mut v4 = pin!(self.resolver.lookup(name.clone(), RecordType::A));
        let mut v6 = pin!(self.resolver.lookup(name, RecordType::AAAA));
        let (v4, v6) = tokio::select! {
            v4 = &mut v4 => { let v6 = other_family(&v4, v6).await; (Some(v4), v6) }
            v6 = &mut v6 => { let v4 = other_family(&v6, v4).await; (v4, Some(v6)) }
        };
        combine(v4, v6).map_err(|why| {
            let told = |why| format!("{host} does not resolve: {why} (asked {})", self.servers);
            match why {
                ResolveError::Denied(why) => ResolveError::Denied(told(why)),
                ResolveError::Failed(why) => ResolveError::Failed(told(why)),
                ResolveError::TimedOut(why) => ResolveError::TimedOut(told(why)),
            }
        })
    }
}

impl Resolve for Dns {
    fn resolve<'a>(&'a self, name: &'a Host) -> Resolving<'a> {
        Box::pin(self.addresses(name))
    }
}

/// The servers' addresses, each once.
fn listed(servers: &[NameServerConfig]) -> String {
    let mut addresses: Vec<String> = Vec::new();
    for server in servers {
        let ports = server.connections.iter().map(|connection| connection.port);
        addresses.extend(ports.map(|port| SocketAddr::new(server.ip, port).to_string()));
    }
    addresses.dedup();
    if addresses.is_empty() { "no server".to_owned() } else { addresses.join(", ") }
}

fn tune(options: &mut ResolverOpts) {
    (options.timeout, options.attempts) = ATTEMPT;
    options.cache_size = CACHE_SIZE;
    options.negative_max_ttl = Some(DENIAL_TTL_MAX);
    options.max_active_requests = LOOKUPS_MAX;
}

/// Names are complete as they stand: no search list, which in Kubernetes (`ndots:5`) costs several
/// queries per lookup. Short names and `*.svc` are what the list is for.
fn query_name(host: &Host) -> Result<Name, ResolveError> {
    let text = host.as_str();
    let mut name = Name::from_utf8(text)
        .map_err(|error| ResolveError::Denied(format!("{host} cannot be looked up: {error}")))?;
    let relative = !text.contains('.') || text.ends_with(".svc");
    name.set_fqdn(!relative);
    Ok(name)
}

/// What the slower family says: with addresses already in hand it has little time left.
async fn other_family(
    first: &Result<Lookup, NetError>,
    other: Pin<&mut impl Future<Output = Result<Lookup, NetError>>>,
) -> Option<Result<Lookup, NetError>> {
    match first {
        Ok(_) => tokio::time::timeout(FAMILY_GRACE, other).await.ok(),
        Err(_) => Some(other.await),
    }
}

/// Puts both families together; `None`: no answer after the other's.
fn combine(
    v4: Option<Result<Lookup, NetError>>,
    v6: Option<Result<Lookup, NetError>>,
) -> Result<Answer, ResolveError> {
    let mut answer = Answer { addresses: Vec::new(), ttl: Duration::MAX, partial: false };
    let mut errors = Vec::new();
    for outcome in [v4, v6] {
        match part(outcome) {
            Ok((addresses, ttl)) => {
                answer.addresses.extend(addresses);
                answer.ttl = answer.ttl.min(ttl);
            }
            Err(error) => {
                answer.partial |= !matches!(error, ResolveError::Denied(_));
                errors.push(error);
            }
        }
    }
    if !answer.addresses.is_empty() {
        return Ok(answer);
    }
    // What says most: a failure, then silence, and only when both families are denied, the denial.
    let weight = |error: &ResolveError| match error {
        ResolveError::Denied(_) => 0,
        ResolveError::TimedOut(_) => 1,
        ResolveError::Failed(_) => 2,
    };
    let worst = errors.into_iter().max_by_key(weight);
    Err(worst.unwrap_or_else(|| ResolveError::Denied("no address".to_owned())))
}

/// One family's addresses and how long they hold.
fn part(
    outcome: Option<Result<Lookup, NetError>>,
) -> Result<(Vec<IpAddr>, Duration), ResolveError> {
    let denied = |why: &str| Err(ResolveError::Denied(why.to_owned()));
    let code = match outcome {
        None | Some(Err(NetError::Timeout)) => {
            return Err(ResolveError::TimedOut("no answer in time".to_owned()));
        }
        Some(Ok(lookup)) => {
            let addresses = lookup.answers().iter().filter_map(|record| match &record.data {
                RData::A(a) => Some(IpAddr::V4(a.0)),
                RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
                _ => None,
            });
            let addresses: Vec<IpAddr> = addresses.collect();
            if addresses.is_empty() {
                return denied("no address at that name");
            }
            let ttl = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
            return Ok((addresses, Duration::from_secs(ttl.into())));
        }
        Some(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => none.response_code,
        Some(Err(NetError::Dns(DnsError::ResponseCode(code)))) => code,
        Some(Err(error)) => return Err(ResolveError::Failed(format!("no DNS answer: {error}"))),
    };
    match code {
        ResponseCode::NXDomain => denied("no such name (NXDOMAIN)"),
        ResponseCode::NoError => denied("no address at that name"),
        ResponseCode::ServFail => {
            Err(ResolveError::Failed("the DNS server failed (SERVFAIL)".into()))
        }
        ResponseCode::Refused => {
            Err(ResolveError::Failed("the DNS server refused (REFUSED)".into()))
        }
        code => Err(ResolveError::Failed(format!("the DNS server answered {code}"))),
    }
}

#[cfg(test)]
mod tests;
