//! Meetings over real sockets on the loopback.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod address_book;
mod autonat;
mod crowd;
mod gate;
mod harness;
mod infrastructure;
mod limits;
mod meet;
mod reach;
mod stranger;
mod transports;
