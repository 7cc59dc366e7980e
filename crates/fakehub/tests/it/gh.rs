//! The real `gh`, unmodified, going straight to what it takes for api.github.com.

use std::{
    io::ErrorKind,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::Stage;

struct Gh {
    home: TempDir,
    proxy: fakehub::tls::Proxy,
    token: &'static str,
}

impl Gh {
    /// `None`, and a line that says so, where `gh` is not installed.
    #[expect(clippy::print_stdout, reason = "a skipped test says so")]
    fn new(stage: &Stage) -> Option<Self> {
        if let Err(error) = Command::new("gh").arg("--version").output() {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            println!("skipped: gh is not installed");
            return None;
        }
        let (home, proxy) = (TempDir::new().unwrap(), stage.proxy());
        std::fs::write(home.path().join("ca.pem"), &proxy.ca_pem).unwrap();
        Some(Self { home, proxy, token: "octocat-t" })
    }

    fn run(&self, args: &[&str]) -> Output {
        let home = self.home.path();
        let path = std::env::var_os("PATH").unwrap_or_default();
        Command::new("gh")
            .args(args)
            .current_dir(home)
            .env_clear()
            .env("PATH", path)
            .env("HOME", home)
            .env("GH_CONFIG_DIR", home)
            .env("GH_TOKEN", self.token)
            .env("GH_NO_UPDATE_NOTIFIER", "1")
            .env("HTTPS_PROXY", self.proxy.url())
            .env("SSL_CERT_FILE", home.join("ca.pem"))
            .output()
            .unwrap()
    }

    /// Runs what has to succeed, and returns its standard output.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn api_reads_a_repository() {
    let stage = Stage::new();
    let Some(gh) = Gh::new(&stage) else { return };
    let body: Value = serde_json::from_str(&gh.ok(&["api", "/repos/octocat/Hello-World"])).unwrap();
    assert_eq!((&body["id"], &body["permissions"]["admin"]), (&1_296_269.into(), &true.into()));
    let counts = stage.hub().counts();
    assert_eq!((counts.total.requests, counts.labels["octocat"].charged), (1, 1));
}

#[test]
fn paginate_walks_every_page_by_its_link() {
    let stage = Stage::new();
    let Some(gh) = Gh::new(&stage) else { return };
    let told = gh.ok(&["api", "--paginate", "/repos/octocat/Hello-World/issues?per_page=20", "--jq", ".[].number"]);
    assert_eq!(told.lines().count(), 56, "four of five of 70 issues are open");
    let counts = stage.hub().counts();
    assert_eq!(counts.total.requests, 3);
    assert!(counts.rows.iter().any(|row| row.path.starts_with("/repositories/1296269/issues?")), "{:?}", counts.rows);
}

#[test]
fn graphql_and_repo_view_find_their_fields() {
    let stage = Stage::new();
    let Some(gh) = Gh::new(&stage) else { return };
    let told = gh.ok(&["api", "graphql", "-f", "query=query { viewer { login } }"]);
    assert_eq!(told.trim(), r#"{"data":{"viewer":{"login":"octocat"}}}"#);
    let told = gh.ok(&["repo", "view", "octocat/Hello-World", "--json", "name,isPrivate,defaultBranchRef"]);
    let body: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&body["name"], &body["defaultBranchRef"]["name"]), (&"Hello-World".into(), &"main".into()));
    assert!(gh.ok(&["repo", "view", "octocat/Hello-World"]).contains("Hello-World"));
}

#[test]
fn writes_are_seen_by_the_next_read() {
    let stage = Stage::new();
    let Some(gh) = Gh::new(&stage) else { return };
    let issue = "/repos/octocat/Hello-World/issues/1";
    gh.ok(&["api", "-X", "PATCH", issue, "-f", "title=Renamed by gh"]);
    assert_eq!(gh.ok(&["api", issue, "--jq", ".title"]).trim(), "Renamed by gh");
    assert_eq!(stage.hub().counts().total.mutations, 1);
}

#[test]
fn what_is_not_there_or_not_allowed_exits_1() {
    let stage = Stage::new();
    let Some(mut gh) = Gh::new(&stage) else { return };
    let output = gh.run(&["api", "/repos/octocat/none"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Not Found (HTTP 404)"));
    gh.token = "revoked-t";
    let output = gh.run(&["api", "/user"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Bad credentials (HTTP 401)"));
}

#[test]
fn run_list_reads_the_actions_routes() {
    let stage = Stage::new();
    let Some(gh) = Gh::new(&stage) else { return };
    let told = gh.ok(&["run", "list", "-R", "octocat/Hello-World", "-L", "3", "--json", "databaseId,status"]);
    let runs: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((runs.as_array().unwrap().len(), &runs[0]["status"]), (3, &"in_progress".into()));
}
