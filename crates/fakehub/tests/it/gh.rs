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
            // gh keeps logs here, for every run of these tests to find again.
            .env("TMPDIR", home)
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

#[test]
fn repo_list_pages_through_graphql() {
    let stage = Stage::new();
    let Some(gh) = Gh::new(&stage) else { return };
    let told = gh.ok(&["repo", "list", "octocat", "--json", "nameWithOwner,isPrivate", "--limit", "2"]);
    let repos: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(repos.as_array().unwrap().len(), 2, "{told}");
    assert!(gh.ok(&["repo", "list", "acme"]).contains("acme/secret"));
    assert!(gh.ok(&["issue", "list", "-R", "octocat/Hello-World", "-L", "40"]).lines().count() == 40);
}

#[test]
fn issue_create_prints_the_address_of_an_issue_that_is_there() {
    let stage = Stage::new();
    let Some(gh) = Gh::new(&stage) else { return };
    let told = gh.ok(&["issue", "create", "-R", "octocat/Hello-World", "-t", "By gh", "-b", "Text"]);
    assert_eq!(told.trim(), "https://github.com/octocat/Hello-World/issues/79");
    assert_eq!(gh.ok(&["api", "/repos/octocat/Hello-World/issues/79", "--jq", ".title"]).trim(), "By gh");
}

/// The newest run that has ended, of `octocat/Hello-World`.
fn ended_run(stage: &Stage) -> u64 {
    let runs = stage.hub().runs("octocat/Hello-World");
    runs[runs.len() - 2]
}

#[test]
fn run_view_shows_logs_from_the_storage_host_without_the_token() {
    let stage = Stage::new();
    let Some(gh) = Gh::new(&stage) else { return };
    let run = ended_run(&stage).to_string();
    assert!(gh.ok(&["run", "view", &run, "-R", "octocat/Hello-World"]).contains("build"));
    let told = gh.ok(&["run", "view", &run, "--log", "-R", "octocat/Hello-World"]);
    assert!(told.contains("build\tRun make\t"), "{told}");
    let counts = stage.hub().counts();
    assert_eq!((counts.kinds["storage"].requests, counts.total.leaked), (1, 0));
}

#[test]
fn run_download_unpacks_artifacts_small_and_large() {
    let stage = Stage::new();
    let Some(gh) = Gh::new(&stage) else { return };
    let run = ended_run(&stage);
    let bytes = 5 << 20;
    stage.hub().add_artifact("octocat/Hello-World", run, "large", bytes).unwrap();
    gh.ok(&["run", "download", &run.to_string(), "-R", "octocat/Hello-World"]);
    let file = |path: &str| std::fs::read(gh.home.path().join(path)).unwrap();
    assert_eq!(file("report/about.txt"), b"report of octocat/Hello-World\n");
    assert_eq!((file("report/data/noise.bin").len(), file("large/data/noise.bin").len()), (2_000, bytes));
    assert_eq!(stage.hub().counts().total.leaked, 0);
}

#[test]
fn release_view_and_download_fetch_assets_and_archives() {
    let stage = Stage::new();
    let Some(gh) = Gh::new(&stage) else { return };
    assert!(gh.ok(&["release", "view", "v1.3.0", "-R", "octocat/Hello-World"]).contains("checksums.txt"));
    gh.ok(&["release", "download", "v1.3.0", "-R", "octocat/Hello-World"]);
    let size = |name: &str| std::fs::metadata(gh.home.path().join(name)).unwrap().len();
    assert_eq!((size("app.tar.gz"), size("checksums.txt")), (120_000, 640));
    gh.ok(&["release", "download", "v1.3.0", "-R", "octocat/Hello-World", "--archive", "zip"]);
    assert!(gh.ok(&["release", "list", "-R", "octocat/Hello-World"]).contains("v1.3.0"));
    assert_eq!(stage.hub().counts().total.leaked, 0);
}
