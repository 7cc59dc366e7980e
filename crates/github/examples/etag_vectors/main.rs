//! Recomputes the ETags of recorded exchanges: `etag_vectors <folder of PyGithub's ReplayData>`.
//!
//! `cargo xtask etag-vectors` fetches the recordings and runs this.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of a few lines, with no library behind it")]

mod recording;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
    process::ExitCode,
};

use github::{API_HOST, EtagInput, etag, matches};
use recording::{Exchange, exchanges};

/// Fewer matches than this, and the rule of [`github::etag()`] is not the one that was recorded.
const MATCHES_MIN: usize = 30;

/// What Python's requests library sends where a program names no `Accept`; the recordings leave it out.
const ACCEPT_OF_REQUESTS: &str = "*/*";

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("error: name the folder of the recordings");
        return ExitCode::from(2);
    };
    let recorded = match read(Path::new(&folder)) {
        Ok(recorded) => recorded,
        Err(error) => {
            eprintln!("error: could not read {}: {error}", Path::new(&folder).display());
            return ExitCode::from(2);
        }
    };
    let checkable: Vec<_> = recorded.iter().filter(|(_, exchange)| is_checkable(exchange)).collect();
    let (hits, misses): (Vec<_>, Vec<_>) =
        checkable.iter().copied().partition(|(_, exchange)| is_as_computed(exchange));
    let mut urls = BTreeMap::<&str, BTreeSet<&str>>::new();
    for (_, exchange) in &checkable {
        urls.entry(tag(exchange)).or_default().insert(&exchange.target);
    }
    println!("checked {}, match {}", checkable.len(), hits.len());
    for (file, exchange) in misses {
        println!("  miss: {file} {}: {}", exchange.target, why(exchange, urls[tag(exchange)].len()));
    }
    if hits.len() >= MATCHES_MIN {
        ExitCode::SUCCESS
    } else {
        eprintln!("error: at least {MATCHES_MIN} must match; has the rule in crates/github/src/etag.rs changed?");
        ExitCode::FAILURE
    }
}

/// Every exchange below `folder`, with the name of its file, in order.
fn read(folder: &Path) -> io::Result<Vec<(String, Exchange)>> {
    let mut files = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    files.sort_by_key(fs::DirEntry::path);
    let mut all = Vec::new();
    for file in files.iter().filter(|file| file.path().extension().is_some_and(|extension| extension == "txt")) {
        let text = String::from_utf8_lossy(&fs::read(file.path())?).into_owned();
        let name = file.file_name().to_string_lossy().into_owned();
        all.extend(exchanges(&text).into_iter().map(|exchange| (name.clone(), exchange)));
    }
    Ok(all)
}

/// Whether everything that GitHub hashed is in the recording: by `Vary` no token is, and tokens are
/// struck out. Before October 2020 GitHub used MD5, which a tag of 64 digits is not.
fn is_checkable(exchange: &Exchange) -> bool {
    let hex = tag(exchange);
    let vary = exchange.response.get("vary").unwrap_or_default().to_ascii_lowercase();
    let is_sha256 = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    exchange.method == "GET"
        && exchange.status == "200"
        && exchange.host == API_HOST
        && is_sha256
        && !vary.contains("authorization")
}

/// The tag without `W/` and quotes.
fn tag(exchange: &Exchange) -> &str {
    let tag = exchange.response.get("etag").unwrap_or_default();
    tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"')
}

fn is_as_computed(exchange: &Exchange) -> bool {
    let accept = exchange.request.get("accept").unwrap_or(ACCEPT_OF_REQUESTS).as_bytes();
    let input = EtagInput { accept: Some(accept), authorization: None, cookie: None };
    matches(&etag(input, exchange.body.as_bytes()), exchange.response.get("etag").unwrap_or_default())
}

fn why(exchange: &Exchange, urls: usize) -> String {
    if urls > 1 {
        return format!("the same ETag stands at {urls} URLs, so these headers were copied from elsewhere");
    }
    match exchange.request.get("authorization") {
        Some(_) => "unknown; it was asked with a token, and Vary or body may have been edited".to_owned(),
        None => "unknown".to_owned(),
    }
}
