//! One machine of the fleet: the cache behind the doors, and its part in sharing.
//!
//! Composes store, discovery, net, gateway and fleet, and carries out what `fleet` decides. The way
//! of a request is in [`cache`](self), from memory over the disk and the fleet to the origin; the
//! way of an announce is in `sharing`.

#![recursion_limit = "256"] // the status page is one large `json!`

mod budgets;
mod cache;
mod circuits;
mod commit;
mod counters;
mod dialler;
mod doubts;
mod fill;
mod flights;
mod graveyard;
mod invalidate;
mod keeper;
pub mod limits;
mod names;
mod node;
mod origin;
mod origin_clock;
mod origin_time;
mod refusal;
mod savings;
mod share;
mod sharing;
mod smoke;
mod status;
mod underway;
mod why;

pub use cache::{Mode, NodeCache};
pub use counters::Counters;
pub use dialler::{DiallerConfig, Discovery, External, Kind as FindingKind, RegistryConfig, Resolve, System, resolve};
pub use invalidate::{Invalidate, Invalidated};
pub use node::{About, Config, Env, FleetConfig, Node, StartError, Table};
pub use savings::Saving;
pub use share::{Exclusions, Share};
pub use smoke::{Receipt, Receipts, SmokeEntry};
pub use why::Question;
