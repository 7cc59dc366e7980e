//! Gossip as a model: how long a message takes to each node, and how often it is sent for that.
//!
//! The figures are of the swarm itself up to 100 nodes, as `cargo xtask sim gossip-cost` measures them
//! with links of 10 to 50 ms, and above of the notes on the design (`D.1`), scaled to the mesh's degree.

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
    loss_ppm: u64,
    draws: Stream,
}

/// By the number of nodes: hops until half of them have it, until 99 of 100 have it, and sends for
/// each node. A hop here is [`Gossip::hop_ms`].
const MESH: [(f64, Figures); 8] = [
    (2.0, Figures { half: 1.12, most: 1.87, sends: 0.5 }),
    (5.0, Figures { half: 1.12, most: 1.87, sends: 3.07 }),
    (10.0, Figures { half: 1.34, most: 2.65, sends: 4.38 }),
    (20.0, Figures { half: 2.13, most: 4.03, sends: 4.6 }),
    (50.0, Figures { half: 2.99, most: 5.04, sends: 4.47 }),
    (100.0, Figures { half: 3.4, most: 5.6, sends: 4.5 }),
    (1_000.0, Figures { half: 4.7, most: 6.6, sends: 4.7 }),
    (10_000.0, Figures { half: 6.1, most: 7.9, sends: 4.7 }),
];

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    half: f64,
    most: f64,
    pub sends: f64,
}

/// Of several ways the first counts: a hop takes less than the mean of its link.
const JITTER_SHARE: f64 = 0.42;

/// Until the first node has it: a quick link.
const FIRST_HOPS: f64 = 0.4;

impl Gossip {
    pub fn new(seed: u64, link: Link, model: &Model) -> Self {
        Self { link, loss_ppm: model.gossip_loss_ppm, draws: Stream::new(seed, "gossip") }
    }

    /// How often a message is sent, for each node that it is for.
    pub fn sends(nodes: usize) -> f64 {
        figures(nodes).sends
    }

    /// When a node has the message; `None` if it never gets it.
    pub fn delay(&mut self, nodes: usize) -> Option<Duration> {
        if self.loss_ppm > 0 && self.draws.range(0, 1_000_000) < self.loss_ppm {
            return None;
        }
        let Figures { half, most, .. } = figures(nodes);
        let at = self.uniform();
        let hops = if at < 0.5 {
            FIRST_HOPS + (half - FIRST_HOPS) * at / 0.5
        } else {
            half + (most - half) * (at - 0.5) / 0.49
        };
        Some(Duration::from_micros((hops * self.hop_ms() * 1000.0) as u64))
    }

    /// What one hop counts.
    fn hop_ms(&self) -> f64 {
        self.link.latency_ms as f64 + JITTER_SHARE * self.link.jitter_ms as f64
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

    /// `cargo xtask sim gossip-cost --nodes 5,10,20,50,100`: nodes, p50, p99, sends per node.
    const MEASURED: [(usize, u128, u128, f64); 4] =
        [(5, 29, 50, 3.07), (10, 36, 71, 4.38), (20, 57, 108, 4.6), (50, 80, 135, 4.47)];

    #[test]
    fn the_model_gives_what_was_measured() {
        let link = Link { latency_ms: 10, jitter_ms: 40, loss_ppm: 0, bytes_per_sec: None };
        let mut gossip = Gossip::new(1, link, &Model::default());
        for (nodes, half, most, sends) in MEASURED {
            let mut delays: Vec<u128> = (0..10_000).filter_map(|_| Some(gossip.delay(nodes)?.as_millis())).collect();
            delays.sort_unstable();
            assert!(delays[5_000].abs_diff(half) <= 4, "{nodes}: p50 {}", delays[5_000]);
            assert!(delays[9_900].abs_diff(most) <= 6, "{nodes}: p99 {}", delays[9_900]);
            assert!((Gossip::sends(nodes) - sends).abs() < 0.2, "{nodes}: {}", Gossip::sends(nodes));
        }
    }

    #[test]
    fn so_much_is_lost_as_the_model_says() {
        let link = Link { latency_ms: 1, jitter_ms: 0, loss_ppm: 0, bytes_per_sec: None };
        let mut gossip = Gossip::new(1, link, &Model { gossip_loss_ppm: 50_000, ..Model::default() });
        let lost = (0..10_000).filter(|_| gossip.delay(50).is_none()).count();
        assert!((400..600).contains(&lost), "{lost}");
    }
}
