use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};

/// A message body, whole or streamed.
pub type Body = UnsyncBoxBody<Bytes, Broken>;

/// A connection that ended before its message did.
#[derive(Debug, thiserror::Error)]
#[error("the message broke off")]
pub struct Broken(#[source] Box<dyn std::error::Error + Send + Sync>);

impl Broken {
    pub fn new(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Box::new(cause))
    }
}

pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}
