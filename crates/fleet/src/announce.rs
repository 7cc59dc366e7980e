use std::collections::VecDeque;

use wire::{Announcement, Body, Millis, Record};

use crate::limits;

/// Fills on their way to the fleet: batched, and with the body inside while that is cheap.
#[derive(Default)]
pub struct Outbox {
    waiting: VecDeque<Announcement>,
    last_sent: Option<Millis>,
    fills: FillRate,
    pub dropped: u64,
}

impl Outbox {
    pub fn push(&mut self, mut announcement: Announcement, nodes: usize, now: Millis) {
        self.fills.count(now);
        let push_bytes_max = self.push_bytes_max(nodes, now);
        if announcement.body.as_ref().is_some_and(|body| body.encoded.len() > push_bytes_max) {
            announcement.body = None;
        }
        self.waiting.push_back(announcement);
        if self.waiting.len() > limits::OUTBOX_MAX {
            self.waiting.pop_front();
            self.dropped += 1;
        }
    }

    /// Forgets what waits: nobody is there to be told.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// A fill that arrives at another node counts for the rate, too.
    pub fn heard(&mut self, fills: usize, now: Millis) {
        for _ in 0..fills {
            self.fills.count(now);
        }
    }

    /// When the next batch is due. The first of an idle period is due at once.
    pub fn due(&self) -> Option<Millis> {
        self.waiting.front()?;
        Some(self.last_sent.map_or(Millis::ZERO, |last| last.after(limits::ANNOUNCE_WINDOW)))
    }

    pub fn next_batch(&mut self, now: Millis) -> Option<Vec<Announcement>> {
        if self.due()? > now {
            return None;
        }
        self.last_sent = Some(now);
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(announcement) = self.waiting.front() {
            bytes += bytes_of(&announcement.record, announcement.body.as_ref());
            let is_full = batch.len() == wire::limits::ANNOUNCE_RECORDS_MAX || bytes > limits::ANNOUNCE_BYTES_MAX;
            if is_full && !batch.is_empty() {
                break;
            }
            batch.extend(self.waiting.pop_front());
        }
        Some(batch)
    }

    /// How large a body may be to travel inside an announce: less, the more the fleet fills.
    fn push_bytes_max(&self, nodes: usize, now: Millis) -> usize {
        if nodes <= limits::SMALL_FLEET_NODES {
            return wire::limits::PUSH_BYTES_MAX;
        }
        let per_fill = limits::PUSH_BYTES_PER_SEC / (self.fills.per_sec(now).max(0.01) * limits::PUSH_COPIES);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to a small positive range"
        )]
        let bytes = per_fill.clamp(0.0, wire::limits::PUSH_BYTES_MAX as f64) as usize;
        bytes
    }
}

/// About how many bytes a record takes in a message.
pub fn bytes_of(record: &Record, body: Option<&Body>) -> usize {
    let headers: usize = record.headers.iter().map(|header| header.name.len() + header.value.len() + 8).sum();
    200 + headers + body.map_or(0, |body| body.encoded.len())
}

/// Fills per second of the whole fleet, averaged over two windows.
#[derive(Default)]
struct FillRate {
    window_start: Millis,
    in_window: u32,
    before: u32,
}

impl FillRate {
    fn count(&mut self, now: Millis) {
        self.turn(now);
        self.in_window += 1;
    }

    fn turn(&mut self, now: Millis) {
        let age = now.since(self.window_start);
        if age >= 2 * limits::FILL_RATE_WINDOW {
            *self = Self { window_start: now, in_window: 0, before: 0 };
        } else if age >= limits::FILL_RATE_WINDOW {
            *self = Self {
                window_start: self.window_start.after(limits::FILL_RATE_WINDOW),
                in_window: 0,
                before: self.in_window,
            };
        }
    }

    fn per_sec(&self, now: Millis) -> f64 {
        let span = limits::FILL_RATE_WINDOW.as_secs_f64();
        let share = (1.0 - now.since(self.window_start).as_secs_f64() / span).clamp(0.0, 1.0);
        (f64::from(self.in_window) + f64::from(self.before) * share) / span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_large_fleet_pushes_less() {
        let outbox = |fills_per_sec: u64| {
            let mut outbox = Outbox::default();
            for n in 0..30 * fills_per_sec {
                outbox.heard(1, Millis(30_000 + n * 1000 / fills_per_sec));
            }
            outbox
        };
        let at = |fills_per_sec, nodes| outbox(fills_per_sec).push_bytes_max(nodes, Millis(59_999));
        assert_eq!(at(42, 8), 64 << 10, "a small fleet pushes any small body");
        assert!((250..400).contains(&at(42, 9)), "{}", at(42, 9));
        assert!((12_000..16_000).contains(&at(1, 9)), "{}", at(1, 9));
    }
}
