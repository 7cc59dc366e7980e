//! What a connection does when a segment arrives, and when its timer runs out.

use std::{io::ErrorKind, time::Duration};

use bytes::Bytes;

use super::{Connection, Phase, receiver::Receiver, sender::Piece};
use crate::{
    limits::{SYN_RETRIES, SYN_TIMEOUT},
    packet::Segment,
};

impl Connection {
    pub(crate) fn handle(&mut self, segment: Segment, now: Duration) {
        match self.phase {
            Phase::SynSent => self.handle_in_syn_sent(&segment, now),
            Phase::SynReceived => self.handle_in_syn_received(segment, now),
            Phase::Open => self.handle_in_open(segment, now),
            Phase::Over(_) => {}
        }
        self.flush(now);
        self.conclude(now);
    }

    fn handle_in_syn_sent(&mut self, segment: &Segment, now: Duration) {
        let expected = self.sender.una();
        match *segment {
            Segment::SynAck { seq, upto } if upto == expected => {
                self.receiver = Receiver::new(seq + 1);
                self.open(now);
                self.send_ack(None);
            }
            // Simultaneous open: both dial, and each takes the other's SYN for its own listener's.
            Segment::Syn { seq } => {
                self.receiver = Receiver::new(seq + 1);
                self.phase = Phase::SynReceived;
                self.send_syn();
            }
            Segment::Rst { upto, .. } if upto == expected => self.fail(ErrorKind::ConnectionRefused),
            // Of a connection that this end has forgotten (RFC 9293, §3.5.1): the peer shall too.
            Segment::SynAck { upto, .. } | Segment::Ack { upto, .. } | Segment::Data { upto, .. }
                if upto != expected =>
            {
                self.out.push(Segment::Rst { seq: upto, upto: 0 });
            }
            _ => {}
        }
    }

    fn handle_in_syn_received(&mut self, segment: Segment, now: Duration) {
        let expected = self.sender.una();
        match segment {
            Segment::Syn { seq } if seq + 1 == self.receiver.next() => self.send_syn(),
            Segment::SynAck { seq, upto } if upto == expected && seq + 1 == self.receiver.next() => {
                self.open(now);
                self.send_ack(None);
            }
            Segment::Ack { upto, .. } | Segment::Data { upto, .. } if upto == expected => {
                self.open(now);
                self.handle_in_open(segment, now);
            }
            Segment::Syn { .. } => self.send_ack(None),
            Segment::SynAck { upto, .. } | Segment::Ack { upto, .. } | Segment::Data { upto, .. } => {
                self.out.push(Segment::Rst { seq: upto, upto: 0 });
            }
            Segment::Rst { seq, .. } => self.handle_reset(seq),
        }
    }

    fn handle_in_open(&mut self, segment: Segment, now: Duration) {
        match segment {
            // Our last acknowledgement was lost; or the peer has restarted, and resets us for this one.
            Segment::Syn { .. } | Segment::SynAck { .. } => self.send_ack(None),
            Segment::Ack { upto, window, echo } => self.sender.acknowledge(upto, window, echo, now),
            Segment::Data { seq, bytes, fin, sent_at, upto, window } => {
                self.sender.acknowledge(upto, window, None, now);
                self.flush(now);
                self.receive(seq, bytes, fin, sent_at);
            }
            Segment::Rst { seq, .. } => self.handle_reset(seq),
        }
    }

    fn receive(&mut self, seq: u64, bytes: Bytes, fin: bool, sent_at: Duration) {
        let fresh = self.receiver.accept(seq, bytes, fin);
        if self.orphaned && fresh > 0 {
            self.abort();
        } else {
            self.send_ack(Some(sent_at));
        }
    }

    fn handle_reset(&mut self, seq: u64) {
        if !self.receiver.in_window(seq) {
            return;
        }
        if self.sender.is_closing() && self.receiver.is_finished() {
            // Only the acknowledgement of our FIN was missing, and the peer has left.
            self.fail(ErrorKind::ConnectionReset);
            self.phase = Phase::Over(None);
        } else {
            self.fail(ErrorKind::ConnectionReset);
        }
    }

    /// When [`Connection::timeout`] is to be called.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        match self.phase {
            Phase::SynSent | Phase::SynReceived => Some(self.handshake.due),
            Phase::Open => [self.sender.deadline(), self.linger].into_iter().flatten().min(),
            Phase::Over(_) => None,
        }
    }

    pub(crate) fn timeout(&mut self, now: Duration) {
        match self.phase {
            Phase::SynSent | Phase::SynReceived if self.handshake.retries == SYN_RETRIES => {
                self.fail(ErrorKind::TimedOut);
            }
            Phase::SynSent | Phase::SynReceived => {
                self.handshake.retries += 1;
                self.handshake.due = now + SYN_TIMEOUT * 2_u32.pow(self.handshake.retries);
                self.resent += 1;
                self.send_syn();
            }
            Phase::Open if self.linger.is_some_and(|linger| linger <= now) => self.fail(ErrorKind::TimedOut),
            Phase::Open => {
                if self.sender.timeout(now).is_err() {
                    self.fail(ErrorKind::TimedOut);
                }
                self.flush(now);
            }
            Phase::Over(_) => {}
        }
    }

    fn open(&mut self, now: Duration) {
        self.phase = Phase::Open;
        if self.handshake.retries == 0 {
            self.sender.rtt.sample(now - self.handshake.started);
        }
    }

    pub(super) fn send_syn(&mut self) {
        let seq = self.sender.una() - 1;
        self.out.push(match self.phase {
            Phase::SynSent => Segment::Syn { seq },
            _ => Segment::SynAck { seq, upto: self.receiver.next() },
        });
    }

    pub(super) fn send_ack(&mut self, echo: Option<Duration>) {
        let (upto, window) = self.receiver.advertise();
        self.out.push(Segment::Ack { upto, window, echo });
    }

    /// Puts what the sender has cut into segments.
    pub(super) fn flush(&mut self, now: Duration) {
        let (pieces, resent) = self.sender.take_out();
        self.resent += resent;
        for Piece { seq, bytes, fin } in pieces {
            let (upto, window) = self.receiver.advertise();
            self.out.push(Segment::Data { seq, bytes, fin, sent_at: now, upto, window });
        }
    }
}
