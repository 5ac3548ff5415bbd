//! One request, from its head to the end of its reply: the straight line.

use std::rc::Rc;
use std::sync::Arc;

use super::account::Account;
use super::apart::apart;
use super::asked;
use super::exchange::{self, Order};
use super::fault;
use super::headers::values::{Answer, Source, Values};
use super::headers::{self, location, loops};
use super::lane::Lane;
use super::limits;
use super::mirror;
use super::relay;
use super::reply::{self, Configured};
use crate::downstream::Client;
use crate::model::headers::{Location, RequestId};
use crate::model::{Action, Failure, HeaderEdits, Host, Protocol, Redirect};
use crate::observe::{self, Record, RequestFacts};
use crate::snapshot::cors::{Allowed, Crossing};
use crate::snapshot::{Asked, Destination, Snapshot, rewrite};
use crate::upstream::Upstream;
use crate::upstream::connect::Want;
use crate::upstream::proxy_protocol::{ClientEnds, Told};
use crate::wire::target::Target;
use crate::wire::upgrade::{self, Upgrade};
use crate::wire::{Framing, Head, Name, Persistence, Refusal, Version, fields, framing};

/// What becomes of the client's connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It may bring another request.
    Keep,
    /// It ends.
    Close,
    /// It ends in such a way that what was sent cannot look complete.
    Abort,
}

/// Answers one request: routes it, carries it out and relays what comes back, or replies itself.
pub async fn handle(mut head: Head, client: &mut Client<'_>, lane: &Rc<Lane>) -> Next {
    let snapshot = lane.snapshot();
    if lane.headers.request_id == RequestId::Make {
        headers::make_request_id(&mut head, &mut lane.random.borrow_mut());
    }
    let mut account = Account::open(client, || facts(&head), lane);
    let record = &mut account.record;
    record.version = Some(observed(head.version()));
    let asked = asked::Asked::of(&head);

    let mut noted = Noted::default();
    let mut started = start(&mut head, &mut noted, client, &snapshot, record, lane).await;
    let Noted { target, allowed, edits } = &noted;
    if let (Ok(Started::Exchange((response, exchange))), Some(target)) = (&mut started, target) {
        if matches!(response.status(), 301 | 302 | 307 | 308) {
            location::tell_of_loop(response, &head, exchange.upstream);
        }
        if lane.headers.location == Location::Rewrite {
            let port = target.authority.port;
            location::rewrite(response, port, &mut head, client.ends(), &snapshot);
        }
        let edits = [&exchange.share.response, &exchange.forward.response];
        let source = Source { request: &head, answer: Answer::Origins(response), record };
        exchange.values = Values::of(edits, source, lane);
    }
    let asked = match limits::persistence(client, lane) {
        Persistence::Keep => asked,
        Persistence::Close => asked.closing(),
    }
    .read_by(allowed.as_deref());
    let next = match started {
        Ok(Started::Exchange(exchange)) => relay::both(exchange, client, asked, record, lane).await,
        Ok(Started::Configured(answer)) => {
            let asked = turned_down(asked, &head);
            apart(reply::configured(client, asked, answer, &head, record, lane)).await
        }
        Err(failure) => {
            let host = target.as_ref().map(|target| target.authority.host());
            let asked = turned_down(asked, &head).naming(host, head.find(Name::XRequestId));
            let edited = edits.map(|edits| (edits, &head));
            apart(reply::local(client, asked, &failure, edited, record, lane)).await
        }
    };
    account.close();
    lane.buffers.give_back_head(head.into_memory());
    next
}

/// What is still to be known of a request when it is answered.
#[derive(Default)]
struct Noted<'s> {
    /// Where it was to go.
    target: Option<Target>,
    /// The page of another site that may read the answer.
    allowed: Option<Box<Allowed<'s>>>,
    /// What its route does with the answer's head, whoever answers.
    edits: Option<[&'s HeaderEdits; 2]>,
}

/// What answers a request.
#[expect(clippy::large_enum_variant, reason = "nearly every request has an exchange")]
enum Started<'s> {
    /// An origin, whose response head is here.
    Exchange((Head, exchange::Exchange<'s>)),
    /// The configuration itself.
    Configured(Configured<'s>),
}

/// Everything until a response head is here.
async fn start<'s>(
    head: &mut Head,
    noted: &mut Noted<'s>,
    client: &mut Client<'_>,
    snapshot: &'s Arc<Snapshot>,
    record: &mut Record<'s>,
    lane: &Rc<Lane>,
) -> Result<Started<'s>, Failure> {
    let framing = body_of(head, client)?;
    limits::admit(head, framing, lane)?;
    let target = noted.target.insert(Target::take(head)?);
    let host = target.authority.host();
    let asked = Asked { head, scheme: target.scheme.as_str() };
    let ends = client.ends();
    let found = snapshot.routes.find((ends.local, ends.port), host, asked);
    let found = found.ok_or(Failure::NoRoute)?;
    record.route = Some(found.pattern);
    if loops::has_come_around(head, &lane.headers) {
        lane.warn_of_loop();
        return Err(Failure::Looped);
    }
    let rule = found.rule.ok_or(Failure::NoRoute)?;
    record.rule = Some(rule.plan.name.as_str()).filter(|name| !name.is_empty());
    record.stat_prefix = rule.stat_prefix;
    let picked = rule.pick(&mut lane.random.borrow_mut());
    noted.edits = picked.and_then(|picked| rule.response_edits(picked));
    if let Some(fault) = &rule.plan.fault {
        apart(fault::inject(fault, client, record, lane)).await?;
    }
    let upgrade = upgrade::upgrade(head, framing).map_err(Failure::Refused)?;
    let forward = match &rule.plan.action {
        Action::Forward(forward) => forward,
        Action::Redirect(redirect) => return Ok(elsewhere(redirect, head, target)),
        Action::Respond(respond) => return Ok(Started::Configured(Configured::Respond(respond))),
    };
    if let Some(cors) = &forward.cors {
        let Crossing { allowed, question } = Crossing::of(head, cors);
        noted.allowed = allowed;
        if let Some(cors) = question {
            return Ok(Started::Configured(Configured::Preflight(cors)));
        }
    }
    let picked = picked.ok_or(Failure::NoCluster)?;
    let (onward, share) = (&rule.onward[picked], &forward.to[picked]);
    let Destination::Upstream(upstream) = &onward.to else { return Err(Failure::NoCluster) };
    record.upstream = Some(&upstream.key.name);
    target.may_be_sent_to(&upstream.key)?;
    let edits = [&share.request, &forward.request];
    let values = Values::of(edits, Source { request: head, answer: Answer::NotYet, record }, lane);
    if let Some(path) = &forward.rewrite_path {
        rewrite::path(head, &rule.plan.condition.path, path);
    }
    let peer = ends.peer.ip();
    headers::outbound(head, &lane.headers, peer, forward, share, &upstream.key, upgrade)?;
    headers::edit(head, edits, values.as_deref());
    drop(values); // not held while the request is carried out
    // What becomes of an upgraded connection is no request that could be copied.
    let copy = match forward.mirrors.is_empty() || upgrade != Upgrade::None {
        true => None,
        false => mirror::begin(head, framing, rule, peer, lane),
    };
    let server_name = onward.rewritten_host.as_ref().map_or(host, Host::as_str);
    let order = Order {
        head,
        framing,
        forward,
        share,
        upstream,
        server_name,
        want: want(upgrade, upstream, client),
        client: peer,
        told: upstream.key.proxy_protocol.map(|_| told(client, upstream, server_name)),
        given_key: None,
        copy,
    };
    exchange::start(order, client, record, lane).await.map(Started::Exchange)
}

/// Sends the client to another place.
fn elsewhere<'s>(redirect: &'s Redirect, head: &Head, target: &Target) -> Started<'s> {
    let location = rewrite::location(redirect, head, target.scheme.as_str());
    Started::Configured(Configured::Redirect(redirect, location))
}

/// Which version a request's connection may have.
fn want(upgrade: Upgrade, upstream: &Upstream, client: &Client<'_>) -> Want {
    match (upgrade, upstream.key.protocol, client) {
        (Upgrade::None, Protocol::Client, Client::H1(_)) => Want::ClientsHttp1,
        (Upgrade::None, Protocol::Client, Client::H2(_)) => Want::ClientsHttp2,
        (Upgrade::None, ..) => Want::Any,
        _ => Want::Http1,
    }
}

/// What an upstream's connections tell of the client.
fn told(client: &Client<'_>, upstream: &Upstream, server_name: &str) -> Box<Told> {
    let ends = client.ends();
    let ends = ClientEnds { client: ends.peer, local: ends.local };
    Box::new(Told::new(ends, upstream.server_name(server_name).unwrap_or_default()))
}

/// The body that a request's head announces; an HTTP/1.1 connection reads it so from here on.
fn body_of(head: &Head, client: &mut Client<'_>) -> Result<Framing, Failure> {
    match client {
        Client::H1(connection) => {
            let framing = framing::request(head)?;
            connection.begin_request(head, framing);
            Ok(framing)
        }
        Client::H2(stream) if !stream.has_body() => Ok(Framing::Empty),
        // Its length, if it says one, is checked by the h2 crate.
        Client::H2(_) => match framing::request(head)? {
            Framing::Empty => Ok(Framing::Chunked),
            framing => Ok(framing),
        },
    }
}

/// How to answer without the switch to another protocol that a head may have asked for: what the client has sent
/// behind it may be in that protocol already, so that nothing more of the connection may be read as a request.
#[cold]
fn turned_down<'r>(asked: asked::Asked<'r>, head: &Head) -> asked::Asked<'r> {
    let switches = head.method() == b"CONNECT"
        || fields::upgrade(head).is_some_and(|protocol| !protocol.eq_ignore_ascii_case(b"h2c"));
    if switches { asked.closing() } else { asked }
}

fn facts(head: &Head) -> RequestFacts<'_> {
    RequestFacts {
        method: head.method(),
        path: head.target(),
        authority: head.find(Name::Host),
        user_agent: head.find(Name::UserAgent),
        request_id: head.find(Name::XRequestId),
        forwarded_for: head.find(Name::XForwardedFor),
    }
}

fn observed(version: Version) -> observe::Version {
    match version {
        Version::Http10 => observe::Version::Http10,
        Version::Http11 => observe::Version::Http11,
        Version::Http2 => observe::Version::Http2,
    }
}

/// A request that could not even be read: what to answer is all there is.
pub async fn refuse(client: &mut Client<'_>, refusal: Refusal, lane: &Rc<Lane>) -> Next {
    let mut account = Account::open(client, RequestFacts::default, lane);
    let failure = Failure::from(refusal);
    limits::client_refused(refusal, lane);
    tracing::debug!(client = %client.ends().peer, "a request is refused: {}", refusal.reason());
    let asked = asked::Asked::default();
    reply::local(client, asked, &failure, None, &mut account.record, lane).await;
    account.close();
    Next::Close
}
