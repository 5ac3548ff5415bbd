//! Every rule of the wire that a message can break, with the answer and the sentence for the log.
//!
//! Rules about the host and the target are judged by whoever routes the request; they are listed
//! here so that there is one list.

use crate::model::failure::{Failure, Refused};

/// The rule that a message breaks. The connection it came on cannot be used any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The first line is not `METHOD SP target SP HTTP/1.x` (RFC 9112, section 3).
    BadRequestLine,
    /// The first line is not `HTTP/1.x SP nnn [SP reason]` (RFC 9112, section 4).
    BadStatusLine,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    UnsupportedVersion,
    /// The head did not come in time.
    HeadTimeout,
    /// The target has a form or a scheme that this method cannot have (RFC 9112, section 3.2).
    BadTarget,
    /// A field name is not a token, or a blank stands before the colon (RFC 9112, section 5.1).
    BadName,
    /// A field value begins or ends with a blank (RFC 9113, section 8.2.1).
    BlankAtEdge,
    /// A field value goes on in the next line (RFC 9112, section 5.2).
    ObsFold,
    /// NUL, DEL, another control character, or a CR that ends no line (RFC 9110, section 5.5).
    ControlCharacter,
    /// The head is larger than [`super::HeadLimits::bytes`].
    TooLarge,
    /// The head has more lines than [`super::HeadLimits::lines`].
    TooManyLines,
    /// Content-Length and Transfer-Encoding together (RFC 9112, section 6.1).
    BothLengthAndChunked,
    /// More than one Content-Length, even if they agree.
    DuplicateLength,
    /// A Content-Length that is not a number, or not one of 64 bits.
    BadLength,
    /// A Transfer-Encoding other than a sole `chunked`.
    UnknownTransferCoding,
    /// A Transfer-Encoding in HTTP/1.0 (RFC 9112, section 6.1).
    ChunkedInHttp10,
    /// A 1xx or 204 response that announces a body (RFC 9110, sections 8.6 and 15.3.5).
    BodyNotAllowed,
    /// HTTP/1.1 without a Host (RFC 9112, section 3.2).
    HostMissing,
    /// More than one Host.
    HostDuplicate,
    /// A Host that is no authority.
    HostInvalid,
    /// Host and `:authority` differ (RFC 9113, section 8.3.1).
    HostMismatch,
    /// A request's Connection names a field that must reach the origin, such as Host.
    ConnectionNamesEssential,
    /// Connection has more than [`super::fields::CONNECTION_OPTIONS_MAX`] options.
    TooManyConnectionOptions,
    /// A chunk size, or what follows a chunk, is malformed (RFC 9112, section 7.1).
    BadChunk,
    /// Chunk extensions are longer than [`super::chunked::EXTENSION_BYTES_MAX`].
    ExtensionsTooLong,
    /// A trailer line is malformed.
    BadTrailer,
    /// The trailers are larger than [`super::chunked::TRAILER_BYTES_MAX`], or too many.
    TrailersTooLarge,
}

impl Refusal {
    /// What to answer when a request breaks the rule; the details are Envoy's words.
    pub fn refused(self) -> Refused {
        let (status, details) = match self {
            Self::TooLarge => (431, "http1.headers_too_large"),
            Self::TooManyLines => (431, "http1.too_many_headers"),
            Self::TrailersTooLarge => (431, "http1.trailers_too_large"),
            Self::UnknownTransferCoding => (501, "http1.invalid_transfer_encoding"),
            Self::ChunkedInHttp10 => (400, "http1.transfer_encoding_not_allowed"),
            Self::BothLengthAndChunked => (400, "http1.content_length_and_chunked_not_allowed"),
            Self::BodyNotAllowed => (400, "http1.body_disallowed"),
            Self::BadTarget => (400, "http1.invalid_url"),
            Self::HostMissing => (400, "missing_host_header"),
            Self::HostDuplicate | Self::HostInvalid | Self::HostMismatch => {
                (400, "http.invalid_authority")
            }
            Self::ConnectionNamesEssential | Self::TooManyConnectionOptions => {
                (400, "http1.connection_header_rejected")
            }
            Self::BadRequestLine
            | Self::BadStatusLine
            | Self::UnsupportedVersion
            | Self::BadName
            | Self::BlankAtEdge
            | Self::ObsFold
            | Self::ControlCharacter
            | Self::DuplicateLength
            | Self::BadLength
            | Self::BadChunk
            | Self::ExtensionsTooLong
            | Self::BadTrailer => (400, "http1.codec_error"),
            Self::HeadTimeout => (408, "request_header_timeout"),
        };
        Refused { status, details }
    }

    /// What is wrong, for the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::BadRequestLine => "the request line is malformed",
            Self::BadStatusLine => "the status line is malformed",
            Self::UnsupportedVersion => "the version is neither HTTP/1.0 nor HTTP/1.1",
            Self::HeadTimeout => "the head did not come in time",
            Self::BadTarget => "the target has a form that this method cannot have",
            Self::BadName => "a field name is not a token, or a blank stands before its colon",
            Self::BlankAtEdge => "a field value begins or ends with a blank",
            Self::ObsFold => "a field value is folded onto the next line",
            Self::ControlCharacter => "a control character or a stray CR stands in the head",
            Self::TooLarge => "the head is too large",
            Self::TooManyLines => "the head has too many lines",
            Self::BothLengthAndChunked => "both Content-Length and Transfer-Encoding are given",
            Self::DuplicateLength => "Content-Length is given more than once",
            Self::BadLength => "Content-Length is not a number, or too large a one",
            Self::UnknownTransferCoding => "Transfer-Encoding is something else than chunked",
            Self::ChunkedInHttp10 => "HTTP/1.0 has no Transfer-Encoding",
            Self::BodyNotAllowed => "this status has no body, but one is announced",
            Self::HostMissing => "Host is missing",
            Self::HostDuplicate => "Host is given more than once",
            Self::HostInvalid => "Host is not a valid authority",
            Self::HostMismatch => "Host and :authority differ",
            Self::ConnectionNamesEssential => "Connection names a field that must be passed on",
            Self::TooManyConnectionOptions => "Connection has too many options",
            Self::BadChunk => "the chunk framing is malformed",
            Self::ExtensionsTooLong => "the chunk extensions are too long",
            Self::BadTrailer => "a trailer line is malformed",
            Self::TrailersTooLarge => "the trailers are too large or too many",
        }
    }
}

/// For a request. A response that breaks a rule is [`Failure::Malformed`], with [`Refusal::reason`].
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.refused())
    }
}
