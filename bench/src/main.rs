//! How long an answer takes from one machine to the other: `cargo run --release -p bench`.
//!
//! Two nodes on loopback, with real libp2p between them, before a fakehub. Printed is the time from
//! the moment when A has the answer to the moment when B has given it to a client, the median of
//! several; 1 KB is pushed with its announce, 5 MB is pulled when B's client asks.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crypto::{FleetKeys, Secret};
use fakehub::{Hub, Options, Token};
use gateway::{Answer, Fetched, How, HttpOrigin};
use github::{API_HOST, Ask, Plan, Policy, Target, plan};
use http::{HeaderMap, Method, header};
use net::{Address, Identity};
use node::{About, DiallerConfig, Env, Exclusions, FleetConfig, Node, Share};
use store::MemoryStore;
use task::Tasks;

type Failure = Box<dyn std::error::Error>;

const ROUNDS: usize = 11;
const SIZES: [(&str, usize); 2] = [("1 KB", 1 << 10), ("5 MB", 5 << 20)];
/// Longer than the window in which announces wait for company.
const IDLE: Duration = Duration::from_millis(150);

const PATIENCE: Duration = Duration::from_secs(10);

#[expect(clippy::print_stdout, reason = "the figures are this program's output")]
#[tokio::main]
async fn main() -> Result<(), Failure> {
    let tasks = Tasks::tokio();
    let mut hub = Hub::standard(1);
    hub.add_token(Token::new("bench-token", "octocat"));
    let hub = Arc::new(Mutex::new(hub));
    let github = fakehub::serve(&tasks, hub, Options { control: false }).await?;
    let keys = FleetKeys::derive(&Secret::generate(rand::random()));
    let a = start(&tasks, github.url(), keys.clone(), Vec::new())?;
    until(|| !a.listening().is_empty()).await?;
    let b = start(&tasks, github.url(), keys, a.listening())?;
    until(|| a.connected_peers().1 == 1 && b.connected_peers().1 == 1).await?;

    let mut told = 0;
    for (name, bytes) in SIZES {
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            // Another query is another key, and the same size.
            let question = ask(&format!("/repos/octocat/Hello-World/git/blobs/size-{bytes}?round={round}"));
            answer(&a, question.clone()).await.ok_or("A got no answer")?;
            let written = Instant::now();
            told += 1;
            until(|| b.index_len() == told).await?;
            let heard = written.elapsed();
            let (got, how) = answer(&b, question).await.ok_or("B got no answer")?;
            if how != How::PeerHit || got.plain.len() != bytes {
                return Err(format!("B has {} bytes by {how:?}, not by its peer", got.plain.len()).into());
            }
            let readable = written.elapsed();
            tokio::time::sleep(IDLE).await;
            times.push((readable, heard));
        }
        times.sort();
        let (median, heard) = times[ROUNDS / 2];
        println!("{name}: written at A, readable at B after {median:.1?} (announce heard after {heard:.1?})");
    }
    Ok(())
}

fn start(tasks: &Tasks, origin_url: String, keys: FleetKeys, bootstrap: Vec<Address>) -> Result<Node, Failure> {
    let dialler = DiallerConfig {
        bootstrap,
        directories: Vec::new(),
        runner_name: "bench".to_owned(),
        external: None,
        force_localhost: Some(true),
    };
    let fleet = FleetConfig {
        keys,
        role: wire::Role::default(),
        identity: Identity::generate(rand::random()),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
        external: Vec::new(),
        transport: net::tcp_transport(),
        dialler,
    };
    let config = node::Config {
        origin_url,
        more_origins: Vec::new(),
        policy: Policy::default(),
        share: Share::default(),
        exclusions: Exclusions::default(),
        mode: node::Mode::Serve,
        memory_bytes: 256 << 20,
        about: About::default(),
        fleet: Some(fleet),
    };
    let env = Env {
        tasks: tasks.clone(),
        store: Arc::new(MemoryStore::new(1 << 30, rand::random())),
        origin: Arc::new(HttpOrigin::new(PATIENCE)?),
    };
    Ok(Node::start(config, env)?)
}

fn ask(path: &str) -> Ask {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, "Bearer bench-token".parse().expect("a header value"));
    let (path, query) = path.split_once('?').expect("it has a query");
    let target = Target::parse(path, Some(query)).expect("a plain path");
    match plan(&Method::GET, API_HOST, target, &headers, false) {
        Plan::Cache(ask) => *ask,
        other => panic!("not cacheable: {other:?}"),
    }
}

async fn answer(node: &Node, ask: Ask) -> Option<(Arc<Answer>, How)> {
    match node.ask(ask).await {
        Fetched::Answer { answer, how, .. } => Some((answer, how)),
        Fetched::Relayed(_) => None,
    }
}

async fn until(is_so: impl Fn() -> bool) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        if Instant::now() > deadline {
            return Err("waited in vain".into());
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    Ok(())
}
