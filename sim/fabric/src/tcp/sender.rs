//! The sending half: keeps bytes until they are acknowledged, and sends them again if need be.
//!
//! The window is the peer's alone. There is no congestion window: a lost segment costs its repair
//! (a round trip or a timeout), not throughput afterwards.

use std::{collections::VecDeque, mem, time::Duration};

use bytes::{Bytes, BytesMut};

use super::rtt::RoundTrip;
use crate::limits::{DUPLICATE_ACKS, RECEIVE_BUFFER_BYTES, RETRANSMISSIONS_MAX, SEGMENT_BYTES_MAX, SEND_BUFFER_BYTES};

/// A piece of the stream as it goes out. Its ends never change: what is sent again is the same piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) seq: u64,
    pub(crate) bytes: Bytes,
    pub(crate) fin: bool,
}

impl Piece {
    fn end(&self) -> u64 {
        self.seq + self.bytes.len() as u64 + u64::from(self.fin)
    }
}

struct Flight {
    piece: Piece,
    sent_at: Duration,
}

/// The peer did not answer any more.
#[derive(Debug)]
pub(crate) struct GaveUp;

/// What was written and not acknowledged. Never more than [`SEND_BUFFER_BYTES`].
pub(crate) struct Sender {
    /// The first number not acknowledged.
    una: u64,
    /// The next number to give out.
    next: u64,
    /// The first number that the peer has no room for.
    edge: u64,
    unsent: BytesMut,
    flights: VecDeque<Flight>,
    closing: bool,
    fin_sent: bool,
    orphaned: bool,
    pub(crate) rtt: RoundTrip,
    backoff: u32,
    unanswered: u32,
    duplicates: u32,
    /// Set while lost pieces are repaired: the repair ends when all up to here is acknowledged.
    recover: Option<u64>,
    deadline: Option<Duration>,
    out: Vec<Piece>,
    resent: u64,
}

impl Sender {
    /// A sender whose first byte has the number `first`. Each machine's receive buffer has the same
    /// size, so the first window is known.
    pub(crate) fn new(first: u64) -> Self {
        Self {
            una: first,
            next: first,
            edge: first + RECEIVE_BUFFER_BYTES as u64,
            unsent: BytesMut::new(),
            flights: VecDeque::new(),
            closing: false,
            fin_sent: false,
            orphaned: false,
            rtt: RoundTrip::default(),
            backoff: 0,
            unanswered: 0,
            duplicates: 0,
            recover: None,
            deadline: None,
            out: Vec::new(),
            resent: 0,
        }
    }

    pub(crate) fn una(&self) -> u64 {
        self.una
    }

    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    /// The FIN and all before it are acknowledged.
    pub(crate) fn is_finished(&self) -> bool {
        self.fin_sent && self.flights.is_empty()
    }

    /// Bytes that [`Sender::write`] would take.
    pub(crate) fn free(&self) -> usize {
        let in_flight = usize::try_from(self.next - self.una).unwrap_or(usize::MAX);
        SEND_BUFFER_BYTES.saturating_sub(in_flight.saturating_add(self.unsent.len()))
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// The pieces to send now, and how many of them go out again.
    pub(crate) fn take_out(&mut self) -> (Vec<Piece>, u64) {
        (mem::take(&mut self.out), mem::take(&mut self.resent))
    }

    pub(crate) fn write(&mut self, bytes: &[u8], now: Duration) -> usize {
        let count = bytes.len().min(self.free());
        self.unsent.extend_from_slice(&bytes[..count]);
        self.pump(now);
        count
    }

    /// A FIN follows what was written. `orphaned`: nobody waits, so a peer that only keeps its window
    /// shut is not waited for.
    pub(crate) fn close(&mut self, orphaned: bool, now: Duration) {
        self.closing = true;
        self.orphaned |= orphaned;
        self.pump(now);
    }

    /// The connection has failed: nothing of this is sent any more.
    pub(crate) fn discard(&mut self) {
        self.unsent = BytesMut::new();
        self.flights.clear();
        self.out.clear();
    }

    /// Sends what the window allows. A FIN needs no room.
    fn pump(&mut self, now: Duration) {
        let idle = self.flights.is_empty();
        while !self.fin_sent {
            let room = usize::try_from(self.edge.saturating_sub(self.next)).unwrap_or(usize::MAX);
            let count = self.unsent.len().min(SEGMENT_BYTES_MAX).min(room);
            let fin = self.closing && count == self.unsent.len();
            if count == 0 && !fin {
                break;
            }
            let piece = Piece { seq: self.next, bytes: self.unsent.split_to(count).freeze(), fin };
            self.next = piece.end();
            self.fin_sent = fin;
            self.out.push(piece.clone());
            self.flights.push_back(Flight { piece, sent_at: now });
        }
        if idle && !self.flights.is_empty() {
            self.backoff = 0;
            self.unanswered = 0;
            self.rearm(now);
        } else if self.deadline.is_none() {
            self.rearm(now);
        }
    }

    /// The timer runs while an acknowledgement or a window is awaited.
    fn rearm(&mut self, now: Duration) {
        let waiting = !self.flights.is_empty() || !self.unsent.is_empty();
        self.deadline = waiting.then(|| now + self.rtt.timeout(self.backoff));
    }

    /// Takes note of an acknowledgement; `echo` is when the piece was sent that it answers, if it does.
    pub(crate) fn acknowledge(&mut self, upto: u64, window: u64, echo: Option<Duration>, now: Duration) {
        if upto < self.una || upto > self.next {
            return;
        }
        let wider = upto + window > self.edge;
        self.edge = self.edge.max(upto + window);
        if upto > self.una {
            self.progress(upto, echo, now);
        } else if echo.is_some() && self.flights.is_empty() {
            // A probe was answered: the peer lives, and reads nothing.
            self.unanswered = if self.orphaned { self.unanswered } else { 0 };
        } else if echo.is_some() && !wider {
            self.duplicates += 1;
            if self.duplicates == DUPLICATE_ACKS && self.recover.is_none() {
                self.recover = Some(self.next);
                self.resend_first(now);
                self.rearm(now);
            }
        }
        self.pump(now);
    }

    fn progress(&mut self, upto: u64, echo: Option<Duration>, now: Duration) {
        self.una = upto;
        while self.flights.pop_front_if(|flight| flight.piece.end() <= upto).is_some() {}
        self.backoff = 0;
        self.unanswered = 0;
        self.duplicates = 0;
        if let Some(sent_at) = echo {
            self.rtt.sample(now - sent_at);
        }
        self.recover = self.recover.filter(|recover| upto < *recover);
        // Progress that ends before the repair does shows the next hole (NewReno, RFC 6582), if what
        // has arrived was sent later. Else the timeout was too early, and all is on its way (Eifel,
        // RFC 3522).
        let overtaken = |flight: &Flight| echo.is_some_and(|sent_at| flight.sent_at < sent_at);
        if self.recover.is_some() && self.flights.front().is_some_and(overtaken) {
            self.resend_first(now);
        }
        self.rearm(now);
    }

    fn resend_first(&mut self, now: Duration) {
        if let Some(first) = self.flights.front_mut() {
            first.sent_at = now;
            self.out.push(first.piece.clone());
            self.resent += 1;
        }
    }

    /// The deadline has passed: sends the first piece again, or asks for the window.
    pub(crate) fn timeout(&mut self, now: Duration) -> Result<(), GaveUp> {
        if self.unanswered == RETRANSMISSIONS_MAX {
            return Err(GaveUp);
        }
        self.unanswered += 1;
        self.backoff += 1;
        self.duplicates = 0;
        if self.flights.is_empty() {
            self.out.push(Piece { seq: self.next, bytes: Bytes::new(), fin: false });
        } else {
            self.recover = Some(self.next);
            self.resend_first(now);
        }
        self.rearm(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
