//! What is wrong with what came of a row; nothing: all is well.

use super::case::{After, Ask, Case, Gets, Then};
use super::client::{Got, status};
use super::origin::Origin;
use super::path;
use crate::harness::http1;

/// Whether it is the right answer, with the right end.
pub fn answer(case: &Case, got: &Got) -> Vec<String> {
    let right = match case.gets {
        Gets::Whole(status, body) => {
            got.broken.is_empty() && got.status() == status && got.body == body
        }
        Gets::Cut(status) => match got.head.is_empty() || got.head.starts_with("HTTP/2") {
            false => got.status() == status && got.broken == "reset",
            // A stream may be reset before its head has left.
            true => [0, status].contains(&got.status()) && got.broken.contains("stream error"),
        },
        Gets::Local(status, token) => {
            got.broken.is_empty() && (got.status(), got.token()) == (status, token)
        }
        Gets::Switched(bytes) => got.status() == 101 && got.body == bytes,
    };
    let interims: Vec<_> = got.interims.iter().map(|head| status(head)).collect();
    let mut wrong = Vec::new();
    if !right {
        wrong.push(format!("wanted {:?}, got {got}", case.gets));
    }
    let forgotten = got.forgets_interims && case.interims.starts_with(&interims);
    if interims != case.interims && !forgotten {
        wrong.push(format!("wanted interim {:?}, got {interims:?}", case.interims));
    }
    wrong
}

/// The same for another gateway, of which less is known: not its own words, nor how it breaks off.
pub fn answer_of_envoy(case: &Case, got: &Got) -> Vec<String> {
    let right = match case.gets {
        Gets::Cut(status) => !got.broken.is_empty() && [0, status].contains(&got.status()),
        Gets::Local(status, _) => got.broken.is_empty() && got.status() == status,
        Gets::Whole(..) | Gets::Switched(_) => return answer(case, got),
    };
    if right { Vec::new() } else { vec![format!("wanted {:?}, got {got}", case.gets)] }
}

/// Whether the head has the lines it must have and no others, and the trailers too.
pub fn lines(case: &Case, got: &Got, written: fn(&str) -> String) -> Vec<String> {
    let mut wrong = Vec::new();
    for line in &case.has {
        let line = written(line);
        if !line.is_empty() && !got.head.split("\r\n").any(|own| own == line) {
            wrong.push(format!("no line {line:?} in {:?}", got.head));
        }
    }
    for name in &case.lacks {
        for head in got.interims.iter().chain([&got.head]) {
            if http1::field(head, name).is_some() {
                wrong.push(format!("{name} in {head:?}"));
            }
        }
    }
    wrong.extend(trailers(case, got));
    wrong
}

/// Whether the trailers are right. HTTP/2 clients get them unasked.
pub fn trailers(case: &Case, got: &Got) -> Option<String> {
    let unasked = got.head.starts_with("HTTP/2") && case.ask == Ask::Get;
    let right = got.trailers.eq_ignore_ascii_case(case.trailers) || unasked;
    (!right).then(|| format!("wanted trailers {:?}, got {:?}", case.trailers, got.trailers))
}

/// Whether the next request got its own answer, over the connection to the origin that it should have.
pub fn next(case: &Case, next: &Got, origin: &Origin) -> Vec<String> {
    let after = format!("{}after", path(case));
    let mut wrong = Vec::new();
    if (next.status(), next.body.as_str()) != (200, after.as_str()) || !next.broken.is_empty() {
        wrong.push(format!("the next request got {next}"));
    }
    let reused = origin.connection_of(&path(case)) == origin.connection_of(&after);
    if reused != (case.origin == After::Kept) {
        wrong.push(format!("the origin's connection was reused: {reused}"));
    }
    wrong
}

/// Whether the access log says what kind of failure it was.
pub fn flag(case: &Case, log: &[String]) -> Option<String> {
    let wanted: &[&str] = match case.gets {
        Gets::Whole(..) | Gets::Switched(_) => &["-"],
        Gets::Local(502, _) => &["UPE"],
        Gets::Cut(_) | Gets::Local(..) => match case.then {
            Then::Waits => &["UPE"],
            Then::Ends | Then::Vanishes | Then::Resets => &["UC"],
        },
    };
    let path = format!("\"{}\"", path(case));
    let Some(line) = log.iter().find(|line| line.contains(&path)) else {
        return Some("no line in the access log".into());
    };
    let has = |flag: &&str| line.contains(&format!("\"response_flags\":\"{flag}\""));
    (!wanted.iter().any(has)).then(|| format!("wanted flag {wanted:?}: {line}"))
}
