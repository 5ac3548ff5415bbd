//! One page of a running gateway's admin port, fetched over plain HTTP.
//!
//! It blocks, asks once and keeps no connection. The answer is read by our own codec.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::{Scheme, Url};
use crate::model::Authority;
use crate::wire::framing::{self, Framing};
use crate::wire::parse::{self, HeadLimits, Parsed};

/// The admin port when a URL names none.
const PORT_DEFAULT: u16 = 15000;
/// Time to connect, and between two pieces of the answer.
const WITHIN: Duration = Duration::from_secs(10);
/// What an answer may measure, in bytes; a hundred thousand hosts make some fifty million.
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Fetches a page, which begins with a slash. Errors: what failed, and what to try.
pub(super) fn fetch(url: &Url, page: &str) -> Result<String, String> {
    let Url { scheme, authority, .. } = url;
    if *scheme == Scheme::Https {
        return Err("the admin port speaks plain HTTP; write http://".to_owned());
    }
    let asked = Authority::parse(authority.as_bytes())
        .ok_or_else(|| format!("\"{authority}\" is not a host"))?;
    let port = asked.port.unwrap_or(PORT_DEFAULT);
    let failed = |why: String| {
        format!(
            "no answer from the admin port at {authority}: {why}; is the gateway running with --admin there?"
        )
    };
    let answer = exchange(asked.host(), port, page).map_err(|error| failed(error.to_string()))?;
    let Ok(Parsed::Complete { head, consumed }) =
        parse::response(&answer, &HeadLimits::default(), &mut Default::default())
    else {
        return Err(failed("what came is not an HTTP response".to_owned()));
    };
    let body = &answer[consumed..];
    let whole = match framing::response(&head, b"GET") {
        Ok(Framing::Length(length)) => body.len() as u64 == length,
        Ok(Framing::UntilClose | Framing::Empty) => true,
        _ => false,
    };
    let text = String::from_utf8_lossy(body).into_owned();
    match head.status() {
        200 if whole => Ok(text),
        200 => Err(failed("the answer was cut off".to_owned())),
        status => Err(format!("{authority} answered {status} for {page}: {}", text.trim_end())),
    }
}

/// Sends the request and reads until the connection ends.
#[allow(
    clippy::disallowed_methods,
    reason = "a command that does this one thing may block, and asks the machine's own resolver"
)]
fn exchange(host: &str, port: u16, page: &str) -> std::io::Result<Vec<u8>> {
    let mut connected = Err(std::io::Error::other("the name has no address"));
    for address in (host, port).to_socket_addrs()? {
        connected = TcpStream::connect_timeout(&address, WITHIN);
        if connected.is_ok() {
            break;
        }
    }
    let mut stream = connected?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    let named = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    write!(stream, "GET {page} HTTP/1.1\r\nHost: {named}:{port}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}
