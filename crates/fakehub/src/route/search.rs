use serde_json::Value;

use crate::{
    answer::{Answer, Caching},
    ask::Ask,
    page::listing,
    world::{Account, Repo, World},
};

/// Results that can be paged to, at most; documented.
const RESULTS_MAX: usize = 1_000;

/// Searches: `no-cache`, no `ETag`, a budget of their own, and what the caller may see.
pub(super) fn search(world: &World, ask: &Ask<'_>, kind: &str) -> Answer {
    let Some(wanted) = ask.query.text("q").filter(|text| !text.is_empty()) else {
        return Answer::invalid("Search", "q");
    };
    let (page, per_page) = ask.page();
    if page.saturating_mul(per_page) > RESULTS_MAX {
        return Answer::unprocessable("Only the first 1000 search results are available");
    }
    let terms = Terms::parse(&wanted);
    let repos: Vec<&Repo> =
        world.repos.values().filter(|repo| ask.caller.role(repo).is_some() && terms.covers(repo)).collect();
    let items: Vec<Value> = match kind {
        "repositories" => repos
            .iter()
            .filter(|repo| terms.fit(&repo.full_name()))
            .map(|repo| repo.minimal(world, ask.caller))
            .collect(),
        "issues" => repos
            .iter()
            .flat_map(|repo| repo.issues.values().chain(repo.pulls.values()))
            .filter(|issue| terms.fit(issue["title"].as_str().unwrap_or_default()))
            .filter(|issue| terms.state.as_ref().is_none_or(|state| issue["state"] == **state))
            .cloned()
            .collect(),
        "code" => {
            let hits = |repo: &&Repo| {
                let files: Vec<Value> = repo
                    .files
                    .iter()
                    .filter(|(_, text)| terms.fit(text))
                    .map(|(path, _)| super::files::entry(ask, repo, path))
                    .collect();
                files
            };
            repos.iter().flat_map(hits).collect()
        }
        "commits" => repos
            .iter()
            .flat_map(|repo| &repo.commits)
            .filter(|commit| terms.fit(commit["commit"]["message"].as_str().unwrap_or_default()))
            .cloned()
            .collect(),
        "users" => world.accounts.values().filter(|user| terms.fit(&user.login)).map(Account::simple).collect(),
        _ => return Answer::not_found(),
    };
    listing(ask, &format!("/search/{kind}"), items, Some("items")).with_caching(Caching::NoCache)
}

/// Words that have to occur, and the qualifiers `repo:`, `org:`, `user:`, `is:` and `state:`.
#[derive(Default)]
struct Terms {
    words: Vec<String>,
    owners: Vec<String>,
    state: Option<String>,
}

impl Terms {
    fn parse(text: &str) -> Self {
        let mut terms = Self::default();
        for word in text.to_ascii_lowercase().split_whitespace() {
            match word.split_once(':') {
                Some(("repo", name)) => terms.owners.push(name.to_owned()),
                Some(("org" | "user", name)) => terms.owners.push(format!("{name}/")),
                Some(("is" | "state", state @ ("open" | "closed"))) => terms.state = Some(state.to_owned()),
                Some(_) => {}
                None => terms.words.push(word.trim_matches('"').to_owned()),
            }
        }
        terms
    }

    fn covers(&self, repo: &Repo) -> bool {
        let name = repo.full_name().to_ascii_lowercase();
        let within = |owner: &String| name == *owner || owner.ends_with('/') && name.starts_with(owner.as_str());
        self.owners.is_empty() || self.owners.iter().any(within)
    }

    fn fit(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        self.words.iter().all(|word| text.contains(word.as_str()))
    }
}
