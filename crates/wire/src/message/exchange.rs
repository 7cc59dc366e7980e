use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Role;
use crate::{Millis, Peer, limits};

/// "These machines can be reached so": told to a new neighbour, and now and then to another one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    #[serde(rename = "r", default)]
    pub records: Vec<SignedPeer>,
    /// The sender would like to be told some, too. An answer says no.
    #[serde(rename = "w", default)]
    pub wants: bool,
}

/// Where a machine can be reached, in its own words: whoever passes them on can change nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedPeer {
    #[serde(rename = "p")]
    pub peer: Peer,
    /// Multiaddrs, also of circuits through a relay. Not validated here beyond their number and length.
    #[serde(rename = "a")]
    pub addresses: Vec<String>,
    #[serde(rename = "o", default)]
    pub role: Role,
    #[serde(rename = "t")]
    pub issued_at: Millis,
    #[serde(rename = "e")]
    pub expires_at: Millis,
    /// Ed25519, by the key that `peer` names, over [`SignedPeer::signed_bytes`].
    #[serde(rename = "g", with = "serde_bytes")]
    pub signature: [u8; 64],
}

/// What the signature is for, so that it is worth nothing elsewhere.
const PURPOSE: &[u8] = b"ghoard/1 peer record";

impl SignedPeer {
    /// What is signed: the purpose; the peer and each address, with their length before them; how many
    /// addresses there are; the role; the two times.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = PURPOSE.to_vec();
        let mut text = |text: &str| {
            bytes.extend((text.len() as u32).to_be_bytes());
            bytes.extend(text.as_bytes());
        };
        text(self.peer.as_str());
        self.addresses.iter().for_each(|address| text(address));
        bytes.push(self.addresses.len() as u8);
        bytes.push(match self.role {
            Role::Anchor => 0,
            Role::Node => 1,
            Role::Ephemeral => 2,
        });
        bytes.extend(self.issued_at.0.to_be_bytes());
        bytes.extend(self.expires_at.0.to_be_bytes());
        bytes
    }

    /// Whether it counts at `now`: not over, not from the future, and not for longer than any may be.
    pub fn is_current(&self, now: Millis) -> bool {
        now < self.expires_at
            && self.issued_at <= now.after(limits::CLOCK_AHEAD_MAX)
            && self.life() <= limits::PEER_RECORD_LIFE_MAX
    }

    fn life(&self) -> Duration {
        self.expires_at.since(self.issued_at)
    }

    fn is_within_limits(&self) -> bool {
        self.addresses.len() <= limits::PEER_ADDRESSES_MAX
            && self.addresses.iter().all(|address| address.len() <= limits::ADDRESS_BYTES_MAX)
    }
}

impl Exchange {
    pub(super) fn is_within_limits(&self) -> bool {
        self.records.iter().all(SignedPeer::is_within_limits)
    }
}
