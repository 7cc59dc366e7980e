use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Frame, Incoming, SizeHint};

/// A message body, whole or streamed. What is whole, and what a client sends, needs no box.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    /// `None` when it has been taken.
    Whole(Option<Bytes>),
    Incoming(Incoming),
    Boxed(UnsyncBoxBody<Bytes, Broken>),
}

/// A connection that ended before its message did.
#[derive(Debug, thiserror::Error)]
#[error("the message broke off")]
pub struct Broken(#[source] Box<dyn std::error::Error + Send + Sync>);

impl Broken {
    pub fn new(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Box::new(cause))
    }
}

impl Body {
    /// A body that comes in pieces.
    pub fn streamed(body: impl hyper::body::Body<Data = Bytes, Error = Broken> + Send + 'static) -> Self {
        Self(Kind::Boxed(UnsyncBoxBody::new(body)))
    }

    /// What a client sends.
    pub(crate) fn incoming(body: Incoming) -> Self {
        Self(Kind::Incoming(body))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.get_mut().0 {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Incoming(body) => Pin::new(body).poll_frame(cx).map_err(Broken::new),
            Kind::Boxed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Incoming(body) => body.is_end_stream(),
            Kind::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Incoming(body) => body.size_hint(),
            Kind::Boxed(body) => body.size_hint(),
        }
    }
}

pub fn empty() -> Body {
    Body(Kind::Whole(None))
}

pub fn full(bytes: impl Into<Bytes>) -> Body {
    Body(Kind::Whole(Some(bytes.into()).filter(|bytes| !bytes.is_empty())))
}
