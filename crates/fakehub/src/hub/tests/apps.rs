use data_encoding::BASE64URL_NOPAD;
use github::{EtagInput, etag};

use super::*;
use crate::{Access, App};

fn with_app() -> Hub {
    let mut hub = hub();
    let permissions = [("issues", Access::Write), ("contents", Access::Read)];
    let app = App::new(42, "robot").installed(7, "acme", &permissions).installed(8, "octocat", &permissions);
    hub.add_app(app);
    hub
}

fn jwt(issuer: u64, expires: u64) -> String {
    let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let claims = json!({ "iat": NOW - 60, "exp": expires, "iss": issuer.to_string() });
    format!("Bearer {}.{}.c2ln", part(json!({ "alg": "RS256", "typ": "JWT" })), part(claims))
}

fn send(hub: &mut Hub, method: &str, path: &str, authorization: &str, body: &str, now: u64) -> Response<Bytes> {
    let request = Request::builder().method(method).uri(path).header("authorization", authorization);
    let request = request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
    hub.handle(&request, now).response.unwrap()
}

fn mint(hub: &mut Hub, installation: u64, body: &str) -> String {
    let path = format!("/app/installations/{installation}/access_tokens");
    let response = send(hub, "POST", &path, &jwt(42, NOW + 600), body, NOW);
    assert_eq!(response.status(), 201, "{:?}", response.body());
    format!("token {}", json(&response)["token"].as_str().unwrap())
}

#[test]
fn answers_to_a_jwt_say_public_and_are_hashed_without_it_and_304_is_free() {
    let mut hub = with_app();
    for (method, path) in
        [("GET", "/app"), ("GET", "/app/installations"), ("POST", "/app/installations/7/access_tokens")]
    {
        let response = send(&mut hub, method, path, &jwt(42, NOW + 600), "", NOW);
        assert!(response.status().is_success(), "{path}");
        assert_eq!(header(&response, "cache-control"), "public, max-age=60, s-maxage=60");
        assert!(!header(&response, "vary").contains("Authorization"));
        assert_eq!(header(&response, "etag"), etag(EtagInput::default(), response.body()));
    }
    let tag = header(&send(&mut hub, "GET", "/app", &jwt(42, NOW + 600), "", NOW), "etag").to_owned();
    let other = jwt(42, NOW + 500);
    let same = fetch(&mut hub, "/app", &[("authorization", &other), ("if-none-match", &tag)], NOW);
    assert_eq!(same.status(), 304, "the ETag survives the JWT's rotation");
    assert_eq!((hub.counts().kinds["app"].charged, hub.counts().kinds["app"].not_modified), (4, 1));
}

#[test]
fn a_jwt_is_good_for_its_app_only_and_until_it_expires() {
    let mut hub = with_app();
    let told = |hub: &mut Hub, path: &str, jwt: &str| {
        let response = send(hub, "GET", path, jwt, "", NOW);
        (response.status().as_u16(), json(&response)["message"].as_str().unwrap_or_default().to_owned())
    };
    assert!(told(&mut hub, "/app", &jwt(42, NOW)).1.starts_with("'Expiration time' claim ('exp')"));
    assert_eq!(told(&mut hub, "/app", &jwt(43, NOW + 9)), (401, "Integration not found".to_owned()));
    assert_eq!(told(&mut hub, "/app", "Bearer a.b.c").1, "A JSON web token could not be decoded");
    assert_eq!(told(&mut hub, "/app", "token octocat-t").0, 401);
    assert_eq!(told(&mut hub, "/user", &jwt(42, NOW + 9)).0, 401);
    assert_eq!(told(&mut hub, "/repos/acme/secret/installation", &jwt(42, NOW + 9)).0, 200);
}

#[test]
fn a_minted_token_lasts_an_hour_and_spends_its_installations_budget() {
    let mut hub = with_app();
    let (first, second, other) = (mint(&mut hub, 7, ""), mint(&mut hub, 7, ""), mint(&mut hub, 8, ""));
    assert_ne!(first, second);
    assert!(first.starts_with("token ghs_"));
    let path = "/repos/acme/secret";
    let used =
        |hub: &mut Hub, token: &str| header(&send(hub, "GET", path, token, "", NOW), "x-ratelimit-used").to_owned();
    assert_eq!([used(&mut hub, &first), used(&mut hub, &second), used(&mut hub, &other)], ["1", "2", "1"]);
    assert_eq!(send(&mut hub, "GET", path, &first, "", NOW + 3_599).status(), 200);
    assert_eq!(send(&mut hub, "GET", path, &first, "", NOW + 3_600).status(), 401);
    assert_eq!(send(&mut hub, "DELETE", "/installation/token", &second, "", NOW).status(), 204);
    assert_eq!(send(&mut hub, "GET", path, &second, "", NOW).status(), 401);
    let told = format!("{hub:?}{}", serde_json::to_string(&hub.counts()).unwrap());
    assert!(!told.contains("ghs_") && told.contains("installation-7"));
}

#[test]
fn a_minted_token_can_be_narrowed_and_not_widened() {
    let mut hub = with_app();
    let narrow = mint(&mut hub, 7, r#"{"repositories":["secret"],"permissions":{"issues":"read"}}"#);
    assert_eq!(send(&mut hub, "GET", "/repos/acme/secret/issues", &narrow, "", NOW).status(), 200);
    let listed = json(&send(&mut hub, "GET", "/installation/repositories", &narrow, "", NOW));
    assert_eq!((&listed["total_count"], &listed["repositories"][0]["full_name"]), (&json!(1), &json!("acme/secret")));
    let denied = send(&mut hub, "GET", "/repos/acme/secret/contents", &narrow, "", NOW);
    assert_eq!(
        (denied.status().as_u16(), &json(&denied)["message"]),
        (403, &json!("Resource not accessible by integration"))
    );
    assert_eq!(header(&denied, "x-accepted-github-permissions"), "contents=read");
    assert_eq!(send(&mut hub, "GET", "/user", &narrow, "", NOW).status(), 403);
    for body in [r#"{"permissions":{"issues":"write","actions":"read"}}"#, r#"{"repositories":["none"]}"#] {
        let path = "/app/installations/7/access_tokens";
        assert_eq!(send(&mut hub, "POST", path, &jwt(42, NOW + 9), body, NOW).status(), 422, "{body}");
    }
}
