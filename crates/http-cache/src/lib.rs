//! A shared cache for any HTTP origin, behind a door of `gateway`: RFC 9111, and nothing else.
//!
//! `http-rules` decides; here is what is held, what is asked, and who waits for whom. Responses are kept
//! in memory, within a limit in bytes, and end with the process.

mod answer;
mod ask;
mod cache;
mod counters;
mod fill;
mod flights;
pub mod limits;
mod memory;
mod pass;
#[cfg(test)]
mod tests;
mod validate;

pub use cache::HttpCache;
pub use counters::Counters;
