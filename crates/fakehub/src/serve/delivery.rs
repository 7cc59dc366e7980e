use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Response, header};
use hyper::body::{Body, Frame, SizeHint};

use super::Flight;
use crate::Delivery;

/// A body on its way, whole or not.
pub(crate) struct Sent {
    data: Bytes,
    end: End,
    /// What the framing is told; `None` makes it chunked.
    claims: Option<u64>,
    /// The request is in flight until this goes.
    _flight: Option<Flight>,
}

/// What comes after the data.
#[derive(Clone, Copy)]
enum End {
    /// The end that was announced.
    Announced,
    /// The connection closes, once what there is has been written out.
    Broken { flushed: bool },
    /// Nothing, ever.
    Never,
}

const BROKEN: End = End::Broken { flushed: false };

impl Sent {
    pub(super) fn whole(data: Bytes) -> Self {
        let claims = Some(data.len() as u64);
        Self { data, end: End::Announced, claims, _flight: None }
    }
}

/// Turns the hub's answer into one that goes out as `delivery` says.
pub(super) fn send(response: Response<Bytes>, delivery: Delivery, flight: Flight) -> Response<Sent> {
    let (mut parts, body) = response.into_parts();
    let length = body.len();
    let mut sent = Sent::whole(body);
    sent._flight = Some(flight);
    // A HEAD's or a 304's length is of what it does not carry.
    if length > 0 {
        match delivery {
            Delivery::Whole | Delivery::GarbledGzip => {}
            Delivery::Cut { after } => {
                sent.data.truncate(after);
                sent.end = BROKEN;
            }
            Delivery::CutChunked { after } => {
                parts.headers.remove(header::CONTENT_LENGTH);
                sent.data.truncate(after);
                (sent.end, sent.claims) = (BROKEN, None);
            }
            Delivery::Hang { after } => {
                sent.data.truncate(after);
                sent.end = End::Never;
            }
            Delivery::Understated { by } => {
                sent.data.truncate(length.saturating_sub(by));
                sent.claims = Some(sent.data.len() as u64);
                parts.headers.insert(header::CONTENT_LENGTH, sent.data.len().into());
            }
            Delivery::Overstated { by } => {
                sent.claims = Some((length + by) as u64);
                parts.headers.insert(header::CONTENT_LENGTH, (length + by).into());
                sent.end = BROKEN;
            }
        }
    }
    Response::from_parts(parts, sent)
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if !self.data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.data)))));
        }
        match self.end {
            End::Announced => Poll::Ready(None),
            End::Broken { flushed: true } => Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))),
            // hyper writes out what it has only between two polls.
            End::Broken { flushed: false } => {
                self.end = End::Broken { flushed: true };
                context.waker().wake_by_ref();
                Poll::Pending
            }
            // Nobody wakes it; the connection ends with the client or with the server.
            End::Never => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && matches!(self.end, End::Announced)
    }

    fn size_hint(&self) -> SizeHint {
        match (self.claims, self.end) {
            (Some(length), End::Announced) => SizeHint::with_exact(length),
            _ => SizeHint::default(),
        }
    }
}
