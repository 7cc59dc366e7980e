use super::*;
use crate::Access;

#[test]
fn tokens_of_one_user_see_different_things() {
    let mut hub = hub();
    let fine = Token::new("fine-t", "octocat").with_repo("acme/secret", Role::Write);
    hub.add_token(fine.fine_grained(&[("issues", Access::Write), ("metadata", Access::Read)]));
    hub.add_token(Token::new("wide-t", "octocat"));
    for (path, fine, wide) in [
        ("/repos/acme/secret", 200, 404),
        ("/repos/acme/secret/issues", 200, 404),
        ("/repos/acme/secret/actions/runs", 403, 404),
        ("/repos/acme/secret/contents", 403, 404),
        ("/repos/octocat/diary", 404, 200),
        ("/repos/octocat/Hello-World/contents", 200, 200),
        ("/repos/octocat/Hello-World/actions/runners", 403, 200),
    ] {
        assert_eq!(get(&mut hub, "fine", path).status().as_u16(), fine, "fine {path}");
        assert_eq!(get(&mut hub, "wide", path).status().as_u16(), wide, "wide {path}");
    }
    let denied = get(&mut hub, "fine", "/repos/acme/secret/pulls");
    assert_eq!(json(&denied)["message"], "Resource not accessible by personal access token");
    assert!(!denied.headers().contains_key("x-oauth-scopes") && !denied.headers().contains_key("etag"));
    assert_eq!(
        header(&get(&mut hub, "wide", "/user"), "x-ratelimit-used"),
        header(&get(&mut hub, "wide", "/rate_limit"), "x-ratelimit-used")
    );
}

#[test]
fn permissions_can_be_taken_from_a_token_that_lives() {
    let mut hub = hub();
    let token = Token::new("fine-t", "octocat").with_repo("acme/secret", Role::Write);
    hub.add_token(token.fine_grained(&[("issues", Access::Write)]).with_expiry(NOW + 60));
    let path = "/repos/acme/secret/issues";
    assert_eq!(ask(&mut hub, &format!("fine POST {path}"), &[], r#"{"title":"x"}"#).status(), 201);
    assert!(hub.set_permissions("fine-t", Some([("issues".to_owned(), Access::Read)].into())));
    assert_eq!(get(&mut hub, "fine", path).status(), 200);
    assert_eq!(ask(&mut hub, &format!("fine POST {path}"), &[], r#"{"title":"x"}"#).status(), 403);
    assert!(hub.set_permissions("fine-t", Some(crate::Permissions::new())) && !hub.set_permissions("none-t", None));
    assert_eq!(get(&mut hub, "fine", path).status(), 403);
    assert_eq!(fetch(&mut hub, path, &[("authorization", "token fine-t")], NOW + 60).status(), 401);
}

#[test]
fn views_differ_by_role() {
    let mut hub = hub();
    let mut view = |role: Option<Role>| {
        assert!(hub.set_role("hubot-t", "acme/secret", role));
        let body = json(&get(&mut hub, "hubot", "/repos/acme/secret"));
        (body["permissions"]["push"].as_bool(), body["temp_clone_token"].as_str().map(|secret| !secret.is_empty()))
    };
    assert_eq!(view(Some(Role::Read)), (Some(false), Some(false)));
    assert_eq!(view(Some(Role::Write)), (Some(true), Some(true)));
    assert_eq!(view(None), (None, None));
}
