//! Pages of other sites: the browser's question before a request is answered here, and answers say which page
//! may read them.
//!
//! Source: Envoy's `http/cors/cors_filter.cc`, which does nothing for redirects and direct responses.

use super::condition::header;
use crate::model::Cors;
use crate::wire::Head;

/// A page that may read the answer.
#[derive(Debug)]
pub struct Allowed<'s> {
    cors: &'s Cors,
    origin: Vec<u8>,
}

/// What a request is to a browser.
#[derive(Default)]
pub struct Crossing<'s> {
    /// The page that may read the answer.
    pub allowed: Option<Box<Allowed<'s>>>,
    /// By what it is answered here, as a browser's question before the request itself (a preflight).
    pub question: Option<&'s Cors>,
}

impl<'s> Crossing<'s> {
    /// Judges a request's head, which no rule has edited.
    pub fn of(head: &Head, cors: &'s Cors) -> Self {
        let line = |name| header(head, name).filter(|value| !value.is_empty());
        let Some(origin) = line("origin") else { return Self::default() };
        let asks = head.method() == b"OPTIONS" && line("access-control-request-method").is_some();
        let is_allowed = cors.allows(&origin);
        Self {
            allowed: is_allowed.then(|| Box::new(Allowed { cors, origin: origin.into_owned() })),
            question: (asks && (is_allowed || cors.answers_all)).then_some(cors),
        }
    }
}

impl Allowed<'_> {
    /// Tells the browser, in the head of any answer; what stands there already gives way.
    pub fn tell(&self, head: &mut Head) {
        head.set(b"access-control-allow-origin", &self.origin);
        if self.cors.credentials {
            head.set(b"access-control-allow-credentials", b"true");
        }
        if !self.cors.exposed.is_empty() {
            head.set(b"access-control-expose-headers", self.cors.exposed.join(",").as_bytes());
        }
    }
}

/// Answers a browser's question with what is allowed.
pub fn answer(cors: &Cors, head: &mut Head) {
    if cors.credentials {
        head.append(b"access-control-allow-credentials", b"true");
    }
    for (name, values) in [
        (&b"access-control-allow-methods"[..], &cors.methods),
        (b"access-control-allow-headers", &cors.headers),
    ] {
        if !values.is_empty() {
            head.append(name, values.join(",").as_bytes());
        }
    }
    if let Some(seconds) = cors.max_age {
        head.append(b"access-control-max-age", seconds.to_string().as_bytes());
    }
}
