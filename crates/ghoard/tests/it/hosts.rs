//! A machine that is not as it should be: one clear line that says what to do, and a running node
//! wherever there can be one.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    home::Home,
    world::{GitHub, Lines, Machine, Setup, TOKEN, wait_until},
};

const REPO: &str = "/repos/octocat/Hello-World";

/// `ghoard run` after `script`, which may mount: what it mounts is gone with the process.
///
/// `None` where nothing can be mounted; CI must be able to.
pub(crate) fn in_namespace(test: &str, setup: &Setup, script: &str) -> Option<Command> {
    let root = rustix::process::geteuid().is_root();
    let unshare = || {
        let mut unshare = setup.home.command("unshare");
        unshare.arg("--mount").args((!root).then_some("--map-root-user"));
        unshare
    };
    let target = setup.home.path("tmp");
    let probe = format!("mount -t tmpfs tmpfs {}", target.display());
    let possible = unshare().args(["sh", "-c", &probe]).output().is_ok_and(|output| output.status.success());
    assert!(possible || std::env::var_os("CI").is_none(), "CI must be able to mount");
    if !possible {
        eprintln!("{test} is skipped: nothing can be mounted");
        return None;
    }
    let ghoard = setup.command("run");
    let mut command = unshare();
    for (name, value) in ghoard.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let script = format!("set -e; {script}; exec \"$0\" \"$@\"");
    command.args(["sh", "-c", &script]).arg(ghoard.get_program()).args(ghoard.get_args());
    Some(command)
}

/// Starts `setup` by a command of the test's own; waits until the daemon says where it is.
pub(crate) fn start_as(setup: Setup, mut command: Command) -> Machine {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (told, log) = (Lines::default(), Lines::default());
    told.collect(child.stdout.take().unwrap());
    log.collect(child.stderr.take().unwrap());
    wait_until("the daemon says that it runs", || {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "the daemon ended with {ended:?}:\n{}", log.text());
        told.text().contains("\n  shares ")
    });
    Machine { setup, child, told, log }
}

fn read_only(path: &std::path::Path) -> String {
    let path = path.display();
    format!("mount --bind {path} {path}; mount -o remount,bind,ro {path}")
}

/// Warnings, and the hint under each. What is logged may come between the two.
fn warnings(machine: &Machine) -> Vec<(String, String)> {
    let log = machine.log.text();
    let mut found = Vec::<(String, String)>::new();
    for line in log.lines() {
        if let Some(warning) = line.strip_prefix("warning: ") {
            found.push((warning.to_owned(), String::new()));
        } else if let (Some(hint), Some(last)) = (line.strip_prefix("hint: "), found.last_mut()) {
            last.1.push_str(hint);
        }
    }
    found
}

/// Checks that exactly one warning is about `what`, that it says `why`, and that its hint names `cure`.
fn assert_warned(machine: &Machine, what: &str, why: &str, cure: &str) {
    let about = || {
        let all = warnings(machine).into_iter();
        all.filter(|(line, _)| line.starts_with(what)).collect::<Vec<_>>()
    };
    // The two streams of the daemon are read by two threads.
    wait_until(&format!("it warns about {what}, with a hint"), || about().iter().any(|(_, hint)| !hint.is_empty()));
    let about = about();
    assert_eq!(about.len(), 1, "{about:#?}");
    let (line, hint) = &about[0];
    assert!(line.contains(why), "{why:?} is not in {line:?}");
    assert!(hint.contains(cure), "{cure:?} is not in {hint:?}");
}

fn assert_every_warning_has_a_hint(machine: &Machine) {
    let without: Vec<_> = warnings(machine).into_iter().filter(|(_, hint)| hint.is_empty()).collect();
    assert!(without.is_empty(), "no hint: {without:#?}");
}

fn assert_caches(machine: &Machine) {
    assert_eq!(machine.get(REPO, Some(TOKEN)).status, 200);
    let again = machine.get(REPO, Some(TOKEN));
    assert!(again.header("cache-status").starts_with("ghoard; hit"), "{again:?}");
}

fn assert_degraded(machine: &Machine) {
    let stats = machine.stats();
    assert_eq!(stats["persistence"], "degraded");
    assert!(stats["persistence_detail"].as_str().is_some_and(|why| !why.is_empty()), "{stats}");
}

/// What a daemon that does not start prints.
fn broken(setup: &Setup) -> String {
    let mut command = setup.command("run");
    setup.home.transcript(&mut command)
}

#[test]
fn a_home_that_is_read_only_costs_persistence_and_the_socket() {
    let github = GitHub::start();
    let mut setup = Setup::new(&github);
    let elsewhere = tempfile::tempdir().unwrap();
    setup.env.retain(|(name, _)| name != "CACHE_DIR" && name != "GHOARD_DOOR_SOCKET");
    let registry = setup.home.path(".cache/p2p_peers").display().to_string();
    let setup = setup.member("a passphrase for the tests only", &registry, "a");
    let setup = setup.env("TMPDIR", elsewhere.path().display().to_string());
    let script = read_only(&setup.home.path(""));
    let test = "a_home_that_is_read_only_costs_persistence_and_the_socket";
    let Some(command) = in_namespace(test, &setup, &script) else { return };

    let machine = start_as(setup, command);
    assert_warned(&machine, "cache_dir ", "Read-only file system", "CACHE_DIR");
    assert_warned(&machine, "no socket", "Read-only file system", "GHOARD_DOOR_SOCKET");
    assert_warned(&machine, "no peer directory", "Read-only file system", "IPFS_ACCELERATE_P2P_CACHE_DIR");
    assert_caches(&machine);
    assert_degraded(&machine);
    assert!(machine.line("cache").ends_with("(persistence: degraded)"), "{}", machine.told.text());

    assert_every_warning_has_a_hint(&machine);

    let (_, code) = machine.terminate();
    assert_eq!(code, Some(0));
    let left: Vec<_> = fs::read_dir(elsewhere.path()).unwrap().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn a_cache_directory_that_is_read_only_is_replaced_until_the_daemon_stops() {
    let github = GitHub::start();
    let setup = Setup::new(&github);
    let cache = setup.home.path("cache");
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o700)).unwrap();
    let test = "a_cache_directory_that_is_read_only_is_replaced_until_the_daemon_stops";
    let Some(command) = in_namespace(test, &setup, &read_only(&cache)) else { return };

    let machine = start_as(setup, command);
    assert_warned(&machine, &format!("cache_dir {}", cache.display()), "Read-only file system", "CACHE_DIR");
    assert_eq!(warnings(&machine).len(), 1, "one line is enough");
    assert_caches(&machine);
    assert_degraded(&machine);
    let (setup, code) = machine.terminate();
    assert_eq!(code, Some(0));
    assert_eq!(setup.home.left_behind(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_machine_where_nothing_can_be_written_still_has_a_proxy() {
    let github = GitHub::start();
    let mut setup = Setup::new(&github);
    setup.env.retain(|(name, _)| name != "GHOARD_DOOR_SOCKET");
    let script = read_only(&setup.home.path(""));
    let test = "a_machine_where_nothing_can_be_written_still_has_a_proxy";
    let Some(command) = in_namespace(test, &setup, &script) else { return };

    let machine = start_as(setup, command);
    assert_warned(&machine, "cache_dir ", "Read-only file system", "CACHE_DIR");
    assert_caches(&machine);
    assert_degraded(&machine);
}

#[test]
fn a_cache_directory_that_is_not_safe_is_replaced_and_the_reason_named() {
    let github = GitHub::start();
    let check = |why: &str, prepare: &dyn Fn(&Home)| {
        let setup = Setup::new(&github);
        prepare(&setup.home);
        let machine = setup.start();
        assert_warned(&machine, "cache_dir ", why, "CACHE_DIR");
        assert_caches(&machine);
        assert_degraded(&machine);
    };
    check("is not a directory", &|home| {
        home.write("cache", "a file");
    });
    check("is a symbolic link", &|home| {
        fs::create_dir(home.path("elsewhere")).unwrap();
        symlink(home.path("elsewhere"), home.path("cache")).unwrap();
    });
    check("can be written by others (mode 777)", &|home| {
        fs::create_dir(home.path("cache")).unwrap();
        fs::set_permissions(home.path("cache"), fs::Permissions::from_mode(0o777)).unwrap();
    });
    if rustix::process::geteuid().is_root() {
        check("belongs to user 12345", &|home| {
            fs::create_dir(home.path("cache")).unwrap();
            std::os::unix::fs::chown(home.path("cache"), Some(12345), None).unwrap();
        });
    }
}

#[test]
fn a_database_that_is_no_file_leaves_the_cache_in_memory() {
    let github = GitHub::start();
    let setup = Setup::new(&github);
    let cache = setup.home.path("cache");
    fs::create_dir_all(cache.join("ghoard.redb")).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o700)).unwrap();
    let machine = setup.start();
    assert_caches(&machine);
    assert_degraded(&machine);
    wait_until("it warns", || !warnings(&machine).is_empty());
    assert_every_warning_has_a_hint(&machine);
    assert_warned(&machine, "cache_dir ", "ghoard.redb", "CACHE_DIR");
}

#[test]
fn a_database_of_nonsense_is_set_aside_and_named() {
    let github = GitHub::start();
    let setup = Setup::new(&github);
    setup.home.write("cache/ghoard.redb", "nonsense ".repeat(4096));
    fs::set_permissions(setup.home.path("cache"), fs::Permissions::from_mode(0o700)).unwrap();
    let machine = setup.start();
    assert_warned(&machine, "the cache was damaged", "ghoard.redb.corrupt-", "nothing is needed");
    assert_caches(&machine);
    assert_eq!(machine.stats()["persistence"], "ok");
}

#[test]
fn ports_that_are_taken_are_replaced_by_free_ones() {
    let github = GitHub::start();
    let taken: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<_> = taken.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
    let setup = Setup::new(&github);
    let registry = setup.home.path("registry").display().to_string();
    let machine = setup
        .member("a passphrase for the tests only", &registry, "a")
        .env("CACHE_LISTEN_PORT", ports[0].to_string())
        .env("GHOARD_DOOR_ADDRESS", format!("127.0.0.1:{}", ports[1]))
        .env("GHOARD_ADMIN_ADDRESS", format!("127.0.0.1:{}", ports[2]))
        .start();
    assert_warned(&machine, &format!("listen_port {} is taken", ports[0]), "", "CACHE_LISTEN_PORT");
    assert_warned(&machine, &format!("door_address 127.0.0.1:{} is taken", ports[1]), "", "GHOARD_DOOR_ADDRESS");
    assert_warned(&machine, &format!("admin_address 127.0.0.1:{} is taken", ports[2]), "", "GHOARD_ADMIN_ADDRESS");
    assert_eq!(warnings(&machine).len(), 3, "{:#?}", warnings(&machine));

    assert_ne!(machine.base().port(), ports[1]);
    assert_caches(&machine);
    wait_until("it is ready", || machine.status("/healthz").status == 200);
    wait_until("it listens for members", || {
        let peers = machine.status("/api/mcp/peers").json();
        let listening = peers["listening"].as_array().unwrap();
        let mut texts = listening.iter().map(|address| address.as_str().unwrap());
        texts.any(|text| text.contains("/tcp/") && !text.contains(&format!("/tcp/{}", ports[0])))
    });
}

#[test]
fn one_door_is_enough_and_none_is_an_error() {
    let github = GitHub::start();
    // An address for documentation: no machine has it.
    let nowhere = "192.0.2.1:9120";
    let setup = Setup::new(&github).env("GHOARD_DOOR_ADDRESS", nowhere);
    let machine = setup.start();
    assert_warned(&machine, "no base URL", nowhere, "GHOARD_DOOR_ADDRESS");
    let head = format!("GET {REPO} HTTP/1.1\nHost: api.github.com\nAuthorization: Bearer {TOKEN}");
    let reply = crate::http::exchange(crate::http::unix(&machine.socket()), &head, b"");
    assert_eq!(reply.status, 200);
    drop(machine);

    let setup = Setup::new(&github).env("GHOARD_DOOR_ADDRESS", nowhere);
    fs::create_dir(setup.home.path("door.sock")).unwrap();
    let said = broken(&setup);
    assert!(said.ends_with("exit: 2\n"), "{said}");
    assert!(said.contains("err: error: neither the socket ~/door.sock nor the address 192.0.2.1:9120"), "{said}");
    assert!(said.contains("err: hint: set GHOARD_DOOR_SOCKET or GHOARD_DOOR_ADDRESS"), "{said}");
}

#[test]
fn a_malformed_bootstrap_peer_is_left_out_and_the_others_are_dialled() {
    let github = GitHub::start();
    let secret = "a passphrase for the tests only";
    let member = |name: &str, bootstrap: &str| {
        let setup = Setup::new(&github);
        let registry = setup.home.path("registry").display().to_string();
        setup.member(secret, &registry, name).env("CACHE_BOOTSTRAP_PEERS", bootstrap).start()
    };
    let a = member("a", "");
    let mut good = String::new();
    wait_until("a listens", || {
        let listening = &a.status("/api/mcp/peers").json()["listening"];
        good = format!("{}/p2p/{}", listening[0].as_str().unwrap_or_default(), a.peer_id());
        listening[0].is_string()
    });
    let bad = ["127.0.0.1:9100", "/ip4/127.0.0.1/tcp/many"];
    let b = member("b", &format!("{},{good},{}", bad[0], bad[1]));
    for address in bad {
        assert_warned(&b, &format!("bootstrap_peers: {address} is left out"), "", "/ip4/192.0.2.7/tcp/9100/p2p/");
    }
    b.wait_for_peers(1);
}

#[test]
fn an_unknown_key_stops_the_daemon_before_it_does_anything() {
    let github = GitHub::start();
    let setup = Setup::new(&github);
    setup.home.write(".config/ghoard/config.toml", "stale_for = 10\ncache_dri = \"/x\"\n");
    let expected = "err: error: ~/.config/ghoard/config.toml:2: unknown key \"cache_dri\"\n\
                    err: hint: did you mean \"cache_dir\"?\nexit: 2\n";
    assert_eq!(broken(&setup), expected);
    assert!(!setup.home.path("cache").exists());
}

#[test]
fn a_second_daemon_on_one_cache_directory_stops_and_the_first_goes_on() {
    let github = GitHub::start();
    let mut setup = Setup::new(&github);
    // The socket is then in the cache directory, where the second daemon could take it away.
    setup.env.retain(|(name, _)| name != "GHOARD_DOOR_SOCKET");
    let (home, first) = (setup.home.clone(), setup.start());
    let socket = home.path("cache/ghoard.sock");
    assert!(socket.exists());

    let mut second = Setup::at(home, &github.url);
    second.env.retain(|(name, _)| name != "GHOARD_DOOR_SOCKET");
    let said = broken(&second);
    let expected = format!(
        "err: error: another ghoard runs on this cache directory: ~/cache is in use by process {}\n\
         err: hint: stop it first, or give this one its own CACHE_DIR\nexit: 2\n",
        first.child.id()
    );
    assert_eq!(said, expected);
    assert_caches(&first);
    let head = format!("GET {REPO} HTTP/1.1\nHost: api.github.com\nAuthorization: Bearer {TOKEN}");
    assert_eq!(crate::http::exchange(crate::http::unix(&socket), &head, b"").status, 200);
}

#[test]
fn without_any_configuration_it_runs_within_a_second_and_says_what_to_do() {
    let start = || {
        let home = Arc::new(Home::new());
        let setup = Setup { home: home.clone(), env: Vec::new() };
        let command = home.ghoard("run");
        let began = Instant::now();
        let machine = start_as(setup, command);
        wait_until("it says how gh gets there", || machine.told.text().contains("point gh here"));
        (machine, began.elapsed())
    };
    // A machine that does other work takes longer now and then, not three times.
    let mut took = Duration::MAX;
    let mut last = None;
    for _ in 0..3 {
        let (machine, once) = start();
        took = took.min(once);
        last = Some(machine);
    }
    assert!(took < Duration::from_secs(1), "took {took:?}");

    let machine = last.unwrap();
    let told = machine.told.text();
    let cache = machine.setup.home.path(".cache/ghoard");
    assert!(machine.line("base URL").starts_with("http://127.0.0.1:"), "{told}");
    assert_eq!(machine.line("socket"), cache.join("ghoard.sock").display().to_string());
    assert!(machine.line("status").starts_with("http://127.0.0.1:"), "{told}");
    assert!(machine.line("peer id").starts_with("12D3KooW"), "{told}");
    assert_eq!(machine.line("cache"), cache.display().to_string());
    let shares = machine.line("shares");
    assert!(shares.starts_with("no: there is no shared secret"), "{told}");
    assert!(shares.contains("`ghoard secret new`"), "{told}");
    assert_eq!(machine.line("point gh here:"), "ghoard setup gh");
    // The default ports may be taken here; nothing else may be amiss.
    assert!(warnings(&machine).iter().all(|(line, _)| line.contains("is taken")), "{:#?}", warnings(&machine));
    wait_until("it is ready", || machine.status("/healthz").status == 200);
    let peers = machine.status("/api/mcp/peers").json();
    assert_eq!(peers["listening"].as_array().map(Vec::len), Some(0), "the P2P port is closed");
}
