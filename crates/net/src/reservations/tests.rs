use super::*;
use crate::Identity;

/// Plays `story`, one input at a second of its own; what is due then is written behind it.
fn check(is_public: bool, story: &str) {
    let start = Instant::now();
    let mut reservations = Reservations::new(is_public);
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (input, expected) = line.split_once("->").unwrap_or_else(|| panic!("no outcome in {line}"));
        let mut words = input.split_whitespace();
        let (seconds, what, relay) = (words.next().unwrap(), words.next().unwrap(), words.next());
        let now = start + Duration::from_secs_f64(seconds.trim_end_matches('s').parse().unwrap());
        let id = relay.map(id);
        match what {
            "offers" => reservations.offered(id.unwrap(), place(relay.unwrap())),
            "holds" => reservations.held(&id.unwrap(), circuit(relay.unwrap())),
            "lost" => reservations.lost(&id.unwrap(), now, 0.5),
            "gone" => reservations.gone(&id.unwrap()),
            "tick" => {}
            other => panic!("{other}?"),
        }
        let mut steps = Vec::new();
        while let Some(step) = reservations.next(now, 0.5) {
            steps.push(match step {
                Step::Ask { relay, place } => {
                    assert_eq!(place, self::place(&name(&relay)));
                    format!("ask {}", name(&relay))
                }
                Step::Leave { relay } => format!("leave {}", name(&relay)),
            });
        }
        let held: Vec<_> = reservations.circuits().map(|(id, _)| name(id)).collect();
        let told = [steps.join(" "), format!("[{}]", held.join(" "))].join(" ");
        assert_eq!(told.trim(), expected.trim(), "after {line}");
    }
}

const NAMES: [&str; 3] = ["R", "S", "T"];

fn id(name: &str) -> PeerId {
    // Sorted, so that what is held is listed in the order of the names.
    let mut ids: Vec<_> = (1..=3).map(|seed| Identity::from_seed([seed; 32]).peer_id()).collect();
    ids.sort();
    ids[NAMES.iter().position(|known| *known == name).unwrap()]
}

fn name(id: &PeerId) -> String {
    NAMES.iter().find(|name| self::id(name) == *id).unwrap().to_string()
}

fn place(relay: &str) -> Address {
    format!("/ip4/50.0.0.10/tcp/{}", 9100 + NAMES.iter().position(|name| *name == relay).unwrap()).parse().unwrap()
}

fn circuit(relay: &str) -> Address {
    place(relay).circuit(&crate::identity::peer_of(id(relay)), &Identity::from_seed([9; 32]).peer()).unwrap()
}

#[test]
fn two_relays_hold_a_reservation_and_a_third_waits() {
    check(
        false,
        "0s offers S -> ask S []
         0s holds S  -> [S]
         1s offers R -> ask R [S]
         1s holds R  -> [R S]
         2s offers T -> [R S]
         9s gone S   -> ask T [R]
         9s holds T  -> [R T]",
    );
}

#[test]
fn who_can_be_dialled_asks_nobody() {
    check(true, "0s offers R -> []\n 60s tick -> []");
}

#[test]
fn a_lost_reservation_is_asked_for_again_later_and_later() {
    check(
        false,
        "0s offers R   -> ask R []
         0s holds R    -> [R]
         10s lost R    -> []
         10.9s tick    -> []
         11s tick      -> ask R []
         11s lost R    -> []
         12.9s tick    -> []
         13s tick      -> ask R []
         13s lost R    -> []
         17s tick      -> ask R []
         17s holds R   -> [R]
         20s lost R    -> []
         21s tick      -> ask R []",
    );
}

#[test]
fn another_relay_takes_the_place_of_one_that_refuses() {
    check(
        false,
        "0s offers R -> ask R []
         0s offers S -> ask S []
         0s offers T -> []
         0s holds S  -> [S]
         1s lost R   -> ask T [S]
         1s holds T  -> [S T]
         5s tick     -> [S T]
         6s lost T   -> ask R [S]",
    );
}

#[test]
fn a_relay_that_says_nothing_is_left() {
    check(
        false,
        "0s offers R  -> ask R []
         14s tick     -> []
         15s tick     -> leave R []
         16s tick     -> ask R []",
    );
}

#[test]
fn a_relay_that_comes_back_starts_anew() {
    check(
        false,
        "0s offers R -> ask R []
         0s lost R   -> []
         0s gone R   -> []
         0.1s offers R -> ask R []",
    );
}

#[test]
fn the_pause_has_a_floor_a_ceiling_and_a_spread() {
    assert_eq!(pause(0, 0.0), Duration::from_millis(750));
    assert_eq!(pause(0, 1.0), Duration::from_millis(1250));
    assert_eq!(pause(40, 0.5), Duration::from_secs(60));
    assert_eq!(pause(u32::MAX, 0.5), Duration::from_secs(60));
}

#[test]
fn the_deadline_is_the_next_thing_that_can_happen() {
    let (now, relay) = (Instant::now(), id("R"));
    let mut reservations = Reservations::new(false);
    assert_eq!(reservations.deadline(), None);
    reservations.offered(relay, place("R"));
    assert!(reservations.next(now, 0.5).is_some());
    assert_eq!(reservations.deadline(), Some(now + RESERVATION_TIME));
    reservations.lost(&relay, now, 0.5);
    assert_eq!(reservations.deadline(), Some(now + RESERVATION_PAUSE_MIN));
    reservations.held(&relay, circuit("R"));
    assert_eq!(reservations.deadline(), None);
}
