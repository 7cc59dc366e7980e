//! The receiving half: puts segments in order, within a window.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf, Bytes};

use crate::limits::{RECEIVE_BUFFER_BYTES, WINDOW_UPDATE_BYTES};

/// What has arrived and was not read. Never more than [`RECEIVE_BUFFER_BYTES`], in order or not.
pub(crate) struct Receiver {
    /// The next number that is missing.
    next: u64,
    /// The first number beyond the window, as last told to the peer. It never goes back.
    edge: u64,
    ready: VecDeque<Bytes>,
    ready_bytes: usize,
    early: BTreeMap<u64, (Bytes, bool)>,
    finished: bool,
}

impl Receiver {
    pub(crate) fn new(next: u64) -> Self {
        Self {
            next,
            edge: next + RECEIVE_BUFFER_BYTES as u64,
            ready: VecDeque::new(),
            ready_bytes: 0,
            early: BTreeMap::new(),
            finished: false,
        }
    }

    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The peer's FIN and all before it have arrived.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    pub(crate) fn unread(&self) -> usize {
        self.ready_bytes
    }

    pub(crate) fn in_window(&self, seq: u64) -> bool {
        (self.next..=self.edge).contains(&seq)
    }

    /// Takes a segment, and returns how many bytes of it were not there yet.
    pub(crate) fn accept(&mut self, seq: u64, bytes: Bytes, fin: bool) -> usize {
        let end = seq + bytes.len() as u64;
        let empty = bytes.is_empty() && !fin;
        if self.finished || empty || end > self.edge || end + u64::from(fin) <= self.next {
            return 0;
        }
        let fresh = if self.early.contains_key(&seq) { 0 } else { bytes.len() };
        self.early.entry(seq).or_insert((bytes, fin));
        self.put_in_order();
        fresh
    }

    fn put_in_order(&mut self) {
        while let Some(first) = self.early.first_entry().filter(|first| *first.key() <= self.next) {
            let (seq, (mut bytes, fin)) = first.remove_entry();
            let known = usize::try_from(self.next - seq).unwrap_or(usize::MAX);
            bytes.advance(known.min(bytes.len()));
            self.next += bytes.len() as u64;
            self.ready_bytes += bytes.len();
            if !bytes.is_empty() {
                self.ready.push_back(bytes);
            }
            if fin {
                self.next += 1;
                self.finished = true;
                self.early.clear();
            }
        }
    }

    /// What to tell the peer: the next number missing, and the room from there.
    pub(crate) fn advertise(&mut self) -> (u64, u64) {
        let room = (RECEIVE_BUFFER_BYTES - self.ready_bytes) as u64;
        self.edge = self.edge.max(self.next + room);
        (self.next, self.edge - self.next)
    }

    /// The reader has made enough room for the peer to be told.
    pub(crate) fn is_update_due(&self) -> bool {
        let room = (RECEIVE_BUFFER_BYTES - self.ready_bytes) as u64;
        !self.finished && self.next + room >= self.edge + WINDOW_UPDATE_BYTES as u64
    }

    pub(crate) fn read(&mut self, buf: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < buf.len()
            && let Some(first) = self.ready.front_mut()
        {
            let count = first.len().min(buf.len() - filled);
            first.copy_to_slice(&mut buf[filled..filled + count]);
            filled += count;
            if first.is_empty() {
                self.ready.pop_front();
            }
        }
        self.ready_bytes -= filled;
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(receiver: &mut Receiver) -> String {
        let mut buf = [0; 64];
        let count = receiver.read(&mut buf);
        String::from_utf8_lossy(&buf[..count]).into_owned()
    }

    #[test]
    fn segments_in_any_order_and_twice_are_read_once_and_in_order() {
        let mut receiver = Receiver::new(100);
        assert_eq!(receiver.accept(103, Bytes::from("def"), true), 3);
        assert_eq!(receiver.accept(103, Bytes::from("def"), true), 0);
        assert_eq!(read(&mut receiver), "");
        assert_eq!(receiver.accept(100, Bytes::from("abc"), false), 3);
        assert_eq!(receiver.accept(100, Bytes::from("abc"), false), 0);
        assert!(receiver.is_finished());
        assert_eq!(receiver.next(), 107, "the FIN counts as one");
        assert_eq!(read(&mut receiver), "abcdef");
    }

    #[test]
    fn what_overlaps_the_known_is_cut() {
        let mut receiver = Receiver::new(0);
        receiver.accept(0, Bytes::from("abc"), false);
        receiver.accept(1, Bytes::from("bcde"), false);
        assert_eq!(read(&mut receiver), "abcde");
    }

    #[test]
    fn nothing_is_kept_beyond_the_window() {
        let mut receiver = Receiver::new(0);
        let full = Bytes::from(vec![0; RECEIVE_BUFFER_BYTES]);
        assert_eq!(receiver.accept(1, full.clone(), false), 0);
        receiver.accept(0, full, false);
        assert_eq!(receiver.advertise(), (RECEIVE_BUFFER_BYTES as u64, 0));
        assert!(!receiver.is_update_due());
        receiver.read(&mut vec![0; WINDOW_UPDATE_BYTES]);
        assert!(receiver.is_update_due());
        assert_eq!(receiver.advertise().1, WINDOW_UPDATE_BYTES as u64);
        assert!(!receiver.is_update_due(), "it was told");
    }
}
