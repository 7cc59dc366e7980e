//! Text that nobody wrote, against the rewriting of `Link` and `Location`.
//!
//! A second in the ordinary run; `GHOARD_FUZZ_SECS=600 cargo test -p gateway fuzz -- --nocapture` for longer.

use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng, rngs::StdRng};

use super::*;

const ORIGINS: [&str; 2] = ["http://127.0.0.1:81/api/v3", "https://api.github.com"];
const CLIENT: &str = "http://localhost:9120";
const WORDS: [&str; 20] = [
    "https://api.github.com",
    "http://127.0.0.1:81/api/v3",
    "http://127.0.0.1:81",
    "https://api.github.com.evil",
    "/repositories/1",
    "?page=2",
    "&per_page=100",
    "<",
    ">",
    "; rel=\"next\"",
    ", ",
    "#",
    " ",
    "\"",
    "%0d%0a",
    "\t",
    "https://",
    "@",
    "localhost:9120",
    "http://localhost:9120/",
];

/// What the rewriting should do, read another way: a URL begins the text or follows a `<`.
fn expected(text: &str, from: &str) -> String {
    let last = text.split('<').count() - 1;
    let pieces = text.split('<').enumerate().map(|(at, piece)| match piece.strip_prefix(from) {
        Some(rest) if rest.is_empty() && at == last || rest.starts_with(['/', '?', '>', '#']) => {
            format!("{CLIENT}{rest}")
        }
        _ => piece.to_owned(),
    });
    pieces.collect::<Vec<_>>().join("<")
}

#[test]
fn fuzz_only_what_begins_with_the_base_is_rewritten() {
    let secs = std::env::var("GHOARD_FUZZ_SECS").ok().and_then(|secs| secs.parse().ok()).unwrap_or(1);
    let mut random = StdRng::seed_from_u64(1);
    let base = Base { client: CLIENT.to_owned(), origins: ORIGINS.map(str::to_owned).to_vec(), in_bodies: false };
    let (began, mut executions) = (Instant::now(), 0u64);
    while began.elapsed() < Duration::from_secs(secs) {
        let mut text = String::new();
        for _ in 0..random.random_range(1..24) {
            if random.random_range(0..8) == 0 {
                text.push(char::from(random.random_range(0x20..0x7f)));
            } else {
                text.push_str(WORDS[random.random_range(0..WORDS.len())]);
            }
        }
        let name = if random.random() { header::LINK } else { header::LOCATION };
        let mut headers = HeaderMap::new();
        headers.insert(name.clone(), HeaderValue::try_from(text.as_str()).expect("visible ASCII, spaces and tabs"));
        rebase(&mut headers, &base);
        let told = headers[&name].to_str().expect("what was ASCII stays so").to_owned();
        let expected = ORIGINS.iter().fold(text.clone(), |text, from| expected(&text, from));
        assert_eq!(told, expected, "{text:?}");
        assert_eq!(headers.len(), 1, "{text:?}");
        rebase(&mut headers, &base);
        assert_eq!(headers[&name], told, "once is enough: {text:?}");
        executions += 1;
    }
    println!("rewriting: {executions} executions in {secs} s, 0 findings");
}
