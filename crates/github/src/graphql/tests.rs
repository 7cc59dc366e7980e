use super::*;
use crate::API_HOST;

fn of(document: &str) -> Graphql {
    classify(serde_json::json!({ "query": document }).to_string().as_bytes())
}

fn query(body: &str) -> GraphqlQuery {
    match classify(body.as_bytes()) {
        Graphql::Query(query) => query,
        other => panic!("{body}: {other:?}"),
    }
}

#[track_caller]
fn check(body: &str, expected: &str) {
    let found = match classify(body.as_bytes()) {
        Graphql::Query(_) => "query".to_owned(),
        Graphql::Uncacheable { why } => format!("uncacheable: {why}"),
        Graphql::Doubtful { why } => format!("doubtful: {why}"),
    };
    assert_eq!(found, expected, "{body}");
}

#[test]
fn a_query_is_cacheable() {
    check(r#"{"query":"{viewer{login}}"}"#, "query");
    check(r#"{"query":"query A($n:Int!){viewer{login}}","variables":{"n":1},"operationName":"A"}"#, "query");
    check(r#"{"query":"query A{a} query B{b}","operationName":"B","extensions":{},"variables":null}"#, "query");
    check(r#"{"query":"{a{...F}} fragment F on T{b}"}"#, "query");
    check(r#"{"query":"{__schema{mutationType{name}}}"}"#, "query");
}

#[test]
fn what_may_change_something_is_doubtful() {
    for document in [
        "mutation{a}",
        "mutation A{a} query B{b}",
        "subscription{a}",
        "{a} # mutation",
        "{a(b:\"mutation\")}",
        "{a} # \r mutation {b}",
        "{a} # \r {b}",
        "{a} \u{b} {b}",
        "{a",
        "",
        "fragment F on T{b}",
        "type T{a:Int}",
        "{a} extend type T{a:Int}",
        "{a} \u{feff}mutation{b}",
    ] {
        assert!(matches!(of(document), Graphql::Doubtful { .. }), "{document:?}: {:?}", of(document));
        assert_eq!(of(document).touches(), Touches::Everything);
    }
    for body in [
        "",
        "{",
        "1",
        "{}",
        r#"{"query":1}"#,
        r#"{"query":"mutation{a}","query":"{a}"}"#,
        r#"{"query":"{a}","query":"mutation{a}"}"#,
        r#"{"query":"\u006dutation{a}"}"#,
        r#"{"query":"{a}","variables":{"a":{"b":1,"b":2}}}"#,
        r#"{"query":"{a}","variables":{"a":12345678901234567890123}}"#,
        r#"[{"query":"{a}"},{"query":"mutation{a}"}]"#,
        "[{}]",
        "mutation",
    ] {
        assert!(matches!(classify(body.as_bytes()), Graphql::Doubtful { .. }), "{body}");
        assert_eq!(classify(body.as_bytes()).touches(), Touches::Everything);
    }
}

#[test]
fn a_query_that_is_not_kept_touches_nothing() {
    for (body, why) in [
        (r#"[{"query":"{a}"}]"#, "it is a batch"),
        (r#"{"query":"{a}","id":1}"#, "it has members that may change the answer"),
        (r#"{"query":"{a}","extensions":{"persistedQuery":1}}"#, "it has members that may change the answer"),
        (r#"{"query":"{a}","variables":[]}"#, "its variables are no object"),
        (r#"{"query":"{a}","operationName":1}"#, "its operation name is no string"),
        (r#"{"query":"query A{a} query B{b}"}"#, "it is not clear which operation is meant"),
        (r#"{"query":"query A{a} query A{b}","operationName":"A"}"#, "it is not clear which operation is meant"),
        (r#"{"query":"query A{a}","operationName":"C"}"#, "it is not clear which operation is meant"),
        (r#"{"query":"{rateLimit{remaining}}"}"#, "it asks for its rate limit"),
        (r#"{"query":"{a ...F} fragment F on Query{x:rateLimit{cost}}"}"#, "it asks for its rate limit"),
    ] {
        check(body, &format!("uncacheable: {why}"));
        assert_eq!(classify(body.as_bytes()).touches(), Touches::Families(Vec::new()));
    }
}

#[test]
fn limits_end_the_reading() {
    let deep = format!("{}a{}", "{a".repeat(100), "}".repeat(100));
    let long = format!("{{{}}}", "a ".repeat(20_000));
    assert!(matches!(of(&deep), Graphql::Doubtful { .. }));
    assert!(matches!(of(&long), Graphql::Doubtful { .. }));
    assert!(matches!(of(&format!("{{a}} #{}", "x".repeat(300_000))), Graphql::Doubtful { .. }));
    let nested = format!(r#"{{"query":"{{a}}","variables":{}1{}}}"#, "{\"a\":".repeat(1000), "}".repeat(1000));
    assert!(matches!(classify(nested.as_bytes()), Graphql::Doubtful { .. }));
}

#[test]
fn equal_questions_have_one_key_and_others_another() {
    let key = |body: &str| String::from_utf8(query(body).key).unwrap();
    let plain = key(r#"{"query":"{a}","variables":{"x":1,"y":{"b":"\n","a":[1,2.5,null]}}}"#);
    assert_eq!(plain, r#"["{a}",null,{"x":1,"y":{"a":[1,2.5,null],"b":"\n"}}]"#);
    let same = r#" {"operationName":null,"variables":{"y":{"a":[1,2.5,null],"b":"\u000a"},"x":1}, "query":"{a}"}"#;
    assert_eq!(plain, key(same));
    assert_eq!(key(r#"{"query":"{a}"}"#), key(r#"{"query":"{a}","variables":{}}"#));
    for other in [
        r#"{"query":"{b}","variables":{"x":1,"y":{"b":"\n","a":[1,2.5,null]}}}"#,
        r#"{"query":"{a}","variables":{"x":"1","y":{"b":"\n","a":[1,2.5,null]}}}"#,
        r#"{"query":"{a}","variables":{"x":1,"y":{"b":"\n","a":[2.5,1,null]}}}"#,
    ] {
        assert_ne!(plain, key(other));
    }
    let two = |name| key(&format!(r#"{{"query":"query A{{a}} query B{{b}}","operationName":"{name}"}}"#));
    assert_ne!(two("A"), two("B"));
}

#[test]
fn the_repository_is_told_from_literals_and_variables() {
    let repository = |body: &str| query(body).repository.map(|(owner, name)| format!("{owner}/{name}"));
    let one = r#"{"query":"{repository(owner:\"O\",name:\"R\"){issues{nodes{title}}}}"}"#;
    assert_eq!(repository(one).as_deref(), Some("O/R"));
    assert_eq!(query(one).family(API_HOST).as_str(), "api.github.com/repos/o/r");
    let variables = r#"{"query":"query Q($o:String!,$n:String!){a:repository(owner:$o,name:$n){id} b:repository(name:$n,owner:$o){url}}","variables":{"o":"o","n":"r"}}"#;
    assert_eq!(repository(variables).as_deref(), Some("o/r"));
    for unknown in [
        r#"{"query":"query Q($o:String=\"x\"){repository(owner:$o,name:\"r\"){id}}"}"#,
        r#"{"query":"{repository(owner:\"o\",name:\"r\"){id} viewer{login}}"}"#,
        r#"{"query":"{repository(owner:\"o\",name:\"r\"){id} b:repository(owner:\"o\",name:\"s\"){id}}"}"#,
        r#"{"query":"{repository(owner:\"o\",name:\"r\"){parent{id}}}"}"#,
        r#"{"query":"{repository(owner:\"o\",name:\"r\"){forks{nodes{id}}}}"}"#,
        r#"{"query":"{repository(owner:\"o\",name:\"r\"){...F}} fragment F on Repository{parent{id}}"}"#,
        r#"{"query":"{...F} fragment F on Query{repository(owner:\"o\",name:\"r\"){id}}"}"#,
        r#"{"query":"{viewer{login}}"}"#,
    ] {
        assert_eq!(repository(unknown), None, "{unknown}");
        assert_eq!(query(unknown).family(API_HOST).as_str(), "api.github.com/graphql");
    }
}

#[test]
fn the_schema_is_kept_for_a_day_and_all_else_for_seconds() {
    let lifetime = |document: &str, short| match of(document) {
        Graphql::Query(query) => query.lifetime(short).as_secs(),
        other => panic!("{other:?}"),
    };
    assert_eq!(lifetime("query X{Issue:__type(name:\"Issue\"){fields{name}} __schema{types{name}}}", None), 86400);
    assert_eq!(lifetime("{__schema{types{name}} viewer{login}}", None), 10);
    assert_eq!(lifetime("{...F} fragment F on Query{__schema{types{name}}}", None), 10);
    assert_eq!(lifetime("{viewer{login}}", Some(Duration::from_secs(30))), 30);
}

#[test]
fn only_an_answer_without_errors_is_kept() {
    let keep = |status: u16, remaining: &'static str, body: &str| {
        let headers = [("x-ratelimit-remaining".parse().unwrap(), remaining.parse().unwrap())].into_iter().collect();
        may_keep(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
    };
    assert!(keep(200, "17", r#"{"data":{"a":1}}"#));
    for (status, remaining, body) in [
        (200, "17", r#"{"data":{"a":1},"errors":[{"type":"RATE_LIMITED"}]}"#),
        (200, "17", r#"{"errors":[],"data":{}}"#),
        (200, "0", r#"{"data":{"a":1}}"#),
        (502, "17", r#"{"data":{"a":1}}"#),
        (200, "17", r#"{"data":null}"#),
        (200, "17", r#"{"data":{"a":1}"#),
        (200, "17", r#"{"message":"Bad credentials"}"#),
        (200, "17", r#"{"data":{},"errors":null,"errors":[1]}"#),
    ] {
        assert!(!keep(status, remaining, body), "{status} {remaining} {body}");
    }
}
