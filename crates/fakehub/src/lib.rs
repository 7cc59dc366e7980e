//! A GitHub to test against, offline: as real as it can be made from what GitHub documents and has
//! been seen to do, and honest about every request that it counts.
//!
//! [`Hub`] is the whole of it: a pure function of the requests, the times and the seed it is given.
//! It does no IO, asks no clock and draws no randomness of its own, so the simulator and the shells
//! share one handler. [`serve()`] puts it behind HTTP, and [`tls`] behind a CONNECT proxy that plays
//! `api.github.com`, so that an unmodified client can go straight to it.
//!
//! Three invariants:
//! - the ETag of an answer is [`github::etag()`] of the headers that *arrived* and of the plain body;
//! - [`Hub::counts`] is the truth about what a client spent: every request is in it once;
//! - no count, answer or debug output contains the text of a token that a caller registered.
//!
//! ```
//! use fakehub::{Hub, Token};
//!
//! let mut hub = Hub::standard(7);
//! hub.add_token(Token::new("t0p", "octocat"));
//! let request = http::Request::get("/repos/octocat/Hello-World")
//!     .header("authorization", "Bearer t0p")
//!     .body(bytes::Bytes::new())?;
//! let response = hub.handle(&request, 1_700_000_000).response.expect("nobody asked for silence");
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.headers()["x-ratelimit-remaining"], "4999");
//! # Ok::<(), http::Error>(())
//! ```

mod answer;
mod ask;
mod auth;
mod budget;
mod control;
mod counts;
mod document;
mod dress;
mod fault;
mod graphql;
mod hub;
mod page;
mod permission;
mod route;
mod secondary;
mod seed;
pub mod serve;
mod storage;
pub mod tls;
mod world;

pub use auth::{Access, App, Installation, Permissions, Role, Token, TokenKind};
pub use counts::{CountRow, Counts, Tally};
pub use document::Visibility;
pub use dress::EtagRule;
pub use fault::{Delivery, Failure};
pub use hub::{Hub, Reply, Ticket};
pub use secondary::Secondary;
pub use serve::{Options, Server, serve, serve_at};
pub use world::UnknownName;
