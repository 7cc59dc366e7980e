//! How gossip spreads in the swarm: counted from what gossipsub itself logs, message by message.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::core_layer::costs::quantile;

/// What libp2p calls itself in its log lines.
pub const TARGET: &str = "libp2p_gossipsub";

/// Meshes need some heartbeats until they are what they should be.
const SETTLED: Duration = Duration::from_secs(15);

/// What is told so soon is told at once.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Every message that was published.
#[derive(Default)]
pub struct Spread {
    messages: BTreeMap<String, Message>,
    /// What is being published on each lane: its sends do not name it.
    publishing: BTreeMap<usize, String>,
}

#[derive(Default)]
struct Message {
    author: usize,
    published: Duration,
    sends: u64,
    own_sends: u64,
    delays: Vec<Duration>,
}

/// Of the messages after the meshes had settled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpreadFigures {
    pub messages: u64,
    /// Sends for each node and message, those of the author included.
    pub sends_per_node: f64,
    /// Sends of the author alone, for each message.
    pub own_sends: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Nodes that never had a message, in a thousand.
    pub missed_permille: f64,
}

impl Spread {
    /// One of gossipsub's log lines: its words, the message that it names, and where.
    pub fn hear(&mut self, lane: usize, words: &str, message_id: Option<String>) {
        let now = det::elapsed();
        match (words, message_id) {
            ("Publishing message", Some(id)) => {
                self.messages.insert(id.clone(), Message { author: lane, published: now, ..Message::default() });
                self.publishing.insert(lane, id);
            }
            ("Published message", _) => {
                self.publishing.remove(&lane);
            }
            ("Sending message to peer", Some(id)) | ("IWANT: Sending cached messages to peer", Some(id)) => {
                if let Some(message) = self.messages.get_mut(&id) {
                    message.sends += 1;
                }
            }
            ("Sending message to peer", None) => {
                let id = self.publishing.get(&lane);
                if let Some(message) = id.and_then(|id| self.messages.get_mut(id)) {
                    message.sends += 1;
                    message.own_sends += 1;
                }
            }
            ("Put message in duplicate_cache and resolve promises", Some(id)) => {
                if let Some(message) = self.messages.get_mut(&id) {
                    message.delays.push(now - message.published);
                }
            }
            _ => {}
        }
    }

    /// How long after `moment` each other node had what this lane told next, if it told something at once.
    pub fn heard_after(&self, lane: usize, moment: Duration) -> Vec<Duration> {
        let told_at_once =
            |message: &&Message| message.author == lane && (moment..moment + AT_ONCE).contains(&message.published);
        let next = self.messages.values().filter(told_at_once).min_by_key(|message| message.published);
        next.into_iter()
            .flat_map(|message| message.delays.iter().map(|delay| message.published + *delay - moment))
            .collect()
    }

    /// In a world of so many nodes that all stay.
    pub fn figures(&self, nodes: usize) -> SpreadFigures {
        let settled = || self.messages.values().filter(|message| message.published >= SETTLED);
        let count = settled().count();
        let of_each = |count_of: fn(&Message) -> u64| settled().map(count_of).sum::<u64>() as f64 / count.max(1) as f64;
        let mut delays: Vec<Duration> = settled().flat_map(|message| message.delays.iter().copied()).collect();
        let heard = delays.len() as f64 / (count * nodes.saturating_sub(1)).max(1) as f64;
        let ms = |delay: Duration| delay.as_secs_f64() * 1000.0;
        SpreadFigures {
            messages: count as u64,
            sends_per_node: of_each(|message| message.sends) / nodes.max(1) as f64,
            own_sends: of_each(|message| message.own_sends),
            p50_ms: ms(quantile(&mut delays, 500)),
            p99_ms: ms(quantile(&mut delays, 990)),
            missed_permille: 1000.0 * (1.0 - heard),
        }
    }
}
