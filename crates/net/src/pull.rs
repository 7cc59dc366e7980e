use std::{fmt, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::AsyncWriteExt;
use libp2p::Stream;
use tokio::time::timeout;

use crate::{
    counters::Meters,
    frames::{self, FrameError},
    slots::Slot,
};

/// The answer to a pull, frame by frame.
pub struct PullStream {
    stream: Stream,
    stall_time: Duration,
    meters: Arc<Meters>,
    ended: bool,
}

impl PullStream {
    pub(crate) fn new(stream: Stream, stall_time: Duration, meters: Arc<Meters>) -> Self {
        Self { stream, stall_time, meters, ended: false }
    }

    /// The next frame, or `None` when the peer has said that there are no more.
    ///
    /// # Errors
    /// [`PullError::Truncated`] if the answer breaks off: what came so far is not the whole.
    pub async fn next_frame(&mut self) -> Result<Option<Bytes>, PullError> {
        if self.ended {
            return Ok(None);
        }
        let frame = frames::read(&mut self.stream, self.stall_time).await?.ok_or(PullError::Truncated)?;
        if frame.is_empty() {
            self.ended = true;
            return Ok(None);
        }
        self.meters.pull_bytes_in.many(frame.len());
        Ok(Some(frame))
    }
}

/// Where the answer to a peer's pull goes. Dropped before [`PullReplyStream::finish`], the peer
/// sees a truncated answer.
pub struct PullReplyStream {
    stream: Stream,
    stall_time: Duration,
    meters: Arc<Meters>,
    _slot: Slot,
}

impl PullReplyStream {
    pub(crate) fn new(stream: Stream, stall_time: Duration, meters: Arc<Meters>, slot: Slot) -> Self {
        Self { stream, stall_time, meters, _slot: slot }
    }

    /// Sends one frame. An empty one would mean the end, so it is not sent.
    ///
    /// # Errors
    /// [`PullError::TooLarge`] over [`crate::limits::FRAME_BYTES_MAX`] (nothing was sent), or the
    /// peer takes nothing.
    pub async fn write_frame(&mut self, frame: Bytes) -> Result<(), PullError> {
        if !frame.is_empty() {
            frames::write(&mut self.stream, &frame, self.stall_time).await?;
            self.meters.pull_bytes_out.many(frame.len());
        }
        Ok(())
    }

    /// Says that the answer is whole.
    ///
    /// # Errors
    /// The peer is gone, or takes nothing.
    pub async fn finish(mut self) -> Result<(), PullError> {
        frames::write(&mut self.stream, &[], self.stall_time).await?;
        // Said with a frame and not only with the stream's end: the end of a lost connection
        // looks the same.
        let _ = timeout(self.stall_time, self.stream.close()).await;
        self.meters.pulls_served.one();
        Ok(())
    }
}

impl fmt::Debug for PullReplyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PullReplyStream")
    }
}

impl fmt::Debug for PullStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PullStream")
    }
}

/// Why a pull gave no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// Only connected members are asked: a pull never dials.
    #[error("not connected to the peer")]
    NotConnected,
    /// Too much is under way on our side.
    #[error("too many requests under way")]
    Busy,
    #[error("the peer does not answer pulls")]
    Unsupported,
    #[error("nothing moved for {0:?}")]
    Stalled(Duration),
    #[error("frame of {bytes} bytes exceeds the limit of {max}")]
    TooLarge { bytes: usize, max: usize },
    /// Try the next holder.
    #[error("the answer broke off")]
    Truncated,
    #[error("the stream failed")]
    Io(#[source] io::Error),
}

impl From<FrameError> for PullError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::TooLarge { bytes, max } => PullError::TooLarge { bytes, max },
            FrameError::Stalled(limit) => PullError::Stalled(limit),
            FrameError::Io(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => PullError::Truncated,
            FrameError::Io(cause) => PullError::Io(cause),
        }
    }
}
