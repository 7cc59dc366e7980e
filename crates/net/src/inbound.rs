//! Streams that a peer opened: each is read by a task of its own.

use std::sync::Arc;

use libp2p::Stream;
use tokio::sync::mpsc;
use wire::Peer;

use crate::{
    Event, Limits, PullReplyStream,
    counters::Meters,
    frames::{self, FrameError},
    slots::Slot,
};

/// Where inbound streams end up, and under which limits.
#[derive(Clone)]
pub(crate) struct Inbox {
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) meters: Arc<Meters>,
}

impl Inbox {
    /// Reads messages until the peer has no more. A slow node slows the peer: the next message is
    /// not read before this one is taken.
    pub(crate) async fn messages(self, from: Peer, mut stream: Stream, _slot: Slot) {
        // The sender closes a stream with nothing to say; twice its patience is surely enough.
        let limit = self.limits.outbox_idle_time * 2;
        loop {
            match frames::read(&mut stream, limit).await {
                Ok(Some(data)) => {
                    self.meters.messages_received.one();
                    self.meters.message_bytes_in.many(data.len());
                    if self.events.send(Event::Message { from: from.clone(), data }).await.is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(why) => {
                    if !matches!(why, FrameError::Stalled(_)) {
                        self.meters.streams_refused.one();
                    }
                    return tracing::debug!(%from, "message stream ended: {why}");
                }
            }
        }
    }

    /// Reads the one request and hands it to the node.
    pub(crate) async fn pull(self, from: Peer, mut stream: Stream, slot: Slot) {
        match frames::read(&mut stream, self.limits.request_time).await {
            Ok(Some(request)) => {
                self.meters.pull_bytes_in.many(request.len());
                let reply = PullReplyStream::new(stream, self.limits.stall_time, self.meters, slot);
                let _ = self.events.send(Event::Pull { from, request, reply }).await;
            }
            Ok(None) => self.meters.streams_refused.one(),
            Err(why) => {
                self.meters.streams_refused.one();
                tracing::debug!(%from, "no request on a pull stream: {why}");
            }
        }
    }
}
