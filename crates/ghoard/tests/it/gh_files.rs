//! What the real gh prints and which files it leaves, by the socket and straight: bodies from the API
//! and from the hosts that it redirects to.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use fakehub::{Options, tls};
use task::Tasks;

use crate::world::{GitHub, Machine, Setup, TOKEN, has_gh};

const REPO: &str = "octocat/Hello-World";

/// More than is ever kept: such a body streams through.
const LARGE_BYTES: usize = 20 << 20;

/// A hub, and a proxy that plays its hosts under their real names.
struct Way {
    github: GitHub,
    proxy: tls::Proxy,
    setup: Setup,
    runs: u32,
}

/// All that is left of a command, but for what it said on standard error.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    stdout: String,
    code: Option<i32>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Way {
    fn new() -> Self {
        let github = GitHub::start();
        let run = ended_run(&github);
        github.hub().add_artifact(REPO, run, "large", LARGE_BYTES).unwrap();
        let context = github.runtime.enter();
        let tasks = Tasks::tokio();
        let serving = tls::serve(&tasks, github.shared_hub(), Options::default());
        let proxy = github.runtime.block_on(serving).unwrap();
        drop(context);
        let setup = Setup::new(&github);
        setup.home.write("ca.pem", &proxy.ca_pem);
        Self { github, proxy, setup, runs: 0 }
    }

    /// A daemon to which the origin, and every other host, is known by its real name.
    fn machine(&self) -> Machine {
        let ca = self.setup.home.path("ca.pem").display().to_string();
        let setup = Setup::at(self.setup.home.clone(), "https://api.github.com");
        setup.env("HTTPS_PROXY", self.proxy.url()).env("GHOARD_EXTRA_CA", ca).start()
    }

    /// Runs gh in an empty folder, with an empty home of its own: it keeps logs and answers there.
    fn run(&mut self, mut gh: Command, arguments: &[&str]) -> (Left, String) {
        self.runs += 1;
        let (home, folder) =
            (self.setup.home.path(format!("gh-{}", self.runs)), self.setup.home.path(format!("in-{}", self.runs)));
        fs::create_dir(&home).unwrap();
        fs::create_dir(&folder).unwrap();
        gh.args(arguments).current_dir(&folder).env("HOME", &home).env("TMPDIR", &home).env("GH_TOKEN", TOKEN);
        let output = gh.output().unwrap();
        let mut files = BTreeMap::new();
        collect(&folder, &folder, &mut files);
        let stdout = String::from_utf8(output.stdout).unwrap();
        let left = Left { stdout, code: output.status.code(), files };
        (left, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn straight(&mut self, arguments: &[&str]) -> (Left, String) {
        let mut gh = self.setup.home.command("gh");
        gh.env("HTTPS_PROXY", self.proxy.url()).env("SSL_CERT_FILE", self.setup.home.path("ca.pem"));
        self.run(gh, arguments)
    }
}

/// The newest run that has ended.
fn ended_run(github: &GitHub) -> u64 {
    let runs = github.hub().runs(REPO);
    runs[runs.len() - 2]
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            files.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
        }
    }
}

#[test]
fn gh_leaves_the_same_behind_by_the_socket_as_straight() {
    if !has_gh("gh_leaves_the_same_behind_by_the_socket_as_straight") {
        return;
    }
    // Two hubs of one seed, so that a write on one way does not show on the other.
    let (mut by_socket, mut direct) = (Way::new(), Way::new());
    let machine = by_socket.machine();
    let run = ended_run(&by_socket.github).to_string();
    let (run, repo) = (run.as_str(), ["-R", REPO]);
    // What gh is asked, whether it works, and how many files it leaves.
    let commands: [(&[&str], bool, usize); 12] = [
        (&["repo", "list", "octocat"], true, 0),
        (&["repo", "list", "acme", "--json", "nameWithOwner,isPrivate", "--limit", "2"], true, 0),
        (&["issue", "create", "-t", "By gh", "-b", "Text"], true, 0),
        // Not when it was created: the two ways are a moment apart.
        (&["issue", "list", "-L", "40", "--json", "number,title"], true, 0),
        (&["run", "view", run, "--log"], true, 0),
        (&["run", "download", run], true, 4),
        (&["run", "download", run, "-n", "report"], true, 2),
        (&["release", "download", "v1.3.0"], true, 2),
        (&["release", "download", "v1.3.0", "--archive", "zip"], true, 1),
        (&["run", "view", "1", "--log"], false, 0),
        (&["run", "download", run, "-n", "nothing"], false, 0),
        (&["release", "download", "v0.0.0"], false, 0),
    ];
    for when in ["cold", "warm"] {
        for (arguments, works, files) in commands {
            let arguments = if arguments[0] == "repo" { arguments.to_vec() } else { [arguments, &repo].concat() };
            let (through, said) = by_socket.run(machine.setup.command("gh"), &arguments);
            let (plain, _) = direct.straight(&arguments);
            let shown = (&through.stdout, through.code, through.files.keys().collect::<Vec<_>>());
            assert!(through == plain, "{arguments:?}, {when}: {shown:?}, and it said:\n{said}");
            assert_eq!((plain.code == Some(0), plain.files.len()), (works, files), "{arguments:?}, {when}: {shown:?}");
        }
    }
    let (through, plain) = (by_socket.github.hub().counts(), direct.github.hub().counts());
    assert_eq!((through.total.leaked, plain.total.leaked), (0, 0), "no token went to a storage host");
    assert_eq!(through.total.mutations, plain.total.mutations);
    assert_eq!(through.kinds["storage"].requests, plain.kinds["storage"].requests, "what is signed is never kept");
    assert!(through.total.charged < plain.total.charged, "{:?} {:?}", through.total, plain.total);
}
