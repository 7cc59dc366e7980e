//! One end of a TCP connection as a pure state machine: segments, calls and time in, segments out.
//!
//! # Not modelled
//! Congestion control, selective and delayed acknowledgements, keepalive, and TIME_WAIT: sequence
//! numbers never repeat here ([`SEQUENCE_BITS`](crate::limits::SEQUENCE_BITS)), so a late packet is
//! never taken for one of a newer connection. A FIN that comes again is then answered by a reset,
//! which its sender, done with everything else, does not notice.

mod receiver;
mod rtt;
mod segments;
mod sender;

use std::{io::ErrorKind, mem, task::Poll, time::Duration};

use self::{receiver::Receiver, sender::Sender};
use crate::{
    limits::{ORPHAN_TIME_MAX, SYN_TIMEOUT},
    packet::Segment,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    SynSent,
    SynReceived,
    /// Established, or closed in one direction.
    Open,
    /// Closed in both directions, or failed. What had arrived can still be read.
    Over(Option<ErrorKind>),
}

struct Handshake {
    started: Duration,
    retries: u32,
    due: Duration,
}

/// One end of a connection.
pub(crate) struct Connection {
    phase: Phase,
    handshake: Handshake,
    sender: Sender,
    receiver: Receiver,
    /// Nobody holds the stream any more.
    orphaned: bool,
    linger: Option<Duration>,
    out: Vec<Segment>,
    resent: u64,
}

impl Connection {
    /// Sends a SYN. `isn` is this end's first sequence number, the SYN's own.
    pub(crate) fn dial(isn: u64, now: Duration) -> Self {
        let mut connection = Self::new(isn, 0, Phase::SynSent, now);
        connection.send_syn();
        connection
    }

    /// Answers a SYN of the number `peer_isn`.
    pub(crate) fn answer(isn: u64, peer_isn: u64, now: Duration) -> Self {
        let mut connection = Self::new(isn, peer_isn + 1, Phase::SynReceived, now);
        connection.send_syn();
        connection
    }

    fn new(isn: u64, expected: u64, phase: Phase, now: Duration) -> Self {
        Self {
            phase,
            handshake: Handshake { started: now, retries: 0, due: now + SYN_TIMEOUT },
            sender: Sender::new(isn + 1),
            receiver: Receiver::new(expected),
            orphaned: false,
            linger: None,
            out: Vec::new(),
            resent: 0,
        }
    }

    /// Whether the handshake is done, or why it failed.
    pub(crate) fn connected(&self) -> Poll<Result<(), ErrorKind>> {
        match self.phase {
            Phase::SynSent | Phase::SynReceived => Poll::Pending,
            Phase::Open | Phase::Over(None) => Poll::Ready(Ok(())),
            Phase::Over(Some(kind)) => Poll::Ready(Err(kind)),
        }
    }

    /// Nothing is sent any more, and the addresses are free again.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over(_))
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.receiver.unread() > 0 || self.receiver.is_finished() || self.is_over()
    }

    /// A write or a connect would not wait.
    pub(crate) fn is_writable(&self) -> bool {
        self.is_over() || (self.phase == Phase::Open && (self.sender.free() > 0 || self.sender.is_closing()))
    }

    /// The segments to send now, and how many of them go out again.
    pub(crate) fn take_out(&mut self) -> (Vec<Segment>, u64) {
        (mem::take(&mut self.out), mem::take(&mut self.resent))
    }

    /// Fills `buf` with what has arrived; zero bytes are the end of the stream. What arrived before a
    /// failure is read before the failure.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> Poll<Result<usize, ErrorKind>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if self.receiver.unread() > 0 {
            let count = self.receiver.read(buf);
            if self.phase == Phase::Open && self.receiver.is_update_due() {
                self.send_ack(None);
            }
            return Poll::Ready(Ok(count));
        }
        match self.phase {
            _ if self.receiver.is_finished() => Poll::Ready(Ok(0)),
            Phase::Over(None) => Poll::Ready(Ok(0)),
            Phase::Over(Some(kind)) => Poll::Ready(Err(kind)),
            _ => Poll::Pending,
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8], now: Duration) -> Poll<Result<usize, ErrorKind>> {
        if self.sender.is_closing() {
            return Poll::Ready(Err(ErrorKind::BrokenPipe));
        }
        match self.phase {
            Phase::Over(kind) => Poll::Ready(Err(kind.unwrap_or(ErrorKind::BrokenPipe))),
            _ if bytes.is_empty() => Poll::Ready(Ok(0)),
            Phase::Open if self.sender.free() > 0 => {
                let count = self.sender.write(bytes, now);
                self.flush(now);
                Poll::Ready(Ok(count))
            }
            _ => Poll::Pending,
        }
    }

    /// Sends a FIN after what was written; more calls change nothing.
    pub(crate) fn close(&mut self, now: Duration) -> Result<(), ErrorKind> {
        if let Phase::Over(Some(kind)) = self.phase {
            return Err(kind);
        }
        self.close_as(false, now);
        Ok(())
    }

    fn close_as(&mut self, orphaned: bool, now: Duration) {
        self.sender.close(orphaned, now);
        self.flush(now);
        self.conclude(now);
    }

    /// The stream's holder is gone. What was written is still delivered; what was not read is told to
    /// the peer by a reset.
    pub(crate) fn release(&mut self, now: Duration) {
        self.orphaned = true;
        match self.phase {
            Phase::SynSent => self.phase = Phase::Over(None),
            Phase::SynReceived => self.abort(),
            Phase::Open if self.receiver.unread() > 0 => self.abort(),
            Phase::Open => self.close_as(true, now),
            Phase::Over(_) => {}
        }
    }

    /// Ends the connection with a reset.
    pub(crate) fn abort(&mut self) {
        if !self.is_over() {
            self.out.push(Segment::Rst { seq: self.sender.next(), upto: self.receiver.next() });
            self.fail(ErrorKind::ConnectionAborted);
        }
    }

    /// The power is off: nothing is sent, and nothing that arrived remains.
    pub(crate) fn vanish(&mut self) {
        self.out.clear();
        self.receiver = Receiver::new(0);
        self.fail(ErrorKind::NetworkDown);
    }

    fn fail(&mut self, kind: ErrorKind) {
        self.sender.discard();
        self.phase = Phase::Over(Some(kind));
    }

    /// Looks whether both directions are closed.
    fn conclude(&mut self, now: Duration) {
        if self.phase != Phase::Open || !self.sender.is_finished() {
            return;
        }
        if self.receiver.is_finished() {
            self.phase = Phase::Over(None);
        } else if self.orphaned && self.linger.is_none() {
            self.linger = Some(now + ORPHAN_TIME_MAX);
        }
    }
}
