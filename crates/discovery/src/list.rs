use wire::Millis;

use crate::{AnnounceError, Announced, Directory, DiscoverError, Found, PeerRecord, WithdrawError};

/// The peers that the operator named. They never go stale, and nothing can be announced to them.
#[derive(Clone, Debug, Default)]
pub struct StaticDirectory {
    peers: Vec<PeerRecord>,
}

impl StaticDirectory {
    pub fn new(peers: impl IntoIterator<Item = PeerRecord>) -> Self {
        Self { peers: peers.into_iter().collect() }
    }

    /// Makes records of multiaddrs as in `CACHE_BOOTSTRAP_PEERS`.
    ///
    /// The peer id is what follows the last `/p2p/`, and empty where the address has none; the port is
    /// 0 where it has none. The runner name is not known and stays empty.
    pub fn from_multiaddrs(addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::new(addresses.into_iter().map(|address| {
            let address = address.into();
            let after = |word: &str| address.rsplit_once(word).map(|(_, rest)| rest.split('/').next().unwrap_or(rest));
            let peer_id = after("/p2p/").unwrap_or_default().to_owned();
            let port = after("/tcp/").or_else(|| after("/udp/")).and_then(|port| port.parse().ok()).unwrap_or_default();
            PeerRecord::new(peer_id, "", port, address)
        }))
    }
}

impl Directory for StaticDirectory {
    fn announce(&self, _me: &PeerRecord, _now: Millis) -> Result<Announced, AnnounceError> {
        Ok(Announced::ReadOnly)
    }

    fn discover(&self, now: Millis) -> Result<Found, DiscoverError> {
        let seen_now = |peer: &PeerRecord| PeerRecord { last_seen: now, ..peer.clone() };
        Ok(Found { peers: self.peers.iter().map(seen_now).collect(), skipped: Vec::new() })
    }

    fn withdraw(&self, _me: &PeerRecord) -> Result<(), WithdrawError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiaddrs_become_records_that_never_go_stale() {
        let list =
            StaticDirectory::from_multiaddrs(["/ip4/10.0.0.1/tcp/9100/p2p/12D3KooWa", "/dns4/b/udp/9101/quic-v1"]);
        let found = list.discover(Millis::from_secs(5)).unwrap().peers;
        assert_eq!((found[0].peer_id.as_str(), found[0].listen_port), ("12D3KooWa", 9100));
        assert_eq!((found[1].peer_id.as_str(), found[1].listen_port), ("", 9101));
        assert!(found.iter().all(|peer| peer.last_seen == Millis::from_secs(5)));
    }
}
