//! What the benches share: nodes on loopback before a fakehub, and questions for them.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crypto::{FleetKeys, Secret};
use fakehub::{Hub, Options, Server, Token};
use gateway::{Answer, Fetched, How, HttpOrigin};
use github::{API_HOST, Ask, Plan, Policy, Target, plan};
use http::{HeaderMap, Method, header};
use net::{Address, Identity};
use node::{About, DiallerConfig, Env, Exclusions, FleetConfig, Node, Share};
use store::MemoryStore;
use task::Tasks;

pub type Failure = Box<dyn std::error::Error>;

const PATIENCE: Duration = Duration::from_secs(10);

/// Two connected members before a fakehub, which lives as long as its server does.
pub struct Pair {
    pub github: Server,
    pub keys: FleetKeys,
    pub a: Node,
    pub b: Node,
}

/// Starts them with stores in memory.
pub async fn two_nodes(tasks: &Tasks) -> Result<Pair, Failure> {
    let mut hub = Hub::standard(1);
    hub.add_token(Token::new("bench-token", "octocat"));
    let github = fakehub::serve(tasks, Arc::new(Mutex::new(hub)), Options { control: false }).await?;
    let keys = FleetKeys::derive(&Secret::generate(rand::random()));
    let a = start(tasks, github.url(), keys.clone(), Vec::new())?;
    until(|| !a.listening().is_empty()).await?;
    let b = start(tasks, github.url(), keys.clone(), a.listening())?;
    until(|| a.connected_peers().1 == 1 && b.connected_peers().1 == 1).await?;
    Ok(Pair { github, keys, a, b })
}

fn start(tasks: &Tasks, origin_url: String, keys: FleetKeys, bootstrap: Vec<Address>) -> Result<Node, Failure> {
    let dialler = DiallerConfig {
        bootstrap,
        directories: Vec::new(),
        discovery: node::Discovery::default(),
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
        transports: net::tcp_transport().into(),
        reach: net::Reach::default(),
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

/// The question for this path, which has a query, with the bench's token.
pub fn ask(path: &str) -> Ask {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, "Bearer bench-token".parse().expect("a header value"));
    let (path, query) = path.split_once('?').expect("it has a query");
    let target = Target::parse(path, Some(query)).expect("a plain path");
    match plan(&Method::GET, API_HOST, target, &headers, false) {
        Plan::Cache(ask) => *ask,
        other => panic!("not cacheable: {other:?}"),
    }
}

/// What the node answers, and how it came by it.
pub async fn answer(node: &Node, ask: Ask) -> Option<(Arc<Answer>, How)> {
    match node.ask(ask).await {
        Fetched::Answer { answer, how, .. } => Some((answer, how)),
        Fetched::Relayed(_) => None,
    }
}

/// Waits until a node has heard of so many answers, ten seconds at most. A clock would be too coarse here: the
/// runtime's sleeps are of whole milliseconds.
pub async fn heard(node: &Node, told: usize) -> Result<(), Failure> {
    tokio::time::timeout(PATIENCE, node.index_reaches(told)).await.map_err(|_| "nothing was heard")?;
    Ok(())
}

/// Waits until `is_so`, ten seconds at most.
pub async fn until(is_so: impl Fn() -> bool) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        if Instant::now() > deadline {
            return Err("waited in vain".into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
