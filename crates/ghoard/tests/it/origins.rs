//! Several GitHubs behind one daemon: their answers, their links and their tokens stay apart.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
};

use fakehub::{Token, Visibility};

use crate::{
    http::{self, Reply},
    world::{GitHub, Machine, SECRET, Setup, TOKEN, has_gh, wait_until},
};

const REPO: &str = "/repos/octocat/Hello-World";
const PAGES: &str = "/repos/octocat/Hello-World/issues?per_page=30";
const SERVER_TOKEN: &str = "ghp_serverServerServerServerServerSer1";

/// An Enterprise Server: the API of a fakehub below `/api/v3`, and nothing else but what was heard.
struct Server {
    hub: GitHub,
    address: SocketAddr,
    heard: Arc<Mutex<String>>,
}

impl Server {
    fn start() -> Self {
        let hub = GitHub::start();
        let heard = Arc::<Mutex<String>>::default();
        let to = hub.url.strip_prefix("http://").unwrap().parse().unwrap();
        let address = enterprise_paths(to, heard.clone());
        hub.hub().api_url = format!("http://{address}/api/v3");
        hub.hub().revoke(TOKEN);
        hub.hub().add_token(Token::new(SERVER_TOKEN, "octocat").with_repo("acme/secret", fakehub::Role::Write));
        hub.hub().put_document(REPO, Visibility::Public, "{\"from\":\"the server\"}");
        Self { hub, address, heard }
    }

    fn url(&self) -> String {
        format!("http://{}/api/v3", self.address)
    }

    fn heard(&self) -> String {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Passes requests below `/api` on, one on each connection, and refuses every other with 418.
#[expect(clippy::disallowed_methods, reason = "the test's own threads, beside the program")]
fn enterprise_paths(to: SocketAddr, heard: Arc<Mutex<String>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut from in listener.incoming().map_while(Result::ok) {
            let heard = heard.clone();
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && matches!(from.read(&mut byte), Ok(1)) {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                heard.lock().unwrap_or_else(PoisonError::into_inner).push_str(&head);
                let plain = head.replacen(" /api/v3/", " /", 1).replacen(" /api/graphql", " /graphql", 1);
                if plain == head {
                    let _ =
                        from.write_all(b"HTTP/1.1 418 Not the API\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                    return;
                }
                let mut to = TcpStream::connect(to).unwrap();
                to.write_all(plain.replacen("\r\n", "\r\nconnection: close\r\n", 1).as_bytes()).unwrap();
                let (mut body, mut up) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut body, &mut up));
                let _ = std::io::copy(&mut to, &mut from);
                let _ = from.shutdown(Shutdown::Both);
            });
        }
    });
    address
}

/// A machine before both, with a door for each.
fn before(github: &GitHub, server: &Server) -> Machine {
    Setup::new(github).env("GHOARD_MORE_ORIGINS", format!("127.0.0.1:0={}", server.url())).start()
}

/// The door of the server.
fn server_door(machine: &Machine, server: &Server) -> SocketAddr {
    let told = machine.told.text();
    let line = told.lines().find(|line| line.ends_with(&format!(" for {}", server.url()))).unwrap();
    line.trim().strip_prefix("base URL    http://").unwrap().split(' ').next().unwrap().parse().unwrap()
}

fn by_door(door: SocketAddr, method: &str, path: &str, token: &str, body: &str) -> Reply {
    let length = if body.is_empty() { String::new() } else { format!("\nContent-Length: {}", body.len()) };
    let head = format!("{method} {path} HTTP/1.1\nHost: {door}\nAuthorization: Bearer {token}{length}");
    http::exchange(http::tcp(door), &head, body.as_bytes())
}

fn by_socket(machine: &Machine, host: &str, path: &str, token: &str) -> Reply {
    let head = format!("GET {path} HTTP/1.1\nHost: {host}\nAuthorization: Bearer {token}");
    http::exchange(http::unix(&machine.socket()), &head, b"")
}

fn is_hit(reply: &Reply) -> bool {
    reply.header("cache-status").starts_with("ghoard; hit")
}

#[test]
fn one_path_at_two_sites_is_two_answers_at_every_door() {
    let (github, server) = (GitHub::start(), Server::start());
    let machine = before(&github, &server);
    let door = server_door(&machine, &server);
    let host = server.address.to_string();
    for round in 0..2 {
        let at_github =
            [machine.get(REPO, Some(TOKEN)), by_socket(&machine, "api.github.com", REPO, TOKEN)].map(|reply| {
                assert_eq!(reply.json()["full_name"], "octocat/Hello-World", "{}", reply.text());
                is_hit(&reply)
            });
        let paths = [REPO.to_owned(), format!("/api/v3{REPO}")];
        let at_server = [
            by_door(door, "GET", &paths[0], SERVER_TOKEN, ""),
            by_door(door, "GET", &paths[1], SERVER_TOKEN, ""),
            by_socket(&machine, &host, &paths[1], SERVER_TOKEN),
        ]
        .map(|reply| {
            assert_eq!(reply.text(), "{\"from\":\"the server\"}");
            is_hit(&reply)
        });
        // The doors share what is cached, each site's own.
        assert_eq!((at_github, at_server), ([round > 0, true], [round > 0, true, true]));
    }
    assert_eq!((github.count(REPO).requests, server.hub.count(REPO).requests), (1, 1));
    assert_eq!(machine.stat("api_calls_made"), 2);
}

#[test]
fn a_token_reaches_the_site_that_it_was_sent_to_and_no_other() {
    let (github, server) = (GitHub::start(), Server::start());
    let machine = before(&github, &server);
    let door = server_door(&machine, &server);
    // The same token at both sites: one knows it, the other does not, and neither's word counts for the other.
    assert_eq!(machine.get("/user", Some(TOKEN)).status, 200);
    assert!(is_hit(&machine.get("/user", Some(TOKEN))));
    assert_eq!(by_door(door, "GET", "/repos/acme/secret", SERVER_TOKEN, "").status, 200);
    assert_eq!(machine.get("/repos/acme/secret", Some(SERVER_TOKEN)).status, 401);
    assert_eq!(by_door(door, "GET", "/repos/acme/secret", TOKEN, "").status, 401);

    let (github, server) = (GitHub::start(), Server::start());
    let machine = before(&github, &server);
    let door = server_door(&machine, &server);
    machine.get("/user", Some(TOKEN));
    machine.gh(&["api", "repos/acme/secret"], TOKEN);
    machine.request("POST", "/repos/octocat/Hello-World/issues", Some(TOKEN), "\nContent-Length: 0");
    assert_eq!(server.heard(), "", "nothing of github.com's client goes to the server");
    by_door(door, "GET", "/user", SERVER_TOKEN, "");
    by_door(door, "POST", "/api/graphql", SERVER_TOKEN, "{\"query\":\"{viewer{login}}\"}");
    by_socket(&machine, &server.address.to_string(), "/api/v3/rate_limit", SERVER_TOKEN);
    by_socket(&machine, &server.address.to_string(), "/%61pi/v3/user", SERVER_TOKEN);
    // What is no API is the server's as well, and not kept.
    assert_eq!(by_socket(&machine, &server.address.to_string(), "/login/oauth/x", SERVER_TOKEN).status, 418);
    let heard = server.heard();
    let paths: Vec<_> = heard.lines().filter_map(|line| line.strip_suffix(" HTTP/1.1")).collect();
    assert_eq!(paths, ["GET /api/v3/user", "POST /api/graphql", "GET /api/v3/rate_limit", "GET /login/oauth/x"]);
    assert!(!heard.contains(TOKEN));
    let counts = github.hub().counts();
    assert!(counts.rows.iter().all(|row| row.label != "unknown"), "{:?}", counts.rows);
}

/// The real gh, told by its own means which host is meant.
#[test]
fn gh_reaches_each_site_by_its_host() {
    if !has_gh("gh_reaches_each_site_by_its_host") {
        return;
    }
    let (github, server) = (GitHub::start(), Server::start());
    let machine = before(&github, &server);
    let gh = |arguments: &[&str], host: &str| {
        let mut gh = machine.setup.command("gh");
        gh.args(arguments).env("GH_TOKEN", TOKEN).env("GH_ENTERPRISE_TOKEN", SERVER_TOKEN).env("GH_HOST", host);
        let output = gh.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let host = server.address.to_string();
    let repo = ["api", "repos/octocat/Hello-World"];
    for _ in 0..2 {
        assert_eq!(gh(&repo, &host), "{\"from\":\"the server\"}");
        assert!(gh(&repo, "github.com").contains("octocat/Hello-World"));
    }
    let login = gh(&["api", "graphql", "-f", "query={viewer{login}}"], &host);
    assert!(login.contains("octocat"), "{login}");
    assert_eq!((github.count(REPO).requests, server.hub.count(REPO).requests), (1, 1));
    assert!(!server.heard().contains(TOKEN));
}

#[test]
fn links_lead_back_to_the_door_of_their_own_site() {
    let (github, server) = (GitHub::start(), Server::start());
    let machine = before(&github, &server);
    let door = server_door(&machine, &server);
    for round in 0..2 {
        let reply = by_door(door, "GET", PAGES, SERVER_TOKEN, "");
        assert_eq!((reply.status, is_hit(&reply)), (200, round > 0));
        assert!(reply.header("link").contains(&format!("<http://{door}/repositories/")), "{}", reply.header("link"));
        let reply = machine.get(PAGES, Some(TOKEN));
        assert!(reply.header("link").contains(&format!("<http://{}/repositories/", machine.base())));
        // By the socket a client has the real names.
        let path = format!("/api/v3{PAGES}");
        let reply = by_socket(&machine, &server.address.to_string(), &path, SERVER_TOKEN);
        assert!(reply.header("link").contains(&format!("<{}/repositories/", server.url())));
        let reply = by_socket(&machine, "api.github.com", PAGES, TOKEN);
        assert!(reply.header("link").contains("<https://api.github.com/repositories/"));
    }
}

#[test]
fn a_write_at_one_site_leaves_the_other_s_answers() {
    let (github, server) = (GitHub::start(), Server::start());
    let machine = before(&github, &server);
    let door = server_door(&machine, &server);
    let issues = "/repos/octocat/Hello-World/issues";
    let at_server = || is_hit(&by_door(door, "GET", issues, SERVER_TOKEN, ""));
    machine.get(issues, Some(TOKEN));
    at_server();
    assert!(is_hit(&machine.get(issues, Some(TOKEN))) && at_server());
    assert_eq!(by_door(door, "POST", issues, SERVER_TOKEN, "{\"title\":\"new\"}").status, 201);
    assert!(is_hit(&machine.get(issues, Some(TOKEN))));
    assert!(!at_server());
}

#[test]
fn members_of_a_fleet_keep_the_sites_apart_too() {
    let (github, server) = (GitHub::start(), Server::start());
    let registry = tempfile::tempdir().unwrap();
    let registry = registry.path().display().to_string();
    let start = |name| {
        let setup = Setup::new(&github).env("GHOARD_MORE_ORIGINS", format!("127.0.0.1:0={}", server.url()));
        setup.member(SECRET, &registry, name).start()
    };
    let (a, b) = (start("a"), start("b"));
    a.wait_for_peers(1);
    b.wait_for_peers(1);
    // One token that both sites know.
    server.hub.hub().add_token(Token::new(TOKEN, "octocat"));
    let expected = "{\"from\":\"the server\"}";
    assert_eq!(by_door(server_door(&a, &server), "GET", REPO, TOKEN, "").text(), expected);
    wait_until("the other has heard of it", || b.stat("index_entries") == 1);
    assert_eq!(b.get(REPO, Some(TOKEN)).json()["full_name"], "octocat/Hello-World");
    assert_eq!(by_door(server_door(&b, &server), "GET", REPO, TOKEN, "").text(), expected);
    assert_eq!((github.count(REPO).requests, server.hub.count(REPO).requests), (1, 1));
}

/// An Enterprise Server as the only origin: its own host is its API at the socket, github.com is not.
#[test]
fn a_server_alone_is_called_by_its_own_name() {
    let server = Server::start();
    // Not a name of loopback, which would stand in for github.com; it leads to this machine all the same.
    let host = format!("0.0.0.0:{}", server.address.port());
    server.hub.hub().api_url = format!("http://{host}/api/v3");
    let home = Arc::new(crate::home::Home::new());
    let machine = Setup::at(home, &format!("http://{host}/api/v3")).start();
    for round in 0..2 {
        let reply = by_socket(&machine, &host, &format!("/api/v3{PAGES}"), SERVER_TOKEN);
        assert_eq!((reply.status, is_hit(&reply)), (200, round > 0), "{}", reply.text());
        let link = reply.header("link");
        assert!(
            link.contains(&format!("<http://{host}/api/v3/repositories/")) && !link.contains("github.com"),
            "{link}"
        );
    }
    assert_eq!(machine.get(REPO, Some(SERVER_TOKEN)).text(), "{\"from\":\"the server\"}");
}
