//! Gossip as a model: how long a message takes to each node, and how often it is sent for that.
//!
//! The figures are those of a mesh of degree 6, in hops over the node's link: `D.1` of the design's
//! notes for up to 10,000 nodes, and the swarm itself up to 100 (`cargo xtask sim gossip-cost` prints
//! both beside each other).

use std::time::Duration;

use crate::{
    draw::Stream,
    plan::{Link, Model},
};

/// Bytes that gossip adds to a message: its author (38), its number (8), its signature (64), the topic
/// (36), sealing (40), and the frames of Noise, Yamux and protobuf.
pub const OVERHEAD_BYTES: usize = 220;

/// The same for a message to one peer.
pub const DIRECT_OVERHEAD_BYTES: usize = 72;

/// What one publish costs, and when it arrives.
pub struct Gossip {
    link: Link,
    flood: bool,
    loss_ppm: u64,
    draws: Stream,
}

/// By the number of nodes: hops until half of them have it, until 99 of 100 have it, and sends for
/// each node. From the notes' model, links of 10 to 50 ms.
const MESH: [(f64, Figures); 5] = [
    (2.0, Figures { half: 1.0, most: 1.0, sends: 0.5 }),
    (10.0, Figures { half: 1.5, most: 2.2, sends: 3.2 }),
    (100.0, Figures { half: 2.87, most: 4.55, sends: 4.8 }),
    (1_000.0, Figures { half: 4.14, most: 5.41, sends: 5.0 }),
    (10_000.0, Figures { half: 5.3, most: 6.57, sends: 5.0 }),
];

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    half: f64,
    most: f64,
    pub sends: f64,
}

/// Of several ways the first counts: a hop takes less than the mean of its link.
const JITTER_SHARE: f64 = 0.42;

impl Gossip {
    pub fn new(seed: u64, link: Link, model: &Model) -> Self {
        Self { link, flood: model.flood_publish, loss_ppm: model.gossip_loss_ppm, draws: Stream::new(seed, "gossip") }
    }

    /// How often a message is sent, for each node that it is for. With flooding, its author sends it to
    /// all `neighbours` in place of six, and what it would have sent to them reaches them twice.
    pub fn sends(&self, nodes: usize, neighbours: usize) -> f64 {
        let mesh = figures(nodes).sends;
        if self.flood { mesh + neighbours.saturating_sub(6) as f64 / nodes.max(1) as f64 } else { mesh }
    }

    /// When a node has the message; `None` if it never gets it.
    pub fn delay(&mut self, nodes: usize, is_neighbour: bool) -> Option<Duration> {
        if self.loss_ppm > 0 && self.draws.range(0, 1_000_000) < self.loss_ppm {
            return None;
        }
        if self.flood && is_neighbour {
            let ms = self.link.latency_ms as f64 + self.uniform() * self.link.jitter_ms as f64;
            return Some(Duration::from_micros((ms * 1000.0) as u64));
        }
        let Figures { half, most, .. } = figures(nodes);
        let at = self.uniform();
        let hops = if at < 0.5 { 1.0 + (half - 1.0) * at / 0.5 } else { half + (most - half) * (at - 0.5) / 0.49 };
        let hop = self.link.latency_ms as f64 + JITTER_SHARE * self.link.jitter_ms as f64;
        Some(Duration::from_micros((hops * hop * 1000.0) as u64))
    }

    fn uniform(&mut self) -> f64 {
        self.draws.range(0, 1 << 20) as f64 / f64::from(1 << 20)
    }
}

/// Between what is known, by the logarithm of the number.
fn figures(nodes: usize) -> Figures {
    let nodes = (nodes as f64).clamp(MESH[0].0, MESH[MESH.len() - 1].0);
    let above = MESH.iter().position(|(size, _)| nodes <= *size).unwrap_or(MESH.len() - 1).max(1);
    let ((low, a), (high, b)) = (MESH[above - 1], MESH[above]);
    let share = (nodes / low).ln() / (high / low).ln();
    let between = |a: f64, b: f64| a + (b - a) * share;
    Figures { half: between(a.half, b.half), most: between(a.most, b.most), sends: between(a.sends, b.sends) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_gives_the_table_that_it_is_made_from() {
        let link = Link { latency_ms: 10, jitter_ms: 40, loss_ppm: 0, bytes_per_sec: None };
        let mut gossip = Gossip::new(1, link, &Model { flood_publish: false, ..Model::default() });
        for (nodes, half, most, sends) in [(10, 40, 59, 3.2), (100, 77, 122, 4.8), (1_000, 111, 145, 5.0)] {
            let mut delays: Vec<u128> =
                (0..10_000).filter_map(|_| Some(gossip.delay(nodes, false)?.as_millis())).collect();
            delays.sort_unstable();
            assert!(delays[5_000].abs_diff(half) <= 3, "{nodes}: p50 {}", delays[5_000]);
            assert!(delays[9_900].abs_diff(most) <= 3, "{nodes}: p99 {}", delays[9_900]);
            assert!((gossip.sends(nodes, nodes - 1) - sends).abs() < 0.01);
        }
    }

    #[test]
    fn so_much_is_lost_as_the_model_says() {
        let link = Link { latency_ms: 1, jitter_ms: 0, loss_ppm: 0, bytes_per_sec: None };
        let mut gossip = Gossip::new(1, link, &Model { gossip_loss_ppm: 50_000, ..Model::default() });
        let lost = (0..10_000).filter(|_| gossip.delay(50, true).is_none()).count();
        assert!((400..600).contains(&lost), "{lost}");
    }
}
