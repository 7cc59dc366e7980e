//! The binary itself, by what it prints, leaves behind and returns.

#![allow(clippy::unwrap_used, reason = "the whole crate is tests")]

mod config;
mod exec;
mod home;
mod http;
mod meeting;
mod setup;
mod world;
