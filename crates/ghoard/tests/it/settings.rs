//! What is configured and cannot be had is told by the start, the status and `ghoard doctor`, and what is meant so is
//! no trouble.

use std::net::TcpListener;

use serde_json::Value;

use crate::world::{GitHub, Machine, SECRET, Setup, TOKEN, wait_until};

fn doctor(setup: &Setup) -> (i32, String) {
    let output = setup.command("doctor").output().unwrap();
    let all = [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
    (output.status.code().unwrap(), all)
}

/// The lines of one check, with their cures.
fn lines<'a>(said: &'a str, check: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut is_one = false;
    for line in said.lines() {
        let rest = line.get(7..).unwrap_or_default();
        is_one = rest.starts_with(check) || (is_one && rest.trim_start().starts_with("try: "));
        found.extend(is_one.then_some(line));
    }
    found
}

fn member(github: &GitHub, env: &[(&str, &str)]) -> Setup {
    let setup = Setup::new(github);
    let registry = setup.home.path("registry").display().to_string();
    env.iter().fold(setup.member(SECRET, &registry, "a"), |setup, (name, value)| setup.env(name, *value))
}

fn kind(machine: &Machine, name: &str) -> Value {
    machine.status("/api/mcp/peers").json()["connectivity"]["discovery"]["kinds"][name].clone()
}

#[test]
fn a_way_of_finding_that_cannot_start_is_said_by_status_and_doctor() {
    let github = GitHub::start();
    let setup = member(&github, &[("GHOARD_SEAL", "off"), ("GITHUB_REPOSITORY", "acme/secret"), ("GH_TOKEN", TOKEN)]);
    let file = setup.home.write("file", "no folder").join("x").display().to_string();
    let machine = setup.env("IPFS_ACCELERATE_P2P_CACHE_DIR", &file).start();
    for (name, why) in [("file", "no peer directory"), ("issue_registry", "sealing is off")] {
        wait_until(name, || kind(&machine, name)["configured"] == true);
        let kind = kind(&machine, name);
        assert_eq!(kind["running"], false, "{kind}");
        assert!(kind["trouble"].as_str().is_some_and(|trouble| trouble.contains(why)), "{kind}");
    }
    let (code, said) = doctor(&machine.setup);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("WRONG  finding      no peer directory") && said.contains("sealing is off"), "{said}");
    let advice = lines(&said, "peers").concat();
    assert!(!advice.contains("share the folder") && !advice.contains("set GITHUB_REPOSITORY"), "{advice}");
}

#[test]
fn without_a_daemon_the_doctor_looks_at_what_a_start_would_need() {
    let github = GitHub::start();
    let env = [("GHOARD_WEBSOCKET_PORT", "0"), ("GITHUB_REPOSITORY", "no/such"), ("GH_TOKEN", TOKEN)];
    let setup = member(&github, &env);
    let nope = setup.home.path("nope").display().to_string();
    let file = setup.home.write("file", "no folder").join("x").display().to_string();
    let public = [("GHOARD_ENABLE_PUBLIC_BOOTSTRAP", "true"), ("GHOARD_PUBLIC_BOOTSTRAP_PEERS", "garbage")];
    let setup = public.iter().fold(setup, |setup, (name, value)| setup.env(name, *value));
    let setup = setup.env("IPFS_ACCELERATE_P2P_CACHE_DIR", &file);
    let setup = setup.env("GHOARD_TLS_CERT_FILE", &nope).env("GHOARD_TLS_KEY_FILE", &nope);
    let (code, said) = doctor(&setup);
    assert_eq!(code, 1, "{said}");
    for wrong in [
        "tls          no TLS for websocket_port: cannot read",
        "finding      no peer directory",
        "finding      public_bootstrap_peers: garbage is left out",
        "finding      issue_registry: no/such is not there",
    ] {
        assert!(said.contains(&format!("WRONG  {wrong}")), "{wrong} in\n{said}");
    }
}

#[test]
fn a_port_that_is_not_wanted_is_no_trouble_and_one_that_is_lost_is() {
    let github = GitHub::start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    // The port that the settings name is of no account where only WebSocket is spoken.
    let only = [("GHOARD_TRANSPORTS", "ws"), ("CACHE_LISTEN_PORT", port.as_str())];
    for (env, verdict) in [
        (vec![("GHOARD_ENABLE_P2P", "false")], "-      port         none is needed"),
        (vec![only[0], only[1]], "-      port         none: with transports = ws"),
        (vec![only[0], only[1], ("GHOARD_WEBSOCKET_PORT", "0")], "ok     port         the daemon listens at"),
        (
            vec![("GHOARD_WEBSOCKET_PORT", port.as_str())],
            "warn   port         the daemon cannot listen on /ip4/127.0.0.1/tcp",
        ),
        (
            vec![("GHOARD_LISTEN_ADDRESS", "192.0.2.1")],
            "WRONG  port         the daemon cannot listen on /ip4/192.0.2.1",
        ),
    ] {
        let machine = member(&github, &env).start();
        let seen = || doctor(&machine.setup).1;
        wait_until(&format!("{verdict} in {}", seen()), || seen().contains(verdict));
        if env.contains(&("GHOARD_LISTEN_ADDRESS", "192.0.2.1")) {
            assert!(machine.line("shares").contains("listens nowhere"), "{}", machine.told.text());
            let log = machine.log.text();
            assert!(log.contains("192.0.2.1 is no address of this machine") && !log.contains("taken"), "{log}");
        }
    }
}

#[test]
fn the_firewall_s_line_is_for_the_ports_that_are_listened_on() {
    let github = GitHub::start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let env = [("CACHE_LISTEN_PORT", port.as_str()), ("GHOARD_TRANSPORTS", "tcp"), ("GHOARD_WEBSOCKET_PORT", "0")];
    let machine = member(&github, &env).start();
    let listening = || machine.status("/api/mcp/peers").json()["listening"].as_array().unwrap().clone();
    wait_until("it listens over both", || listening().len() == 2);
    let (_, said) = doctor(&machine.setup);
    let line = lines(&said, "firewall").concat();
    for address in listening() {
        let port = address.as_str().unwrap().split('/').nth(4).unwrap().to_owned();
        assert!(line.contains(&format!("ufw allow {port}/tcp")), "{port} in {line}");
    }
    assert!(!line.contains("/udp") && !line.contains(&format!("allow {port}/")), "{line}");
    assert!(said.contains(&format!("{port} could not be had")) && said.contains("end the other program"), "{said}");
}

#[test]
fn an_own_address_in_the_list_is_no_machine_to_reach() {
    let github = GitHub::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    let own = format!("/ip4/127.0.0.1/tcp/{port}");
    let machine = member(&github, &[("CACHE_LISTEN_PORT", &port), ("CACHE_BOOTSTRAP_PEERS", &own)]).start();
    let why = || machine.status("/api/mcp/peers").json()["connected_peers_why"].to_string();
    wait_until("it knows itself", || why().contains("this is this machine itself"));
    let (_, said) = doctor(&machine.setup);
    assert!(said.contains("-      bootstrap") && lines(&said, "peers").concat().contains("name one in"), "{said}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_named_at_the_start() {
    let github = GitHub::start();
    let setup = member(&github, &[("GHOARD_WEBSOCKET_PORT", "0")]);
    let file = setup.home.write("garbage.pem", "garbage").display().to_string();
    let setup = setup.env("GHOARD_TLS_CERT_FILE", &file).env("GHOARD_TLS_KEY_FILE", &file);
    let output = setup.command("run").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("tls_cert_file") && said.contains("garbage.pem") && said.contains("hint: "), "{said}");
}
