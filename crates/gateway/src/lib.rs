//! The front doors, and the way to the origin.
//!
//! A door parses strictly, lets `github` say what a request means, and then asks the [`Cache`] port
//! or passes the request on through the [`Origin`] port. What it serves from the cache has been
//! verified before it gets here.

mod again;
mod answer;
mod body;
mod cache;
mod client;
mod door;
mod head_timer;
mod hosts;
mod joined;
pub mod limits;
mod origin;
mod refusal;
mod relay;
mod rename;
mod service;
mod strict;
mod unpack;

pub use answer::{Answer, How};
pub use body::{Body, Broken, empty, full};
pub use cache::{Cache, Fetched, Hit, Moment};
pub use client::{ClientError, HttpOrigin};
pub use door::{Accept, Answering, Connection, Door, Drained, Handle, Memo};
pub use hosts::DoorKind;
pub use origin::{Origin, OriginError};
pub use refusal::Refusal;
pub use relay::relay_head;
pub use service::{Base, Service};
pub use strict::{Checked, check, check_any};
