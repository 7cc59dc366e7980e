use std::{fmt, io};

/// What the gate was waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The substream that the proof runs on.
    Open,
    M1,
    M2,
    M3,
    M4,
    /// The other side has proved itself, and our last message leaves.
    Leave,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Open => "open",
            Step::M1 => "m1",
            Step::M2 => "m2",
            Step::M3 => "m3",
            Step::M4 => "m4",
            Step::Leave => "leave",
        })
    }
}

/// Why a peer did not pass the gate. Nothing of it is told to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum GateError {
    /// The peer was silent or slow: as a rule, no member of any fleet.
    #[error("no proof of membership within the limit, at {0}")]
    Timeout(Step),
    /// Too many proofs were at work for the whole of the limit. Trying again helps.
    #[error("too many connections are proving their membership")]
    Busy,
    #[error("the peer does not speak ghoard's membership proof")]
    BadMagic,
    /// Both are ghoard, with different secrets. Both sides see it.
    #[error("the peer has another secret")]
    KeyMismatch,
    #[error("the peer's proof of membership is wrong")]
    BadProof,
    #[error("this is our own address")]
    SelfDial,
    #[error("the peer opened a stream before it had proved its membership")]
    EarlyStream,
    #[error("the peer closed the connection at {0}")]
    RemoteClosed(Step),
    #[error("the connection failed: {0}")]
    Io(io::ErrorKind),
}

impl GateError {
    /// The reason as a metric's label: few values, and none that the peer chooses.
    pub fn label(&self) -> &'static str {
        match self {
            GateError::Timeout(_) => "gate_timeout",
            GateError::Busy => "gate_busy",
            GateError::BadMagic => "gate_bad_magic",
            GateError::KeyMismatch => "gate_key_mismatch",
            GateError::BadProof => "gate_bad_proof",
            GateError::SelfDial => "gate_self_dial",
            GateError::EarlyStream => "gate_early_stream",
            GateError::RemoteClosed(_) => "gate_remote_closed",
            GateError::Io(_) => "gate_io",
        }
    }

    pub(super) fn from_io(cause: &io::Error, step: Step) -> Self {
        match cause.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::WriteZero
            | io::ErrorKind::NotConnected
            // The multiplexer's word for a connection that has ended.
            | io::ErrorKind::Other => GateError::RemoteClosed(step),
            kind => GateError::Io(kind),
        }
    }
}
