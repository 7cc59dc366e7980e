//! What passes between the registry and who carries out its requests.

use std::collections::BTreeMap;

use wire::Millis;

use super::Candidate;

/// A request to GitHub's REST API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub verb: Verb,
    /// Path and query, below the API's base URL.
    pub path: String,
    /// For `If-None-Match`.
    pub etag: Option<String>,
    pub body: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Get,
    Post,
    Patch,
    Delete,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    Answered(Reply),
    /// No answer, a broken one, or one over [`REPLY_BYTES_MAX`](crate::limits::REPLY_BYTES_MAX).
    Failed(String),
    /// It was not sent, because the budget is needed elsewhere or GitHub wants to be left alone.
    Spared,
}

#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub etag: Option<String>,
    /// Whether `Link` names a next page.
    pub has_next: bool,
    pub body: Vec<u8>,
}

/// What the machine knows of its fleet besides.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// Members that are connected.
    pub peers: usize,
    /// Members that it has heard of, this one not among them.
    pub members: Vec<Candidate>,
}

/// For the status page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IssueStatus {
    pub issue: Option<u64>,
    pub is_writer: bool,
    /// Comments that were left out at the last reading, by reason.
    pub skipped: BTreeMap<&'static str, usize>,
    pub reads: u64,
    /// Those that were not answered 304.
    pub reads_charged: u64,
    /// Comments written and changed, and issues opened.
    pub edits: u64,
    pub deletions: u64,
    /// When GitHub last answered as it should.
    pub last_success: Option<Millis>,
    /// What is wrong, and what to do about it.
    pub trouble: Option<String>,
}
