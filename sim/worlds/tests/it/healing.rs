use std::fs;

use crate::{folder, sim};

/// Moments of the partition in `ten-minutes`, in milliseconds.
const FROM: f64 = 30_000.0;
const UNTIL: f64 = 630_000.0;

#[test]
fn after_ten_minutes_apart_dead_connections_are_closed_and_made_anew() {
    let folder = folder();
    let said = sim(folder.path(), &["run", "ten-minutes", "--seed", "2", "--timeline", "text"]);
    assert_eq!(said.code, 0, "every node serves right throughout, and the world comes to rest: {}", said.err);
    let text = fs::read_to_string(folder.path().join("target/sim/ten-minutes-2.txt")).unwrap();
    // Times, of connections between the two halves (0 to 2, 3 to 5).
    let half = |lane: &str| lane.trim_start_matches('n').parse::<u32>().is_ok_and(|node| node < 3);
    let times = |kind: &str| {
        let mut times = Vec::new();
        for words in text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()) {
            if let [at, lane, found, "->", to, ..] = words[..]
                && found == kind
                && half(lane) != half(to)
            {
                times.push(at.parse::<f64>().unwrap());
            }
        }
        times
    };
    let (closed, made) = (times("disconnect"), times("connect"));
    let apart = |at: &&f64| (FROM..UNTIL).contains(*at);
    assert!(closed.iter().filter(apart).count() >= 18, "nine pairs, seen from both sides: {closed:?}");
    // Two pings, each 15 s after the last and given 10 s: libp2p forgives the first that fails.
    assert!(closed.iter().filter(apart).all(|at| *at < FROM + 50_000.0), "{closed:?}");
    assert!(!made.iter().any(|at| apart(&at)), "{made:?}");
    assert!(made.iter().filter(|at| **at >= UNTIL).count() >= 2, "{made:?}");
}
