//! Connections between the machines of one fleet, and nobody else.
//!
//! The only crate that names libp2p. What it promises to the crates above:
//!
//! * A peer is heard of ([`Event::Connected`]) only after it has proved, inside the connection
//!   upgrade, that it holds the fleet's secret. A stranger reaches no protocol and costs little.
//! * Infrastructure ([`Config::infrastructure`]) is dialled without that proof and reaches identify
//!   and ping, never gossip, messages or pulls.
//! * Every queue, frame and table has its bound in [`Limits`] or in [`limits`]; over it the answer
//!   is a refusal and a counter.
//! * Coming and going is never lost on a slow reader of events; gossip is, and is counted.
//!
//! ```no_run
//! # async fn example(keys: crypto::MembershipKeys) -> Result<(), Box<dyn std::error::Error>> {
//! use net::{Config, Event, Identity, Net};
//!
//! let mut config = Config::new(Identity::from_seed([7; 32]), keys, "fleet".to_owned());
//! config.listen.push("/ip4/0.0.0.0/tcp/9100".parse()?);
//! let (net, mut events) = Net::start(config, net::tcp_transport(), task::Tasks::tokio(), [1; 32])?;
//! net.dial("/ip4/192.0.2.7/tcp/9100".parse()?);
//! while let Some(event) = events.next().await {
//!     if let Event::Ready { peer } = event {
//!         net.publish(format!("hello {peer}").into());
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod address;
mod behaviour;
mod class;
mod config;
mod counters;
mod driver;
mod event;
mod frames;
mod gate;
mod handle;
mod identity;
mod inbound;
pub mod limits;
mod links;
mod nat;
mod outbox;
mod peers;
mod pull;
mod punches;
mod reach_info;
mod refusal;
mod reservations;
mod slots;
mod source;
mod transport;

pub use address::{Address, AddressError, Carrier};
pub use class::ConnectionClass;
pub use config::{Config, Reach, RelayServer, StartError};
pub use counters::Counters;
pub use event::{Direction, Event, EventStream, GossipId, Verdict};
pub use gate::{GateError, Step};
pub use handle::Net;
pub use identity::{Identity, IdentityError, signed_by};
pub use limits::Limits;
pub use nat::Nat;
pub use peers::PeerInfo;
pub use pull::{PullError, PullReplyStream, PullStream};
pub use reach_info::{Circuit, ReachInfo};
pub use refusal::Refusal;
pub use transport::{RawIo, RawTransport, Tls, Transports, WebSocket, tcp_transport};
