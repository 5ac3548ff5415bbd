//! What concerns one hop only: Connection and its companions (RFC 9110, section 7.6.1).
//!
//! Nothing is added here; what the next hop is to be told is its writer's business.

use std::time::Duration;

use smallvec::SmallVec;

use super::{Head, Name, Names, Refusal, Version};

/// The most options one message may list in Connection; each may be compared with every line.
pub const CONNECTION_OPTIONS_MAX: usize = 16;

/// Whether a connection lives on after the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Persistence {
    Keep,
    Close,
}

/// Removes what must not go to the next hop: the hop-by-hop fields and those that Connection names.
///
/// `TE: trailers` stays, other TE values go. A request whose Connection names a field that must
/// arrive, such as Host, is refused, and one with too many options; a response's such options are ignored.
pub fn strip_hop_by_hop(head: &mut Head) -> Result<(), Refusal> {
    if !head.may_have_any(HOP_BY_HOP) && !head.may_have_any(Names::of(&[Name::Te])) {
        return Ok(());
    }
    let nominated = nominated(head)?;
    head.retain(|known, name, _| {
        !is_hop_by_hop(known) && !nominated.iter().any(|option| name.eq_ignore_ascii_case(option))
    });
    if accepts_trailers(head) {
        head.set(b"te", b"trailers");
    } else {
        head.remove(b"te");
    }
    Ok(())
}

/// Whether the connection lives on, as the sender of this head sees it (RFC 9112, section 9.3).
pub fn keep_alive(head: &Head) -> Persistence {
    let persists = match head.version() {
        Version::Http2 => true,
        Version::Http11 => !has_connection_option(head, b"close"),
        Version::Http10 => {
            has_connection_option(head, b"keep-alive") && !has_connection_option(head, b"close")
        }
    };
    if persists { Persistence::Keep } else { Persistence::Close }
}

/// The protocol the message asks to change to, or changes to: `Connection: upgrade` and an Upgrade,
/// both. HTTP/1.0 and HTTP/2 have no such thing (RFC 9110, section 7.8).
pub fn upgrade(head: &Head) -> Option<&[u8]> {
    let protocol = head.find(Name::Upgrade)?;
    (head.version() == Version::Http11 && has_connection_option(head, b"upgrade"))
        .then_some(protocol)
}

/// Whether the sender takes trailers: `TE: trailers` (RFC 9110, section 10.1.4).
pub fn accepts_trailers(head: &Head) -> bool {
    head.all(Name::Te).flat_map(tokens).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// How long the sender keeps an idle connection: `Keep-Alive: timeout=N`, in seconds.
pub fn keep_alive_timeout(head: &Head) -> Option<Duration> {
    let seconds = head.all(Name::KeepAlive).flat_map(tokens).find_map(|parameter| {
        let equals = memchr::memchr(b'=', parameter)?;
        let (name, value) = (&parameter[..equals], &parameter[equals + 1..]);
        name.trim_ascii().eq_ignore_ascii_case(b"timeout").then(|| value.trim_ascii())
    })?;
    let seconds: u32 = std::str::from_utf8(seconds).ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

/// The members of a comma-separated list without their blanks; empty ones are left out
/// (RFC 9110, section 5.6.1).
pub fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(|member| member.trim_ascii()).filter(|m| !m.is_empty())
}

fn has_connection_option(head: &Head, option: &[u8]) -> bool {
    if !head.may_have_any(Names::of(&[Name::Connection])) {
        return false; // most heads have none
    }
    head.all(Name::Connection).flat_map(tokens).any(|token| token.eq_ignore_ascii_case(option))
}

/// The names of the fields that Connection takes away, beyond those that always go.
fn nominated(head: &Head) -> Result<SmallVec<[SmallVec<[u8; 24]>; 2]>, Refusal> {
    let mut names = SmallVec::new();
    for (index, option) in head.all(Name::Connection).flat_map(tokens).enumerate() {
        if index == CONNECTION_OPTIONS_MAX {
            match head.is_request() {
                true => return Err(Refusal::TooManyConnectionOptions),
                false => break, // the rest names nothing, but hop-by-hop lines go all the same
            }
        }
        match Name::of(option) {
            name if is_essential(name) && head.is_request() => {
                return Err(Refusal::ConnectionNamesEssential);
            }
            // HTTP/2's own fields have no place here, and who routes by them must not lose them.
            _ if option.starts_with(b":") && head.is_request() => {
                return Err(Refusal::ConnectionNamesEssential);
            }
            name if is_essential(name) || is_hop_by_hop(name) => {}
            Name::Te => {} // must be named here when it is sent; its value decides
            _ => names.push(SmallVec::from_slice(option)),
        }
    }
    Ok(names)
}

/// Whether a field never goes further than the next hop. TE is apart: it goes but for `trailers`.
pub fn is_hop_by_hop(name: Name) -> bool {
    HOP_BY_HOP.meets(Names::of(&[name]))
}

const HOP_BY_HOP: Names = Names::of(&[
    Name::Connection,
    Name::KeepAlive,
    Name::ProxyConnection,
    Name::TransferEncoding,
    Name::Upgrade,
    Name::ProxyAuthorization,
    Name::ProxyAuthenticate,
    Name::Http2Settings,
]);

/// Whether taking the field away would change who is asked, for what length, or on whose behalf.
fn is_essential(name: Name) -> bool {
    matches!(
        name,
        Name::Host
            | Name::ContentLength
            | Name::TransferEncoding
            | Name::XForwardedFor
            | Name::XForwardedHost
            | Name::XForwardedProto
            | Name::XForwardedClientCert
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, lines: &[(&str, &str)]) -> Head {
        with_lines(Head::request(crate::wire::HeadMemory::default(), version, b"GET", b"/"), lines)
    }

    fn response(lines: &[(&str, &str)]) -> Head {
        with_lines(
            Head::response(crate::wire::HeadMemory::default(), Version::Http11, 200, b"OK"),
            lines,
        )
    }

    fn with_lines(mut head: Head, lines: &[(&str, &str)]) -> Head {
        for (name, value) in lines {
            head.append(name.as_bytes(), value.as_bytes());
        }
        head
    }

    fn lines(head: &Head) -> String {
        let lines = head.lines().map(|(name, value)| [name, b"=", value].concat());
        lines.collect::<Vec<_>>().join(&b' ').escape_ascii().to_string()
    }

    #[test]
    fn hop_by_hop_fields_and_nominated_ones_are_removed() {
        #[rustfmt::skip] // a table reads best as one
        let table: [(&[(&str, &str)], &str); 8] = [
            (&[("Host", "a"), ("B", "c")], "Host=a B=c"),
            (&[("Connection", "close"), ("Host", "a")], "Host=a"),
            (&[("Keep-Alive", "timeout=5"), ("A", "b"), ("Proxy-Connection", "x"), ("Proxy-Authorization", "x"), ("Trailer", "t")], "A=b Trailer=t"),
            (&[("Upgrade", "h2c"), ("HTTP2-Settings", "x"), ("Connection", "Upgrade, HTTP2-Settings"), ("A", "b")], "A=b"),
            (&[("X-Hop", "1"), ("Connection", "close , X-HOP,,"), ("x-hop", "2"), ("X-Hops", "3")], "X-Hops=3"),
            (&[("Transfer-Encoding", "chunked"), ("Content-Type", "x")], "Content-Type=x"),
            (&[("A", "1"), ("TE", "gzip;q=0.5, Trailers"), ("Connection", "TE"), ("B", "2")], "A=1 te=trailers B=2"),
            (&[("TE", "gzip"), ("A", "b")], "A=b"),
        ];
        for (given, left) in table {
            let mut head = request(Version::Http11, given);
            assert_eq!(strip_hop_by_hop(&mut head), Ok(()), "{given:?}");
            assert_eq!(lines(&head), left, "{given:?}");
        }
    }

    #[test]
    fn a_request_cannot_take_away_what_must_arrive() {
        for option in [
            "host",
            "Content-Length",
            "transfer-encoding",
            "x-forwarded-for",
            "X-Forwarded-Proto",
            ":authority",
        ] {
            let mut head = request(Version::Http11, &[("Host", "a"), ("Connection", option)]);
            let stripped = strip_hop_by_hop(&mut head);
            assert_eq!(stripped, Err(Refusal::ConnectionNamesEssential), "{option}");
        }
        let mut head =
            response(&[("Content-Length", "3"), ("Connection", "content-length, a"), ("A", "b")]);
        assert_eq!(strip_hop_by_hop(&mut head), Ok(()));
        assert_eq!(lines(&head), "Content-Length=3");
    }

    #[test]
    fn connection_options_are_limited() {
        let options = |count: usize| vec!["a"; count].join(",");
        let mut head =
            request(Version::Http11, &[("Connection", &options(CONNECTION_OPTIONS_MAX))]);
        assert_eq!(strip_hop_by_hop(&mut head), Ok(()));
        let mut head = request(
            Version::Http11,
            &[("Connection", &options(CONNECTION_OPTIONS_MAX)), ("Connection", "b")],
        );
        assert_eq!(strip_hop_by_hop(&mut head), Err(Refusal::TooManyConnectionOptions));
        let options = options(CONNECTION_OPTIONS_MAX + 1);
        let mut head = response(&[("Connection", &options), ("Upgrade", "x"), ("B", "c")]);
        assert_eq!(strip_hop_by_hop(&mut head), Ok(()));
        assert_eq!(lines(&head), "B=c", "what concerns one hop goes from a response all the same");
    }

    #[test]
    fn a_connection_persists_by_version_and_option() {
        for (version, option, persistence) in [
            (Version::Http11, "", Persistence::Keep),
            (Version::Http11, "keep-alive, Close", Persistence::Close),
            (Version::Http11, "closed", Persistence::Keep),
            (Version::Http10, "", Persistence::Close),
            (Version::Http10, "Keep-Alive", Persistence::Keep),
            (Version::Http10, "keep-alive, close", Persistence::Close),
            (Version::Http2, "", Persistence::Keep),
        ] {
            let head = request(version, &[("Connection", option)]);
            assert_eq!(keep_alive(&head), persistence, "{version:?} {option}");
        }
    }

    #[test]
    fn an_upgrade_needs_both_fields_and_http11() {
        let (asks, to) = (("Connection", "keep-alive, Upgrade"), ("Upgrade", "websocket"));
        assert_eq!(upgrade(&request(Version::Http11, &[asks, to])), Some(&b"websocket"[..]));
        assert_eq!(upgrade(&request(Version::Http11, &[to])), None);
        assert_eq!(upgrade(&request(Version::Http11, &[asks])), None);
        assert_eq!(upgrade(&request(Version::Http10, &[asks, to])), None);
    }

    #[test]
    fn who_takes_trailers_is_recognised() {
        assert!(accepts_trailers(&request(
            Version::Http11,
            &[("TE", "deflate"), ("te", "x, trailers")]
        )));
        assert!(!accepts_trailers(&request(Version::Http11, &[("TE", "trailers-not")])));
    }

    #[test]
    fn a_keep_alive_timeout_is_read() {
        for (value, seconds) in [
            ("timeout=5, max=100", Some(5)),
            ("max=100, Timeout = 7", Some(7)),
            ("max=3", None),
            ("timeout=-1", None),
            ("timeout=99999999999", None),
            ("timeout", None),
        ] {
            let head = response(&[("Keep-Alive", value)]);
            assert_eq!(keep_alive_timeout(&head), seconds.map(Duration::from_secs), "{value}");
        }
    }
}
