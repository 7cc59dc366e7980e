//! The binary, started as a person would.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use crate::exchange;

/// A running `fakehub`, killed when it is dropped.
struct Running {
    child: Child,
    /// Its lines, name and value.
    lines: Vec<(String, String)>,
}

impl Running {
    fn new(args: &[&str], lines: usize) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fakehub"));
        let mut child = command.args(args).stdout(Stdio::piped()).spawn().unwrap();
        let told = BufReader::new(child.stdout.take().unwrap()).lines().take(lines);
        let pair = |line: std::io::Result<String>| {
            let line = line.unwrap();
            let (name, value) = line.split_once(' ').unwrap();
            (name.to_owned(), value.to_owned())
        };
        let lines = told.map(pair).collect();
        Self { child, lines }
    }

    fn addr(&self) -> std::net::SocketAddr {
        self.lines[0].1.strip_prefix("http://").unwrap().parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn one_port_plays_the_api_the_stores_and_the_control_routes() {
    let running = Running::new(&["--token", "octocat=mine-t,acme/secret"], 1);
    let get = |path: &str, headers: &str| exchange(running.addr(), &format!("GET {path} HTTP/1.1{headers}"), "");
    let token = "\r\nauthorization: token mine-t";
    assert!(get("/repos/acme/secret", token).contains(r#""push":true"#));
    let moved = get(
        "/repos/octocat/Hello-World/releases/assets/129626931",
        &format!("{token}\r\naccept: application/octet-stream"),
    );
    let url = moved.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    let path = url.strip_prefix(&format!("http://localhost:{}", running.addr().port())).unwrap();
    assert!(path.starts_with("/_storage/"), "{url}");
    let mut stream = std::net::TcpStream::connect(running.addr()).unwrap();
    std::io::Write::write_all(
        &mut stream,
        format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes(),
    )
    .unwrap();
    let mut told = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut told).unwrap();
    assert!(told.starts_with(b"HTTP/1.1 200") && told.len() > 640);
    let counts = get("/_fakehub/counts", "");
    assert!(counts.contains(r#""storage""#) && !counts.contains("mine-t") && !counts.contains("sig="), "{counts}");
}

#[test]
fn a_ghes_and_a_proxy_are_flags_and_control_can_be_left_out() {
    let running = Running::new(&["--enterprise", "3.17.0", "--no-control"], 1);
    let told = exchange(running.addr(), "GET /api/v3/meta HTTP/1.1", "");
    assert!(told.contains("x-github-enterprise-version: 3.17.0\r\n"), "{told}");
    assert!(exchange(running.addr(), "GET /_fakehub/counts HTTP/1.1", "").starts_with("HTTP/1.1 404"));

    let folder = tempfile::TempDir::new().unwrap();
    let ca = folder.path().join("ca.pem");
    let running = Running::new(&["--ca", ca.to_str().unwrap()], 2);
    assert_eq!(running.lines[1].0, "proxy");
    assert!(std::fs::read_to_string(ca).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
}

#[test]
fn a_token_that_is_not_one_is_refused_without_being_repeated() {
    let output = Command::new(env!("CARGO_BIN_EXE_fakehub")).args(["--token", "secret-text"]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("not LOGIN=TEXT") && !told.contains("secret-text"), "{told}");
}
