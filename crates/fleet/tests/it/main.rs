//! Anti-entropy between whole cores: what it costs, that it ends, and what it refuses.
#![allow(clippy::unwrap_used, reason = "a test's world")]

mod costs;
mod stories;
mod world;
