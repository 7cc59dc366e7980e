use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixListener, process::ExitStatusExt},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::home::Home;

/// A home with a login, and a socket on which a daemon seems to listen.
fn with_daemon() -> (Home, UnixListener) {
    let home = Home::new();
    home.write(".config/gh/config.yml", "git_protocol: ssh\nhosts:\n    github.com:\n        oauth_token: ghp_old\n");
    home.write(".config/gh/hosts.yml", "github.com:\n    oauth_token: ghp_hunter2\n    user: u\n");
    let listener = UnixListener::bind(home.path("g.sock")).unwrap();
    (home, listener)
}

fn exec(home: &Home, arguments: &[&str]) -> Command {
    let mut ghoard = home.ghoard("exec --");
    ghoard.args(arguments).env("GHOARD_DOOR_SOCKET", home.path("g.sock"));
    ghoard
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn with_a_daemon_the_command_sees_a_private_configuration_and_leaves_no_trace() {
    let (home, _listener) = with_daemon();
    let script = "cd $GH_CONFIG_DIR && stat -c '%a %F %n' . * && cat config.yml; exit 7";
    let seen = "out: 700 directory .\nout: 600 regular file config.yml\nout: 777 symbolic link hosts.yml\n\
        out: http_unix_socket: ~/g.sock\nout: git_protocol: ssh\nexit: 7\n";
    assert_eq!(home.transcript(&mut exec(&home, &["sh", "-c", script])), seen);
    assert!(home.left_behind().is_empty());
    assert!(home.path(".config/gh/hosts.yml").exists());
}

#[test]
fn hosts_yml_is_never_opened() {
    let (home, _listener) = with_daemon();
    let hosts = home.path(".config/gh/hosts.yml");
    // A folder in its place would fail any attempt to read it, also for root.
    fs::remove_file(&hosts).unwrap();
    fs::create_dir(&hosts).unwrap();
    assert_eq!(home.transcript(&mut exec(&home, &["true"])), "exit: 0\n");
}

#[test]
fn without_a_daemon_the_command_goes_direct_and_says_so_once() {
    let home = Home::new();
    let show = ["sh", "-c", "echo ${GH_CONFIG_DIR-unset}; exit 3"];
    let direct = "out: unset\nerr: ghoard: no daemon at ~/g.sock, going direct\nexit: 3\n";
    assert_eq!(home.transcript(&mut exec(&home, &show)), direct);
    // A socket that nobody listens on any more is no daemon either.
    drop(UnixListener::bind(home.path("g.sock")).unwrap());
    assert_eq!(home.transcript(&mut exec(&home, &show)), direct);
}

#[test]
fn a_bypass_is_silent() {
    let (home, _listener) = with_daemon();
    let mut show = exec(&home, &["sh", "-c", "echo ${GH_CONFIG_DIR-unset}"]);
    assert_eq!(home.transcript(show.env("GHOARD_BYPASS", "1")), "out: unset\nexit: 0\n");
}

#[test]
fn going_direct_is_possible_after_setup_gh_too() {
    let (home, listener) = with_daemon();
    let mut setup = home.ghoard("setup gh");
    assert!(home.transcript(setup.env("GHOARD_DOOR_SOCKET", home.path("g.sock"))).ends_with("exit: 0\n"));
    let show = ["sh", "-c", "cat ${GH_CONFIG_DIR-$HOME/.config/gh}/config.yml; readlink $GH_CONFIG_DIR/hosts.yml"];
    let direct = "out: git_protocol: ssh\nout: ~/.config/gh/hosts.yml\n";
    let bypassed = home.transcript(exec(&home, &show).env("GHOARD_BYPASS", "1"));
    assert_eq!(bypassed, format!("{direct}exit: 0\n"));
    drop(listener);
    let down = "err: ghoard: no daemon at ~/g.sock, going direct\n";
    assert_eq!(home.transcript(&mut exec(&home, &show)), format!("{direct}{down}exit: 0\n"));
    assert!(home.left_behind().is_empty());
}

#[test]
fn a_wrong_configuration_does_not_stop_the_command() {
    let home = Home::new();
    let mut echo = exec(&home, &["echo", "ran"]);
    let transcript = home.transcript(echo.env("CACHE_LISTEN_PORT", "x"));
    assert!(transcript.starts_with("out: ran\nerr: warning: going direct: listen_port"), "{transcript}");
    assert!(transcript.ends_with("\nexit: 0\n"));
}

#[test]
fn a_command_that_cannot_run_has_the_shell_s_exit_code() {
    let (home, _listener) = with_daemon();
    let transcript = home.transcript(&mut exec(&home, &["no-such-command"]));
    assert_eq!(
        transcript,
        "err: error: could not run no-such-command: No such file or directory (os error 2)\nexit: 127\n"
    );
    home.write("not-a-program", "x");
    assert!(home.transcript(&mut exec(&home, &["./not-a-program"])).ends_with("exit: 126\n"));
    assert!(home.left_behind().is_empty());
}

#[test]
fn signals_reach_the_command_and_the_folder_goes_all_the_same() {
    for (sent, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let (home, _listener) = with_daemon();
        let mut command = exec(&home, &["sh", "-c", "echo ready; exec sleep 60"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(home.left_behind().len(), 1);
        signal(&child, sent);
        let status = child.wait().unwrap();
        assert_eq!((status.code(), status.signal()), (Some(code), None));
        assert!(home.left_behind().is_empty());
    }
}

#[test]
fn gh_s_arguments_pass_untouched() {
    let home = Home::new();
    let gh = home.write("bin/gh", "#!/bin/sh\nprintf '<%s>' \"$@\"\n");
    fs::set_permissions(gh, fs::Permissions::from_mode(0o755)).unwrap();
    let mut ghoard = home.ghoard("gh api --help -- --log a=b");
    let path = format!("{}:/bin:/usr/bin", home.path("bin").display());
    ghoard.env("PATH", path).env("GHOARD_BYPASS", "1");
    assert_eq!(home.transcript(&mut ghoard), "out: <api><--help><--><--log><a=b>\nexit: 0\n");
}

#[test]
fn the_real_gh_asks_the_socket_with_the_user_s_own_login() {
    let (home, listener) = with_daemon();
    if home.command("gh").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI needs gh");
        return;
    }
    let mut gh = home.ghoard("gh api /rate_limit");
    gh.env("GHOARD_DOOR_SOCKET", home.path("g.sock")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = gh.spawn().unwrap();
    // The first connection only tests whether anybody is there.
    drop(listener.accept().unwrap());
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut asked, mut chunk) = (Vec::new(), [0; 4096]);
    while !asked.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0);
        asked.extend_from_slice(&chunk[..read]);
    }
    let body = "{\"from\":\"the cache\"}";
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), body, "{}", String::from_utf8_lossy(&output.stderr));
    let asked = String::from_utf8(asked).unwrap();
    assert!(asked.starts_with("GET /rate_limit HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\nAuthorization: token ghp_hunter2\r\n"), "{asked}");
    assert!(home.left_behind().is_empty());
}
