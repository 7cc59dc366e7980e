use proptest::prelude::*;

use super::*;

const BASE: &str = "https://api.github.com";

fn target(text: &str) -> Target {
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    Target::parse(path, query).unwrap()
}

fn list(items: usize) -> String {
    format!("[{}]", vec!["{\"a\":[1]}"; items].join(","))
}

const NEXT: Option<&str> = Some("<https://api.github.com/repositories/1/issues?page=2>; rel=\"next\"");
const FIRST: Option<&str> = Some("<https://api.github.com/repositories/1/issues?page=1>; rel=\"first\"");

#[test]
fn a_full_page_without_a_next_is_the_trap() {
    for (text, link, items, trap) in [
        ("/repos/o/r/issues", None, 30, true),
        ("/repos/o/r/issues", FIRST, 30, true),
        ("/repos/o/r/issues", NEXT, 30, false),
        ("/repos/o/r/issues", None, 29, false),
        ("/repos/o/r/issues", None, 0, false),
        ("/repos/o/r/issues?per_page=100", None, 30, false),
        ("/repos/o/r/issues?per_page=100&page=3", None, 100, true),
        ("/repos/o/r/issues?per_page=1000", None, 100, true),
        ("/repos/o/r/issues?per_page=1", None, 1, true),
        ("/repos/o/r/issues?per_page=0", None, 0, false),
        ("/repos/o/r/issues?per_page=many", None, 3, true),
        ("/repos/o/r/issues?per_page=100&per_page=2", None, 3, true),
        ("/repos/o/r/issues", Some("nonsense"), 30, true),
        ("/nobody/knows", None, 30, true),
        ("/repos/o/r/contents/folder", None, 30, false),
    ] {
        assert_eq!(is_full_last_page(&target(text), link, list(items).as_bytes()), trap, "{text} {link:?} {items}");
    }
}

#[test]
fn a_listing_may_be_the_only_array_of_an_object() {
    let trap = |body: &str| is_full_last_page(&target("/repos/o/r/actions/runs?per_page=2"), None, body.as_bytes());
    assert!(trap(r#"{"total_count":2,"workflow_runs":[{"steps":[1,2]},{}]}"#));
    assert!(!trap(r#"{"total_count":1,"workflow_runs":[{"steps":[1,2]}]}"#));
    assert!(!trap(r#"{"a":[1,2],"b":[1,2]}"#), "no listing");
    for body in ["", "{", "null", "17", "\"text\"", r#"{"total_count":0}"#] {
        assert!(!trap(body), "{body}");
    }
}

#[track_caller]
fn travels(text: &str, value: &str, as_text: Option<&str>) {
    let mut aliases = Aliases::default();
    aliases.learn(&target("/repos/o/known"), None, br#"{"id":7,"full_name":"o/known"}"#);
    assert_eq!(travelling_link(BASE, &target(text), &aliases, value).as_deref(), as_text, "{text} {value}");
}

#[test]
fn a_link_travels_if_it_is_of_the_same_resource() {
    for (text, value) in [
        ("/repos/o/r/issues", "<https://api.github.com/repositories/1/issues?page=2>; rel=\"next\""),
        ("/repos/o/r/issues", "<https://api.github.com/repos/O/R/issues?page=2>; rel=\"next\""),
        ("/repos/o/known/issues", "<https://api.github.com/repositories/7/issues?page=2>; rel=\"next\""),
        ("/repositories/1/issues?page=2", "<https://api.github.com/repositories/1/issues?page=1>; rel=\"first\""),
        ("/orgs/o/repos", "<https://api.github.com/organizations/3/repos?page=2>; rel=\"next\""),
        ("/users/u/repos", "<https://api.github.com/user/3/repos?page=2>; rel=\"next\""),
        (
            "/repos/o/r/issues?state=all&q=a%20b&per_page=2",
            "<https://api.github.com/repositories/1/issues?q=a+b&per_page=2&state=all&page=2>; rel=\"next\", \
             <https://api.github.com/repositories/1/issues?q=a+b&per_page=2&state=all&page=9>; rel=\"last\"",
        ),
        ("/repos/o/r/commits", "<https://api.github.com/repositories/1/commits?after=abc%3D+34>; rel=\"next\""),
    ] {
        travels(text, value, Some(value));
    }
}

#[test]
fn any_other_link_stays() {
    for (text, value) in [
        ("/repos/o/r/issues", ""),
        ("/repos/o/r/issues", "nonsense"),
        ("/repos/o/r/issues", "<https://evil.example/repositories/1/issues?page=2>; rel=\"next\""),
        ("/repos/o/r/issues", "<http://api.github.com/repositories/1/issues?page=2>; rel=\"next\""),
        ("/repos/o/r/issues", "<https://api.github.com.evil/repositories/1/issues?page=2>; rel=\"next\""),
        ("/repos/o/r/issues", "<https://api.github.com/repositories/1/pulls?page=2>; rel=\"next\""),
        ("/repos/o/r/issues", "<https://api.github.com/repositories/7/issues?page=2>; rel=\"next\""),
        ("/repos/o/r/issues", "<https://api.github.com/repositories/x/issues?page=2>; rel=\"next\""),
        ("/repos/o/r/issues", "<https://api.github.com/organizations/1/issues?page=2>; rel=\"next\""),
        ("/repos/o/r/issues", "<https://api.github.com/repositories/1/issues?page=2&state=all>; rel=\"next\""),
        ("/repos/o/r/issues?state=all", "<https://api.github.com/repositories/1/issues?page=2>; rel=\"next\""),
        ("/repos/o/r/issues", "<https://api.github.com/repositories/1/issues?page=2&token=x>; rel=\"next\""),
        ("/repos/o/r/issues", "<https://api.github.com/repositories/1/issues?page=2>; rel=\"deprecation\""),
        (
            "/repos/o/r/issues",
            "<https://api.github.com/repositories/1/issues?page=2>; rel=\"next\", \
             <https://api.github.com/repositories/2/issues?page=3>; rel=\"last\"",
        ),
        (
            "/repos/o/r/issues",
            "<https://api.github.com/repositories/1/issues?page=2>; rel=\"next\", \
             <https://api.github.com/repositories/1/issues?page=3>; rel=\"next\"",
        ),
        ("/repositories/1/issues", "<https://api.github.com/repositories/2/issues?page=2>; rel=\"next\""),
    ] {
        travels(text, value, None);
    }
    let long = format!("<https://api.github.com/repositories/1/issues?after={}>; rel=\"next\"", "a".repeat(600));
    travels("/repos/o/r/issues", &long, None);
}

#[test]
fn an_enterprise_servers_link_keeps_its_path() {
    let base = "https://ghe.example/api/v3";
    let value = "<https://ghe.example/api/v3/repositories/1/issues?page=2>; rel=\"next\"";
    let link = travelling_link(base, &target("/repos/o/r/issues"), &Aliases::default(), value);
    assert_eq!(link.as_deref(), Some(value));
}

proptest! {
    #[test]
    fn hostile_links_and_bodies_end_in_an_answer(value in ".{0,300}", body in prop::collection::vec(any::<u8>(), 0..300)) {
        let target = target("/repos/o/r/issues");
        let _ = is_full_last_page(&target, Some(&value), &body);
        let value = format!("<https://api.github.com/{value}>; rel=\"next\"");
        if let Some(link) = travelling_link(BASE, &target, &Aliases::default(), &value) {
            prop_assert!(link.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            prop_assert_eq!(travelling_link(BASE, &target, &Aliases::default(), &link), Some(link));
        }
    }
}
