//! The proof of membership inside the connection upgrade, before the swarm hears of a peer.
//!
//! Four messages on the connection's first substream. The smaller peer id opens it and proves
//! first, whoever dialled: in a hole punch both sides dial, and a rule by dialler would deadlock.
//!
//! ```text
//! initiator  M1  magic, key names, nonce  ->
//!            <-  key names, nonce  M2         responder
//!            M3  proof                ->
//!            <-                 proof  M4
//! ```

mod early;
mod error;
mod handshake;
mod messages;

use std::sync::{Arc, Mutex, PoisonError};

use crypto::MembershipKeys;
use libp2p::{
    PeerId,
    core::{ConnectedPoint, muxing::StreamMuxerBox},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

pub use error::{GateError, Step};

use crate::{ConnectionClass, Limits, class::Infrastructure};

pub(crate) struct Gate {
    me: PeerId,
    keys: MembershipKeys,
    infrastructure: Infrastructure,
    /// Where they came to us, and where we dialled: strangers who come in keep no dial of ours waiting.
    inbound: Semaphore,
    outbound: Semaphore,
    limits: Limits,
    nonces: Mutex<StdRng>,
}

impl Gate {
    pub(crate) fn new(
        me: PeerId,
        keys: MembershipKeys,
        infrastructure: Infrastructure,
        limits: Limits,
        seed: [u8; 32],
    ) -> Self {
        let [inbound, outbound] = [(); 2].map(|()| Semaphore::new(limits.gate_permits));
        Self { me, keys, infrastructure, inbound, outbound, limits, nonces: Mutex::new(StdRng::from_seed(seed)) }
    }

    /// Returns the connection if its peer may be heard: it proved its membership, or is
    /// infrastructure that we dialled.
    pub(crate) async fn admit(
        self: Arc<Self>,
        peer: PeerId,
        muxer: StreamMuxerBox,
        endpoint: ConnectedPoint,
    ) -> Result<(PeerId, StreamMuxerBox), GateError> {
        if self.infrastructure.class(&peer, &endpoint) == ConnectionClass::Infrastructure {
            return Ok((peer, muxer));
        }
        let admitted = self.prove(peer, muxer, &endpoint).await;
        if let Err(why) = &admitted {
            tracing::debug!(%peer, address = %endpoint.get_remote_address(), reason = why.label(), "{why}");
        }
        Ok((peer, admitted?))
    }

    async fn prove(
        &self,
        peer: PeerId,
        muxer: StreamMuxerBox,
        endpoint: &ConnectedPoint,
    ) -> Result<StreamMuxerBox, GateError> {
        if peer == self.me {
            return Err(GateError::SelfDial);
        }
        let deadline = Instant::now() + self.limits.gate_time;
        let permits = if endpoint.is_dialer() { &self.outbound } else { &self.inbound };
        let permit = timeout_at(deadline, permits.acquire()).await;
        let _permit = permit.map_err(|_| GateError::Busy)?.expect("the semaphore is never closed");
        let handshake = handshake::Handshake {
            me: self.me,
            peer,
            keys: &self.keys,
            nonce: self.nonce(),
            early_max: early::bound(endpoint),
        };
        handshake.run(muxer, deadline).await
    }

    fn nonce(&self) -> [u8; 32] {
        let mut nonce = [0; 32];
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut nonce);
        nonce
    }
}
