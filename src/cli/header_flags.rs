//! The flags of `run` that make the header policy.
//!
//! Values stay text here, as those of the other settings do.

use clap::Args;

/// The flags of `run` that make the header policy; settings like the others.
#[derive(Debug, Default, Args)]
#[command(
    next_help_heading = "Header policy (settings too; the defaults tell an origin nothing of the inside)"
)]
pub struct HeaderFlags {
    /// X-Forwarded-For: remove, or append the client's address [default: remove]
    #[arg(long, value_name = "WHAT")]
    xff: Option<String>,
    /// X-Forwarded-Proto: https where TLS is originated, preserve, downstream or strip [default: https]
    #[arg(long, value_name = "WHAT")]
    forwarded_proto: Option<String>,
    /// X-Request-Id: keep, make where there is none, or strip [default: keep]
    #[arg(long, value_name = "WHAT")]
    request_id: Option<String>,
    /// Add Via with this name to requests and responses [default: off]
    #[arg(long, value_name = "NAME")]
    via: Option<String>,
    /// Server of every response, in place of the origin's [default: pass]
    #[arg(long, value_name = "NAME")]
    server_header: Option<String>,
    /// Lead redirects to https://HOST back through here as http://HOST, for hosts routed with TLS
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    rewrite_location: Option<String>,
}

impl HeaderFlags {
    /// The values of each, by its name.
    pub fn given(&self) -> [(&'static str, &[String]); 6] {
        [
            ("xff", self.xff.as_slice()),
            ("forwarded-proto", self.forwarded_proto.as_slice()),
            ("request-id", self.request_id.as_slice()),
            ("via", self.via.as_slice()),
            ("server-header", self.server_header.as_slice()),
            ("rewrite-location", self.rewrite_location.as_slice()),
        ]
    }
}
