use std::sync::Arc;

use libp2p::{Multiaddr, core::transport::ListenerId};
use tokio::sync::mpsc;

use super::*;
use crate::{
    Config, Identity, Nat, Reach, RelayServer, Transports, counters::Meters, driver::Parts, limits::CANDIDATES_MAX,
    peers::Peers, reach_info::Told,
};

const OLD: &str = "10.0.0.1";
const ROUTER: &str = "/ip4/50.0.0.1/tcp/9100";

/// A member that others were said to reach at these addresses, and that is not run.
fn member(external: &[&str]) -> Driver {
    let keys = crypto::FleetKeys::derive(&crypto::Secret::generate([7; 32]));
    let membership = crypto::MembershipKeys { current: keys.membership, next: None };
    let mut config = Config::new(Identity::from_seed([1; 32]), membership, "fleet".to_owned());
    config.reach = Reach { autonat: true, relay_server: RelayServer::Auto, ..Reach::default() };
    let limits = Arc::new(config.limits.clone());
    let (commands, asked) = mpsc::channel(1);
    let (events, _) = mpsc::channel(8);
    let (peers, meters, told) = (Arc::new(Peers::default()), Arc::new(Meters::default()), Told::default());
    let parts = Parts { asked, commands: commands.downgrade(), events, peers, meters, limits, told };
    let transports = Transports::from(crate::tcp_transport());
    let mut driver = Driver::new(config, transports, task::Tasks::tokio(), [9; 32], parts).unwrap();
    for address in external {
        let address: Multiaddr = address.parse().unwrap();
        driver.swarm.add_external_address(address.clone());
        driver.on_reachable(&address);
    }
    driver
}

fn told(driver: &Driver) -> Vec<String> {
    let mut told: Vec<_> = driver.told().iter().map(ToString::to_string).collect();
    told.sort();
    told
}

fn lose(driver: &mut Driver, ip: &str) {
    driver.on_not_listening(ListenerId::next(), &format!("/ip4/{ip}/tcp/9100").parse().unwrap());
}

#[tokio::test]
async fn who_has_moved_tells_nobody_where_it_was() {
    let mut driver = member(&[ROUTER, "/ip6/2001:db8::1/tcp/9100"]);
    driver.reaching.evidence.failed(&"/ip4/50.0.0.1/udp/9100/quic-v1".parse().unwrap(), Instant::now());
    assert_eq!(driver.reaching.evidence.verdict(Instant::now()), Nat::Public);
    lose(&mut driver, OLD);
    assert_eq!(told(&driver), ["/ip6/2001:db8::1/tcp/9100"]);
    driver.on_not_reached(&"/ip6/2001:db8::1/tcp/9100".parse().unwrap());
    assert_eq!(driver.reaching.evidence.verdict(Instant::now()), Nat::Unknown, "what failed was elsewhere");
}

#[tokio::test]
async fn whose_router_has_moved_sees_for_itself_and_then_tells_nobody_where_it_was() {
    let mut driver = member(&[ROUTER]);
    driver.on_seen_at("50.0.0.1".parse().unwrap());
    assert_eq!(driver.reaching.evidence.deadline(), None);
    driver.on_seen_at("50.0.0.9".parse().unwrap());
    assert_eq!(told(&driver), [ROUTER], "one may say what it likes");
    // What a server says at once, it would say by its silence half a minute later.
    driver.reaching.evidence.failed(&ROUTER.parse().unwrap(), Instant::now());
    driver.tend();
    assert_eq!(told(&driver), Vec::<String>::new());
}

#[tokio::test]
async fn who_confirms_what_he_made_up_does_not_grow_us() {
    let made_up: Vec<_> = (1..1000).map(|port| format!("/ip4/50.0.0.1/tcp/{port}")).collect();
    let driver = member(&made_up.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(told(&driver).len(), CANDIDATES_MAX);
}

#[test]
fn what_is_another_ones_stays_and_what_is_a_routers_is_doubted() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let becomes = |told, left: &[&str]| {
        let left: Vec<_> = left.iter().map(|text| ip(text)).collect();
        fate(ip(told), ip(OLD), &left)
    };
    assert_eq!(becomes(OLD, &["10.0.0.2"]), Fate::Gone);
    assert_eq!(becomes("50.0.0.1", &[]), Fate::Gone);
    assert_eq!(becomes("50.0.0.1", &["127.0.0.1", "::1", "2001:db8::1"]), Fate::Gone);
    assert_eq!(becomes("50.0.0.1", &["172.17.0.1"]), Fate::Doubted);
    assert_eq!(becomes("172.17.0.1", &["172.17.0.1"]), Fate::Stays);
    assert_eq!(becomes("2001:db8::1", &[]), Fate::Stays);
}
