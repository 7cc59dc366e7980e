//! One direction between two machines: how long it takes, what it loses, what stops it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::{
    MachineId,
    limits::{HELD_PACKETS_MAX, LINK_QUEUE_TIME_MAX},
    packet::Packet,
    rng::SplitMix64,
};

/// How one direction between two machines behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// From the last bit's departure to its arrival.
    pub latency: Duration,
    /// Added to the latency of each packet, uniform from zero to this; so packets may overtake.
    pub jitter: Duration,
    /// The share of packets that are lost, from 0 to 1.
    pub loss: f64,
    /// Packets leave one after the other at this rate; `None` is without limit, and zero counts as one.
    pub bytes_per_sec: Option<u64>,
}

impl Default for Link {
    /// Between two cities of one continent: 20 ms, no jitter, no loss, no limit of bandwidth.
    fn default() -> Self {
        Self { latency: Duration::from_millis(20), jitter: Duration::ZERO, loss: 0.0, bytes_per_sec: None }
    }
}

/// What became of a packet when it was put on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    Sent,
    /// By the link's loss, or by a queue that is full.
    Lost,
    /// By a partition.
    Blocked,
}

/// A packet's way: when it arrives, or what became of it instead.
pub(crate) enum Passage {
    Arrives(Duration),
    Never(Fate),
    /// Kept until the link is released.
    Held,
}

/// The links of a world. Those never touched are alike.
pub(crate) struct Links {
    seed: u64,
    default: Link,
    lines: BTreeMap<(MachineId, MachineId), Line>,
}

impl Links {
    pub(crate) fn new(seed: u64, default: Link) -> Self {
        Self { seed, default, lines: BTreeMap::new() }
    }

    pub(crate) fn get(&self, from: MachineId, to: MachineId) -> Link {
        self.lines.get(&(from, to)).map_or(self.default, |line| line.link)
    }

    pub(crate) fn line(&mut self, from: MachineId, to: MachineId) -> &mut Line {
        let (seed, link) = (self.seed, self.default);
        self.lines.entry((from, to)).or_insert_with(|| Line {
            link,
            blocked: false,
            held: None,
            free_at: Duration::ZERO,
            draws: SplitMix64::new(seed, &[from.0.into(), to.0.into()]),
        })
    }
}

/// One link and what is on its near end.
pub(crate) struct Line {
    pub(crate) link: Link,
    pub(crate) blocked: bool,
    held: Option<VecDeque<Packet>>,
    /// When the last bit of what was sent so far has left.
    free_at: Duration,
    /// Its own stream, so that a fault here does not change what happens elsewhere.
    draws: SplitMix64,
}

impl Line {
    pub(crate) fn put(&mut self, packet: &Packet, now: Duration) -> Passage {
        if self.blocked {
            return Passage::Never(Fate::Blocked);
        }
        if let Some(held) = &mut self.held {
            if held.len() == HELD_PACKETS_MAX {
                return Passage::Never(Fate::Lost);
            }
            held.push_back(packet.clone());
            return Passage::Held;
        }
        // Both are drawn for each packet, so that another loss rate does not change the jitter.
        let lost = self.draws.chance(self.link.loss);
        let jitter = self.draws.up_to(self.link.jitter);
        let start = self.free_at.max(now);
        if start - now > LINK_QUEUE_TIME_MAX {
            return Passage::Never(Fate::Lost);
        }
        self.free_at = start + self.link.bytes_per_sec.map_or(Duration::ZERO, |rate| serialisation(packet, rate));
        if lost { Passage::Never(Fate::Lost) } else { Passage::Arrives(self.free_at + self.link.latency + jitter) }
    }

    /// Starts to keep packets, or returns those kept, in their order.
    pub(crate) fn hold(&mut self, held: bool) -> VecDeque<Packet> {
        if held {
            self.held.get_or_insert_default();
            return VecDeque::new();
        }
        self.held.take().unwrap_or_default()
    }
}

/// The time that a packet occupies a link of this rate, in bytes per second.
fn serialisation(packet: &Packet, rate: u64) -> Duration {
    let nanos = u128::from(packet.size()) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Segment;

    fn packet() -> Packet {
        let [src, dst] = ["1.0.0.1:1", "1.0.0.2:2"].map(|address| address.parse().unwrap());
        Packet { src, dst, segment: Segment::Syn { seq: 0 } }
    }

    #[test]
    fn packets_leave_one_after_the_other_and_the_queue_has_an_end() {
        // A packet of 40 bytes each 4 s.
        let link = Link { latency: Duration::from_secs(1), bytes_per_sec: Some(10), ..Link::default() };
        let mut links = Links::new(1, link);
        let line = links.line(MachineId(0), MachineId(1));
        let passages = (0..100).map(|_| line.put(&packet(), Duration::ZERO));
        let arrivals: Vec<_> = passages
            .map_while(|passage| match passage {
                Passage::Arrives(at) => Some(at.as_secs()),
                _ => None,
            })
            .collect();
        assert_eq!(arrivals[..3], [5, 9, 13]);
        assert_eq!(arrivals.last(), Some(&(LINK_QUEUE_TIME_MAX.as_secs() + 5)));
    }

    #[test]
    fn a_link_is_what_it_was_set_to_in_one_direction_only() {
        let mut links = Links::new(1, Link::default());
        let lossy = Link { loss: 1.0, ..Link::default() };
        links.line(MachineId(0), MachineId(1)).link = lossy;
        assert_eq!(links.get(MachineId(0), MachineId(1)), lossy);
        assert_eq!(links.get(MachineId(1), MachineId(0)), Link::default());
        let fate = links.line(MachineId(0), MachineId(1)).put(&packet(), Duration::ZERO);
        assert!(matches!(fate, Passage::Never(Fate::Lost)));
    }
}
