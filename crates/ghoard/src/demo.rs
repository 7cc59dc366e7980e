//! A fleet of three nodes before a GitHub of our own: what reaches it, and what does not.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crypto::{FleetKeys, Secret};
use fakehub::{Hub, Options, Token};
use futures::future::join_all;
use gateway::{HttpOrigin, Origin};
use github::Policy;
use http::{Request, header};
use http_body_util::BodyExt;
use net::{Address, Identity};
use node::{About, DiallerConfig, Env, Exclusions, FleetConfig, Node, Share};
use store::MemoryStore;
use task::Tasks;
use tokio::time::{Instant, sleep};

use crate::{listen::TcpDoor, output};

type Failure = Box<dyn std::error::Error>;

const NODES: usize = 3;
const RUNNERS_PER_NODE: usize = 8;
const ROUNDS: usize = 12;
const ROUND: Duration = Duration::from_millis(500);

/// Short, so that the demo shows answers that are confirmed and not only kept.
const FRESH_FOR: Duration = Duration::from_secs(2);

/// In the last rounds GitHub answers 500.
const OUTAGE_ROUNDS: usize = 2;

const MEMORY_BYTES: u64 = 64 << 20;

/// What runners and dashboards ask all the time.
const QUESTIONS: [&str; 8] = [
    "/repos/octocat/Hello-World",
    "/repos/octocat/Hello-World/actions/runs",
    "/repos/octocat/Hello-World/issues?per_page=30",
    "/repos/octocat/Hello-World/pulls",
    "/repos/octocat/Hello-World/branches",
    "/repos/octocat/Hello-World/commits",
    "/repos/octocat/Hello-World/tags",
    "/repos/octocat/Hello-World/releases",
];

/// The runners share one token, the dashboard has its own.
const TOKENS: [&str; 2] = ["demo-token-of-the-runners", "demo-token-of-the-dashboard"];

pub(crate) async fn demo(json: bool) -> Result<(), Failure> {
    let began = Instant::now();
    let tasks = Tasks::tokio();
    let mut hub = Hub::standard(7);
    for (token, login) in TOKENS.iter().zip(["octocat", "monalisa"]) {
        hub.add_token(Token::new(*token, login));
    }
    let hub = Arc::new(Mutex::new(hub));
    let github = fakehub::serve(&tasks, hub.clone(), Options { control: false }).await?;

    let keys = FleetKeys::derive(&Secret::generate(rand::random()));
    let mut fleet: Vec<(Arc<Node>, String)> = Vec::new();
    for _ in 0..NODES {
        let bootstrap = fleet.iter().flat_map(|(node, _)| node.listening()).collect();
        fleet.push(start_node(&tasks, github.url(), keys.clone(), bootstrap).await?);
    }
    wait_until("the nodes are connected", || fleet.iter().all(|(node, _)| node.connected_peers().1 == NODES - 1))
        .await?;
    progress(json, "three nodes are connected; the runners begin");

    let client = HttpOrigin::new(Duration::from_secs(10))?;
    let mut asked = 0;
    for round in 0..ROUNDS {
        if round == ROUNDS / 2 {
            hub.lock().unwrap_or_else(PoisonError::into_inner).modify_repo("octocat/Hello-World", unix_now())?;
        }
        if round == ROUNDS - OUTAGE_ROUNDS {
            progress(json, "GitHub fails from now on");
            let failure = fakehub::Failure::Status(http::StatusCode::INTERNAL_SERVER_ERROR);
            hub.lock().unwrap_or_else(PoisonError::into_inner).fail_with("", failure);
            sleep(FRESH_FOR).await;
        }
        asked += a_round(&client, &fleet, round).await?;
        progress(json, &format!("round {} of {ROUNDS}: {asked} requests so far", round + 1));
        sleep(ROUND).await;
    }

    let counts = hub.lock().unwrap_or_else(PoisonError::into_inner).counts();
    let sum = |count: fn(&node::Counters) -> u64| fleet.iter().map(|(node, _)| count(&node.counters)).sum::<u64>();
    let figures = Figures {
        requests: asked,
        charged: counts.total.charged,
        proofs: counts.total.not_modified,
        local_hits: sum(|c| c.local_hits.get() + c.collapsed.get()),
        peer_hits: sum(|c| c.peer_hits.get()),
        stale: sum(|c| c.stale.get()),
        nodes: NODES,
        seconds: (began.elapsed().as_secs_f64() * 10.0).floor() / 10.0,
    };
    for (node, _) in &fleet {
        node.stop().await;
    }
    github.stop().await;
    figures.print(json);
    Ok(())
}

async fn start_node(
    tasks: &Tasks,
    origin_url: String,
    keys: FleetKeys,
    bootstrap: Vec<Address>,
) -> Result<(Arc<Node>, String), Failure> {
    let fleet = FleetConfig {
        keys,
        role: wire::Role::default(),
        identity: Identity::generate(rand::random()),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
        external: Vec::new(),
        transport: net::tcp_transport(),
        dialler: DiallerConfig {
            bootstrap,
            directories: Vec::new(),
            runner_name: "demo".to_owned(),
            external: None,
            force_localhost: Some(true),
        },
    };
    let config = node::Config {
        origin_url,
        more_origins: Vec::new(),
        policy: Policy { default_ttl: Some(FRESH_FOR), ..Policy::default() },
        share: Share::default(),
        exclusions: Exclusions::default(),
        mode: node::Mode::Serve,
        memory_bytes: MEMORY_BYTES,
        about: About::default(),
        fleet: Some(fleet),
    };
    let env = Env {
        tasks: tasks.clone(),
        store: Arc::new(MemoryStore::new(MEMORY_BYTES, rand::random())),
        origin: Arc::new(HttpOrigin::new(Duration::from_secs(10))?),
    };
    let node = Arc::new(Node::start(config, env)?);
    let (door, bound) = TcpDoor::bind(([127, 0, 0, 1], 0).into()).await?;
    let url = format!("http://{bound}");
    node.open("demo", url.clone(), door);
    wait_until("a node listens", || !node.listening().is_empty()).await?;
    Ok((node, url))
}

/// Each runner of each node asks what it always asks, half of the questions in each round.
async fn a_round(client: &HttpOrigin, fleet: &[(Arc<Node>, String)], round: usize) -> Result<u64, Failure> {
    let mut asked = 0;
    for (n, (_, url)) in fleet.iter().enumerate() {
        let runners = (0..RUNNERS_PER_NODE).map(|runner| async move {
            let token = TOKENS[(runner + n) % TOKENS.len()];
            let mut asked = 0;
            for question in QUESTIONS.iter().skip((round + runner) % 2).step_by(2) {
                ask(client, &format!("{url}{question}"), token).await?;
                asked += 1;
            }
            Ok::<u64, Failure>(asked)
        });
        for result in join_all(runners).await {
            asked += result?;
        }
    }
    Ok(asked)
}

async fn ask(client: &HttpOrigin, url: &str, token: &str) -> Result<(), Failure> {
    let request = Request::get(url).header(header::AUTHORIZATION, format!("Bearer {token}")).body(gateway::empty())?;
    let response = client.send(request).await?;
    let status = response.status();
    response.into_body().collect().await?;
    if status.is_success() { Ok(()) } else { Err(format!("{url} answered {status}").into()) }
}

async fn wait_until(what: &str, is_so: impl Fn() -> bool) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        if Instant::now() > deadline {
            return Err(format!("waited 20 s until {what}, in vain").into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

fn unix_now() -> u64 {
    wire::Millis::from(std::time::SystemTime::now()).as_secs()
}

fn progress(json: bool, line: &str) {
    if !json {
        output::note(line);
    }
}

/// What the demo closes with. `requests` are the clients'; `charged` and `proofs` are GitHub's count.
struct Figures {
    requests: u64,
    charged: u64,
    proofs: u64,
    local_hits: u64,
    peer_hits: u64,
    stale: u64,
    nodes: usize,
    seconds: f64,
}

impl Figures {
    fn print(&self, json: bool) {
        let Self { requests, charged, proofs, local_hits, peer_hits, stale, nodes, seconds } = self;
        if json {
            let figures = serde_json::json!({
                "requests": requests, "charged": charged, "proofs": proofs, "local_hits": local_hits,
                "peer_hits": peer_hits, "stale": stale, "nodes": nodes, "seconds": seconds,
            });
            return output::data(&figures.to_string());
        }
        let share = |count: u64| format!("{count:>6}  {:>5.1} %", 100.0 * count as f64 / *requests as f64);
        output::data(&format!("{nodes} nodes, {} runners, {seconds} s", nodes * RUNNERS_PER_NODE));
        for (what, count) in [
            ("requests of the runners", *requests),
            ("  charged by GitHub", *charged),
            ("  confirmed free of charge (304)", *proofs),
            ("  answered on the same machine", *local_hits),
            ("  answered by another machine", *peer_hits),
            ("  answered stale while GitHub failed", *stale),
        ] {
            output::data(&format!("{what:<40}{}", share(count)));
        }
    }
}
