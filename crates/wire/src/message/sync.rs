use serde::{Deserialize, Serialize};

use crate::{KeyId, Millis, ScopeId, limits};

/// One step of comparing two indexes: an [`SyncWord::Ask`], and what is said to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncStep {
    /// Names the session among those that its initiator has with this peer.
    #[serde(rename = "i")]
    pub session: u16,
    /// How many answers the sender knows of that are of use beyond the cutoff.
    #[serde(rename = "n", default)]
    pub entries: u32,
    #[serde(rename = "w")]
    pub word: SyncWord,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyncWord {
    /// From who began. Both build their sets of what is of use beyond the cutoff, so that two clocks
    /// make no difference.
    Ask {
        #[serde(rename = "c")]
        cutoff_secs: u64,
        /// Of negentropy, version 1.
        #[serde(rename = "f", with = "serde_bytes")]
        frame: Vec<u8>,
    },
    Answer {
        #[serde(rename = "f", with = "serde_bytes")]
        frame: Vec<u8>,
    },
    /// Not now, or not like this: ask another member.
    No,
}

/// What follows a comparison, or takes its place: records are asked for, and told as announces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// The same as in the question, or in the comparison before.
    #[serde(rename = "i")]
    pub session: u16,
    #[serde(rename = "w")]
    pub word: WantWord,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WantWord {
    /// The newest record of each of these.
    Places(#[serde(with = "places")] Vec<Place>),
    /// The next records of all, from the one validated last to the oldest.
    Page {
        /// Where the page before ended.
        #[serde(rename = "f", default)]
        from: Option<Cursor>,
        #[serde(rename = "n")]
        records_max: u16,
    },
    /// All that was asked for has been told; after a page, where the next one begins. Without a
    /// question: who began is done.
    Told {
        #[serde(rename = "f", default)]
        next: Option<Cursor>,
    },
}

/// A (key, scope) in short: the first bytes of its hash. Of 50,000, two are alike once in 200,000
/// fleets, and then one of the two is missed until it is told anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub [u8; Place::BYTES]);

impl Place {
    pub const BYTES: usize = 6;
}

/// Places go one after the other, without a length of each.
mod places {
    use serde::{Deserializer, Serializer, de::Error};
    use serde_bytes::{ByteBuf, Deserialize};

    use super::Place;

    pub fn serialize<S: Serializer>(places: &[Place], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&places.iter().flat_map(|place| place.0).collect::<Vec<_>>())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Place>, D::Error> {
        let bytes = ByteBuf::deserialize(deserializer)?;
        let (places, rest) = bytes.as_chunks();
        if !rest.is_empty() {
            return Err(Error::custom("a place is cut off"));
        }
        Ok(places.iter().copied().map(Place).collect())
    }
}

/// A position in the order of a snapshot, the same at every member: the record before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cursor {
    #[serde(rename = "t")]
    pub validated_at: Millis,
    #[serde(rename = "k")]
    pub key: KeyId,
    #[serde(rename = "s")]
    pub scope: ScopeId,
}

impl SyncStep {
    pub(super) fn is_within_limits(&self) -> bool {
        match &self.word {
            SyncWord::Ask { frame, .. } | SyncWord::Answer { frame } => frame.len() <= limits::SYNC_FRAME_BYTES_MAX,
            SyncWord::No => true,
        }
    }
}

impl Want {
    pub(super) fn is_within_limits(&self) -> bool {
        match &self.word {
            WantWord::Places(places) => places.len() <= limits::TOLD_RECORDS_MAX,
            WantWord::Page { records_max, .. } => usize::from(*records_max) <= limits::TOLD_RECORDS_MAX,
            WantWord::Told { .. } => true,
        }
    }
}
