//! What may become of the cache's file under a daemon, or while none runs: each is named in the log and in
//! the stats, and nobody is told anything wrong.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    hosts::{in_namespace, start_as},
    http::Reply,
    world::{GitHub, Machine, Setup, TOKEN, wait_until},
};

const REPO: &str = "/repos/octocat/Hello-World";

fn blob(bytes: usize) -> String {
    format!("{REPO}/git/blobs/size-{bytes}")
}

fn get(machine: &Machine, path: &str) -> Reply {
    let reply = machine.get(path, Some(TOKEN));
    assert_eq!(reply.status, 200, "{path}");
    reply
}

fn is_hit(reply: &Reply) -> bool {
    reply.header("cache-status").starts_with("ghoard; hit")
}

fn database(setup: &Setup) -> PathBuf {
    setup.home.path("cache").join("ghoard.redb")
}

/// Changes one bit of each place that holds `what`, `at` bytes from its beginning. Returns how many.
fn flip(file: &Path, what: &[u8], at: impl Fn(usize) -> usize) -> usize {
    let mut content = std::fs::read(file).unwrap();
    let found = content.windows(what.len()).enumerate().filter(|(_, window)| *window == what);
    let mut places: Vec<_> = found.map(|(place, _)| at(place)).collect();
    places.dedup();
    places.iter().for_each(|place| content[*place] ^= 0x40);
    std::fs::write(file, content).unwrap();
    places.len()
}

#[test]
fn a_disk_of_64_mb_that_fills_up_costs_persistence_until_it_has_room() {
    let github = GitHub::start();
    let setup = Setup::new(&github);
    let cache = setup.home.path("cache");
    std::fs::create_dir(&cache).unwrap();
    let script = format!("mount -t tmpfs -o size=64m,mode=700 tmpfs {}", cache.display());
    let test = "a_disk_of_64_mb_that_fills_up_costs_persistence_until_it_has_room";
    let Some(command) = in_namespace(test, &setup, &script) else { return };
    let machine = start_as(setup, command);

    let paths: Vec<_> = (0..24).map(|n| blob((4 << 20) + n)).collect();
    let told: Vec<_> = paths.iter().map(|path| get(&machine, path).body).collect();
    wait_until("the stats say so", || machine.stats()["persistence"] == "degraded");
    let why = machine.stats()["persistence_detail"].as_str().unwrap().to_owned();
    assert!(why.contains("No space left"), "{why}");
    wait_until("the log says so", || machine.log.text().contains("No space left"));
    for (path, told) in paths.iter().zip(&told) {
        assert!(get(&machine, path).body == *told, "{path}");
    }
    assert_eq!(machine.status("/healthz").status, 200);

    let mount = format!("mount -o remount,size=512m {}", cache.display());
    let pid = machine.child.id().to_string();
    let remounted = Command::new("nsenter").args(["-t", &pid, "-m", "sh", "-c", &mount]).status().unwrap();
    assert!(remounted.success());
    wait_until("it is written again", || machine.stats()["persistence"] == "ok");
    assert!(get(&machine, &paths[0]).body == told[0]);
    let (_, code) = machine.terminate();
    assert_eq!(code, Some(0));
}

/// A file that cannot be changed any more, by those who have it open either.
struct Immutable(PathBuf);

impl Immutable {
    fn new(path: PathBuf) -> Option<Self> {
        let changed = Command::new("chattr").arg("+i").arg(&path).output();
        changed.is_ok_and(|output| output.status.success()).then_some(Self(path))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg("-i").arg(&self.0).output();
    }
}

#[test]
fn a_file_that_turns_read_only_costs_persistence_until_it_is_writable() {
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    let (before, during) = (blob(3000), blob(3001));
    let told = get(&machine, &before).body;
    wait_until("it is on the disk", || machine.stat("disk_entries") == 1);
    let Some(immutable) = Immutable::new(database(&machine.setup)) else {
        eprintln!(
            "a_file_that_turns_read_only_costs_persistence_until_it_is_writable is skipped: it needs root, \
             chattr and a file system that knows it"
        );
        return;
    };
    let told_during = get(&machine, &during).body;
    wait_until("the stats say so", || machine.stats()["persistence"] == "degraded");
    let why = machine.stats()["persistence_detail"].as_str().unwrap().to_owned();
    assert!(why.contains("not permitted"), "{why}");
    wait_until("the log says so", || machine.log.text().contains("not permitted"));
    for (path, told) in [(&before, &told), (&during, &told_during)] {
        let again = get(&machine, path);
        assert!(is_hit(&again) && again.body == *told, "{path}");
    }

    drop(immutable);
    wait_until("it is written again", || machine.stats()["persistence"] == "ok");
    let machine = machine.kill().start();
    for (path, told) in [(&before, &told), (&during, &told_during)] {
        let again = get(&machine, path);
        assert!(is_hit(&again) && again.body == *told, "{path}");
    }
}

#[test]
fn a_file_that_is_cut_or_zeroed_is_set_aside_and_named() {
    let github = GitHub::start();
    let mut setup = Setup::new(&github);
    let damages: [fn(&mut Vec<u8>); 3] =
        [|content| content.truncate(content.len() / 2), |content| content.truncate(100), |content| content.fill(0)];
    for (n, damage) in damages.into_iter().enumerate() {
        let machine = setup.start();
        let path = blob(3000 + n);
        let told = get(&machine, &path).body;
        let file = database(&machine.setup);
        (setup, _) = machine.terminate();
        let mut content = std::fs::read(&file).unwrap();
        damage(&mut content);
        std::fs::write(&file, content).unwrap();

        let machine = setup.start();
        wait_until("the log names it", || machine.log.text().contains("the cache was damaged"));
        let named = machine.stats()["damaged_cache"].as_str().unwrap_or_else(|| panic!("case {n}")).to_owned();
        assert!(Path::new(named.split(": ").next().unwrap()).exists(), "{named}");
        assert_eq!(machine.stats()["persistence"], "ok");
        assert!(get(&machine, &path).body == told);
        (setup, _) = machine.terminate();
        let machine = setup.start();
        let again = get(&machine, &path);
        assert!(is_hit(&again) && again.body == told && machine.stats()["damaged_cache"].is_null());
        (setup, _) = machine.terminate();
    }
}

#[test]
fn a_flipped_bit_in_a_body_or_a_record_is_named_and_the_entry_is_asked_for_again() {
    let github = GitHub::start();
    let mut setup = Setup::new(&github);
    for n in 0..2 {
        let machine = setup.start();
        let path = blob(3000 + n);
        let first = get(&machine, &path);
        let etag = first.header("etag").to_owned();
        let file = database(&machine.setup);
        (setup, _) = machine.terminate();
        let (what, said) = if n == 0 {
            (&first.body[1000..1100], "a body on the disk is damaged")
        } else {
            (etag.as_bytes(), "records on the disk are damaged")
        };
        assert!(flip(&file, what, |at| at + 10) > 0, "{said}");

        let machine = setup.start();
        let again = get(&machine, &path);
        assert!(!is_hit(&again) && again.body == first.body, "{said}");
        wait_until("the log says so", || machine.log.text().contains(said));
        wait_until("the stats say so", || machine.stat("damaged_entries") > 0);
        assert_eq!((machine.stats()["persistence"].as_str(), machine.status("/healthz").status), (Some("ok"), 200));
        (setup, _) = machine.terminate();
        let machine = setup.start();
        let again = get(&machine, &path);
        assert!(is_hit(&again) && again.body == first.body, "{said}");
        assert_eq!(machine.stat("damaged_entries"), 0);
        (setup, _) = machine.terminate();
    }
}

#[test]
fn a_flipped_bit_in_a_page_sets_the_file_aside_and_nobody_notices() {
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    let paths: Vec<_> = (0..40).map(|n| blob(3000 + n)).collect();
    let told: Vec<_> = paths.iter().map(|path| get(&machine, path).body).collect();
    let file = database(&machine.setup);
    let (setup, _) = machine.terminate();
    // The first byte of a page says of which kind it is, and there are two kinds.
    assert!(flip(&file, b"application/json", |at| at & !4095) > 0);

    let machine = setup.start();
    for (path, told) in paths.iter().zip(&told) {
        assert!(get(&machine, path).body == *told, "{path}");
    }
    wait_until("the stats name it", || machine.stats()["damaged_cache"].is_string());
    wait_until("the log names it", || machine.log.text().contains("the cache was damaged"));
    assert_eq!(machine.status("/healthz").status, 200);
    wait_until("a new one is begun", || machine.stats()["persistence"] == "ok" && machine.stat("disk_entries") > 0);
    for (path, told) in paths.iter().zip(&told) {
        assert!(get(&machine, path).body == *told, "{path}");
    }
    let (_, code) = machine.terminate();
    assert_eq!(code, Some(0));
}
