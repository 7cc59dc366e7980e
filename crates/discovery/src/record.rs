use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wire::Millis;

use crate::{iso, limits};

/// One node, in the seven fields of the reference's registries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerRecord {
    /// libp2p's peer id as text. Nobody has proved it yet.
    pub peer_id: String,
    pub runner_name: String,
    #[serde(default)]
    pub public_ip: Option<IpAddr>,
    pub listen_port: u16,
    /// Where to dial, `/p2p/<peer id>` included. Not validated here beyond its length and first byte.
    pub multiaddr: String,
    #[serde(with = "iso")]
    pub last_seen: Millis,
    /// Kept as found; ghoard reads nothing from it.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

/// Why bytes are no record that one could dial.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    #[error("is no peer record: {0}")]
    Json(String),
    #[error("has a peer_id that is not 1 to {} letters and digits", limits::PEER_ID_BYTES_MAX)]
    PeerId,
    #[error("has a runner_name longer than {} bytes", limits::RUNNER_NAME_BYTES_MAX)]
    RunnerName,
    #[error("has a multiaddr that does not start with / or is longer than {} bytes", limits::MULTIADDR_BYTES_MAX)]
    Multiaddr,
}

impl PeerRecord {
    /// A record without a public address or metadata. The directory sets `last_seen`.
    pub fn new(
        peer_id: impl Into<String>,
        runner_name: impl Into<String>,
        listen_port: u16,
        multiaddr: impl Into<String>,
    ) -> Self {
        Self {
            peer_id: peer_id.into(),
            runner_name: runner_name.into(),
            public_ip: None,
            listen_port,
            multiaddr: multiaddr.into(),
            last_seen: Millis::ZERO,
            metadata: Map::new(),
        }
    }

    /// Reads the reference's JSON, of a length that the caller has limited. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`BadRecord`], whatever the bytes are.
    pub fn from_json(bytes: &[u8]) -> Result<Self, BadRecord> {
        let record: Self = serde_json::from_slice(bytes).map_err(|error| BadRecord::Json(error.to_string()))?;
        record.check()?;
        Ok(record)
    }

    /// Writes the reference's JSON, with a line break at the end.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("a record has only text keys");
        json.push(b'\n');
        json
    }

    pub(crate) fn check(&self) -> Result<(), BadRecord> {
        let peer_id = self.peer_id.as_bytes();
        if peer_id.is_empty()
            || peer_id.len() > limits::PEER_ID_BYTES_MAX
            || !peer_id.iter().all(u8::is_ascii_alphanumeric)
        {
            return Err(BadRecord::PeerId);
        }
        if self.runner_name.len() > limits::RUNNER_NAME_BYTES_MAX {
            return Err(BadRecord::RunnerName);
        }
        if !self.multiaddr.starts_with('/') || self.multiaddr.len() > limits::MULTIADDR_BYTES_MAX {
            return Err(BadRecord::Multiaddr);
        }
        Ok(())
    }
}
