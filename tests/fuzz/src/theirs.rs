//! hyper's reading of a connection: a second opinion from a library with as many years as users.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{client, server};

use crate::stream::{Begins, Stream, drive};
use crate::{Line, owned};

/// A request or a final response, as hyper read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    pub status: u16,
    pub version: Version,
    /// By name, in the order in which the names first came.
    pub lines: Vec<Line>,
    pub body: Vec<u8>,
    /// Whether the body has ended.
    pub is_whole: bool,
}

/// The requests that hyper's server reads from a connection.
pub fn requests(wire: &[u8], steer: &[u8]) -> (Vec<Message>, Result<(), hyper::Error>) {
    let seen: Rc<RefCell<Vec<Message>>> = Rc::default();
    let service = service_fn(|request: Request<Incoming>| {
        let seen = Rc::clone(&seen);
        async move {
            let (head, body) = request.into_parts();
            let (body, is_whole) = collect(body).await;
            seen.borrow_mut().push(Message {
                method: head.method.as_str().as_bytes().to_vec(),
                target: head.uri.to_string().into_bytes(),
                status: 0,
                version: head.version,
                lines: lines(&head.headers),
                body,
                is_whole,
            });
            let mut response = Response::new(Empty::<Bytes>::new());
            if head.method == Method::CONNECT {
                *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED; // so that it goes on with HTTP
            }
            Ok::<_, Infallible>(response)
        }
    });
    let stream = Stream::new(wire, steer, Begins::AtOnce);
    let served = drive(
        server::conn::http1::Builder::new()
            .half_close(true)
            .header_read_timeout(None)
            .serve_connection(stream, service),
    );
    let seen = seen.take();
    (seen, served)
}

/// The final response that hyper's client reads to a request with this method.
pub fn response(wire: &[u8], steer: &[u8], method: &[u8]) -> Result<Message, hyper::Error> {
    let stream = Stream::new(wire, steer, Begins::WhenAsked);
    let exchange = async {
        let (mut sender, connection) = client::conn::http1::handshake(stream).await?;
        let mut connection = pin!(connection);
        let mut answered = pin!(async move {
            let request = Request::builder()
                .method(method)
                .uri("/")
                .header("host", "origin.test")
                .body(Empty::<Bytes>::new())
                .expect("a valid request");
            let (head, body) = sender.send_request(request).await?.into_parts();
            let (body, is_whole) = collect(body).await;
            Ok(Message {
                method: method.to_vec(),
                target: b"/".to_vec(),
                status: head.status.as_u16(),
                version: head.version,
                lines: lines(&head.headers),
                body,
                is_whole,
            })
        });
        let mut is_over = false;
        poll_fn(|cx| {
            if !is_over {
                is_over = connection.as_mut().poll(cx).is_ready();
            }
            match answered.as_mut().poll(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(message) => Poll::Ready(message),
            }
        })
        .await
    };
    drive(exchange)
}

/// The payload, and whether it came to its end.
async fn collect(mut body: Incoming) -> (Vec<u8>, bool) {
    let mut payload = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => payload.extend(frame.into_data().unwrap_or_default()),
            Err(_) => return (payload, false),
        }
    }
    (payload, true)
}

fn lines(headers: &HeaderMap) -> Vec<Line> {
    owned(headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())))
}
