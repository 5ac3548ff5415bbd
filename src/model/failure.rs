//! Every way a request can fail, and the one table of what each looks like from outside.
//!
//! Status, body, flag and details are those of Envoy 1.40 as Istio sets it up; the token is that of
//! RFC 9209 (`Proxy-Status`). A client is told the token; the reason, which may name addresses and
//! certificates, is for the log alone.

use std::borrow::Cow;

use super::fault::Aborted;

/// Why a request was not answered by its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The request itself is refused.
    Refused(Refused),
    /// No virtual host or no rule matched.
    NoRoute,
    /// The route names an upstream that does not exist.
    NoCluster,
    /// The name has not resolved to any address.
    Unresolved(String),
    /// No name server has answered in time.
    ResolveTimeout(String),
    /// The request's own host, which is the destination, has no address or does not exist.
    DynamicUnresolved(String),
    /// No name server has told where the request's own host is in time.
    DynamicResolveTimeout(String),
    /// As many names are in use as one upstream may have.
    NamesOverflow(String),
    /// The upstream has no endpoint.
    NoEndpoint(String),
    /// The upstream's policy is unusable; failing closed.
    Misconfigured(String),
    /// The address may not be dialled.
    Prohibited(String),
    /// Dialling would come back to this gateway.
    Loop(String),
    /// TCP was refused or reset.
    Connect(String),
    /// There is no way to any of the addresses.
    Unroutable(String),
    /// TCP and TLS together took longer than the connect timeout.
    ConnectTimeout(String),
    /// The certificate is not acceptable.
    Certificate(String),
    /// The TLS handshake failed otherwise.
    Handshake(String),
    /// The origin closed the connection before a response head.
    Closed,
    /// The connection broke off before a response head: reset by the origin, or by a silence too long.
    Aborted(String),
    /// The origin reset the stream before a response head.
    Reset(String),
    /// The origin answered something that is not HTTP.
    Malformed(String),
    /// The origin's head is HTTP, but what it says of the body that follows cannot be relied on.
    Misframed {
        /// The status that it bears.
        status: u16,
        /// What is wrong with it.
        reason: String,
    },
    /// The origin refused the stream before it processed anything.
    RefusedStream(String),
    /// A limit of the upstream's policy is reached.
    Overloaded(String),
    /// The route's timeout ran out.
    Timeout,
    /// The last attempt took longer than one attempt may.
    AttemptTimeout,
    /// The whole request is here, and then nothing moved for too long.
    Idle,
    /// The rest of the request did not come for too long.
    RequestIdle,
    /// The exchange took longer than any may, with the whole request here.
    TooLong,
    /// The exchange took longer than any may, and the request is still incomplete.
    RequestTooLong,
    /// The request's body is larger than allowed.
    BodyTooLarge,
    /// The request's body outgrew what is kept for another attempt while one was due.
    ReplayTooLarge,
    /// The rule says that requests fail, to see what comes of it.
    Injected(Aborted),
    /// The request has come through this gateway before (RFC 8586).
    Looped,
    /// The client went away.
    ClientGone,
    /// The process ended before the exchange did.
    Stopped,
}

/// Why a request head was refused: what to answer and what to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Status to answer.
    pub status: u16,
    /// The details string of the log, in Envoy's words where Envoy has any.
    pub details: &'static str,
}

impl Refused {
    /// What Envoy's codec refuses is answered with the status in words, as seen in 1.40; what is found out
    /// behind it, with nothing.
    fn body(self) -> &'static str {
        let words = http::StatusCode::from_u16(self.status).ok().and_then(|s| s.canonical_reason());
        match self.details {
            "request_header_timeout" => "request header timeout",
            codec if ["http1.", "http2."].iter().any(|of| codec.starts_with(of)) => {
                words.unwrap_or_default()
            }
            _ => "",
        }
    }
}

/// Envoy's response flag, as `%RESPONSE_FLAGS%` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flag {
    /// `-`: nothing to say.
    None,
    /// `DC`: the client went away, or was left.
    DownstreamClosed,
    /// `DF`: the request's own host does not resolve.
    DnsFailed,
    /// `DPE`: the client's message is malformed.
    DownstreamProtocol,
    /// `DT`: the exchange took longer than any may.
    DurationTimeout,
    /// `FI`: it failed on purpose.
    FaultInjected,
    /// `NC`: no such cluster.
    NoCluster,
    /// `NR`: no route.
    NoRoute,
    /// `SI`: the stream was idle for too long.
    StreamIdle,
    /// `UC`: the upstream closed the connection.
    UpstreamClosed,
    /// `UF`: the upstream could not be connected to.
    UpstreamConnect,
    /// `UH`: the upstream has no endpoint.
    NoEndpoint,
    /// `UO`: a limit of the upstream is reached.
    UpstreamOverflow,
    /// `UPE`: the upstream's message is malformed.
    UpstreamProtocol,
    /// `UR`: the upstream reset the stream.
    UpstreamReset,
    /// `UT`: the upstream took too long.
    UpstreamTimeout,
}

impl Flag {
    /// The short form that Envoy logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::DownstreamClosed => "DC",
            Self::DnsFailed => "DF",
            Self::DownstreamProtocol => "DPE",
            Self::DurationTimeout => "DT",
            Self::FaultInjected => "FI",
            Self::NoCluster => "NC",
            Self::NoRoute => "NR",
            Self::StreamIdle => "SI",
            Self::UpstreamClosed => "UC",
            Self::UpstreamConnect => "UF",
            Self::NoEndpoint => "UH",
            Self::UpstreamOverflow => "UO",
            Self::UpstreamProtocol => "UPE",
            Self::UpstreamReset => "UR",
            Self::UpstreamTimeout => "UT",
        }
    }
}

/// One row of the failure table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Status to answer; 0: nobody is there to be answered.
    pub status: u16,
    /// Body to answer; empty: no body and no content type. See [`Row::message`].
    pub body: &'static str,
    /// Flag of the access log.
    pub flag: Flag,
    /// `%RESPONSE_CODE_DETAILS%`; the reason is put inside its braces where it ends in `}`.
    pub details: &'static str,
    /// RFC 9209 error token.
    pub token: &'static str,
}

/// How the body of every failure begins that Envoy knows as a reset before the response.
const RESET: &str = "upstream connect error or disconnect/reset before headers. ";
const CONNECT_BODY: &str = "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure";
const CONNECT_DETAILS: &str = "upstream_reset_before_response_started{remote_connection_failure}";
const MALFORMED_BODY: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: protocol error";
const MALFORMED_DETAILS: &str = "upstream_reset_before_response_started{protocol_error}";

impl Row {
    /// The body to answer after so many attempts: Envoy says whether it tried again.
    pub fn message(&self, attempts: u32) -> Cow<'static, str> {
        match self.body.strip_prefix(RESET) {
            Some(reason) if attempts > 1 => {
                format!("{RESET}retried and the latest {reason}").into()
            }
            _ => self.body.into(),
        }
    }

    /// The details of the same failure when it comes after the response head.
    pub fn details_midway(&self) -> &'static str {
        match self.flag {
            Flag::UpstreamClosed => "upstream_reset_after_response_started{connection_termination}",
            Flag::UpstreamReset => "upstream_reset_after_response_started{remote_reset}",
            Flag::UpstreamProtocol => "upstream_reset_after_response_started{protocol_error}",
            _ => self.details,
        }
    }
}

impl Failure {
    /// What this failure looks like from outside.
    #[rustfmt::skip] // a table reads best as one
    pub fn row(&self) -> Row {
        let row = |status, body, flag, details, token| Row { status, body, flag, details, token };
        match self {
            // Well formed, but not allowed.
            Self::Refused(refused) if refused.status == 403 => row(403, "", Flag::None, refused.details, "http_request_denied"),
            Self::Refused(refused) => row(refused.status, refused.body(), Flag::DownstreamProtocol, refused.details, "http_request_error"),
            Self::NoRoute => row(404, "", Flag::NoRoute, "route_not_found", "destination_not_found"),
            Self::NoCluster => row(503, "", Flag::NoCluster, "cluster_not_found", "proxy_configuration_error"),
            Self::Unresolved(_) => row(503, "no healthy upstream", Flag::NoEndpoint, "no_healthy_upstream", "dns_error"),
            Self::ResolveTimeout(_) => row(503, "no healthy upstream", Flag::NoEndpoint, "no_healthy_upstream", "dns_timeout"),
            // As Envoy's dynamic forward proxy answers.
            Self::DynamicUnresolved(_) => row(503, "DNS resolution failure", Flag::DnsFailed, "dns_resolution_failure", "dns_error"),
            Self::DynamicResolveTimeout(_) => row(503, "DNS resolution failure", Flag::DnsFailed, "dns_resolution_failure", "dns_timeout"),
            Self::NamesOverflow(_) => row(503, "DNS cache overflow", Flag::UpstreamOverflow, "dns_cache_overflow", "connection_limit_reached"),
            Self::NoEndpoint(_) => row(503, "no healthy upstream", Flag::NoEndpoint, "no_healthy_upstream", "destination_unavailable"),
            Self::Misconfigured(_) => row(503, CONNECT_BODY, Flag::UpstreamConnect, CONNECT_DETAILS, "proxy_configuration_error"),
            Self::Prohibited(_) => row(403, "", Flag::None, "destination_ip_prohibited", "destination_ip_prohibited"),
            Self::Loop(_) => row(503, CONNECT_BODY, Flag::UpstreamConnect, CONNECT_DETAILS, "proxy_loop_detected"),
            Self::Connect(_) => row(503, CONNECT_BODY, Flag::UpstreamConnect, CONNECT_DETAILS, "connection_refused"),
            Self::Unroutable(_) => row(503, CONNECT_BODY, Flag::UpstreamConnect, CONNECT_DETAILS, "destination_ip_unroutable"),
            Self::ConnectTimeout(_) => row(503, "upstream connect error or disconnect/reset before headers. reset reason: connection timeout",
                Flag::UpstreamConnect, "upstream_reset_before_response_started{connection_timeout}", "connection_timeout"),
            Self::Certificate(_) => row(503, CONNECT_BODY, Flag::UpstreamConnect, CONNECT_DETAILS, "tls_certificate_error"),
            Self::Handshake(_) => row(503, CONNECT_BODY, Flag::UpstreamConnect, CONNECT_DETAILS, "tls_protocol_error"),
            Self::Closed | Self::Aborted(_) => row(503, "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
                Flag::UpstreamClosed, "upstream_reset_before_response_started{connection_termination}", "connection_terminated"),
            Self::Reset(_) => row(503, "upstream connect error or disconnect/reset before headers. reset reason: remote reset",
                Flag::UpstreamReset, "upstream_reset_before_response_started{remote_reset}", "connection_terminated"),
            Self::RefusedStream(_) => row(503, "upstream connect error or disconnect/reset before headers. reset reason: remote refused stream reset",
                Flag::UpstreamReset, "upstream_reset_before_response_started{remote_refused_stream_reset}", "connection_terminated"),
            Self::Overloaded(_) => row(503, "upstream connect error or disconnect/reset before headers. reset reason: overflow",
                Flag::UpstreamOverflow, "upstream_reset_before_response_started{overflow}", "connection_limit_reached"),
            Self::Malformed(_) | Self::Misframed { .. } => row(502, MALFORMED_BODY, Flag::UpstreamProtocol, MALFORMED_DETAILS, "http_protocol_error"),
            Self::Timeout => row(504, "upstream request timeout", Flag::UpstreamTimeout, "response_timeout", "http_response_timeout"),
            Self::AttemptTimeout => row(504, "upstream request timeout", Flag::UpstreamTimeout, "upstream_per_try_timeout", "http_response_timeout"),
            Self::Idle => row(504, "stream timeout", Flag::StreamIdle, "stream_idle_timeout", "http_response_timeout"),
            Self::RequestIdle => row(408, "stream timeout", Flag::StreamIdle, "stream_idle_timeout", "http_request_error"),
            Self::TooLong => row(504, "downstream duration timeout", Flag::DurationTimeout, "max_duration_timeout", "http_response_timeout"),
            Self::RequestTooLong => row(408, "downstream duration timeout", Flag::DurationTimeout, "max_duration_timeout", "http_request_error"),
            Self::BodyTooLarge => row(413, "Payload Too Large", Flag::None, "request_payload_too_large", "http_request_error"),
            Self::ReplayTooLarge => row(507, "exceeded request buffer limit while retrying upstream", Flag::None,
                "request_payload_exceeded_retry_buffer_limit", "http_request_error"),
            Self::Injected(answer) => row(answer.http_status(), "fault filter abort", Flag::FaultInjected, "fault_filter_abort", "proxy_internal_response"),
            Self::Looped => row(508, "", Flag::None, "cdn_loop_detected", "proxy_loop_detected"),
            Self::ClientGone => row(0, "", Flag::DownstreamClosed, "downstream_remote_disconnect", "http_request_error"),
            // As Envoy logs a request whose connection it closes itself.
            Self::Stopped => row(0, "", Flag::DownstreamClosed, "downstream_local_disconnect", "proxy_internal_error"),
        }
    }

    /// What happened, for the log; empty where the row says it all.
    pub fn reason(&self) -> &str {
        match self {
            Self::Unresolved(reason)
            | Self::ResolveTimeout(reason)
            | Self::DynamicUnresolved(reason)
            | Self::DynamicResolveTimeout(reason)
            | Self::NamesOverflow(reason)
            | Self::NoEndpoint(reason)
            | Self::Misconfigured(reason)
            | Self::Prohibited(reason)
            | Self::Loop(reason)
            | Self::Connect(reason)
            | Self::Unroutable(reason)
            | Self::ConnectTimeout(reason)
            | Self::Certificate(reason)
            | Self::Handshake(reason)
            | Self::Aborted(reason)
            | Self::Reset(reason)
            | Self::RefusedStream(reason)
            | Self::Overloaded(reason)
            | Self::Malformed(reason)
            | Self::Misframed { reason, .. } => reason,
            _ => "",
        }
    }

    /// The status that the origin did answer, where a reply of ours takes its place: `received-status`
    /// of RFC 9209, section 2.1.4.
    pub fn received_status(&self) -> Option<u16> {
        match self {
            Self::Misframed { status, .. } => Some(*status),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
