//! Two machines on one network, with mDNS alone: in a network namespace of their own.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Instant,
};

use crate::{
    hosts::start_as,
    world::{GitHub, Machine, SECRET, Setup, wait_until},
};

/// A network with one interface, held open by a process.
struct Network(Child);

const NETWORK: &str = "set -e; ip link set lo up; ip link add lan type veth peer name end; \
    ip addr add 10.77.0.1/24 dev lan; ip link set end up; ip link set lan up multicast on; ip route add 224.0.0.0/4 dev lan; echo ready; exec sleep 600";

impl Network {
    /// `None` where there can be none; CI must be able to.
    fn new(test: &str) -> Option<Self> {
        let mut unshare = Command::new("unshare");
        unshare.arg("--net").args((!is_root()).then_some("--map-root-user")).args(["sh", "-c", NETWORK]);
        let child = unshare.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let ready = child.ok().and_then(|mut child| {
            let mut line = String::new();
            let told = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
            let network = Self(child);
            (told.is_ok() && line == "ready\n").then_some(network)
        });
        assert!(ready.is_some() || std::env::var_os("CI").is_none(), "CI must have network namespaces");
        if ready.is_none() {
            eprintln!("{test} is skipped: there are no network namespaces");
        }
        ready
    }

    fn start(&self, setup: Setup) -> Machine {
        let ghoard = setup.command("run");
        let mut command = setup.home.command("nsenter");
        command.args(["--target", &self.0.id().to_string(), "--net"]);
        command.args((!is_root()).then_some(["--user", "--preserve-credentials"]).into_iter().flatten());
        command.envs(ghoard.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.arg(ghoard.get_program()).args(ghoard.get_args());
        start_as(setup, command)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn member(github: &GitHub, secret: &str, name: &str) -> Setup {
    Setup::new(github)
        .member(secret, "off", name)
        .env("GHOARD_LISTEN_ADDRESS", "0.0.0.0")
        .env("IPFS_ACCELERATE_P2P_FORCE_LOCALHOST", "0")
        .env("GHOARD_PEER_EXCHANGE", "false")
}

#[test]
fn two_machines_on_one_network_find_each_other_by_mdns_alone() {
    let test = "two_machines_on_one_network_find_each_other_by_mdns_alone";
    let Some(network) = Network::new(test) else { return };
    let github = GitHub::start();
    let stranger = network.start(member(&github, "the secret of another team, quite long", "stranger"));
    let a = network.start(member(&github, SECRET, "a"));
    let b = network.start(member(&github, SECRET, "b"));
    let began = Instant::now();
    for (one, other) in [(&a, &b), (&b, &a)] {
        wait_until("they are connected", || {
            one.log.text().contains(&format!("Connected to peer: {}", other.peer_id()))
        });
    }
    eprintln!("connected by mDNS {:?} after the second start", began.elapsed());
    wait_until("the stranger is refused", || stranger.log.text().contains("key ids differ"));
    assert!(!stranger.log.text().contains("Connected to peer"));

    let off = network.start(member(&github, SECRET, "off").env("GHOARD_MDNS", "false"));
    let c = network.start(member(&github, SECRET, "c"));
    wait_until("the third is connected", || c.log.text().contains("Connected to peer: "));
    assert!(!off.log.text().contains("Connected to peer"), "it finds, or is found, though it is switched off");
}
