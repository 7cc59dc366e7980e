//! The two-machine check, in the words of its runbook.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use gateway::{Fetched, Origin};
use github::{Ask, Site};
use node::{Env, Node, Receipt, Receipts, SmokeEntry};
use task::Tasks;
use tokio::time::{Instant, sleep};

use crate::{
    cli::Smoke,
    config::{Config, World},
    machine::{self, Cellar, Sharing},
    output,
    proof::{Proof, found, prove},
    question::question,
    run::RunError,
    upstream,
};

/// After which the writer says that nobody may hear it, as the runbook has it.
const LONELY_WARNING: Duration = Duration::from_secs(15);

/// How long the writer stays after the first peer listens, so that more of them can come and pull.
const LINGER: Duration = Duration::from_secs(3);

const POLL: Duration = Duration::from_millis(50);

/// How long to wait for an address that others can reach.
const LISTEN_PATIENCE: Duration = Duration::from_millis(500);

/// Returns whether the entry was received, or told to at least one peer.
pub(crate) async fn smoke(smoke: &Smoke, config: &Config, world: &World<'_>) -> Result<bool, RunError> {
    if about(config, &smoke.target).is_none() {
        return Err(RunError::Target(smoke.target.clone()));
    }
    let cellar = if config.is_typed("cache_dir") {
        Cellar::open(config).map_err(RunError::InUse)?
    } else {
        Cellar::in_memory(config.memory_bytes)
    };
    let keys = match machine::sharing(config, world)? {
        Sharing::On { keys, from } => {
            say(smoke, &format!("members are machines with the same {}", from.trim_start_matches("the ")));
            keys
        }
        Sharing::Off { why } => {
            output::note(&format!("error: nothing can be shared: {why}"));
            output::hint("set the same CACHE_P2P_SHARED_SECRET on both machines; `ghoard secret new` makes one");
            return Ok(false);
        }
    };
    let identity = cellar.identity();
    let fleet = machine::fleet_config(config, *keys, identity);
    let origin = Arc::new(upstream::origin(config, world)?);
    let node_config = machine::node_config(config, &cellar, Some(fleet));
    let env = Env { tasks: Tasks::tokio(), store: cellar.store.clone(), origin: origin.clone() };
    let node = machine::start(node_config, env, config)?;
    // From the first moment on: an entry may arrive before we come to wait for it.
    let receipts = [node.receipts(), node.receipts()];
    tell_address(&node, config.force_localhost == Some(true)).await;

    let patience = Duration::from_secs(smoke.wait_seconds);
    let done = if smoke.read {
        read(smoke, config, &node, &*origin, receipts, patience).await
    } else {
        write(smoke, config, &node, patience).await
    };
    output::data(&format!("Final stats\n{}", pretty(&node.stats().await)));
    node.stop().await;
    Ok(done)
}

/// Prints what to paste on the other machine, once the port is bound.
async fn tell_address(node: &Node, loopback_will_do: bool) {
    let deadline = Instant::now() + LISTEN_PATIENCE;
    let is_loopback = |address: &net::Address| !loopback_will_do && address.ip().is_some_and(|ip| ip.is_loopback());
    // Loopback is bound first, an address for others a moment later.
    while node.advertised().as_ref().is_none_or(is_loopback) && Instant::now() < deadline {
        sleep(POLL).await;
    }
    if let Some(address) = node.advertised() {
        output::data("On the other machine:");
        output::data(&format!("  export CACHE_BOOTSTRAP_PEERS={address}"));
    }
}

async fn read(
    smoke: &Smoke,
    config: &Config,
    node: &Node,
    origin: &dyn Origin,
    receipts: [Option<Receipts>; 2],
    patience: Duration,
) -> bool {
    let [Some(receipts), Some(more)] = receipts else { return false };
    output::data(&format!("Waiting up to {} s for {}", patience.as_secs(), smoke.target));
    // With the question to GitHub that a real entry answers.
    let (receipt, ask) = if smoke.synthetic {
        (node.read_smoke(&smoke.target, receipts, patience).await, None)
    } else {
        let Some(ask) = about(config, &smoke.target) else { return false };
        tokio::select! {
            receipt = node.read_shared(&ask, receipts, patience) => (receipt, Some(ask)),
            // The writer may have no token: a synthetic entry will do, too.
            receipt = node.read_smoke(&smoke.target, more, patience) => (receipt, None),
        }
    };
    match receipt {
        Some(Receipt::Body { bytes, from }) => {
            output::data("Received cache entry!");
            if let Some(from) = from {
                say(smoke, &format!("from {from}"));
            }
            if let Some(ask) = ask {
                let proof = prove(origin, &Site::main(&config.origin), &ask, &bytes).await;
                output::data(&proof.to_string());
                if let Proof::Denied(_) = proof {
                    output::data("The body is not shown: this machine may not read it any more.");
                    return false;
                }
            }
            output::data(&String::from_utf8_lossy(&bytes));
            true
        }
        Some(Receipt::OtherCredential { from }) => {
            output::data("Received cache entry!");
            output::data(&format!("It came from {from} and belongs to another credential, so its body is not shown."));
            if let Some(ask) = ask {
                output::data(&found(&node.ask(ask).await).to_string());
            }
            output::data("Set the same GITHUB_TOKEN as the writer to see it.");
            true
        }
        None => {
            output::note(&format!("error: no entry for {} arrived in {} s", smoke.target, patience.as_secs()));
            explain_silence(node);
            false
        }
    }
}

async fn write(smoke: &Smoke, config: &Config, node: &Node, patience: Duration) -> bool {
    if smoke.synthetic {
        let hostname = config.runner_name.clone();
        let ts = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let payload = serde_json::json!({
            "kind": "synthetic", "target": smoke.target, "ts": ts, "hostname": hostname, "pid": std::process::id(),
        });
        node.write_smoke(SmokeEntry { target: smoke.target.clone(), payload: payload.to_string().into() }).await;
        output::data(&format!("Wrote a synthetic entry for {}", smoke.target));
    } else {
        let Some(ask) = about(config, &smoke.target) else { return false };
        match node.ask(ask).await {
            Fetched::Answer { answer, .. } => {
                output::data(&format!("Asked GitHub for {}: {} bytes", smoke.target, answer.plain.len()));
            }
            Fetched::Relayed(response) => {
                output::note(&format!("error: GitHub answered {} for {}", response.status(), smoke.target));
                output::hint("set GITHUB_TOKEN to a token that can read it, or use --synthetic");
                return false;
            }
        }
    }
    wait_for_listeners(smoke, node, patience).await
}

async fn wait_for_listeners(smoke: &Smoke, node: &Node, patience: Duration) -> bool {
    let began = Instant::now();
    let mut warned = false;
    while began.elapsed() < patience {
        // Told is told, even if the peer has left again by now.
        if node.counters.entries_sent.get() > 0 {
            say(smoke, &format!("connected_peers: {}", node.connected_peers().0));
            sleep(LINGER).await;
            output::data("A peer was told of the entry.");
            return true;
        }
        if !warned && began.elapsed() >= LONELY_WARNING {
            warned = true;
            output::data("WARNING: No connected peers yet; broadcast may be a no-op.");
            output::data("The entry is kept and told to the first peer that connects.");
        }
        sleep(POLL).await;
    }
    output::note(&format!("error: no peer connected in {} s", patience.as_secs()));
    explain_silence(node);
    false
}

/// Which of the two it is: nobody was found, or nobody let us in.
fn explain_silence(node: &Node) {
    let (connected, _) = node.connected_peers();
    output::note(&format!("connected_peers: {connected}"));
    if connected > 0 {
        return output::hint("peers are connected, but none wrote this entry; check --target on both sides");
    }
    for (way, why) in node.finding_troubles() {
        output::note(&format!("  {way}: {why}"));
    }
    let failures = node.failures();
    if failures.is_empty() {
        return output::hint("no peer was found; set CACHE_BOOTSTRAP_PEERS to the address the other machine prints");
    }
    for (place, why) in &failures {
        output::note(&format!("  {place}: {why}"));
    }
    if failures.iter().any(|(_, why)| why.contains("key ids differ")) {
        return output::hint("set the same CACHE_P2P_SHARED_SECRET on both machines");
    }
    output::hint(
        "open the port in the firewall of the machine that is dialled, and check that both are on one network",
    );
}

/// What a client would ask about the target.
fn about(config: &Config, target: &str) -> Option<Ask> {
    let is_repository = target.split('/').count() == 2 && target.split('/').all(|part| !part.is_empty());
    is_repository.then(|| question(config, &format!("/repos/{target}"), None))?
}

fn say(smoke: &Smoke, line: &str) {
    if smoke.verbose {
        output::note(line);
    }
}

fn pretty(stats: &serde_json::Value) -> String {
    serde_json::to_string_pretty(stats).expect("a JSON value can be written")
}
