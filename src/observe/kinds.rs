//! The kinds of what is counted, each with its label; their numbers are places in the counters.

/// A TLS handshake with an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// With certificates.
    Full,
    /// On a session from before.
    Resumed,
}

impl Handshake {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Full, Self::Resumed];

    /// The `kind` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
        }
    }
}

/// What became of an upstream connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamEvent {
    /// It was opened: connected, and shaken hands with where TLS is asked for.
    Opened,
    /// It carried a further request.
    Reused,
    /// It was closed, by either side.
    Closed,
    /// It could not be opened.
    Failed,
}

impl UpstreamEvent {
    /// Every event, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Opened, Self::Reused, Self::Closed, Self::Failed];

    /// The `event` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reused => "reused",
            Self::Closed => "closed",
            Self::Failed => "failed",
        }
    }
}

/// Why a client's connection was ended by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientEnd {
    /// It sent frame upon frame that nobody has use for.
    Flood,
    /// It broke a rule of the protocol for which a connection must end.
    Protocol,
    /// What it had begun to say was not said in time.
    HeadTimeout,
}

impl ClientEnd {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Flood, Self::Protocol, Self::HeadTimeout];

    /// The `reason` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Protocol => "protocol_error",
            Self::HeadTimeout => "head_timeout",
        }
    }
}

/// Why another attempt was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// A connection from the pool had been closed under the request.
    Stale,
    /// No connection came about.
    ConnectFailure,
    /// The origin said that it did not process the request.
    RefusedStream,
    /// The connection or the stream ended, or what came was not HTTP.
    Reset,
    /// The attempt took longer than one may.
    Timeout,
    /// The response's status.
    Status,
    /// The response's `grpc-status`.
    GrpcStatus,
}

impl Retried {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Stale,
        Self::ConnectFailure,
        Self::RefusedStream,
        Self::Reset,
        Self::Timeout,
        Self::Status,
        Self::GrpcStatus,
    ];

    /// The `reason` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::ConnectFailure => "connect-failure",
            Self::RefusedStream => "refused-stream",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Status => "status",
            Self::GrpcStatus => "grpc-status",
        }
    }
}

/// What became of a request's copy for a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mirrored {
    /// The mirror answered something.
    Answered,
    /// It could not be asked, or did not answer in time.
    Failed,
    /// The body is too large to be copied.
    TooLarge,
    /// The client left, or was answered, before the request was here as a whole.
    Incomplete,
    /// Too many copies were on their way.
    TooMany,
}

impl Mirrored {
    /// Every outcome, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::Answered, Self::Failed, Self::TooLarge, Self::Incomplete, Self::TooMany];

    /// The `outcome` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::TooLarge => "too-large",
            Self::Incomplete => "incomplete",
            Self::TooMany => "too-many",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_the_numbers() {
        for (n, kind) in Handshake::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, n);
        }
        for (n, reason) in Retried::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, n);
        }
        for (n, outcome) in Mirrored::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, n);
        }
        for (n, why) in ClientEnd::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, n);
        }
        for (n, event) in UpstreamEvent::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, n);
        }
    }
}
