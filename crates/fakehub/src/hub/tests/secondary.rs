use super::*;
use crate::Secondary;

fn send(hub: &mut Hub, line: &str, now: u64) -> Response<Bytes> {
    let (method, path) = line.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(path).header("authorization", "token octocat-t");
    hub.handle(&request.body(Bytes::from(r#"{"title":"x"}"#)).unwrap(), now).response.unwrap()
}

#[test]
fn points_run_out_within_a_minute_and_come_back_with_the_next() {
    let mut hub = hub();
    hub.secondary.rest_points_per_minute = Some(7);
    let minute = NOW / 60 * 60;
    assert_eq!(send(&mut hub, "POST /repos/octocat/Hello-World/issues", minute + 10).status(), 201);
    assert_eq!(send(&mut hub, "GET /user", minute + 10).status(), 200);
    assert_eq!(send(&mut hub, "HEAD /user", minute + 10).status(), 200);
    let refused = send(&mut hub, "GET /user", minute + 20);
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (403, "40"));
    assert_ne!(header(&refused, "x-ratelimit-remaining"), "0", "the primary limit has nothing to do with it");
    assert!(json(&refused)["message"].as_str().unwrap().contains("secondary rate limit"));
    assert_eq!(get(&mut hub, "hubot", "/user").status(), 200, "it is one user's");
    hub.secondary.too_many = true;
    assert_eq!(send(&mut hub, "GET /user", minute + 59).status(), 429);
    assert_eq!(send(&mut hub, "GET /user", minute + 60).status(), 200);
    let total = hub.counts().total;
    assert_eq!((total.secondary, total.charged), (2, 5));
}

#[test]
fn graphql_has_points_of_its_own_and_a_mutation_costs_five() {
    let mut hub = hub();
    hub.secondary =
        Secondary { graphql_points_per_minute: Some(6), rest_points_per_minute: Some(1), ..Secondary::default() };
    let mut status = |query: &str| {
        ask(&mut hub, "octocat POST /graphql", &[], &json!({ "query": query }).to_string()).status().as_u16()
    };
    assert_eq!(status("{ viewer { login } }"), 200);
    assert_eq!(status("mutation { addStar(input: {starrableId: \"x\"}) { starrable { id } } }"), 200);
    assert_eq!(status("{ viewer { login } }"), 403);
    assert_eq!(get(&mut hub, "octocat", "/user").status(), 200);
}

#[test]
fn new_things_have_a_limit_of_their_own() {
    let mut hub = hub();
    hub.secondary.contents_per_minute = Some(1);
    let mut status = |line| send(&mut hub, line, NOW).status().as_u16();
    assert_eq!(status("POST /repos/octocat/Hello-World/issues"), 201);
    assert_eq!(status("POST /repos/octocat/Hello-World/issues"), 403);
    assert_eq!(status("PATCH /repos/octocat/Hello-World/issues/1"), 200);
}

#[test]
fn what_is_under_way_is_counted_and_has_a_ceiling() {
    let mut hub = hub();
    hub.secondary.concurrent_max = Some(2);
    let request = || Request::get("/user").header("authorization", "token octocat-t").body(Bytes::new()).unwrap();
    let status = |hub: &mut Hub| {
        let (reply, ticket) = hub.arrive(&request(), NOW);
        (reply.response.unwrap().status().as_u16(), ticket)
    };
    let (first, second, third) = (status(&mut hub), status(&mut hub), status(&mut hub));
    assert_eq!([first.0, second.0, third.0], [200, 200, 403]);
    for ticket in [first.1, second.1, third.1] {
        hub.depart(ticket);
    }
    let (again, ticket) = status(&mut hub);
    assert_eq!(again, 200);
    hub.depart(ticket);
    assert_eq!(hub.counts().in_flight_max["octocat"], 3);
    hub.reset_counts();
    assert!(hub.counts().in_flight_max.is_empty());
}

#[test]
fn none_of_it_is_there_unless_asked_for() {
    let mut hub = hub();
    assert_eq!(hub.secondary, Secondary::default());
    for _ in 0..1_000 {
        assert_eq!(get(&mut hub, "octocat", "/user").status(), 200);
    }
    hub.secondary = Secondary::documented();
    let refused = (0..1_000).filter(|_| get(&mut hub, "octocat", "/user").status() == 403).count();
    assert_eq!(refused, 1_000, "the minute has had its 900 points");
    hub.recover();
    assert_eq!(get(&mut hub, "octocat", "/user").status(), 200);
}
