//! Where machines are, if they are not all in one network: on the internet, or behind routers.

use fabric::Nat;
use serde::{Deserialize, Serialize};

/// Where a machine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// In the one network of a world without sites.
    #[default]
    Lan,
    /// On the internet itself.
    Public,
    /// The same, as an anchor: it relays from the start, and everybody knows where it is.
    Anchor,
    /// Behind the router of this site.
    Site(u32),
}

impl Place {
    pub fn is_lan(&self) -> bool {
        *self == Self::Lan
    }
}

/// A network of its own behind a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    pub id: u32,
    pub router: Router,
}

/// How a router gives out ports, and whom it lets in: the kinds of `cargo xtask nat-lab`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Router {
    Masquerade,
    Random,
    FullyRandom,
    FullCone,
    PortChanging,
}

impl Router {
    pub const ALL: [Self; 5] = [Self::Masquerade, Self::Random, Self::FullyRandom, Self::FullCone, Self::PortChanging];

    /// Linux draws the port of `random` by a hash and that of `fully-random` anew; to whoever is outside
    /// both are another one for each destination.
    pub fn nat(self) -> Nat {
        match self {
            Self::Masquerade => Nat::masquerade(),
            Self::Random | Self::FullyRandom => Nat::symmetric(),
            Self::FullCone => Nat::full_cone(),
            Self::PortChanging => Nat::port_changing(),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Masquerade => "masquerade",
            Self::Random => "random",
            Self::FullyRandom => "fully-random",
            Self::FullCone => "full-cone",
            Self::PortChanging => "port-changing",
        }
    }

    fn is_symmetric(self) -> bool {
        matches!(self, Self::Random | Self::FullyRandom)
    }
}

/// Whether two machines behind different routers, or none, can have a connection without a relay.
///
/// Who can be dialled is dialled. Else both must be seen by each other where others saw them, which a
/// router that gives each destination another port does not allow.
pub fn is_direct_possible(a: Option<Router>, b: Option<Router>) -> bool {
    let is_open = |router: Option<Router>| matches!(router, None | Some(Router::FullCone));
    let is_symmetric = |router: Option<Router>| router.is_some_and(Router::is_symmetric);
    is_open(a) || is_open(b) || !(is_symmetric(a) || is_symmetric(b))
}
