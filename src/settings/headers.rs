//! Reading the settings of the header policy, with a sentence that names the fix when one cannot be read.
//!
//! Knows nothing of where the text came from.

use crate::model::headers::{ForwardedProto, Location, RequestId, Xff};

/// The longest name for `Via` and `Server`; it is added to every message.
const NAME_BYTES_MAX: usize = 128;

pub(super) fn xff(text: &str) -> Result<Xff, String> {
    match text {
        "remove" => Ok(Xff::Remove),
        "append" => Ok(Xff::Append),
        _ => Err(format!("\"{text}\" is neither remove nor append; write one of them")),
    }
}

pub(super) fn forwarded_proto(text: &str) -> Result<ForwardedProto, String> {
    match text {
        "https" => Ok(ForwardedProto::Https),
        "preserve" => Ok(ForwardedProto::Preserve),
        "downstream" => Ok(ForwardedProto::Downstream),
        "strip" => Ok(ForwardedProto::Strip),
        _ => Err(format!("\"{text}\" is unknown; write https, preserve, downstream or strip")),
    }
}

pub(super) fn request_id(text: &str) -> Result<RequestId, String> {
    match text {
        "keep" => Ok(RequestId::Keep),
        "make" => Ok(RequestId::Make),
        "strip" => Ok(RequestId::Strip),
        _ => Err(format!("\"{text}\" is unknown; write keep, make or strip")),
    }
}

/// `off`, or a pseudonym: a token (RFC 9110, section 7.6.3).
pub(super) fn via(text: &str) -> Result<Option<String>, String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match text {
        "off" => Ok(None),
        "on" | "true" => Err("it needs a name; write one, as in egress-1, or off".to_owned()),
        name if name.len() <= NAME_BYTES_MAX && name.bytes().all(token) => Ok(Some(name.into())),
        _ => Err(format!(
            "\"{text}\" is not a name for Via; write letters, digits, dots and dashes, as in egress-1, or off"
        )),
    }
}

/// `pass`, or a field value: visible ASCII, blanks within.
pub(super) fn server(text: &str) -> Result<Option<String>, String> {
    let visible = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    match text {
        "pass" => Ok(None),
        value
            if value.len() <= NAME_BYTES_MAX
                && value.bytes().all(visible)
                && value == value.trim() =>
        {
            Ok(Some(value.to_owned()))
        }
        _ => Err(format!("\"{text}\" cannot be sent as Server; write visible ASCII, or pass")),
    }
}

pub(super) fn location(text: &str) -> Result<Location, String> {
    match text {
        "true" | "on" => Ok(Location::Rewrite),
        "false" | "off" => Ok(Location::Pass),
        _ => Err(format!("\"{text}\" is neither true nor false; write one of them")),
    }
}
