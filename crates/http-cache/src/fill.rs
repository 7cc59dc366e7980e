use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, channel::mpsc};
use gateway::{Body, empty};
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use http_rules::Stored;
use task::Tasks;
use tokio::time::Instant;

use crate::{
    flights::Flight,
    limits,
    memory::{Memory, Ticket, Variant},
};

/// A response that is to be kept when its body has arrived.
pub(crate) struct Fill {
    pub(crate) memory: Arc<Memory>,
    pub(crate) filling: Arc<AtomicU64>,
    pub(crate) target: String,
    pub(crate) request: HeaderMap,
    pub(crate) ticket: Ticket,
    pub(crate) stored: Stored,
    /// Those who wait for it.
    pub(crate) flight: Option<Flight>,
}

/// The length that the response says it has.
fn announced(stored: &Stored) -> Option<u64> {
    stored.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl Fill {
    /// Whether it may fit. Of a body without a length that is known at its end only.
    pub(crate) fn fits(&self) -> bool {
        announced(&self.stored).is_none_or(|length| length <= self.memory.entry_bytes_max())
    }

    /// Returns the body for the client. It is kept before the client can have seen its end, and is read on
    /// for a while even if the client leaves.
    pub(crate) fn start(self, body: Body, tasks: &Tasks) -> Body {
        let length = announced(&self.stored);
        if length == Some(0) || self.stored.status() == StatusCode::NO_CONTENT {
            self.keep(Bytes::new());
            return empty();
        }
        let (client, frames) = mpsc::channel(limits::FRAMES_WAITING);
        tasks.spawn(self.carry(body, length, client));
        Body::streamed(StreamBody::new(frames))
    }

    async fn carry(self, mut body: Body, length: Option<u64>, client: mpsc::Sender<Result<Frame, gateway::Broken>>) {
        let mut client = Some(client);
        let mut reserved = Reserved { filling: self.filling.clone(), bytes: 0 };
        let bytes_max = self.memory.entry_bytes_max();
        let mut keeping = Some((self, BytesMut::new()));
        let mut orphan_until = None;
        loop {
            let frame = match orphan_until {
                None => body.frame().await,
                Some(deadline) => match tokio::time::timeout_at(deadline, body.frame()).await {
                    Ok(frame) => frame,
                    Err(_) => return,
                },
            };
            let Some(Ok(frame)) = frame else {
                if frame.is_none()
                    && let Some((fill, bytes)) = keeping
                {
                    fill.keep_if_whole(&bytes, length);
                } else if let (Some(Err(broken)), Some(client)) = (frame, &mut client) {
                    let _ = client.send(Err(broken)).await;
                }
                return;
            };
            if let Some(data) = frame.data_ref()
                && let Some((fill, mut bytes)) = keeping.take()
            {
                let is_within = bytes.len() as u64 + data.len() as u64 <= bytes_max && reserved.more(data.len() as u64);
                if is_within {
                    bytes.extend_from_slice(data);
                    // The client may know the end from the length, and ask again at once.
                    if length == Some(bytes.len() as u64) {
                        fill.keep_if_whole(&bytes, length);
                    } else {
                        keeping = Some((fill, bytes));
                    }
                }
            }
            if let Some(open) = &mut client
                && open.send(Ok(frame)).await.is_err()
            {
                client = None;
                orphan_until = Some(Instant::now() + limits::ORPHAN_PATIENCE);
            }
            if client.is_none() && keeping.is_none() {
                return;
            }
        }
    }

    /// Anything but the announced length, or the announced part, is not what the origin meant.
    fn keep_if_whole(self, body: &[u8], length: Option<u64>) {
        let bytes = body.len() as u64;
        let part = self.stored.part().map(|have| have.part.bytes());
        if length.is_none_or(|length| length == bytes) && part.is_none_or(|part| part == bytes) {
            // A buffer that has grown is larger than what it holds.
            self.keep(Bytes::copy_from_slice(body));
        }
    }

    fn keep(self, body: Bytes) {
        self.memory.put(&self.target, &self.request, &self.ticket, Variant { stored: self.stored, body });
        drop(self.flight);
    }
}

type Frame = hyper::body::Frame<Bytes>;

/// This body's share of what may arrive at once.
struct Reserved {
    filling: Arc<AtomicU64>,
    bytes: u64,
}

impl Reserved {
    fn more(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        self.filling.fetch_add(bytes, Ordering::Relaxed) + bytes <= limits::FILLING_BYTES_MAX
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.filling.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
