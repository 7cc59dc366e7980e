//! Bodies that this node wants of others.

mod serve;
mod table;

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use fleet::{AskId, Input, PullFailure};
use futures::{
    FutureExt,
    future::{Abortable, try_join},
};
use net::{PullError, PullStream};
use store::{EntryKey, Source, Space, StoredRecord};
use tokio::sync::mpsc;
use tracing::{debug, info};
use wire::{Announcement, EncodeError, Form, Peer, PullReply, PullRequest, Record, Tag, limits::SEGMENT_BYTES};

use super::{
    Sharing,
    carry::{BadMessage, Carrier, Opening, segments_of},
};
use crate::limits::{OPEN_AHEAD_SEGMENTS, PULL_STALL_MAX};
use table::{Beaten, Entered, SharedPart, Turn, Untaken};

pub use table::{Brought, Table};

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
    #[error("the answer begins at segment {from_segment}, and the beginning was asked for")]
    Misplaced { from_segment: u32 },
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
            // The length is the record's, which another may have forged: it proves nothing against the sender.
            Self::Bad(BadMessage::Length { .. }) | Self::Body(wire::BodyError::TooLong { .. }) => {
                PullFailure::Unavailable
            }
            Self::Bad(_) | Self::Body(_) | Self::Misplaced { .. } => PullFailure::Wrong,
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

impl From<Untaken> for PullTrouble {
    fn from(untaken: Untaken) -> Self {
        match untaken {
            Untaken::Beaten => Self::Beaten,
            Untaken::Wrong(cause) => Self::Body(cause),
            Untaken::Mixed(cause) => Self::Mixed(cause),
        }
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
        tag: Option<Tag>,
        resume: bool,
    ) {
        let tasks = self.tasks.clone();
        let Entered { part, abort } = self.pulls.enter(ask, &from, resume);
        let pull = async move {
            debug!(%from, bytes = record.body_bytes, "pulling a body");
            let result = self.pull(ask, &from, request, &record, tag, &part).await;
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
                let brought = self.receive(None, &from, &request, record, &SharedPart::default()).await?;
                self.keep_pulled(&request, record.clone(), tag, &brought).await
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

    fn pull_ended(&self, ask: AskId, from: Peer, result: Result<Brought, PullTrouble>) {
        let result = match result {
            Ok(brought) if self.pulls.answered(ask, &from, brought.clone()) => Ok(()),
            Ok(_) => return,
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
        tag: Option<Tag>,
        part: &SharedPart,
    ) -> Result<Brought, PullTrouble> {
        request.from_segment = part.next_segment();
        if request.from_segment > 0 {
            debug!(%from, segment = request.from_segment, "going on where another peer stopped");
            self.counters.pulls_resumed.one();
        }
        let brought = self.receive(Some(ask), from, &request, record, part).await?;
        self.keep_pulled(&request, record.clone(), tag, &brought).await?;
        Ok(brought)
    }

    /// Asks for a body, and puts its segments together: those that are here are opened, unpacked and hashed
    /// while the next ones come. `None`: nobody waits for it.
    async fn receive(
        &self,
        ask: Option<AskId>,
        from: &Peer,
        request: &PullRequest,
        record: &Record,
        part: &SharedPart,
    ) -> Result<Brought, PullTrouble> {
        let carrier = Carrier::new(&self.keys);
        let net = self.net.as_ref().ok_or(PullTrouble::Absent)?;
        let mut stream = net.pull(from, carrier.seal_request(request)?).await?;
        let head = stream.next_frame().await?.ok_or(PullTrouble::Short)?;
        let (reply, prefix) = carrier.open_reply(request, &head)?;
        let PullReply::Found { form, encoded_bytes, from_segment } = reply else { return Err(PullTrouble::Absent) };
        let is_asked_for = from_segment == 0 || from_segment == request.from_segment;
        if !is_asked_for || !part.fits(form, encoded_bytes, from_segment) {
            if request.from_segment == 0 {
                // All of it was asked for, and this is something else: asking again would have no end.
                return Err(PullTrouble::Misplaced { from_segment });
            }
            // It is packed in another way: then all of it has to come from there.
            let all = PullRequest { from_segment: 0, ..request.clone() };
            return Box::pin(self.receive(ask, from, &all, record, part)).await;
        }
        let bytes_max = record.body_bytes + ENCODED_BYTES_SLACK;
        let opening = Opening::new(&self.keys, request, prefix, (encoded_bytes, from_segment), bytes_max)?;
        // Of a short body each rival has its own.
        let is_short = encoded_bytes <= SEGMENT_BYTES as u64;
        let part = if is_short { SharedPart::default() } else { part.clone() };
        let lengths = (encoded_bytes, record.body_bytes);
        let mut arriving = Arriving { opening, part: part.clone(), turn: None, form, lengths, from_segment };
        let (came, mut coming) = mpsc::channel(OPEN_AHEAD_SEGMENTS);
        let reading = async move {
            for _ in from_segment..segments_of(encoded_bytes) {
                let sealed = self.next_segment(ask, from, &mut stream).await?.ok_or(PullTrouble::Short)?;
                if came.send(sealed).await.is_err() {
                    break;
                }
            }
            Ok::<_, PullTrouble>(())
        };
        let opening = async move {
            let mut batch = Vec::new();
            while coming.recv_many(&mut batch, OPEN_AHEAD_SEGMENTS).await > 0 {
                let (sealed, sender, is_first) = (std::mem::take(&mut batch), from.clone(), arriving.turn.is_none());
                let work = self.tasks.compute(move || arriving.take(&sender, sealed));
                arriving = work.await.unwrap_or(Err(PullTrouble::Short))?;
                if let Some(ask) = ask.filter(|_| is_first && !is_short) {
                    self.tell(Input::PullBegan { ask, from: from.clone() });
                }
            }
            Ok::<_, PullTrouble>(arriving)
        };
        let ((), arriving) = try_join(reading, opening).await?;
        let turn = arriving.turn.ok_or(PullTrouble::Short)?;
        Ok(part.take(turn, record.version.digest)?)
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
        brought: &Brought,
    ) -> Result<(), PullTrouble> {
        let (store, body) = (self.store.clone(), brought.body.clone());
        let at = EntryKey { scope: request.scope, key: request.key };
        let put = move || {
            let stored = StoredRecord { record, etag: None, source: Source::Peer, tag };
            // Not kept is not lost: the answer is then asked of the origin.
            let kept = store.put(Space::Fleet, at, stored, Some(body));
            if let Err(error) = kept {
                debug!(%error, "a pulled body was not kept");
            }
        };
        self.tasks.block(put).await.ok_or(PullTrouble::Short)
    }
}

/// What one peer sends of a body, on its way into the part.
struct Arriving {
    opening: Opening,
    part: SharedPart,
    turn: Option<Turn>,
    form: Form,
    lengths: (u64, u64),
    from_segment: u32,
}

impl Arriving {
    /// Opens the next segments and adds them. The first one that opens makes `from` the sender.
    fn take(mut self, from: &Peer, sealed: Vec<Bytes>) -> Result<Self, PullTrouble> {
        for sealed in sealed {
            let segment = self.opening.open(sealed.into())?;
            let turn = match self.turn {
                Some(turn) => turn,
                None => self.part.begin(from, self.form, self.lengths, self.from_segment)?,
            };
            self.turn = Some(turn);
            self.part.add(turn, &segment)?;
        }
        Ok(self)
    }
}
