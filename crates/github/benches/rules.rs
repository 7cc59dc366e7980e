//! What GitHub's rules cost per request: `cargo bench -p github`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use github::{API_HOST, Ask, EtagInput, Plan, Route, Target, classify, etag, plan};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

const PATH: &str = "/repos/octocat/Hello-World/actions/runs";
const QUERY: &str = "per_page=100&status=in_progress";

/// What `gh api` sends.
fn headers() -> HeaderMap {
    let pairs: [(HeaderName, &'static str); 6] = [
        (header::HOST, "api.github.com"),
        (header::ACCEPT, "*/*"),
        (header::ACCEPT_ENCODING, "gzip"),
        (header::AUTHORIZATION, "token ghp_0123456789012345678901234567890123456789"),
        (header::USER_AGENT, "GitHub CLI 2.60.0"),
        (HeaderName::from_static("time-zone"), "Europe/Berlin"),
    ];
    pairs.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
}

fn ask() -> Ask {
    let target = Target::parse(PATH, Some(QUERY)).expect("it is a plain path");
    match plan(&Method::GET, API_HOST, target, &headers(), false) {
        Plan::Cache(ask) => *ask,
        other => panic!("{other:?}"),
    }
}

fn rules(c: &mut Criterion) {
    c.bench_function("normalise a target", |b| b.iter(|| Target::parse(black_box(PATH), black_box(Some(QUERY)))));
    let (target, headers) = (ask().target, headers());
    c.bench_function("classify a route", |b| b.iter(|| Route::of(black_box(&target))));
    c.bench_function("plan a request", |b| {
        b.iter(|| plan(&Method::GET, API_HOST, black_box(target.clone()), black_box(&headers), false));
    });
    let ask = ask();
    c.bench_function("write a key", |b| b.iter(|| black_box(&ask).key()));

    let query = br#"{"query":"query($owner:String!,$name:String!){repository(owner:$owner,name:$name){issues(first:30){nodes{number,title,url}}}}","variables":{"owner":"octocat","name":"Hello-World"}}"#;
    c.bench_function("classify a GraphQL query", |b| b.iter(|| classify(black_box(query))));

    let mut group = c.benchmark_group("compute an ETag");
    for kilobytes in [1, 10, 100, 1000] {
        let body = vec![b'x'; kilobytes << 10];
        let input = EtagInput { accept: Some(b"*/*"), authorization: Some(b"Bearer t"), cookie: None };
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("{kilobytes} KB"), |b| b.iter(|| etag(black_box(input), black_box(&body))));
    }
    group.finish();
}

criterion_group!(benches, rules);
criterion_main!(benches);
