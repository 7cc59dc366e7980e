//! The binary itself, by what it prints, leaves behind and returns.

#![expect(clippy::print_stderr, reason = "a test says why it failed, or that it was skipped")]
#![allow(clippy::unwrap_used, reason = "the whole crate is tests")]

mod admin;
mod any_origin;
mod clients;
mod config;
mod credentials;
mod disk_faults;
mod doctor;
mod doors;
mod exec;
mod gh_files;
mod home;
mod hostile;
mod hosts;
mod http;
mod kills;
mod lan;
mod liar;
mod limits;
mod meeting;
mod origins;
mod probe;
mod proof;
mod public_nodes;
mod pulls;
mod races;
mod registry;
mod roster;
mod runbook;
mod secrets;
mod settings;
mod setup;
mod shadow;
mod soak;
mod status;
mod strangers;
mod tombstones;
mod trouble;
mod upstream;
mod walks;
mod world;
