use std::{error::Error, io};

use libp2p::{
    TransportError,
    core::upgrade::{NegotiationError, ProtocolError},
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
    /// Who came closed the connection before a handshake: somebody looked whether the port is open.
    #[error("it hung up before it said anything")]
    HungUp,
    #[error("another peer answered: {found}")]
    WrongPeer { found: Peer },
    /// One of our own limits.
    #[error("{0}")]
    Limit(String),
    /// A kind of address that this node has no transport for, or an unresolved name.
    #[error("not an address that can be dialled from here")]
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
            Refusal::HungUp => "hung_up",
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
            ListenError::Transport(TransportError::Other(cause)) if is_hung_up(cause) => Refusal::HungUp,
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

/// The negotiation of the encryption fails so where the other side ends it, and by no other cause on our side.
fn is_hung_up(at: &(dyn Error + 'static)) -> bool {
    let inside =
        at.downcast_ref::<io::Error>().and_then(io::Error::get_ref).map(|inner| inner as &(dyn Error + 'static));
    match at.downcast_ref::<NegotiationError>() {
        Some(NegotiationError::Failed) => true,
        Some(NegotiationError::ProtocolError(ProtocolError::IoError(cause))) => {
            matches!(cause.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof)
        }
        _ => inside.or(at.source()).is_some_and(is_hung_up),
    }
}

/// Why an address cannot be listened on.
pub(crate) fn why_deaf(error: &TransportError<io::Error>) -> String {
    match error {
        TransportError::MultiaddrNotSupported(_) => "there is no transport for it here, or no certificate".to_owned(),
        TransportError::Other(cause) => innermost(cause),
    }
}

pub(crate) fn innermost(cause: &io::Error) -> String {
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
