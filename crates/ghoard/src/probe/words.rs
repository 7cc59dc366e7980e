//! What the two probes say to each other: JSON in one frame each way.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The longest frame that is read. A host name is the longest part.
const BYTES_MAX: usize = 4 << 10;

/// The reference's fields, and the port on which this side awaits the way back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) from_peer_id: String,
    pub(crate) from_hostname: String,
    pub(crate) from_pid: u32,
    /// Seconds since 1970.
    pub(crate) ts: f64,
    #[serde(default)]
    pub(crate) listen_port: Option<u16>,
}

/// The reference's fields, and what came of the way back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) peer_id: String,
    pub(crate) hostname: String,
    pub(crate) pid: u32,
    pub(crate) ts: f64,
    pub(crate) request: Question,
    #[serde(default)]
    pub(crate) dial_back: Option<DialBack>,
}

/// A TCP connection to the address from which the question came.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DialBack {
    pub(crate) address: String,
    pub(crate) is_open: bool,
    #[serde(default)]
    pub(crate) why: Option<String>,
}

pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

pub(crate) fn encode(words: &impl Serialize) -> Bytes {
    serde_json::to_vec(words).expect("it has only text keys").into()
}

pub(crate) fn decode<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Option<T> {
    (bytes.len() <= BYTES_MAX).then(|| serde_json::from_slice(bytes).ok()).flatten()
}
