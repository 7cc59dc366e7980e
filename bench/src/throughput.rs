//! A bare stream, to compare a large body from node to node with: it is Noise, Yamux and frames of 64 KiB between two members on
//! loopback, with nothing sealed, unpacked, hashed or kept.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bench::Failure;
use bytes::Bytes;
use crypto::{FleetKeys, MembershipKeys};
use net::{Config, Event, Identity, Net};
use task::Tasks;
use wire::Peer;

pub const BODY_BYTES: usize = 5 << 20;
const FRAME_BYTES: usize = 64 << 10;
const PING_INTERVAL: Duration = Duration::from_millis(250);

/// From the question to the last byte.
pub async fn bare_stream(BarePair { reader, server, .. }: &BarePair) -> Result<Duration, Failure> {
    let asked = Instant::now();
    let mut stream = reader.pull(server, Bytes::from_static(b"all of it")).await?;
    let mut bytes = 0;
    while let Some(frame) = stream.next_frame().await? {
        bytes += frame.len();
    }
    if bytes != BODY_BYTES {
        return Err(format!("{bytes} bytes came").into());
    }
    Ok(asked.elapsed())
}

/// Two members with nothing above the network.
pub struct BarePair {
    reader: Net,
    server: Peer,
    pings: Arc<Mutex<Vec<Duration>>>,
}

impl BarePair {
    /// What the pings of their connection took until now.
    pub fn pings(&self) -> Vec<Duration> {
        self.pings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The second sends zeros to whoever asks.
pub async fn bare_pair(tasks: &Tasks, keys: &FleetKeys) -> Result<BarePair, Failure> {
    let member = |seed: u8| {
        let membership = MembershipKeys { current: keys.membership.clone(), next: None };
        let mut config = Config::new(Identity::from_seed([seed; 32]), membership, "bare".to_owned());
        config.limits.ping_interval = PING_INTERVAL;
        config.listen.push("/ip4/127.0.0.1/tcp/0".parse().expect("an address"));
        Net::start(config, net::tcp_transport(), tasks.clone(), [seed; 32])
    };
    let ((reader, mut heard), (server, mut events)) = (member(1)?, member(2)?);
    let name = server.me().clone();
    let address = loop {
        if let Some(Event::Listening { address, .. }) = events.next().await {
            break address;
        }
    };
    reader.dial(address);
    tasks.spawn(async move {
        let _server = server;
        while let Some(event) = events.next().await {
            let Event::Pull { mut reply, .. } = event else { continue };
            let frame = Bytes::from(vec![0; FRAME_BYTES]);
            for _ in 0..BODY_BYTES / FRAME_BYTES {
                if reply.write_frame(frame.clone()).await.is_err() {
                    break;
                }
            }
            let _ = reply.finish().await;
        }
    });
    while !matches!(heard.next().await, Some(Event::Ready { .. })) {}
    let pings = Arc::new(Mutex::new(Vec::new()));
    let noted = pings.clone();
    tasks.spawn(async move {
        while let Some(event) = heard.next().await {
            if let Event::Rtt { rtt, .. } = event {
                noted.lock().unwrap_or_else(PoisonError::into_inner).push(rtt);
            }
        }
    });
    Ok(BarePair { reader, server: name, pings })
}
