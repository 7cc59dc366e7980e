//! What is known to be possible between two kinds of NAT.

use super::kind::Kind;

/// Whether a direct connection must come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Direct,
    /// Not possible without guessing ports: a relay carries it.
    Relayed,
    /// Nobody has tried; whatever comes is printed.
    Either,
}

/// Between hosts behind routers of their own. Punching needs the address that one side was seen at
/// to be the one that it will be seen at by the other, unless the other one can simply be dialled.
pub(crate) fn between(a: Kind, b: Kind) -> Expected {
    use Kind::{FullCone, FullyRandom, Masquerade, PortChanging, Public, Random};
    match (a, b) {
        (Public | FullCone, other) | (other, Public | FullCone) if other != PortChanging => Expected::Direct,
        (Masquerade | PortChanging, Masquerade | PortChanging) => Expected::Direct,
        (Masquerade | Random | FullyRandom, Masquerade | Random | FullyRandom) => Expected::Relayed,
        _ => Expected::Either,
    }
}
