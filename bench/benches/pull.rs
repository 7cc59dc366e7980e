//! A body of 5 MB from node to node, against a bare stream: `cargo bench -p bench --bench pull`.
//!
//! The bare stream is Noise, Yamux and frames of 64 KiB between two members on loopback, with nothing
//! sealed, unpacked, hashed or kept. Both are measured in turn, so that they share the machine's mood;
//! printed are the medians and their ratio, in bytes of the plain body.

use std::time::{Duration, Instant};

use bench::{Failure, Pair, answer, ask, two_nodes, until};
use bytes::Bytes;
use crypto::{FleetKeys, MembershipKeys};
use gateway::How;
use net::{Config, Event, Identity, Net};
use node::Node;
use task::Tasks;
use wire::Peer;

const ROUNDS: usize = 15;
const BODY_BYTES: usize = 5 << 20;
const FRAME_BYTES: usize = 64 << 10;

#[expect(clippy::print_stdout, reason = "the figures are this program's output")]
#[tokio::main]
async fn main() -> Result<(), Failure> {
    let tasks = Tasks::tokio();
    let Pair { github: _github, keys, a, b } = two_nodes(&tasks).await?;
    let (reader, server) = bare_pair(&tasks, &keys).await?;

    let (mut bare, mut pulled) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        bare.push(bare_stream(&reader, &server).await?);
        pulled.push(pull(&a, &b, round).await?);
    }
    let [bare, pulled] = [bare, pulled].map(|mut times| {
        times.sort();
        BODY_BYTES as f64 / times[ROUNDS / 2].as_secs_f64() / f64::from(1 << 20)
    });
    println!("bare stream {bare:.0} MiB/s, pull {pulled:.0} MiB/s: {:.2} of it", pulled / bare);
    Ok(())
}

/// From the question of B's client to its answer, the body pulled from A and kept.
async fn pull(a: &Node, b: &Node, round: usize) -> Result<Duration, Failure> {
    let question = ask(&format!("/repos/octocat/Hello-World/git/blobs/size-{}?round=0", BODY_BYTES + round));
    answer(a, question.clone()).await.ok_or("A got no answer")?;
    until(|| b.index_len() == round + 1).await?;
    let asked = Instant::now();
    let (_, how) = answer(b, question).await.ok_or("B got no answer")?;
    if how != How::PeerHit {
        return Err(format!("B got its answer by {how:?}").into());
    }
    Ok(asked.elapsed())
}

async fn bare_stream(reader: &Net, server: &Peer) -> Result<Duration, Failure> {
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

/// Two members; the second, whose name is returned, sends zeros to whoever asks.
async fn bare_pair(tasks: &Tasks, keys: &FleetKeys) -> Result<(Net, Peer), Failure> {
    let member = |seed: u8| {
        let membership = MembershipKeys { current: keys.membership.clone(), next: None };
        let mut config = Config::new(Identity::from_seed([seed; 32]), membership, "bare".to_owned());
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
    tasks.spawn(async move { while heard.next().await.is_some() {} });
    Ok((reader, name))
}
