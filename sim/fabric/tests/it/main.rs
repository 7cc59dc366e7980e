//! Stories of two or three machines, told through the public API.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod close;
mod delivery;
mod determinism;
mod dial;
mod fault;
mod nat;
mod power;
mod transport;
mod world;
