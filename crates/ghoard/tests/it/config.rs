use expect_test::expect;

use crate::home::Home;

#[test]
fn every_value_is_shown_with_where_it_comes_from() {
    let home = Home::new();
    home.write(".config/ghoard/config.toml", "# mine\nstale_for = 10\nlisten_port = 1\n");
    let mut ghoard = home.ghoard("config --log-format json");
    ghoard.env("CACHE_LISTEN_PORT", "9101").env("GHOARD_MEMORY_BYTES", "1 GiB").env("RUNNER_NAME", "box");
    ghoard.env("CACHE_P2P_SHARED_SECRET", "hunter2").env("GH_TOKEN", "ghp_hunter2");
    // How wide a column is depends on the path of the home.
    let transcript = home.transcript(&mut ghoard);
    let lines: Vec<_> = transcript.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    expect![[r#"
        out: enable_p2p true default
        out: listen_port 9101 CACHE_LISTEN_PORT
        out: listen_address 0.0.0.0 default
        out: transports tcp,quic default
        out: websocket_port - default
        out: tls_cert_file - default
        out: tls_key_file - default
        out: bootstrap_peers - default
        out: blocked_peers - default
        out: default_ttl - default
        out: proof_window 60 s default
        out: stale_for 10 s ~/.config/ghoard/config.toml:2
        out: share proof default
        out: never_cache - default
        out: never_share - default
        out: mode serve default
        out: cache_dir ~/.cache/ghoard default
        out: shared_secret (set) CACHE_P2P_SHARED_SECRET
        out: shared_secret_file - default
        out: github_token (set) GH_TOKEN
        out: github_repository - default
        out: runner_name box RUNNER_NAME
        out: role node default
        out: relay auto default
        out: hole_punching true default
        out: upnp true default
        out: seal on default
        out: external_address - default
        out: p2p_registry_dir ~/.cache/p2p_peers default
        out: dns_name - default
        out: mdns true default
        out: peer_exchange true default
        out: kademlia false default
        out: force_localhost - default
        out: enable_public_bootstrap false default
        out: public_bootstrap_peers /dnsaddr/va1.bootstrap.libp2p.io/p2p/12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8,/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN,/dnsaddr/bootstrap.libp2p.io/p2p/QmQCU2EcMqAqQPR2i9bChDtGNJchTbq5TbXJJ16u19uLTa,/dnsaddr/bootstrap.libp2p.io/p2p/QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb,/dnsaddr/bootstrap.libp2p.io/p2p/QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt default
        out: remote_multiaddr - default
        out: door_address 127.0.0.1:9120 default
        out: door_socket ~/.cache/ghoard/ghoard.sock default
        out: admin_address 127.0.0.1:9121 default
        out: admin_socket ~/.cache/ghoard/ghoard-admin.sock default
        out: rules github default
        out: origin https://api.github.com default
        out: more_origins - default
        out: origin_timeout 30 s default
        out: extra_ca - default
        out: memory_bytes 1 GiB GHOARD_MEMORY_BYTES
        out: disk_bytes 4 GiB default
        out: log info default
        out: log_format json --log-format
        exit: 0"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn json_has_the_same() {
    let home = Home::new();
    let mut ghoard = home.ghoard("config --json");
    ghoard.env("GITHUB_REPOSITORY", "a/b").env("CACHE_P2P_SHARED_SECRET", "hunter2");
    let output = ghoard.output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("hunter2"));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let setting = |name: &str| json["settings"].as_array().unwrap().iter().find(|s| s["name"] == name).unwrap().clone();
    assert_eq!(
        setting("github_repository"),
        serde_json::json!({
            "name": "github_repository",
            "value": "a/b",
            "source": "GITHUB_REPOSITORY",
            "flag": "--github-repository",
            "variables": ["GHOARD_GITHUB_REPOSITORY", "IPFS_ACCELERATE_GITHUB_REPO", "GITHUB_REPOSITORY"],
        })
    );
    assert_eq!(setting("shared_secret")["value"], "(set)");
    assert_eq!(setting("default_ttl")["value"], serde_json::Value::Null);
}

#[test]
fn what_is_wrong_is_one_line_and_a_hint() {
    let home = Home::new();
    let check = |file: &str, arguments: &str, expected: &str| {
        home.write(".config/ghoard/config.toml", file);
        assert_eq!(home.transcript(&mut home.ghoard(arguments)), format!("err: error: {expected}\nexit: 2\n"));
    };
    let place = "~/.config/ghoard/config.toml:1:";
    check(
        "listen_prot = 1",
        "config",
        &format!("{place} unknown key \"listen_prot\"\nerr: hint: did you mean \"listen_port\"?"),
    );
    check(
        "shared_secret = hunter2",
        "config",
        &format!("{place} not TOML: string values must be quoted, expected literal string"),
    );
    let port = "listen_port from --listen-port: \"many\" is not allowed, expected a port from 0 to 65535";
    check("", "config --listen-port many", port);
    let hint = "is the path right, and may this user read it?";
    let absent = format!("could not read none.toml: No such file or directory (os error 2)\nerr: hint: {hint}");
    check("", "config --config none.toml", &absent);
}

#[test]
fn a_variable_that_sets_nothing_is_a_warning() {
    let home = Home::new();
    let output = home.ghoard("config").env("GHOARD_LISTEN_PROT", "1").output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "warning: GHOARD_LISTEN_PROT is no setting of ghoard\n");
    let output = home.ghoard("config").env("GHOARD_TRANSPORTS", "").output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "warning: GHOARD_TRANSPORTS is empty, which counts as not set\n");
}

#[test]
fn a_wrong_command_is_broken_not_a_no() {
    let home = Home::new();
    for arguments in ["", "nonsense", "smoke", "exec", "config --nonsense"] {
        let output = home.ghoard(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}");
        assert!(output.stdout.is_empty(), "{arguments}");
    }
}
