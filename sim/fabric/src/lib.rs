//! A simulated network: machines, links and TCP, in simulated time, for the real libp2p stack.
//!
//! [`Network`] is a discrete-event model. It never asks the time, starts no task and draws only from
//! its seed: the same calls give the same packets. A test faults it by link and by machine, and hands
//! [`FabricTransport`] to a node in place of TCP. What is above, from noise to gossip, is not a model.
//!
//! Invariants:
//!
//! - time moves by [`Network::advance`] only, never backwards, and nothing happens between its events;
//! - a connection delivers every byte once and in order, or fails; it knows of a fault only what
//!   packets and timeouts tell it;
//! - each directed link has its own random stream: a fault on one does not change another's draws;
//! - a socket leaves its machine's table when it is over, whoever still holds its stream;
//! - a machine's address may change under it, as a laptop's does: only its listeners notice;
//! - a machine behind a router is met by nobody outside but as the router's NAT lets it;
//! - every buffer, queue and retry has a bound, in [`limits`];
//! - wakers run and are dropped without the lock.
//!
//! Its driver lets the tasks run until all wait, advances to [`Network::next_event`], and so on:
//!
//! ```
//! use std::{net::SocketAddrV4, time::Duration};
//! use fabric::{Link, Network};
//! use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};
//!
//! let latency = Duration::from_millis(25);
//! let network = Network::new(7, Link { latency, ..Link::default() });
//! let (alice, bob) = (network.add_machine([50, 0, 0, 1].into()), network.add_machine([50, 0, 0, 2].into()));
//!
//! let mut listener = network.listen(bob, 4001)?;
//! let mut dialling = network.dial(alice, SocketAddrV4::new([50, 0, 0, 2].into(), 4001));
//! assert!((&mut dialling).now_or_never().is_none(), "no time has passed");
//! network.advance(latency * 2);
//! let mut stream = dialling.now_or_never().expect("a round trip has passed")?;
//! stream.write_all(b"hello").now_or_never().expect("there is room")?;
//!
//! network.advance(latency * 3);
//! let mut accepted = listener.accept().now_or_never().expect("the handshake is done")?;
//! let mut buf = [0; 5];
//! accepted.read_exact(&mut buf).now_or_never().expect("it has arrived")?;
//! assert_eq!(&buf, b"hello");
//! # Ok::<(), std::io::Error>(())
//! ```

mod dialling;
pub mod limits;
mod link;
mod listener;
mod listening;
mod machine;
mod nat;
mod network;
mod packet;
mod rng;
mod route;
mod socket;
mod state;
mod stream;
mod tcp;
mod transport;
mod wakes;

pub use dialling::Dialling;
pub use link::{Fate, Link};
pub use listener::{Accept, Listener};
pub use machine::MachineId;
pub use nat::{Filtering, Mapping, Nat};
pub use network::{Network, Tap, Totals};
pub use packet::{Packet, Segment};
pub use stream::Stream;
pub use transport::FabricTransport;
