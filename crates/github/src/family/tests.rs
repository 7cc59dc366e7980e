use super::*;
use crate::API_HOST;

fn target(path: &str) -> Target {
    Target::parse(path, None).unwrap()
}

fn of(path: &str) -> Family {
    Family::of(API_HOST, &target(path))
}

fn touches(write: &str, aliases: &Aliases) -> Touches {
    let (method, path) = write.split_once(' ').unwrap();
    Family::touched_by_resolved(API_HOST, &method.parse().unwrap(), &target(path), aliases)
}

/// Whether a write drops what was read at `path`.
fn drops(write: &str, path: &str, aliases: &Aliases) -> bool {
    match touches(write, aliases) {
        Touches::Everything => true,
        Touches::Families(families) => families.contains(&Family::resolved(API_HOST, &target(path), aliases)),
    }
}

/// Knows repository 7 to be `o/r`.
fn aliases() -> Aliases {
    let mut aliases = Aliases::default();
    aliases.learn(&target("/repos/O/R"), None, br#"{"id":7,"name":"R","full_name":"O/R"}"#);
    aliases
}

#[test]
fn a_repository_is_one_family_whatever_its_spelling() {
    assert_eq!(of("/repos/Octocat/Hello-World/issues/7"), of("/repos/octocat/hello-world"));
    assert_eq!(of("/repos/o/r.git"), of("/repos/o/r"));
    assert_ne!(of("/repos/octocat/a"), of("/repos/octocat/b"));
    assert_eq!(of("/repositories/1/issues"), of("/repositories/2"));
    assert_eq!(of("/repos/o%2Fr/x"), of("/repositories/2"), "what it is is not known");
}

#[test]
fn precisely_what_a_change_of_an_issue_touches() {
    let drops = |path| {
        let by_all = ["PATCH /repos/o/r/issues/7", "PATCH /repos/O/R/Issues/7", "PATCH /repositories/7/issues/7"]
            .map(|write| drops(write, path, &aliases()));
        assert!(by_all.iter().all(|drops| *drops == by_all[0]), "{path}: {by_all:?}");
        by_all[0]
    };
    for path in [
        "/repos/o/r",
        "/repos/o/r/issues",
        "/repos/O/r/issues/7",
        "/repos/o/R/issues/7/comments",
        "/repos/o/r/pulls",
        "/repos/o/r/actions/runs",
        "/repositories/7",
        "/repositories/7/issues",
        "/repositories/99/issues",
        "/issues",
        "/user/issues",
        "/orgs/o/issues",
        "/organizations/3/issues",
        "/notifications",
        "/repos/o/r/notifications",
        "/repos/other/repo/notifications",
        "/events",
        "/orgs/o/events",
        "/users/somebody/events",
        "/orgs/o/repos",
        "/users/O/repos",
        "/organizations/3/repos",
        "/user/3/repos",
        "/user/repos",
        "/users/somebody/starred",
        "/installation/repositories",
        "/graphql",
    ] {
        assert!(drops(path), "{path} shows the issue, or its repository");
    }
    for path in [
        "/repos/o/r2",
        "/repos/o2/r/issues",
        "/orgs/o",
        "/orgs/o/members",
        "/orgs/o2/repos",
        "/users/o",
        "/user",
        "/gists",
        "/app/installations",
        "/orgs/o/actions/runners",
    ] {
        assert!(!drops(path), "{path} has nothing to do with it");
    }
}

#[test]
fn what_ci_writes_stays_in_its_repository() {
    for write in ["POST /repos/o/r/statuses/main", "POST /repos/o/r/actions/workflows/1/dispatches"] {
        for (path, expected) in [
            ("/repos/o/r/actions/runs", true),
            ("/repos/o/r/commits/main/status", true),
            ("/repositories/9/actions/runs", true),
            ("/events", true),
            ("/notifications", true),
            ("/user/repos", false),
            ("/orgs/o/repos", false),
            ("/issues", false),
        ] {
            assert_eq!(drops(write, path, &Aliases::default()), expected, "{write} {path}");
        }
    }
    let write = "DELETE /orgs/o/actions/runners/3";
    for (path, expected) in [
        ("/orgs/O/actions/runners", true),
        ("/organizations/3/actions/runners", true),
        ("/orgs/o2/actions/runners", false),
        ("/repos/o/r/actions/runs", false),
    ] {
        assert_eq!(drops(write, path, &Aliases::default()), expected, "{write} {path}");
    }
}

#[test]
fn where_names_or_access_change_it_is_everything() {
    for write in [
        "PATCH /repos/o/r",
        "DELETE /repositories/7",
        "POST /repos/o/r/transfer",
        "POST /repos/o/r/forks",
        "POST /repos/o/template/generate",
        "POST /orgs/o/repos",
        "POST /user/repos",
        "PUT /orgs/o/teams/t/repos/o/r",
        "PUT /orgs/o/memberships/u",
        "PUT /teams/1/repos/o/r",
        "DELETE /app/installations/1",
        "PUT /user/following/u",
        "PATCH /repositories/99/issues/1",
        "PATCH /repos/o%2Fr/x/issues/1",
        "POST /nobody/knows",
        "POST /",
    ] {
        assert_eq!(touches(write, &aliases()), Touches::Everything, "{write}");
    }
}

#[test]
fn what_only_makes_a_credential_touches_nothing() {
    for write in [
        "POST /orgs/o/actions/runners/registration-token",
        "POST /repos/o/r/actions/runners/remove-token",
        "POST /app/installations/1/access_tokens",
        "POST /applications/1/token",
        "DELETE /installation/token",
        "POST /markdown",
    ] {
        assert_eq!(touches(write, &aliases()), Touches::Families(Vec::new()), "{write}");
    }
}

#[test]
fn a_star_shows_at_its_repository_and_in_the_lists() {
    for path in ["/repos/o/r", "/repos/o/r/stargazers", "/user/starred", "/users/me/starred", "/user/repos", "/user"] {
        assert!(drops("PUT /user/starred/O/R", path, &aliases()), "{path}");
    }
    assert!(!drops("PUT /user/starred/o/r", "/repos/o/r2", &aliases()));
}

#[test]
fn ids_are_learnt_from_repositories_and_from_links() {
    let mut aliases = aliases();
    assert_eq!(aliases.name("7"), Some("o/r"));
    let list = br#"[{"id":1,"full_name":"O/A","owner":{"id":5}},{"id":2,"full_name":"o/b"}]"#;
    aliases.learn(&target("/orgs/o/repos"), None, list);
    aliases.learn(
        &target("/installation/repositories"),
        None,
        br#"{"total_count":1,"repositories":[{"id":3,"full_name":"o/c"}]}"#,
    );
    let link = "<https://api.github.com/repositories/4/issues?page=2>; rel=\"next\"";
    aliases.learn(&target("/repos/O/D/issues"), Some(link), b"[]");
    for (id, name) in [("1", "o/a"), ("2", "o/b"), ("3", "o/c"), ("4", "o/d")] {
        assert_eq!(aliases.name(id), Some(name));
    }
    assert_eq!(aliases.name("07"), Some("o/r"), "leading zeros do not hide it");
    assert_eq!(aliases.name("-7"), None);
}

#[test]
fn a_body_that_people_write_teaches_nothing() {
    let mut aliases = aliases();
    let claim = br#"{"id":7,"full_name":"evil/x"}"#;
    for path in ["/repos/o/r/contents/x.json", "/repos/o/r/issues/1", "/gists/1", "/repos/o/r/releases/assets/1"] {
        aliases.learn(&target(path), None, claim);
    }
    for body in ["", "{", "[{}]", r#"{"id":"7","full_name":"a/b"}"#, r#"{"id":7,"full_name":"a/../b"}"#] {
        aliases.learn(&target("/repos/o/r"), Some("<x>"), body.as_bytes());
    }
    assert_eq!((aliases.name("7"), aliases.len()), (Some("o/r"), 1));
}

#[test]
fn a_rename_is_forgotten_and_learnt_anew() {
    let mut aliases = aliases();
    aliases.written(&target("/repos/o/r/issues"));
    assert_eq!(aliases.name("7"), Some("o/r"));
    aliases.written(&target("/repos/O/R"));
    assert_eq!(aliases.name("7"), None);
    aliases.learn(&target("/repos/o/new"), None, br#"{"id":7,"full_name":"o/new"}"#);
    assert_eq!(aliases.name("7"), Some("o/new"));
    aliases.learn(&target("/repos/o/new"), None, br#"{"id":8,"full_name":"o/new"}"#);
    assert_eq!((aliases.name("7"), aliases.name("8")), (None, Some("o/new")), "made again under its name");
}

#[test]
fn the_table_of_ids_is_bounded() {
    let mut aliases = aliases();
    for id in 100..100 + 5000 {
        let body = format!(r#"{{"id":{id},"full_name":"o/r{id}"}}"#);
        aliases.learn(&target("/repos/o/r"), None, body.as_bytes());
    }
    assert_eq!(aliases.len(), 4096);
    assert_eq!((aliases.name("7"), aliases.name("5099")), (None, Some("o/r5099")));
}
