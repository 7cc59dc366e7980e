use std::{error::Error, io};

use libp2p::{
    TransportError,
    swarm::{ConnectionDenied, DialError, ListenError},
};
use wire::Peer;

use crate::{GateError, identity::peer_of, transport::Full};

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The peer answered, and the proof of membership failed.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// Nobody answered, or the answer broke off: the operating system's or the protocol's words.
    #[error("{0}")]
    Unreachable(String),
    /// The peer answered and then said nothing, or too little, to set up a connection.
    #[error("no connection within the limit")]
    Timeout,
    #[error("another peer answered: {found}")]
    WrongPeer { found: Peer },
    /// One of our own limits.
    #[error("{0}")]
    Limit(String),
    /// A kind of address that this build cannot dial, or an unresolved name.
    #[error("not an address that can be dialled")]
    NotDialable,
    /// Connected already, or about to be.
    #[error("already connected or dialling")]
    AlreadyConnected,
    #[error("the attempt was given up")]
    Aborted,
}

impl Refusal {
    /// The reason as a metric's label: few values, and none that the peer chooses.
    pub fn label(&self) -> &'static str {
        match self {
            Refusal::Gate(gate) => gate.label(),
            Refusal::Unreachable(_) => "unreachable",
            Refusal::Timeout => "timeout",
            Refusal::WrongPeer { .. } => "wrong_peer",
            Refusal::Limit(_) => "limit",
            Refusal::NotDialable => "not_dialable",
            Refusal::AlreadyConnected => "already_connected",
            Refusal::Aborted => "aborted",
        }
    }

    pub(crate) fn of_dial(error: &DialError) -> Self {
        match error {
            DialError::LocalPeerId { .. } => Refusal::Gate(GateError::SelfDial),
            DialError::NoAddresses => Refusal::NotDialable,
            DialError::DialPeerConditionFalse(_) => Refusal::AlreadyConnected,
            DialError::Aborted => Refusal::Aborted,
            DialError::WrongPeerId { obtained, .. } => Refusal::WrongPeer { found: peer_of(*obtained) },
            DialError::Denied { cause } => denied(cause),
            DialError::Transport(attempts) => attempts
                .iter()
                .map(|(_, error)| of_transport(error))
                .max_by_key(|why| matches!(why, Refusal::Gate(_)))
                .unwrap_or(Refusal::NotDialable),
        }
    }

    pub(crate) fn of_listen(error: &ListenError) -> Self {
        match error {
            ListenError::LocalPeerId { .. } => Refusal::Gate(GateError::SelfDial),
            ListenError::Aborted => Refusal::Aborted,
            ListenError::WrongPeerId { obtained, .. } => Refusal::WrongPeer { found: peer_of(*obtained) },
            ListenError::Denied { cause } => denied(cause),
            ListenError::Transport(error) => of_transport(error),
        }
    }
}

fn of_transport(error: &TransportError<io::Error>) -> Refusal {
    match error {
        TransportError::MultiaddrNotSupported(_) => Refusal::NotDialable,
        TransportError::Other(cause) => {
            if let Some(gate) = reason(cause) {
                Refusal::Gate(*gate)
            } else if let Some(full) = reason::<Full>(cause) {
                Refusal::Limit(full.to_string())
            } else if is_timeout(cause) {
                Refusal::Timeout
            } else {
                Refusal::Unreachable(innermost(cause))
            }
        }
    }
}

/// Boxed transports wrap each error once more: our own lies somewhere inside.
fn reason<E: Error + 'static>(cause: &io::Error) -> Option<&E> {
    let inner = cause.get_ref()?;
    inner.downcast_ref().or_else(|| reason(inner.downcast_ref()?))
}

fn is_timeout(cause: &io::Error) -> bool {
    // The operating system's own connect timeout has the same kind, and means the same.
    cause.kind() == io::ErrorKind::TimedOut
        || cause.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()).is_some_and(is_timeout)
}

fn innermost(cause: &io::Error) -> String {
    let mut at: &dyn Error = cause;
    while let Some(inner) = at.source() {
        at = inner;
    }
    at.to_string()
}

fn denied(cause: &ConnectionDenied) -> Refusal {
    let why = cause.source().map_or_else(|| cause.to_string(), ToString::to_string);
    Refusal::Limit(why)
}
