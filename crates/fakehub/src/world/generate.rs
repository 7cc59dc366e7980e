use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{AccountKind, Objects, Repo, World, iso, node_id};
use crate::seed::Seed;

const USERS: [(u64, &str); 5] =
    [(583_231, "octocat"), (480_938, "hubot"), (2, "defunkt"), (4_120_001, "monalisa"), (4_120_002, "surtur")];
const ORGS: [(u64, &str); 3] = [(9_001_001, "acme"), (9_001_002, "octo-org"), (9_001_003, "initech")];
const WORDS: [&str; 12] = [
    "parser", "cache", "runner", "deploy", "login", "search", "upload", "timeout", "retry", "schema", "webhook", "docs",
];
const VERBS: [&str; 6] = ["Fix", "Add", "Remove", "Speed up", "Document", "Rework"];
const BRANCHES: [&str; 5] = ["develop", "gh-pages", "main", "next", "release"];
const NEWEST: u64 = 1_735_689_600; // 2025-01-01

/// How many of each thing a repository has.
struct Plenty {
    issues: u64,
    pulls: u64,
    commits: u64,
    runs: u64,
}

const BIG: Plenty = Plenty { issues: 70, pulls: 8, commits: 45, runs: 40 };
const SMALL: Plenty = Plenty { issues: 5, pulls: 3, commits: 8, runs: 6 };
/// Every listing of it is `[]` or counts zero.
const NOTHING: Plenty = Plenty { issues: 0, pulls: 0, commits: 0, runs: 0 };

/// Five users, three organisations and 21 repositories, some private, one empty.
pub(super) fn standard(seed: Seed) -> World {
    let mut world = people(seed);
    add(&mut world, 1_296_269, "octocat/Hello-World", false, &BIG);
    add(&mut world, 1_300_192, "octocat/Spoon-Knife", false, &SMALL);
    add(&mut world, 1_300_500, "octocat/diary", true, &SMALL);
    add(&mut world, 9_100_001, "acme/secret", true, &SMALL);
    add(&mut world, 9_100_002, "acme/website", false, &SMALL);
    add(&mut world, 9_100_003, "octo-org/empty", false, &NOTHING);
    for (index, word) in WORDS.iter().enumerate() {
        let id = 9_200_000 + 17 * index as u64;
        let (_, org) = ORGS[index % ORGS.len()];
        add(&mut world, id, &format!("{org}/{word}"), index % 4 == 3, &SMALL);
    }
    for (id, name) in [(9_300_001, "hubot/brain"), (9_300_002, "defunkt/dotfiles"), (9_300_003, "monalisa/art")] {
        add(&mut world, id, name, false, &SMALL);
    }
    world
}

/// The same people with four small repositories, two of them private, one empty: made in no time.
pub(super) fn small(seed: Seed) -> World {
    let mut world = people(seed);
    add(&mut world, 1_296_269, "octocat/Hello-World", false, &SMALL);
    add(&mut world, 1_300_500, "octocat/diary", true, &SMALL);
    add(&mut world, 9_100_001, "acme/secret", true, &SMALL);
    add(&mut world, 9_100_003, "octo-org/empty", false, &NOTHING);
    world
}

fn people(seed: Seed) -> World {
    let mut world = World::empty(seed);
    for (id, login) in USERS {
        world.add_account(id, login, AccountKind::User);
    }
    for (id, login) in ORGS {
        world.add_account(id, login, AccountKind::Organization);
    }
    world
}

fn add(world: &mut World, id: u64, full_name: &str, private: bool, plenty: &Plenty) {
    let mut seed = world.seed.fork(full_name);
    let (owner, name) = full_name.split_once('/').expect("names here are owner/name");
    let created_at = 1_296_068_472 + id % 100_000_000;
    let pushed_at = NEWEST - seed.below(30) * 86_400;
    let readme = format!("# {name}\n\nIt can {} a {}.\n", seed.pick(&VERBS).to_lowercase(), seed.pick(&WORDS));
    let mut repo = Repo {
        id,
        owner: owner.to_owned(),
        name: name.to_owned(),
        private,
        description: format!("The {} of {owner}", seed.pick(&WORDS)),
        language: ["Rust", "Go", "TypeScript"][seed.below(3) as usize],
        stars: seed.below(3_000),
        created_at,
        updated_at: created_at,
        pushed_at,
        issues: BTreeMap::new(),
        comments: BTreeMap::new(),
        pulls: BTreeMap::new(),
        commits: Vec::new(),
        branches: Vec::new(),
        tags: Vec::new(),
        releases: Vec::new(),
        runs: BTreeMap::new(),
        runners: Vec::new(),
        contributors: Vec::new(),
        files: BTreeMap::from([("README.md".to_owned(), readme)]),
        clone_secret: seed.hex(20).to_uppercase(),
        labels: Vec::new(),
        stargazers: BTreeSet::new(),
        objects: Objects::default(),
        deleted_issues: BTreeSet::new(),
        blocked: false,
        stats: BTreeMap::new(),
        uploads: BTreeMap::new(),
    };
    if plenty.commits > 0 {
        commits(world, &mut repo, &mut seed, plenty.commits);
        issues(world, &mut repo, &mut seed, plenty);
        runs(world, &mut repo, &mut seed, plenty.runs);
        repo.labels = [("bug", "d73a4a"), ("enhancement", "a2eeef"), ("question", "d876e3")]
            .into_iter()
            .enumerate()
            .map(|(index, (name, color))| label(&repo, id * 100 + index as u64, name, color))
            .collect();
        repo.runners = (1..=3).map(|number| runner(number, &mut seed)).collect();
        repo.contributors =
            USERS.iter().zip([32, 9, 4]).map(|(&(_, login), count)| contributor(world, login, count)).collect();
    }
    world.add_repo(repo);
}

fn commits(world: &World, repo: &mut Repo, seed: &mut Seed, count: u64) {
    let pushed_at = repo.pushed_at;
    for age in (0..count).rev() {
        let message = format!("{} the {}", seed.pick(&VERBS), seed.pick(&WORDS));
        let at = pushed_at - age * 7_200;
        let commit = repo.new_commit(world, &seed.hex(40), author(seed), &message, at);
        repo.push(commit, at);
    }
    for name in BRANCHES {
        let on = if name == "main" { 0 } else { seed.below(repo.commits.len() as u64) as usize };
        let commit = json!({ "sha": repo.commits[on]["sha"], "url": repo.commits[on]["url"] });
        repo.branches.push(json!({ "name": name, "commit": commit, "protected": name == "main" }));
    }
    for minor in (0..4_u64).rev() {
        let (tag, commit) = (format!("v1.{minor}.0"), &repo.commits[(3 - minor) as usize]);
        let commit = json!({ "sha": commit["sha"], "url": commit["url"] });
        let zipball = format!("{}/zipball/refs/tags/{tag}", repo.api());
        repo.tags.push(json!({ "name": tag, "commit": commit, "zipball_url": zipball, "node_id": format!("T_{tag}") }));
        repo.releases.push(release(world, repo, &tag, minor));
    }
}

fn release(world: &World, repo: &Repo, tag: &str, minor: u64) -> Value {
    let id = repo.id * 10 + minor;
    let at = repo.pushed_at - (3 - minor) * 604_800;
    let mut release = repo.new_release(world, id, "octocat", tag, at);
    release["body"] = json!(format!("What {tag} brings."));
    let assets = [("app.tar.gz", 120_000), ("checksums.txt", 640)];
    let assets = (0..).zip(assets).map(|(index, (name, size))| {
        let mut asset = repo.new_asset(world, id * 10 + index, "octocat", tag, name, size, at);
        asset["download_count"] = json!(3 * minor);
        asset
    });
    release["assets"] = assets.collect();
    release
}

fn label(repo: &Repo, id: u64, name: &str, color: &str) -> Value {
    json!({
        "id": id,
        "node_id": node_id("LA", id),
        "url": format!("{}/labels/{name}", repo.api()),
        "name": name,
        "color": color,
        "default": true,
        "description": format!("A {name}"),
    })
}

fn issues(world: &World, repo: &mut Repo, seed: &mut Seed, plenty: &Plenty) {
    for number in 1..=plenty.issues {
        let title = format!("{} the {}", seed.pick(&VERBS), seed.pick(&WORDS));
        let at = repo.pushed_at - (plenty.issues - number) * 3_600;
        let mut issue = repo.new_issue(world, repo.id * 1_000 + number, number, author(seed), &title, at);
        if number % 5 == 0 {
            issue["state"] = json!("closed");
            issue["closed_at"] = json!(iso(at + 60));
        }
        repo.issues.insert(number, issue);
    }
    for number in plenty.issues + 1..=plenty.issues + plenty.pulls {
        let title = format!("{} the {}", seed.pick(&VERBS), seed.pick(&WORDS));
        let id = repo.id * 1_000 + number;
        let mut pull = repo.new_issue(world, id, number, author(seed), &title, repo.pushed_at);
        pull["url"] = json!(format!("{}/pulls/{number}", repo.api()));
        pull["html_url"] = json!(format!("{}/pull/{number}", repo.html()));
        pull["draft"] = json!(false);
        pull["merged_at"] = Value::Null;
        pull["head"] = json!({ "ref": format!("topic-{number}"), "sha": seed.hex(40) });
        pull["base"] = json!({ "ref": "main", "sha": repo.commits[0]["sha"] });
        repo.pulls.insert(number, pull);
    }
}

fn runs(world: &World, repo: &mut Repo, seed: &mut Seed, count: u64) {
    for number in 1..=count {
        let id = repo.id * 1_000 + number;
        let running = number == count;
        let (status, conclusion) = if running {
            ("in_progress", None)
        } else {
            ("completed", Some(seed.pick(&["success", "success", "failure"]).to_owned()))
        };
        let at = repo.pushed_at - (count - number) * 1_800;
        let mut run = repo.new_run(world, id, number, at);
        run.set_state(status, conclusion.as_deref());
        repo.runs.insert(id, run);
    }
}

fn runner(number: u64, seed: &mut Seed) -> Value {
    json!({
        "id": number,
        "name": format!("runner-{}", seed.hex(6)),
        "os": "linux",
        "status": "online",
        "busy": number == 1,
        "labels": [{ "id": 1, "name": "self-hosted", "type": "read-only" }],
    })
}

fn contributor(world: &World, login: &str, contributions: u64) -> Value {
    let mut user = world.simple_user(login);
    user["contributions"] = json!(contributions);
    user
}

fn author(seed: &mut Seed) -> &'static str {
    USERS[seed.below(USERS.len() as u64) as usize].1
}
