//! The other side of a pull: a body for a member that asks for it.

use std::sync::Arc;

use bytes::Bytes;
use net::PullReplyStream;
use store::{EntryKey, Space};
use tracing::debug;
use wire::{Body, Peer, PullReply, PullRequest};

use super::PullTrouble;
use crate::{
    limits::SEAL_AHEAD_SEGMENTS,
    sharing::{
        Sharing,
        carry::{Carrier, segments_of},
    },
};

impl Sharing {
    /// Answers a member that wants a body which this node has announced.
    pub(in crate::sharing) fn serve_pull(self: Arc<Self>, from: Peer, request: Bytes, reply: PullReplyStream) {
        let Ok(permit) = self.pulls_served.clone().try_acquire_owned() else {
            debug!(%from, "too many pulls at once; this one is left unanswered");
            return;
        };
        let tasks = self.tasks.clone();
        tasks.spawn(async move {
            let _permit = permit;
            match self.serve(&request, reply).await {
                Ok(()) => self.counters.pulls_served.one(),
                Err(trouble) => debug!(%from, error = %trouble, "a pull was not answered"),
            }
        });
    }

    async fn serve(&self, request: &[u8], mut reply: PullReplyStream) -> Result<(), PullTrouble> {
        let carrier = Carrier::new(&self.keys);
        let request = carrier.open_request(request)?;
        let Some(body) = self.body_for(&request).await else {
            let (head, _) = carrier.seal_reply(&request, &PullReply::Absent)?;
            reply.write_frame(head).await?;
            return Ok(reply.finish().await?);
        };
        let encoded_bytes = body.encoded.len() as u64;
        let count = segments_of(encoded_bytes);
        // Another form of the body may have fewer: then all of it is sent.
        let from_segment = if request.from_segment < count { request.from_segment } else { 0 };
        let found = PullReply::Found { form: body.form, encoded_bytes, from_segment };
        let (head, prefix) = carrier.seal_reply(&request, &found)?;
        // What comes next is sealed while this is sent.
        let seal = |first: u32| {
            let (keys, request, encoded) = (self.keys.clone(), request.clone(), body.encoded.clone());
            let end = count.min(first + SEAL_AHEAD_SEGMENTS);
            self.tasks.compute(move || Carrier::new(&keys).segments(&request, prefix, &encoded, first..end))
        };
        let mut sealing = seal(from_segment);
        reply.write_frame(head).await?;
        let mut first = from_segment;
        while first < count {
            let sealed = sealing.await.ok_or(PullTrouble::Short)?;
            first += SEAL_AHEAD_SEGMENTS;
            sealing = seal(first.min(count));
            for segment in sealed {
                reply.write_frame(segment).await?;
            }
        }
        Ok(reply.finish().await?)
    }

    /// A body is given for a record that this node shares, and for no other digest.
    async fn body_for(&self, request: &PullRequest) -> Option<Body> {
        let store = self.store.clone();
        let PullRequest { key, scope, digest, from_segment: _ } = request.clone();
        let read = move || {
            let stored = store.get(Space::Fleet, &EntryKey { scope, key }).ok()??;
            if stored.record.version.digest != digest {
                return None;
            }
            store.body(&digest).ok()?
        };
        self.tasks.block(read).await.flatten()
    }
}
