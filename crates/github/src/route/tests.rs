use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use expect_test::expect_file;

use super::{
    Route,
    table::{Shape, TABLE},
};
use crate::{Family, Target};

const SHA: &str = "0123456789012345678901234567890123456789";

fn target(path: &str) -> Target {
    Target::parse(path, None).unwrap()
}

/// A path that the pattern is meant for.
fn example(pattern: &str) -> Target {
    let segment = |segment: &str| match segment {
        ":sha" => SHA.to_owned(),
        "*" => "the/rest".to_owned(),
        ":id" | ":n" => "7".to_owned(),
        name => name.trim_start_matches(':').to_owned(),
    };
    target(&pattern.split('/').map(segment).collect::<Vec<_>>().join("/"))
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or_else(|| "–".to_owned(), |time| format!("{} s", time.as_secs()))
}

#[test]
fn the_table_is_what_the_document_says() {
    let mut text = String::from(
        "# Routes\n\nWhich answers are kept, for how long, and for whom. Made from the table in `crates/github/src/route/table.rs` by its \
         test;\n`UPDATE_EXPECT=1 cargo test -p github` writes it anew.\n\n## Classes\n\n\
         *TTL* is the most that the origin's `max-age` may be and what an operator's own TTL does not replace; with – they decide. *Other\n\
         scopes*: the body may be offered to another credential against a free proof, and to other members. *404 kept*: for the same\n\
         credential alone. *Last-Modified*: may be a validator, for the same credential. *Poll interval*: `X-Poll-Interval` is\n\
         the least lifetime.\n\n\
         | class | stored | TTL | other scopes | 404 kept | Last-Modified | poll interval |\n|---|---|---|---|---|---|---|\n",
    );
    let classes: BTreeMap<Route, ()> = TABLE.iter().map(|row| (row.route, ())).chain([(Route::Other, ())]).collect();
    for route in classes.into_keys() {
        writeln!(
            text,
            "| {route:?} | {} | {} | {} | {} | {} | {} |",
            yes(route.is_stored()),
            seconds(route.lifetime()),
            yes(route.is_shareable()),
            seconds(route.negative_ttl()),
            yes(route.last_modified_is_good()),
            yes(route.obeys_poll_interval()),
        )
        .unwrap();
    }
    text.push_str(
        "\n## Paths\n\n`:sha` is a full SHA, any other `:name` one segment, `*` the rest. `/repositories/:id`, `/organizations/:id` and\n\
         `/user/:id` (a number) are of the class of the named form. *Family* is what a write drops together. *Paged*: the Link trap\n\
         applies, a full last page is fetched and not revalidated. *Empty*: offered before anything is kept. What is in no row\n\
         is `Other`, and paged.\n\n| path | class | family | paged | empty |\n|---|---|---|---|---|\n",
    );
    for row in TABLE {
        let target = example(row.pattern);
        let family = Family::of("", &target);
        let empty = Route::empty_answer(&target).map(|empty| format!("`{}`", String::from_utf8_lossy(empty)));
        writeln!(
            text,
            "| `{}` | {:?} | `{}` | {} | {} |",
            row.pattern,
            row.route,
            family.as_str(),
            yes(Route::is_listing(&target)),
            empty.unwrap_or_default(),
        )
        .unwrap();
    }
    expect_file!["../../../../docs/ROUTES.md"].assert_eq(&text);
}

#[test]
fn each_row_is_found_by_a_path_of_its_own() {
    for row in TABLE {
        assert_eq!(Route::of(&example(row.pattern)), row.route, "{}", row.pattern);
        let shape = matches!(row.shape, Shape::One);
        assert_eq!(Route::is_listing(&example(row.pattern)), !shape, "{}", row.pattern);
    }
}

#[test]
fn routes_are_told_by_their_path() {
    for (path, route) in [
        ("/rate_limit", Route::RateLimit),
        ("/search/issues", Route::Search),
        ("/Search/issues/", Route::Search),
        ("/app/installations/1/access_tokens", Route::Secret),
        ("/repos/o/r/actions/runners/Registration-Token", Route::Secret),
        ("/repos/o/r/secret-scanning/alerts/1", Route::Secret),
        ("/repos/o/r/actions/runs", Route::Runs),
        ("/repos/o/r/actions/runs/7/jobs", Route::Jobs),
        ("/repos/o/r/actions/runs/7/timing", Route::Runs),
        ("/orgs/o/actions/runners", Route::Runners),
        ("/repos/O/R/git/trees/main", Route::Refs),
        ("/repos/o/r", Route::Repository),
        ("/repos/search/issues", Route::Repository),
        ("/user/repos", Route::User),
        ("/nobody/knows", Route::Other),
    ] {
        assert_eq!(Route::of(&target(path)), route, "{path}");
    }
}

#[test]
fn what_a_sha_names_never_changes_and_what_is_said_about_it_does() {
    for path in ["git/trees", "git/blobs", "git/commits", "git/tags", "commits"] {
        assert_eq!(Route::of(&target(&format!("/repos/o/r/{path}/{SHA}"))), Route::BySha);
        assert_ne!(Route::of(&target(&format!("/repos/o/r/{path}/{}", &SHA[1..]))), Route::BySha, "a short one");
        assert_ne!(Route::of(&target(&format!("/repos/o/r/{path}/{}g", &SHA[1..]))), Route::BySha, "no hexadecimal");
    }
    for path in ["status", "statuses", "check-runs", "check-suites"] {
        assert_eq!(Route::of(&target(&format!("/repos/o/r/commits/{SHA}/{path}"))), Route::Checks, "{path}");
    }
    for path in ["comments", "pulls", "branches-where-head"] {
        assert_eq!(Route::of(&target(&format!("/repos/o/r/commits/{SHA}/{path}"))), Route::Refs, "{path}");
    }
}

#[test]
fn a_thing_by_its_number_is_of_the_class_of_its_name() {
    let by_sha = format!("/repositories/1296269/git/trees/{SHA}");
    for (path, route) in [
        ("/repositories/1296269", Route::Repository),
        ("/repositories/1296269/issues", Route::Issues),
        ("/repositories/1296269/actions/runners/registration-token", Route::Secret),
        (by_sha.as_str(), Route::BySha),
        ("/repositories", Route::RepoLists),
        ("/organizations/9919/repos", Route::RepoLists),
        ("/organizations", Route::Orgs),
        ("/user/583231/repos", Route::RepoLists),
        ("/user/583231", Route::Users),
    ] {
        assert_eq!(Route::of(&target(path)), route, "{path}");
    }
}

#[test]
fn empty_answers_are_what_github_would_write() {
    let empty = |path| Route::empty_answer(&target(path)).map(|body| String::from_utf8_lossy(body).into_owned());
    assert_eq!(empty("/repos/o/r/issues").as_deref(), Some("[]"));
    assert_eq!(empty("/orgs/o/actions/runners").as_deref(), Some(r#"{"total_count":0,"runners":[]}"#));
    assert_eq!(empty("/repos/o/r/issues/7"), None);
    assert_eq!(empty("/nobody/knows"), None);
}

#[test]
fn what_is_secret_is_nowhere() {
    for row in TABLE.iter().filter(|row| matches!(row.route, Route::Secret | Route::Signed | Route::Search)) {
        let route = Route::of(&example(row.pattern));
        assert!(!route.is_stored() && !route.is_shareable() && route.negative_ttl().is_none(), "{}", row.pattern);
        assert!(Route::empty_answer(&example(row.pattern)).is_none(), "{}", row.pattern);
    }
}
