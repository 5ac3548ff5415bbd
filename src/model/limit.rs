//! The gateway's limits by name: what one is called in settings, counters and the log.
//!
//! Their values are settings; what reaching one does is told where it is reached.

/// One limit of the gateway. Rules of the wire that nobody changes, such as the length of a chunk's
/// extensions, are constants beside their code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Client connections, over all listeners.
    Connections,
    /// Client connections of one listener.
    ListenerConnections,
    /// Requests on one client connection.
    ConnectionRequests,
    /// How long a client connection may take further requests.
    ConnectionDuration,
    /// HTTP/2 streams of one client connection at once.
    Streams,
    /// Requests under way at once in one worker.
    Requests,
    /// Size of a request's head.
    HeadBytes,
    /// Lines of a request's head.
    Headers,
    /// Length of a request's target.
    TargetBytes,
    /// Size of a request's body.
    BodyBytes,
    /// Size of a response's head.
    ResponseHeadBytes,
    /// Lines of a response's head.
    ResponseHeaders,
    /// Connections to origins, over all upstreams.
    UpstreamConnections,
    /// Requests that wait for a connection to one upstream.
    PendingRequests,
    /// Time for a request's head, from its first byte.
    HeadTime,
    /// How long a client connection is kept without a request.
    ClientIdle,
    /// How long nothing may move in an exchange.
    StreamIdle,
    /// How long nothing may move in a tunnel.
    TunnelIdle,
    /// How long an exchange or a tunnel may take in all.
    ExchangeDuration,
}

impl Limit {
    /// Every limit, in the order of their numbers.
    pub const ALL: [Self; 19] = [
        Self::Connections,
        Self::ListenerConnections,
        Self::ConnectionRequests,
        Self::ConnectionDuration,
        Self::Streams,
        Self::Requests,
        Self::HeadBytes,
        Self::Headers,
        Self::TargetBytes,
        Self::BodyBytes,
        Self::ResponseHeadBytes,
        Self::ResponseHeaders,
        Self::UpstreamConnections,
        Self::PendingRequests,
        Self::HeadTime,
        Self::ClientIdle,
        Self::StreamIdle,
        Self::TunnelIdle,
        Self::ExchangeDuration,
    ];

    /// Its name, in settings and as the `limit` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ListenerConnections => "listenerConnections",
            Self::ConnectionRequests => "connectionRequests",
            Self::ConnectionDuration => "connectionDuration",
            Self::Streams => "streams",
            Self::Requests => "requests",
            Self::HeadBytes => "headBytes",
            Self::Headers => "headers",
            Self::TargetBytes => "targetBytes",
            Self::BodyBytes => "bodyBytes",
            Self::ResponseHeadBytes => "responseHeadBytes",
            Self::ResponseHeaders => "responseHeaders",
            Self::UpstreamConnections => "upstreamConnections",
            Self::PendingRequests => "pendingRequests",
            Self::HeadTime => "headTime",
            Self::ClientIdle => "clientIdle",
            Self::StreamIdle => "streamIdle",
            Self::TunnelIdle => "tunnelIdle",
            Self::ExchangeDuration => "exchangeDuration",
        }
    }

    /// Whether reaching it says that the gateway is too small for what comes, rather than something
    /// about one client or one origin.
    pub fn is_capacity(self) -> bool {
        matches!(
            self,
            Self::Connections
                | Self::ListenerConnections
                | Self::Requests
                | Self::UpstreamConnections
                | Self::PendingRequests
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_numbers_and_no_name_is_given_twice() {
        for (number, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, number, "{limit:?}");
            let same = Limit::ALL.into_iter().filter(|other| other.as_str() == limit.as_str());
            assert_eq!(same.count(), 1, "{limit:?}");
        }
    }
}
