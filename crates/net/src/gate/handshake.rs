use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicU8, Ordering},
    task::{Context, Poll},
};

use crypto::{MembershipKeys, Role, Transcript};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{
    PeerId,
    core::muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox},
};
use tokio::time::{Instant, timeout_at};

use super::{
    GateError, Step, early,
    messages::{ANSWER_BYTES, Greeting, HELLO_BYTES, PROOF_BYTES},
};

pub(super) struct Handshake<'a> {
    pub(super) me: PeerId,
    pub(super) peer: PeerId,
    pub(super) keys: &'a MembershipKeys,
    pub(super) nonce: [u8; 32],
    /// Substreams that may come in while M4 is awaited.
    pub(super) early_max: usize,
}

impl Handshake<'_> {
    pub(super) async fn run(&self, mut muxer: StreamMuxerBox, deadline: Instant) -> Result<StreamMuxerBox, GateError> {
        let at = Progress::default();
        let mut waiting = VecDeque::new();
        let work = async {
            if self.me.to_bytes() < self.peer.to_bytes() {
                let stream = open(&mut muxer).await?;
                drive(&mut muxer, &at, &mut waiting, self.early_max, self.initiate(stream, &at)).await
            } else {
                at.set(Step::M1);
                let stream = accept(&mut muxer).await?;
                drive(&mut muxer, &at, &mut waiting, self.early_max, self.respond(stream, &at)).await
            }
        };
        timeout_at(deadline, work).await.unwrap_or_else(|_| Err(at.or_mismatch(GateError::Timeout(at.get()))))?;
        Ok(early::with_early(muxer, waiting))
    }

    async fn initiate(&self, mut stream: SubstreamBox, at: &Progress) -> Result<(), GateError> {
        at.set(Step::M2);
        let mine = Greeting { names: self.keys.names(), nonce: self.nonce };
        send(&mut stream, &mine.to_hello(), Step::M2).await?;
        let theirs = Greeting::from_answer(&receive::<ANSWER_BYTES>(&mut stream, Step::M2).await?);
        let key = self.keys.common(theirs.names).ok_or(GateError::KeyMismatch)?;

        let (me, peer) = (self.me.to_bytes(), self.peer.to_bytes());
        let transcript = Transcript {
            initiator: &me,
            responder: &peer,
            nonce_initiator: &mine.nonce,
            nonce_responder: &theirs.nonce,
        };
        at.set(Step::M4);
        send(&mut stream, &key.prove(Role::Initiator, &transcript), Step::M4).await?;
        close(&mut stream, Step::M4).await?;
        let proof = receive::<PROOF_BYTES>(&mut stream, Step::M4).await?;
        if key.verify(Role::Responder, &transcript, &proof) { Ok(()) } else { Err(GateError::BadProof) }
    }

    async fn respond(&self, mut stream: SubstreamBox, at: &Progress) -> Result<(), GateError> {
        let theirs = Greeting::from_hello(&receive::<HELLO_BYTES>(&mut stream, Step::M1).await?)?;
        let mine = Greeting { names: self.keys.names(), nonce: self.nonce };
        at.set(Step::M3);
        send(&mut stream, &mine.to_answer(), Step::M3).await?;
        let Some(key) = self.keys.common(theirs.names) else {
            // The initiator reads our names and leaves; cutting now could take M2 away from it.
            at.set_hopeless();
            let _ = receive::<PROOF_BYTES>(&mut stream, Step::M3).await;
            return Err(GateError::KeyMismatch);
        };

        let (me, peer) = (self.me.to_bytes(), self.peer.to_bytes());
        let transcript = Transcript {
            initiator: &peer,
            responder: &me,
            nonce_initiator: &theirs.nonce,
            nonce_responder: &mine.nonce,
        };
        let proof = receive::<PROOF_BYTES>(&mut stream, Step::M3).await?;
        if !key.verify(Role::Initiator, &transcript, &proof) {
            return Err(GateError::BadProof);
        }
        at.set(Step::Leave);
        send(&mut stream, &key.prove(Role::Responder, &transcript), Step::Leave).await?;
        // Without it the multiplexer resets the substream, and M4 with it.
        close(&mut stream, Step::Leave).await
    }
}

/// The step that is awaited, shared between the handshake and what drives it.
#[derive(Default)]
struct Progress(AtomicU8);

const STEPS: [Step; 6] = [Step::Open, Step::M1, Step::M2, Step::M3, Step::M4, Step::Leave];
const HOPELESS: u8 = 0x80;

impl Progress {
    fn get(&self) -> Step {
        STEPS[usize::from(self.0.load(Ordering::Relaxed) & !HOPELESS)]
    }

    fn set(&self, step: Step) {
        self.0.store(step as u8, Ordering::Relaxed);
    }

    /// The key names differ: whatever ends the connection now, that is why.
    fn set_hopeless(&self) {
        self.0.fetch_or(HOPELESS, Ordering::Relaxed);
    }

    fn or_mismatch(&self, error: GateError) -> GateError {
        if self.0.load(Ordering::Relaxed) & HOPELESS != 0 { GateError::KeyMismatch } else { error }
    }
}

async fn open(muxer: &mut StreamMuxerBox) -> Result<SubstreamBox, GateError> {
    poll_fn(|cx| {
        if let Poll::Ready(opened) = muxer.poll_outbound_unpin(cx) {
            return Poll::Ready(opened.map_err(|cause| GateError::from_io(&cause, Step::Open)));
        }
        match muxer.poll_inbound_unpin(cx) {
            Poll::Ready(Ok(_)) => Poll::Ready(Err(GateError::EarlyStream)),
            Poll::Ready(Err(cause)) => Poll::Ready(Err(GateError::from_io(&cause, Step::Open))),
            Poll::Pending => advance(muxer, cx, Step::Open),
        }
    })
    .await
}

async fn accept(muxer: &mut StreamMuxerBox) -> Result<SubstreamBox, GateError> {
    poll_fn(|cx| match muxer.poll_inbound_unpin(cx) {
        Poll::Ready(opened) => Poll::Ready(opened.map_err(|cause| GateError::from_io(&cause, Step::M1))),
        Poll::Pending => advance(muxer, cx, Step::M1),
    })
    .await
}

/// Lets the multiplexer do its IO, which for yamux happens nowhere else.
fn advance<T>(muxer: &mut StreamMuxerBox, cx: &mut Context<'_>, step: Step) -> Poll<Result<T, GateError>> {
    loop {
        match muxer.poll_unpin(cx) {
            Poll::Ready(Ok(_address_change)) => {}
            Poll::Ready(Err(cause)) => return Poll::Ready(Err(GateError::from_io(&cause, step))),
            Poll::Pending => return Poll::Pending,
        }
    }
}

/// Runs `exchange` on its substream and refuses any other one, but for `early_max` before M4.
///
/// Left alone, a multiplexer buffers hundreds of inbound substreams with a window each: that would
/// be memory for strangers.
async fn drive(
    muxer: &mut StreamMuxerBox,
    at: &Progress,
    waiting: &mut VecDeque<SubstreamBox>,
    early_max: usize,
    exchange: impl Future<Output = Result<(), GateError>>,
) -> Result<(), GateError> {
    let mut exchange = pin!(exchange);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(done) = exchange.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            let step = at.get();
            // From here on the peer is a member, and its substreams are the swarm's business.
            let inbound = if step == Step::Leave { Poll::Pending } else { muxer.poll_inbound_unpin(cx) };
            let failed = match inbound {
                Poll::Ready(Ok(stream)) => {
                    waiting.push_back(stream);
                    // M4 may have come in the same batch, just before this substream.
                    if let Poll::Ready(done) = exchange.as_mut().poll(cx) {
                        return Poll::Ready(done);
                    }
                    let allowed = if step == Step::M4 { early_max } else { 0 };
                    if waiting.len() > allowed {
                        return Poll::Ready(Err(at.or_mismatch(GateError::EarlyStream)));
                    }
                    continue;
                }
                Poll::Ready(Err(cause)) => GateError::from_io(&cause, step),
                Poll::Pending => match advance::<()>(muxer, cx, step) {
                    Poll::Ready(Err(failed)) => failed,
                    Poll::Ready(Ok(())) | Poll::Pending => return Poll::Pending,
                },
            };
            // The last bytes may have arrived together with the end.
            return match exchange.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(done),
                Poll::Pending => Poll::Ready(Err(at.or_mismatch(failed))),
            };
        }
    })
    .await
}

async fn send(stream: &mut SubstreamBox, bytes: &[u8], step: Step) -> Result<(), GateError> {
    stream.write_all(bytes).await.map_err(|cause| GateError::from_io(&cause, step))?;
    stream.flush().await.map_err(|cause| GateError::from_io(&cause, step))
}

async fn receive<const N: usize>(stream: &mut SubstreamBox, step: Step) -> Result<[u8; N], GateError> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(|cause| GateError::from_io(&cause, step))?;
    Ok(bytes)
}

async fn close(stream: &mut SubstreamBox, step: Step) -> Result<(), GateError> {
    stream.close().await.map_err(|cause| GateError::from_io(&cause, step))
}
