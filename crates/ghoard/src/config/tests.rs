use std::{collections::BTreeMap, ffi::OsString, io, path::Path};

use super::*;

fn config(story: &str) -> Result<Config, ConfigError> {
    resolved(story).map(|(config, _)| config)
}

fn secret(story: &str) -> MeshSecret {
    resolved(story).unwrap().1.unwrap()
}

/// Resolves a story: lines `VARIABLE=value`, `--flag=value`, and the rest is the file.
fn resolved(story: &str) -> Result<(Config, Result<MeshSecret, ConfigError>), ConfigError> {
    let mut env = BTreeMap::from([("HOME".to_owned(), OsString::from("/home/u"))]);
    let (mut flags, mut file) = (BTreeMap::new(), String::new());
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (left, value) = line.split_once('=').unwrap_or((line, ""));
        if let Some(flag) = left.strip_prefix("--") {
            let setting = SETTINGS.iter().find(|setting| setting.flag() == flag).unwrap();
            flags.insert(setting.name, value.to_owned());
        } else if !left.is_empty() && left.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_' || byte == b'2')
        {
            env.insert(left.to_owned(), value.into());
        } else {
            file += &format!("{line}\n");
        }
    }
    let read_file = |path: &Path| match path.to_str().unwrap() {
        "/home/u/.config/ghoard/config.toml" if !file.is_empty() => Ok(file.clone()),
        "/proc/sys/kernel/hostname" => Ok("box\n".to_owned()),
        "/run/secret" => Ok("from-the-file\n".to_owned()),
        "/run/empty" => Ok("\n".to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    let world = World { env: &env, read_file: &read_file };
    let config = Config::resolve(&RawConfig::read(&flags, None, &world)?, &world)?;
    let secret = config.mesh_secret(&world);
    Ok((config, secret))
}

fn shown(story: &str, name: &str) -> String {
    let config = config(story).unwrap();
    let shown = config.shown().iter().find(|shown| shown.name == name).unwrap();
    format!("{} from {}", shown.value.as_deref().unwrap_or("nothing"), shown.source)
}

fn refused(story: &str) -> String {
    let error = config(story).unwrap_err();
    error.to_string() + &error.hint().map(|hint| format!(" | {hint}")).unwrap_or_default()
}

#[test]
fn every_setting_is_resolved_once_and_in_order() {
    let config = config("").unwrap();
    let shown: Vec<_> = config.shown().iter().map(|shown| shown.name).collect();
    let table: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(shown, table);
}

#[test]
fn defaults_are_those_of_the_guides() {
    let config = config("").unwrap();
    assert!(config.enable_p2p && !config.p2p_explicit);
    assert_eq!(config.listen_port, 9100);
    assert_eq!(config.default_ttl, None);
    assert_eq!(config.proof_window.as_secs(), 60);
    assert_eq!(config.cache_dir, Path::new("/home/u/.cache/ghoard"));
    assert_eq!(config.door_socket, Path::new("/home/u/.cache/ghoard/ghoard.sock"));
    assert_eq!(config.runner_name, "box");
    assert_eq!(secret(""), MeshSecret::None);
    assert_eq!(config.origin, "https://api.github.com");
    assert!(config.public_bootstrap_peers.is_empty() && !config.kademlia);
}

#[test]
fn flag_beats_own_variable_beats_guides_variable_beats_file_beats_default() {
    let mut story = String::new();
    let mut check = |line: &str, expected: &str| {
        story = format!("{story}\n{line}");
        assert_eq!(shown(&story, "listen_port"), expected);
    };
    check("", "9100 from default");
    check("listen_port = 1", "1 from /home/u/.config/ghoard/config.toml:1");
    check("CACHE_LISTEN_PORT=2", "2 from CACHE_LISTEN_PORT");
    check("GHOARD_LISTEN_PORT=3", "3 from GHOARD_LISTEN_PORT");
    check("--listen-port=4", "4 from --listen-port");
}

#[test]
fn the_guides_names_have_their_own_order() {
    assert_eq!(shown("IPFS_ACCELERATE_CACHE_DIR=/b\nCACHE_DIR=/a", "cache_dir"), "/a from CACHE_DIR");
    assert_eq!(
        shown("GITHUB_REPOSITORY=a/b\nIPFS_ACCELERATE_GITHUB_REPO=c/d", "github_repository"),
        "c/d from IPFS_ACCELERATE_GITHUB_REPO"
    );
    assert_eq!(
        shown("CACHE_ADVERTISE_IP=::3\nEXTERNAL_IP=203.0.113.1", "external_address"),
        "203.0.113.1 from EXTERNAL_IP"
    );
}

#[test]
fn http_rules_need_an_origin() {
    assert_eq!(shown("", "rules"), "github from default");
    assert_eq!(shown("GHOARD_RULES=http\n--origin=http://127.0.0.1:8000", "rules"), "http from GHOARD_RULES");
    assert!(refused("rules = \"http\"").ends_with("expected origin to be set, too: http is for any origin but GitHub"));
    assert!(refused("--rules=ftp").ends_with("expected github or http"));
}

#[test]
fn an_address_that_no_other_machine_can_dial_is_no_external_one() {
    for address in ["0.0.0.0", "::", "127.0.0.1", "::1", "224.0.0.1", "/ip4/0.0.0.0/tcp/9100"] {
        assert!(refused(&format!("EXTERNAL_IP={address}")).contains("under which others reach"), "{address}");
    }
    assert_eq!(shown("EXTERNAL_IP=10.1.2.3", "external_address"), "10.1.2.3 from EXTERNAL_IP");
}

#[test]
fn an_empty_variable_is_not_set() {
    assert_eq!(shown("GHOARD_LISTEN_PORT=\nCACHE_LISTEN_PORT=2", "listen_port"), "2 from CACHE_LISTEN_PORT");
}

#[test]
fn an_explicit_ttl_sets_the_proof_window_unless_that_is_set() {
    assert_eq!(shown("CACHE_DEFAULT_TTL=300", "proof_window"), "300 s from default, as default_ttl");
    assert_eq!(shown("CACHE_DEFAULT_TTL=300\nproof_window = 5", "proof_window").split(' ').next(), Some("5"));
}

#[test]
fn the_secret_has_an_order_and_a_job_token_needs_consent() {
    let all = "CACHE_P2P_SHARED_SECRET=dev-secret\nGH_TOKEN=ghp_a\nGITHUB_TOKEN=ghp_b";
    assert_eq!(secret(all), MeshSecret::Shared(Secret::new("dev-secret")));
    assert_eq!(
        secret("--shared-secret-file=/run/secret\nGH_TOKEN=x"),
        MeshSecret::Shared(Secret::new("from-the-file"))
    );
    let token = |token: &str, from: &str| MeshSecret::Token { token: Secret::new(token), from: from.into() };
    assert_eq!(secret("GITHUB_TOKEN=ghp_b\nGH_TOKEN=ghp_a"), token("ghp_a", "GH_TOKEN"));
    assert_eq!(secret("GITHUB_TOKEN=ghp_b"), token("ghp_b", "GITHUB_TOKEN"));
    assert_eq!(secret("GITHUB_TOKEN=ghs_j"), MeshSecret::JobTokenNotUsed { from: "GITHUB_TOKEN".into() });
    let job = MeshSecret::JobToken { token: Secret::new("ghs_j"), from: "GITHUB_TOKEN".into() };
    assert_eq!(secret("GITHUB_TOKEN=ghs_j\nCACHE_ENABLE_P2P=true"), job);
    assert_eq!(secret("CACHE_ENABLE_P2P=1"), MeshSecret::AskGh);
    assert_eq!(secret("CACHE_ENABLE_P2P=false"), MeshSecret::None);
}

#[test]
fn a_secret_is_never_shown() {
    let story = "CACHE_P2P_SHARED_SECRET=hunter2\nGH_TOKEN=ghp_hunter2\nlog = \"info\"";
    let config = config(story).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(config.shown().iter().all(|shown| !shown.value.as_deref().unwrap_or_default().contains("hunter2")));
    for bad in
        ["shared_secret = hunter2", "shared_secret = 42", "shared_secret = \"hunter2", "shared_secret = [\"hunter2\"]"]
    {
        assert!(!refused(bad).contains("hunter2"), "{}", refused(bad));
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest_key() {
    let place = "/home/u/.config/ghoard/config.toml";
    assert_eq!(
        refused("listen_port = 1\nlisten_adress = \"::\""),
        format!("{place}:2: unknown key \"listen_adress\" | did you mean \"listen_address\"?")
    );
    assert_eq!(refused("[wxyz]\nx = 1"), format!("{place}:1: unknown key \"wxyz\" | `ghoard config` lists every key"));
}

#[test]
fn a_bad_value_names_setting_source_value_and_what_is_expected() {
    assert_eq!(
        refused("CACHE_LISTEN_PORT=70000"),
        "listen_port from CACHE_LISTEN_PORT: \"70000\" is not allowed, expected a port from 0 to 65535"
    );
    assert_eq!(
        refused("log = \"info\"\nlisten_port = \"x\""),
        "listen_port from /home/u/.config/ghoard/config.toml:2: \"x\" is not allowed, expected a port from 0 to 65535"
    );
    assert_eq!(
        refused("listen_port = true"),
        "listen_port from /home/u/.config/ghoard/config.toml:1: expected a whole number"
    );
    assert!(refused("--github-repository=octocat").ends_with("expected owner/repo"));
    assert!(refused("--shared-secret= ").ends_with("--shared-secret: expected some text"));
    assert!(!refused("--origin=https://me:hunter2@host").contains("hunter2"));
    assert!(refused("--default-ttl=-1").contains("expected whole seconds"));
    assert!(refused("GHOARD_CONFIG=/none.toml").contains("could not read /none.toml"));
}

#[test]
fn a_socket_path_has_a_limit() {
    let path = format!("/{}", "x".repeat(107));
    assert!(config(&format!("--door-socket=/{}", "x".repeat(106))).is_ok());
    let expected = format!(
        "door_socket from --door-socket: the path {path} has 108 bytes, and a unix socket's path at most 107 \
         | set GHOARD_DOOR_SOCKET to a shorter path"
    );
    assert_eq!(refused(&format!("--door-socket={path}")), expected);
}

#[test]
fn the_file_registry_is_there_even_if_a_repository_is() {
    let folders = |story: &str| config(story).unwrap().p2p_registry_dirs;
    assert_eq!(folders("")[0], Path::new("/home/u/.cache/p2p_peers"));
    assert_eq!(folders("GITHUB_REPOSITORY=a/b"), folders(""), "one does not take the other's place");
    assert_eq!(folders("IPFS_ACCELERATE_P2P_CACHE_DIR=off"), [""; 0].map(Path::new));
    assert_eq!(folders("GITHUB_REPOSITORY=a/b\nIPFS_ACCELERATE_P2P_CACHE_DIR=/x"), [Path::new("/x")]);
}

#[test]
fn peers_come_from_a_text_or_a_list() {
    let peers = |story: &str| config(story).unwrap().bootstrap_peers;
    assert_eq!(peers("CACHE_BOOTSTRAP_PEERS= /a , ,/b,/a"), ["/a", "/b"]);
    assert_eq!(peers("bootstrap_peers = [\"/a\", \"/b\"]"), ["/a", "/b"]);
}

#[test]
fn a_machine_relays_and_asks_the_router_by_its_role() {
    let both = |story: &str| (shown(story, "relay"), shown(story, "upnp"));
    assert_eq!(both(""), ("auto from default".to_owned(), "true from default".to_owned()));
    assert_eq!(both("GHOARD_ROLE=anchor").0, "on from default, as this is an anchor");
    assert_eq!(both("GHOARD_ROLE=anchor\nGHOARD_RELAY=off").0, "off from GHOARD_RELAY");
    assert_eq!(both("GITHUB_ACTIONS=true").1, "false from default, as this machine lives for minutes");
}

#[test]
fn who_is_blocked_is_named_by_peer_id() {
    let id = net::Identity::from_seed([1; 32]).peer();
    assert_eq!(config(&format!("GHOARD_BLOCKED_PEERS={id}, {id}")).unwrap().blocked_peers, [id.as_str()]);
    for story in ["GHOARD_BLOCKED_PEERS=runner-7", "GHOARD_BLOCKED_PEERS=/ip4/192.0.2.7/tcp/9100"] {
        assert!(refused(story).contains("expected peer ids"), "{}", refused(story));
    }
}

#[test]
fn transports_are_named_and_a_certificate_comes_with_its_key() {
    assert_eq!(shown("GHOARD_TRANSPORTS=quic,ws", "transports"), "quic,ws from GHOARD_TRANSPORTS");
    for story in ["GHOARD_TRANSPORTS=udp", "GHOARD_TRANSPORTS=,"] {
        assert!(refused(story).contains("expected some of tcp, quic and ws"), "{}", refused(story));
    }
    let alone = refused("GHOARD_TLS_CERT_FILE=/c.pem");
    assert!(alone.contains("tls_cert_file") && alone.contains("tls_key_file to be set, too"), "{alone}");
    let both = config("GHOARD_TLS_CERT_FILE=/c.pem\nGHOARD_TLS_KEY_FILE=/k.pem").unwrap();
    assert_eq!(both.tls_files, Some(("/c.pem".into(), "/k.pem".into())));
}

#[test]
fn public_nodes_are_gone_to_only_if_somebody_says_so() {
    let nodes = |story: &str| config(story).unwrap().public_bootstrap_peers;
    let well_known = nodes("IPFS_ACCELERATE_ENABLE_PUBLIC_BOOTSTRAP=1");
    assert_eq!(well_known, settings::PUBLIC_NODES);
    let is_whole = |node: &String| node.parse::<net::Address>().is_ok_and(|node| node.peer().is_some());
    assert!(well_known.iter().all(is_whole), "{well_known:?}");
    let own = "public_bootstrap_peers = '/ip4/192.0.2.7/tcp/4001/p2p/12D3KooW'";
    assert!(nodes(own).is_empty());
    assert_eq!(nodes(&format!("{own}\nenable_public_bootstrap = true")), ["/ip4/192.0.2.7/tcp/4001/p2p/12D3KooW"]);
}

#[test]
fn a_secret_s_file_is_needed_only_for_the_secret() {
    let refused = |story: &str| resolved(story).unwrap().1.unwrap_err().to_string();
    assert!(refused("--shared-secret-file=/run/empty").contains("expected a file that is not empty"));
    assert!(refused("--shared-secret-file=/run/none").contains("could not read /run/none"));
    assert_eq!(secret("shared_secret = \"s\"\n--shared-secret-file=/run/none"), MeshSecret::Shared(Secret::new("s")));
}

#[test]
fn a_machine_of_one_job_is_ephemeral_unless_somebody_says_otherwise() {
    assert_eq!(shown("", "role"), "node from default");
    assert_eq!(shown("role = 'auto'", "role"), "node from /home/u/.config/ghoard/config.toml:1");
    for variable in ["GITHUB_ACTIONS=true", "GITLAB_CI=true", "RUNNER_EPHEMERAL=1", "ACTIONS_RUNNER_INPUT_JITCONFIG=ey"]
    {
        let (name, _) = variable.split_once('=').unwrap();
        assert_eq!(shown(variable, "role"), format!("ephemeral from default, {name}"));
        assert_eq!(shown(&format!("{variable}\nGHOARD_ROLE=auto"), "role"), format!("ephemeral from default, {name}"));
        assert_eq!(shown(&format!("{variable}\n--role=anchor"), "role"), "anchor from --role");
    }
    assert_eq!(shown("GITHUB_ACTIONS=false", "role"), "node from default");
    let said = refused("role = 'king'");
    assert!(said.contains("auto, anchor or ephemeral"), "{said}");
}

#[test]
fn sealing_is_on_unless_switched_off_and_never_off_beside_a_registry_in_an_issue() {
    assert_eq!(shown("", "seal"), "on from default");
    assert_eq!(shown("GHOARD_SEAL=off\nGITHUB_REPOSITORY=o/r", "seal"), "off from GHOARD_SEAL");
    for registry in ["GHOARD_GITHUB_REPOSITORY=o/r", "IPFS_ACCELERATE_GITHUB_REPO=o/r", "github_repository = 'o/r'"] {
        let said = refused(&format!("--seal=off\n{registry}"));
        assert!(said.contains("seal") && said.contains("github_repository is set"), "{said}");
    }
    assert!(refused("seal = 'perhaps'").contains("on or off"));
}
