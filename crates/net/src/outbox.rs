//! Messages to one peer: a bounded queue, sent in order on one stream that stays open while used.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures::AsyncWriteExt;
use libp2p::{PeerId, Stream};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    Limits, PullError,
    behaviour::streams::{Kind, Open},
    counters::Meters,
    frames,
    handle::Command,
};

pub(crate) struct Outboxes {
    by_peer: BTreeMap<PeerId, mpsc::Sender<Bytes>>,
    tasks: task::Tasks,
    /// Weak, so that a task which waits for messages does not keep the network up.
    commands: mpsc::WeakSender<Command>,
    limits: Arc<Limits>,
    meters: Arc<Meters>,
}

impl Outboxes {
    pub(crate) fn new(
        tasks: task::Tasks,
        commands: mpsc::WeakSender<Command>,
        limits: Arc<Limits>,
        meters: Arc<Meters>,
    ) -> Self {
        Self { by_peer: BTreeMap::new(), tasks, commands, limits, meters }
    }

    /// Queues `data` for a connected `peer`; drops and counts it if the queue is full.
    pub(crate) fn send(&mut self, peer: PeerId, data: Bytes) {
        let queue = self.by_peer.entry(peer).or_insert_with(|| {
            let (queue, messages) = mpsc::channel(self.limits.outbox);
            let outbox = Outbox {
                peer,
                messages,
                commands: self.commands.clone(),
                limits: Arc::clone(&self.limits),
                meters: Arc::clone(&self.meters),
            };
            self.tasks.spawn(outbox.run());
            queue
        });
        if queue.try_send(data).is_err() {
            self.meters.messages_dropped.one();
        }
    }

    /// Forgets a peer that is gone, and what was still to be told to it.
    pub(crate) fn close(&mut self, peer: &PeerId) {
        self.by_peer.remove(peer);
    }
}

struct Outbox {
    peer: PeerId,
    messages: mpsc::Receiver<Bytes>,
    commands: mpsc::WeakSender<Command>,
    limits: Arc<Limits>,
    meters: Arc<Meters>,
}

impl Outbox {
    async fn run(mut self) {
        while let Some(first) = self.messages.recv().await {
            match open(&self.commands, self.peer, Kind::Message, &self.limits).await {
                Ok(mut stream) => {
                    self.write(&mut stream, first).await;
                    let _ = timeout(self.limits.stall_time, stream.close()).await;
                }
                Err(why) => {
                    self.meters.messages_dropped.one();
                    tracing::debug!(peer = %self.peer, "no message stream: {why}");
                }
            }
        }
    }

    /// Writes messages until there are none for a while, or the stream fails.
    async fn write(&mut self, stream: &mut Stream, first: Bytes) {
        let mut next = Some(first);
        while let Some(message) = next {
            if let Err(why) = frames::write(stream, &message, self.limits.stall_time).await {
                self.meters.messages_dropped.one();
                return tracing::debug!(peer = %self.peer, "message stream failed: {why}");
            }
            self.meters.messages_sent.one();
            self.meters.message_bytes_out.many(message.len());
            next = timeout(self.limits.outbox_idle_time, self.messages.recv()).await.ok().flatten();
        }
    }
}

/// Asks the driver for a stream to a connected peer.
pub(crate) async fn open(
    commands: &mpsc::WeakSender<Command>,
    peer: PeerId,
    kind: Kind,
    limits: &Limits,
) -> Result<Stream, PullError> {
    let (reply, opened) = oneshot::channel();
    let commands = commands.upgrade().ok_or(PullError::NotConnected)?;
    let command = Command::Open { peer, open: Open { kind, reply } };
    commands.try_send(command).map_err(|_| PullError::Busy)?;
    drop(commands);
    match timeout(limits.request_time, opened).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(_connection_closed)) => Err(PullError::NotConnected),
        Err(_) => Err(PullError::Stalled(limits.request_time)),
    }
}
