use http::StatusCode;

use super::*;
use crate::{Delivery, Failure};

#[test]
fn deliveries_follow_the_longest_prefix_and_are_the_shells_to_carry_out() {
    let mut hub = hub();
    hub.deliver("", Delivery::Cut { after: 3 });
    hub.deliver("/user", Delivery::Hang { after: 1 });
    let mut send = |path: &str| hub.handle(&Request::get(path).body(Bytes::new()).unwrap(), NOW);
    assert_eq!(send("/users/octocat").delivery, Delivery::Hang { after: 1 });
    let meta = send("/meta");
    assert_eq!((meta.delivery, meta.response.unwrap().status().as_u16()), (Delivery::Cut { after: 3 }, 200));
    hub.recover();
    assert_eq!(hub.handle(&Request::get("/meta").body(Bytes::new()).unwrap(), NOW).delivery, Delivery::Whole);
}

#[test]
fn garbled_gzip_says_that_it_is_gzip_and_is_not() {
    let mut hub = hub();
    hub.deliver("/meta", Delivery::GarbledGzip);
    let response = get(&mut hub, "octocat", "/meta");
    assert_eq!((header(&response, "content-encoding"), response.status().as_u16()), ("gzip", 200));
    assert_eq!(header(&response, "content-length"), response.body().len().to_string());
    let mut text = String::new();
    let read = std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&response.body()[..]), &mut text);
    assert!(read.is_err(), "{text}");
}

#[test]
fn the_date_can_be_wrong_while_the_limits_are_not() {
    let mut hub = hub();
    hub.set_date_skew(-3_600);
    let response = get(&mut hub, "octocat", "/user");
    let date = httpdate::parse_http_date(header(&response, "date")).unwrap();
    let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(NOW);
    assert_eq!(now.duration_since(date).unwrap().as_secs(), 3_600);
    assert_eq!(header(&response, "x-ratelimit-reset"), (NOW + 3_600).to_string());
}

#[test]
fn failures_may_be_pages_and_limits_may_not_say_how_long() {
    let mut hub = hub();
    hub.fail_with("/user", Failure::Html(StatusCode::BAD_GATEWAY));
    hub.fail_with("/meta", Failure::SecondaryLimitUntold);
    let page = get(&mut hub, "octocat", "/user");
    assert_eq!((page.status().as_u16(), header(&page, "content-type")), (502, "text/html;charset=utf-8"));
    let limited = get(&mut hub, "octocat", "/meta");
    assert_eq!((limited.status().as_u16(), header(&limited, "retry-after")), (403, ""));
    assert!(json(&limited)["message"].as_str().unwrap().contains("secondary rate limit"));
}
