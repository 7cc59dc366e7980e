//! What GitHub says to this machine's own token about an answer that another machine was told.

use gateway::{Fetched, How, Origin};
use github::{Ask, Site};
use http::StatusCode;

use crate::question::put;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// This token is told exactly this body.
    Proved,
    /// It is told another one, now.
    Other,
    Denied(StatusCode),
    /// Neither yes nor no.
    Unknown(String),
}

/// Asks whether `body`, in its plain form, is what this machine's token is told: one conditional request,
/// with the ETag computed for this token. With a token and a yes it is free.
pub(crate) async fn prove(origin: &dyn Origin, site: &Site, ask: &Ask, body: &[u8]) -> Proof {
    match put(origin, site, ask, Some(&ask.expected_etag(body))).await {
        Ok((status, ..)) => judge(status),
        Err(why) => Proof::Unknown(why),
    }
}

/// The same of what the node itself found, by the means that it has.
pub(crate) fn found(fetched: &Fetched) -> Proof {
    match fetched {
        Fetched::Answer { how: How::Confirmed | How::Proved, .. } => Proof::Proved,
        Fetched::Answer { how: How::Stale, .. } => Proof::Unknown("GitHub cannot be asked now".to_owned()),
        Fetched::Answer { .. } => Proof::Other,
        Fetched::Relayed(response) => judge(response.status()),
    }
}

fn judge(status: StatusCode) -> Proof {
    match status.as_u16() {
        304 => Proof::Proved,
        200 => Proof::Other,
        401 | 403 | 404 | 410 | 451 => Proof::Denied(status),
        _ => Proof::Unknown(format!("GitHub answered {status}")),
    }
}

impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Proved => f.write_str("proved: GitHub answered 304 to this machine's own question for it"),
            Self::Other => f.write_str("not proved: GitHub gave this machine's own question an answer of its own"),
            Self::Denied(status) => write!(f, "not proved: GitHub answered {status} to this machine's own question"),
            Self::Unknown(why) => write!(f, "not proved: {why}"),
        }
    }
}
