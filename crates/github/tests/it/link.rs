use github::{Aliases, Target, is_full_last_page, travelling_link};

use crate::fuzz;

const BASE: &str = "https://api.github.com";

const WORDS: [&str; 20] = [
    "<",
    ">",
    "; rel=\"next\"",
    ", ",
    "rel=\"last\"",
    "https://",
    "api.github.com",
    "@evil.example",
    "/repositories/7",
    "/organizations/3",
    "/user/5",
    "?page=",
    "&per_page=100",
    "&token=",
    "%0d%0a",
    "\r\nset-cookie: a=b",
    "/../",
    "#",
    "\\",
    "/api/v3",
];

/// A first line with a target, then a `Link` header.
#[test]
fn no_link_travels_to_another_resource() {
    fuzz::run("link", include_str!("../corpus/link.txt"), &WORDS, |input| {
        let Ok(input) = std::str::from_utf8(input) else { return 0 };
        let (text, value) = input.split_once('\n').unwrap_or(("/repos/o/r/issues", input));
        let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
        let Ok(target) = Target::parse(path, query) else { return 1 };
        let mut aliases = Aliases::default();
        aliases.learn(&target, Some(value), value.as_bytes());
        let trap = is_full_last_page(&target, Some(value), value.as_bytes());
        let Some(link) = travelling_link(BASE, &target, &aliases, value) else { return 2 + u64::from(trap) };
        assert!(link.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{link:?}");
        assert_eq!(travelling_link(BASE, &target, &aliases, &link).as_deref(), Some(link.as_str()));
        let last = target.segments().last();
        for part in link.split(", ") {
            let url = part.strip_prefix('<').and_then(|part| part.split_once(">; rel=\"")).expect("it was built so").0;
            let url = url::Url::parse(url).expect("it is a URL");
            assert_eq!(
                (url.scheme(), url.host_str(), url.port(), url.username()),
                ("https", Some("api.github.com"), None, "")
            );
            let mut segments = url.path().split('/').filter(|segment| !segment.is_empty());
            let is_owner = target.segments().count() <= 3;
            assert!(is_owner || segments.next_back() == last, "{url} is not {}", target.text());
        }
        10 + link.matches("rel=").count() as u64 * 2 + u64::from(trap)
    });
}
