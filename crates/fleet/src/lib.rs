//! Every decision between nodes, as a state machine: inputs in, effects out.
//!
//! [`Fleet`] never asks the time, draws no randomness and does no IO: time is an argument, and what
//! it wants done comes out as [`Effect`]s, in an order that depends on the inputs alone.
//!
//! The contract of its caller:
//!
//! 1. hand each input to [`Fleet::handle`], with a time that does not go backwards;
//! 2. then drain [`Fleet::next_effect`] and carry each effect out;
//! 3. call [`Fleet::wake`] at [`Fleet::next_deadline`], or soon after.
//!
//! What it holds of other nodes is an index of who holds which answer. Bodies are pulled when a
//! client asks, or were pushed with the announce because they are small. A holder that is later than
//! usual gets a rival.

mod announce;
mod asks;
mod core;
mod doubt;
mod index;
mod io;
mod leases;
pub mod limits;
mod members;
mod notices;
mod offer;
mod origin_date;
mod pace;
mod past;
mod speakers;
mod spread;
mod sync;

pub use announce::bytes_of;
pub use core::{Config, Fleet};
pub use doubt::{Buried, GraveChange, Graves};
pub use io::{Across, AskId, Effect, Input, OriginTime, Outcome, PullFailure, Touched, Want};
pub use members::MemberView;
