//! Bodies that this node wants of others.

mod serve;
mod table;

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use fleet::{AskId, Input, PullFailure};
use futures::{FutureExt, future::Abortable};
use net::{PullError, PullStream};
use store::{EntryKey, Source, Space, StoredRecord};
use tracing::{debug, info};
use wire::{Announcement, Body, EncodeError, Peer, PullReply, PullRequest, Record, Tag, limits::SEGMENT_BYTES};

use super::{
    Sharing,
    carry::{BadMessage, Carrier, Opening, bound_body},
};
use crate::limits::PULL_STALL_MAX;
use table::{Beaten, Entered, SharedPart};

pub use table::Table;

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
    #[error("another peer was faster")]
    Beaten,
    #[error("the peer sent nonsense")]
    Bad(#[from] BadMessage),
    #[error("the peer sent another body")]
    Body(#[from] wire::BodyError),
    #[error("parts of several peers are not the body")]
    Mixed(#[source] wire::BodyError),
}

impl PullTrouble {
    fn failure(&self) -> PullFailure {
        match self {
            Self::Bad(_) | Self::Body(_) => PullFailure::Wrong,
            Self::Mixed(_) => PullFailure::Mixed,
            Self::Net(_) | Self::Encode(_) | Self::Absent | Self::Short | Self::Beaten => PullFailure::Unavailable,
        }
    }
}

impl From<Beaten> for PullTrouble {
    fn from(_: Beaten) -> Self {
        Self::Beaten
    }
}

impl Sharing {
    /// Fetches a body for a waiting client; the core keeps the time.
    pub(super) fn start_pull(
        self: Arc<Self>,
        ask: AskId,
        from: Peer,
        request: PullRequest,
        record: Record,
        resume: bool,
    ) {
        let tasks = self.tasks.clone();
        let Entered { part, abort } = self.pulls.enter(ask, &from, resume);
        let pull = async move {
            debug!(%from, bytes = record.body_bytes, "pulling a body");
            let result = self.pull(ask, &from, request, &record, &part).await;
            self.pull_ended(ask, from, result);
        };
        tasks.spawn(Abortable::new(pull, abort).map(drop));
    }

    /// Fetches a body for which nobody waits.
    pub(super) fn start_fetch(self: Arc<Self>, from: Peer, announcement: Announcement) {
        let tasks = self.tasks.clone();
        tasks.spawn(async move {
            let Announcement { key, scope, ref record, tag, .. } = announcement;
            let request = PullRequest { key, scope, digest: record.version.digest, from_segment: 0 };
            let fetched = async {
                let body = self.receive(None, &from, &request, record, &SharedPart::default()).await?;
                self.keep_pulled(&request, record.clone(), tag, body).await
            };
            let result = fetched.await;
            match &result {
                Ok(()) => self.counters.copies.one(),
                Err(trouble) => debug!(%from, error = %trouble, "a copy of a body was not fetched"),
            }
            let result = result.map_err(|trouble| trouble.failure());
            self.tell(Input::Fetched { from, announcement, result });
        });
    }

    fn pull_ended(&self, ask: AskId, from: Peer, result: Result<(), PullTrouble>) {
        let result = match result {
            Ok(()) if self.pulls.answered(ask, &from) => Ok(()),
            Ok(()) => return,
            // The core is told of the other one, and cancels this.
            Err(PullTrouble::Beaten) => return self.pulls.cancel(ask, &from),
            Err(trouble) => {
                info!(%from, error = %trouble, "a body was not fetched from a peer");
                let failure = trouble.failure();
                self.pulls.failed(ask, &from, failure == PullFailure::Unavailable);
                Err(failure)
            }
        };
        self.tell(Input::Pulled { ask, from, result });
    }

    async fn pull(
        &self,
        ask: AskId,
        from: &Peer,
        mut request: PullRequest,
        record: &Record,
        part: &SharedPart,
    ) -> Result<(), PullTrouble> {
        request.from_segment = part.next_segment();
        if request.from_segment > 0 {
            debug!(%from, segment = request.from_segment, "going on where another peer stopped");
            self.counters.pulls_resumed.one();
        }
        let body = self.receive(Some(ask), from, &request, record, part).await?;
        self.keep_pulled(&request, record.clone(), None, body).await
    }

    /// Asks for a body, and puts its segments together. `None`: nobody waits for it.
    async fn receive(
        &self,
        ask: Option<AskId>,
        from: &Peer,
        request: &PullRequest,
        record: &Record,
        part: &SharedPart,
    ) -> Result<(Body, bool), PullTrouble> {
        let carrier = Carrier::new(&self.keys);
        let net = self.net.as_ref().ok_or(PullTrouble::Absent)?;
        let mut stream = net.pull(from, carrier.seal_request(request)?).await?;
        let head = stream.next_frame().await?.ok_or(PullTrouble::Short)?;
        let (reply, prefix) = carrier.open_reply(request, &head)?;
        let PullReply::Found { form, encoded_bytes, from_segment } = reply else { return Err(PullTrouble::Absent) };
        if !part.fits(form, encoded_bytes, from_segment) {
            // It is packed in another way: then all of it has to come from there.
            let all = PullRequest { from_segment: 0, ..request.clone() };
            return Box::pin(self.receive(ask, from, &all, record, part)).await;
        }
        let bound = bound_body(request);
        let bytes_max = record.body_bytes + ENCODED_BYTES_SLACK;
        let mut opening = Opening::new(&self.keys, &bound, prefix, (encoded_bytes, from_segment), bytes_max)?;
        // Of a short body each rival has its own.
        let own = SharedPart::default();
        let is_short = encoded_bytes <= SEGMENT_BYTES as u64;
        let part = if is_short { &own } else { part };
        let mut is_begun = false;
        loop {
            let sealed = self.next_segment(ask, from, &mut stream).await?.ok_or(PullTrouble::Short)?;
            let (segment, is_last) = opening.open(&sealed)?;
            if !is_begun {
                is_begun = true;
                part.begin(from, form, encoded_bytes, from_segment)?;
                if let Some(ask) = ask.filter(|_| !is_short) {
                    self.tell(Input::PullBegan { ask, from: from.clone() });
                }
            }
            part.add(from, &segment)?;
            if is_last {
                return Ok(part.take(from)?);
            }
        }
    }

    /// The next segment. The core is told when it is long in coming, and may then end this.
    async fn next_segment(
        &self,
        ask: Option<AskId>,
        from: &Peer,
        stream: &mut PullStream,
    ) -> Result<Option<Bytes>, PullError> {
        let mut frame = pin!(stream.next_frame());
        if let Ok(frame) = tokio::time::timeout(PULL_STALL_MAX, &mut frame).await {
            return frame;
        }
        if let Some(ask) = ask {
            debug!(%from, "a body stalls");
            self.tell(Input::PullStalled { ask, from: from.clone() });
        }
        frame.await
    }

    async fn keep_pulled(
        &self,
        request: &PullRequest,
        record: Record,
        tag: Option<Tag>,
        (body, is_mixed): (Body, bool),
    ) -> Result<(), PullTrouble> {
        let store = self.store.clone();
        let at = EntryKey { scope: request.scope, key: request.key };
        let put = move || {
            let trouble = if is_mixed { PullTrouble::Mixed } else { PullTrouble::Body };
            body.verified(record.version.digest, record.body_bytes).map_err(trouble)?;
            let known = store.get(Space::Fleet, &at).ok().flatten().filter(|s| s.record == record);
            let tag = tag.or(known.and_then(|s| s.tag));
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
}
