use std::sync::Arc;

use bytes::Bytes;
use fleet::{AskId, Input, PullFailure};
use net::{PullError, PullReplyStream};
use store::{EntryKey, Source, Space, StoredRecord};
use tracing::{debug, info};
use wire::{Body, EncodeError, Peer, PullReply, PullRequest, Record};

use super::{
    Sharing,
    carry::{Assembly, BadMessage, Carrier, bound_body},
};

/// Gzip can make a body longer, by a header and 5 bytes for each 16 KiB; more than that is a lie.
const ENCODED_BYTES_SLACK: u64 = 64 << 10;

/// Why a body did not arrive.
#[derive(Debug, thiserror::Error)]
enum PullTrouble {
    #[error(transparent)]
    Net(#[from] PullError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("the peer no longer has it")]
    Absent,
    #[error("the answer ended early")]
    Short,
    #[error("the peer sent nonsense")]
    Bad(#[from] BadMessage),
    #[error("the peer sent another body")]
    Body(#[from] wire::BodyError),
}

impl PullTrouble {
    fn failure(&self) -> PullFailure {
        match self {
            Self::Bad(_) | Self::Body(_) => PullFailure::Wrong,
            Self::Net(_) | Self::Encode(_) | Self::Absent | Self::Short => PullFailure::Unavailable,
        }
    }
}

impl Sharing {
    /// Fetches a body for a waiting client; the core keeps the time.
    pub(super) fn start_pull(self: Arc<Self>, ask: AskId, from: Peer, request: PullRequest, record: Record) {
        let tasks = self.tasks.clone();
        tasks.spawn(async move {
            debug!(%from, bytes = record.body_bytes, "pulling a body");
            let result = self.pull(&from, &request, &record).await;
            match &result {
                Ok(()) => self.counters.pulls.one(),
                Err(trouble) => {
                    self.counters.pulls_failed.one();
                    info!(%from, error = %trouble, "a body was not fetched from a peer");
                }
            }
            let result = result.map_err(|trouble| trouble.failure());
            self.tell(Input::Pulled { ask, from, result });
        });
    }

    async fn pull(&self, from: &Peer, request: &PullRequest, record: &Record) -> Result<(), PullTrouble> {
        let carrier = Carrier::new(&self.keys);
        let net = self.net.as_ref().ok_or(PullTrouble::Absent)?;
        let mut stream = net.pull(from, carrier.seal_request(request)?).await?;
        let head = stream.next_frame().await?.ok_or(PullTrouble::Short)?;
        let (reply, prefix) = carrier.open_reply(request, &head)?;
        let PullReply::Found { form, encoded_bytes } = reply else { return Err(PullTrouble::Absent) };

        let bound = bound_body(request);
        let bytes_max = record.body_bytes + ENCODED_BYTES_SLACK;
        let mut assembly = Assembly::new(&self.keys, &bound, prefix, (form, encoded_bytes), bytes_max)?;
        let body = loop {
            let segment = stream.next_frame().await?.ok_or(PullTrouble::Short)?;
            if let Some(body) = assembly.add(&segment)? {
                break body;
            }
        };
        self.keep_pulled(request, record.clone(), body).await
    }

    async fn keep_pulled(&self, request: &PullRequest, record: Record, body: Body) -> Result<(), PullTrouble> {
        let store = self.store.clone();
        let at = EntryKey { scope: request.scope, key: request.key };
        let put = move || {
            body.verified(record.version.digest, record.body_bytes)?;
            let tag = store.get(Space::Fleet, &at).ok().flatten().filter(|s| s.record == record).and_then(|s| s.tag);
            let stored = StoredRecord { record, etag: None, source: Source::Peer, tag };
            // Not kept is not lost: the answer is then asked of the origin.
            let kept = store.put(Space::Fleet, at, stored, Some(body));
            if let Err(error) = kept {
                debug!(%error, "a pulled body was not kept");
            }
            Ok(())
        };
        self.tasks.block(put).await.unwrap_or(Err(PullTrouble::Short))
    }

    /// Answers a member that wants a body which this node has announced.
    pub(super) fn serve_pull(self: Arc<Self>, from: Peer, request: Bytes, reply: PullReplyStream) {
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
        let (head, prefix) = carrier.seal_reply(&request, &PullReply::Found { form: body.form, encoded_bytes })?;
        reply.write_frame(head).await?;
        let (keys, sealed_for) = (self.keys.clone(), request.clone());
        let seal = move || Carrier::new(&keys).segments(&sealed_for, prefix, &body.encoded);
        for segment in self.tasks.compute(seal).await.ok_or(PullTrouble::Short)? {
            reply.write_frame(segment).await?;
        }
        Ok(reply.finish().await?)
    }

    /// A body is given for a record that this node shares, and for no other digest.
    async fn body_for(&self, request: &PullRequest) -> Option<Body> {
        let store = self.store.clone();
        let PullRequest { key, scope, digest } = request.clone();
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
