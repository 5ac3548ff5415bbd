//! What a row of the tables says: what is asked, what the origin answers byte by byte, and what must come of it.
//!
//! Texts stand for bytes: `|` is a line end (CR LF), `¦` parts pieces that are sent one by one, and every
//! other character is the byte of its number, so that `é` is 0xE9. Nothing here touches a socket.

/// How the row's request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A GET.
    Get,
    /// A GET that takes trailers.
    GetTrailers,
    /// A HEAD.
    Head,
    /// A POST whose body is there at once.
    Post,
    /// A POST of which the second half is only sent when the response's head has come.
    Upload,
    /// A GET for a WebSocket.
    WebSocket,
    /// A GET in HTTP/1.0.
    Old,
    /// A GET in HTTP/1.0 that asks to keep the connection.
    OldKeepAlive,
}

/// When the origin begins to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// When the whole request is there.
    Asked,
    /// When the request's head is there.
    HeadRead,
}

/// What the origin does after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It waits for the next request.
    Waits,
    /// It ends its side, and reads on until the other side has ended.
    Ends,
    /// It ends its side without a word of TLS.
    Vanishes,
    /// It resets the connection.
    Resets,
}

/// What the client must get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gets {
    /// The response to its end: status and body.
    Whole(u16, &'static str),
    /// A head with this status, then an error before the body's end.
    Cut(u16),
    /// A reply of the gateway's own: status and the token of its Proxy-Status.
    Local(u16, &'static str),
    /// A switch of protocols, then these bytes.
    Switched(&'static str),
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The next request goes over it.
    Kept,
    /// It ends.
    Ended,
}

/// One row.
pub struct Case {
    /// What it is about; also the path that is asked for.
    pub name: &'static str,
    /// The request.
    pub ask: Ask,
    /// The pieces of the origin's answer.
    pub answer: Vec<Vec<u8>>,
    /// When it begins.
    pub when: When,
    /// What follows it.
    pub then: Then,
    /// What the client must get.
    pub gets: Gets,
    /// The statuses of the interim responses before it.
    pub interims: &'static [u16],
    /// Lines that the head must have, as they are written.
    pub has: Vec<&'static str>,
    /// Names in lower case that no line of the head may have, nor of an interim one.
    pub lacks: Vec<&'static str>,
    /// Lines that must come after the body.
    pub trailers: &'static str,
    /// The client's connection afterwards.
    pub client: After,
    /// The origin's connection afterwards.
    pub origin: After,
    /// Why Envoy does it differently.
    pub unlike_envoy: Option<&'static str>,
}

/// The bytes that a text stands for.
pub fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '|' => bytes.extend_from_slice(b"\r\n"),
            char => bytes.push(u8::try_from(u32::from(char)).expect("a character below U+0100")),
        }
    }
    bytes
}

/// The text that stands for these bytes, line ends as they are.
pub fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// An answer that arrives whole; both connections live on.
pub fn whole(name: &'static str, answer: &str, status: u16, body: &'static str) -> Case {
    Case {
        name,
        ask: Ask::Get,
        answer: answer.split('¦').map(bytes).collect(),
        when: When::Asked,
        then: Then::Waits,
        gets: Gets::Whole(status, body),
        interims: &[],
        has: Vec::new(),
        lacks: Vec::new(),
        trailers: "",
        client: After::Kept,
        origin: After::Kept,
        unlike_envoy: None,
    }
}

/// An answer that is refused with a 502; the origin's connection is dropped, the client's lives on.
pub fn refused(name: &'static str, answer: &str) -> Case {
    let gets = Gets::Local(502, "http_protocol_error");
    Case { gets, origin: After::Ended, ..whole(name, answer, 0, "") }
}

/// No answer, or not all of its head, before the origin does this; a 503.
pub fn lost(name: &'static str, answer: &str, then: Then) -> Case {
    let gets = Gets::Local(503, "connection_terminated");
    Case { gets, then, origin: After::Ended, ..whole(name, answer, 0, "") }
}

/// An answer that breaks within its body, after a head with status 200.
pub fn cut(name: &'static str, answer: &str, then: Then) -> Case {
    let after = After::Ended;
    Case { gets: Gets::Cut(200), then, client: after, origin: after, ..whole(name, answer, 0, "") }
}

impl Case {
    /// Asked like this.
    pub fn ask(self, ask: Ask) -> Self {
        Self { ask, ..self }
    }

    /// The origin does this afterwards.
    pub fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    /// The origin answers as soon as the request's head is there.
    pub fn early(self) -> Self {
        Self { when: When::HeadRead, ..self }
    }

    /// The origin's connection is not used again.
    pub fn dropped(self) -> Self {
        Self { origin: After::Ended, ..self }
    }

    /// The client's connection ends properly.
    pub fn closed(self) -> Self {
        Self { client: After::Ended, ..self }
    }

    /// These interim responses come first.
    pub fn after(self, interims: &'static [u16]) -> Self {
        Self { interims, ..self }
    }

    /// The head has this line.
    pub fn has(mut self, line: &'static str) -> Self {
        self.has.push(line);
        self
    }

    /// No head has a line of this name.
    pub fn lacks(mut self, name: &'static str) -> Self {
        self.lacks.push(name);
        self
    }

    /// These lines come after the body.
    pub fn trailers(self, trailers: &'static str) -> Self {
        Self { trailers, ..self }
    }

    /// Envoy does it differently, and why we do not.
    pub fn unlike_envoy(self, why: &'static str) -> Self {
        Self { unlike_envoy: Some(why), ..self }
    }

    /// Whether an HTTP/2 client can ask so.
    pub fn fits_h2(&self) -> bool {
        !matches!(self.ask, Ask::WebSocket | Ask::Old | Ask::OldKeepAlive)
    }
}
