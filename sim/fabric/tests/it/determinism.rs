//! The same seed tells the same story, and a fault in one place does not change another.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use fabric::{Fate, Link, MachineId, Network};
use futures::FutureExt;

use crate::world::{PORT, World, millis, pattern, receive, send};

type Line = (Duration, MachineId, MachineId, Fate, String);

fn tapped(network: &Network) -> Arc<Mutex<Vec<Line>>> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let lines = log.clone();
    network.set_tap(Box::new(move |tap| {
        lines.lock().unwrap().push((tap.at, tap.from, tap.to, tap.fate, format!("{:?}", tap.packet)));
    }));
    log
}

fn transfer(seed: u64) -> Vec<Line> {
    let link = Link { loss: 0.05, jitter: millis(20), bytes_per_sec: Some(10_000_000), ..Link::default() };
    let mut world = World::with_seed(seed, link);
    let log = tapped(&world.network);
    let (near, far) = world.pair();
    world.spawn(async move { drop(send(near, pattern(300_000)).await.unwrap()) });
    let received = world.spawn(receive(far));
    drop(world.finish(&received));
    world.quiesce();
    log.lock().unwrap().clone()
}

#[test]
fn the_same_seed_puts_the_same_packets_on_the_links() {
    let story = transfer(1);
    assert!(story.iter().any(|line| line.3 == Fate::Lost), "something was drawn");
    assert!(story == transfer(1));
    assert!(story != transfer(2));
}

#[test]
fn a_block_on_one_link_does_not_change_the_draws_on_another() {
    let fates = |blocked: bool| {
        let network = Network::new(3, Link { loss: 0.3, jitter: millis(20), ..Link::default() });
        let [a, b, c, d] = [1, 2, 3, 4].map(|last| network.add_machine([50, 0, 0, last].into()));
        let log = tapped(&network);
        network.block(a, b, blocked);
        let mut dials: Vec<_> = (0..50)
            .flat_map(|_| [(a, b), (c, d)])
            .map(|(from, to)| network.dial(from, std::net::SocketAddrV4::new(network.ip(to), PORT)))
            .collect();
        for dial in &mut dials {
            assert!(dial.now_or_never().is_none());
        }
        while let Some(next) = network.next_event() {
            network.advance(next);
        }
        let lines = log.lock().unwrap();
        let of = |pair: [MachineId; 2]| {
            lines
                .iter()
                .filter(|line| pair.contains(&line.1))
                .map(|line| (line.0, line.1, line.2, line.3))
                .collect::<Vec<_>>()
        };
        (of([a, b]), of([c, d]))
    };
    let (free, blocked) = (fates(false), fates(true));
    assert_ne!(free.0, blocked.0);
    assert_eq!(free.1, blocked.1);
}

#[test]
fn nothing_happens_between_events_and_time_never_goes_back() {
    let network = Network::new(3, Link::default());
    assert_eq!(network.next_event(), None);
    network.advance(millis(50));
    network.advance(millis(20));
    assert_eq!(network.now(), millis(50));
}
