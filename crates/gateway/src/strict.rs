use github::{Target, enterprise_path};
use http::{HeaderMap, StatusCode, Uri, Version, header, request::Parts};

use crate::{DoorKind, Refusal};

/// What a door has made certain of about a request before anything else looks at it.
#[derive(Debug)]
pub struct Checked {
    /// In lower case, without port; empty for a base-URL client.
    pub host: String,
    pub target: Target,
    /// The client came by the paths of an Enterprise Server: what is told to it has them, too.
    pub by_enterprise: bool,
    pub has_body: bool,
}

/// Names by which a loopback door may be called. Another name means that a web page's own name was
/// pointed at this machine (DNS rebinding).
pub const LOOPBACK_NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// Refuses whatever could mean one thing here and another thing at the origin.
pub fn check(head: &Parts, kind: DoorKind) -> Result<Checked, Refusal> {
    let headers = &head.headers;
    if head.version < Version::HTTP_11 {
        return Err(Refusal::bad_request("HTTP/1.0 is not spoken here", "use HTTP/1.1"));
    }
    check_shape(head)?;
    if headers.contains_key(header::ORIGIN) {
        let hint = "web pages may not use this machine's cache";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "a request from a web page", hint));
    }

    let host = host(head)?;
    if kind == DoorKind::BaseUrl {
        check_own_name(&host)?;
    }
    let (target, by_enterprise) = check_target(&head.uri, kind)?;
    let host = without_https_port(&host).to_owned();
    Ok(Checked { host, target, by_enterprise, has_body: has_body(headers) })
}

/// The part of it that is about the target, which may change while the headers stay. Returns whether
/// the client came by the paths of an Enterprise Server, too.
pub(crate) fn check_target(uri: &Uri, kind: DoorKind) -> Result<(Target, bool), Refusal> {
    // Clients that believe to talk to an Enterprise Server have a prefix.
    let enterprise = if kind == DoorKind::BaseUrl { enterprise_path(uri.path()) } else { None };
    let target = Target::parse(enterprise.unwrap_or(uri.path()), uri.query())
        .map_err(|error| Refusal::bad_request(error.to_string(), "send the plain path of the resource"))?;
    Ok((target, enterprise.is_some()))
}

/// The same for a door to an origin of which nothing is known: the target and all fields are its own
/// business, but not who may use this machine's door.
///
/// A page of another site may read what the origin lets it read, and change nothing.
pub fn check_any(head: &Parts) -> Result<(), Refusal> {
    check_shape(head)?;
    let host = host(head)?;
    check_own_name(&host)?;
    let origin = head.headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()?.split_once("://"));
    let is_foreign = head.headers.contains_key(header::ORIGIN) && origin.is_none_or(|(_, authority)| authority != host);
    if is_foreign && !head.method.is_safe() {
        let hint = "web pages may not change things through this machine's cache";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "a write from a web page of another site", hint));
    }
    Ok(())
}

fn check_shape(head: &Parts) -> Result<(), Refusal> {
    let headers = &head.headers;
    if head.method == http::Method::CONNECT {
        let hint = "use http_unix_socket, or the base URL; see `ghoard run`";
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "CONNECT is not offered yet", hint));
    }
    for name in [header::HOST, header::AUTHORIZATION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        if headers.get_all(&name).iter().count() > 1 {
            return Err(Refusal::bad_request(format!("the header {name} is there twice"), "send it once"));
        }
    }
    let connection = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    if connection.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case("authorization")) {
        let message = "the header Connection names Authorization";
        return Err(Refusal::bad_request(message, "a credential belongs to the request, not to the connection"));
    }
    Ok(())
}

fn check_own_name(host: &str) -> Result<(), Refusal> {
    let name = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(host, |(name, _)| name);
    if LOOPBACK_NAMES.contains(&name) {
        return Ok(());
    }
    let hint = "call it 127.0.0.1 or localhost";
    Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, format!("this door is not {host}"), hint))
}

/// `Host` in lower case. An absolute-form target must name the same one.
fn host(head: &Parts) -> Result<String, Refusal> {
    let hint = "send one Host header, with the host of the request";
    let host = head.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let Some(host) = host.filter(|host| !host.is_empty()) else {
        return Err(Refusal::bad_request("the header Host is missing", hint));
    };
    let host = host.to_ascii_lowercase();
    if let Some(authority) = head.uri.authority()
        && !authority.as_str().eq_ignore_ascii_case(&host)
    {
        return Err(Refusal::bad_request("the target and Host name different hosts", hint));
    }
    if host.bytes().any(|byte| !byte.is_ascii_alphanumeric() && !b".-:[]".contains(&byte)) {
        return Err(Refusal::bad_request("the header Host is no host name", hint));
    }
    Ok(host)
}

fn without_https_port(host: &str) -> &str {
    host.strip_suffix(":443").unwrap_or(host)
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    headers.contains_key(header::TRANSFER_ENCODING) || length.is_some_and(|length| length.trim() != "0")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    fn check_with(kind: DoorKind, uri: &str, headers: Headers<'_>) -> Result<Checked, Refusal> {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap().into_parts().0, kind)
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        let host = ("host", "api.github.com");
        let cases: [(&str, Headers<'_>, u16); 9] = [
            ("/x", &[], 400),
            ("/x", &[host, host], 400),
            ("/x", &[host, ("authorization", "token a"), ("authorization", "token b")], 400),
            ("/x", &[host, ("connection", "close, Authorization")], 400),
            ("/x", &[host, ("origin", "https://example.org")], 403),
            ("https://example.org/x", &[host], 400),
            ("/a/../x", &[host], 400),
            ("/a/%252e%252e/x", &[host], 400),
            ("/x", &[("host", "api.github.com@evil")], 400),
        ];
        for (uri, headers, status) in cases {
            let refusal = check_with(DoorKind::Socket, uri, headers).unwrap_err();
            assert_eq!(refusal.status.as_u16(), status, "{uri} {headers:?}: {refusal:?}");
        }
    }

    #[test]
    fn a_base_url_door_answers_to_its_own_names_only() {
        for (host, ok) in [("127.0.0.1:9120", true), ("localhost", true), ("[::1]:9120", true), ("evil.example", false)]
        {
            assert_eq!(check_with(DoorKind::BaseUrl, "/x", &[("host", host)]).is_ok(), ok, "{host}");
        }
    }

    #[test]
    fn a_page_of_another_site_changes_nothing() {
        let check = |method: &str, host: &str, origin: Option<&str>| {
            let mut request = Request::builder().method(method).uri("/any/../thing").header("host", host);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            check_any(&request.body(()).unwrap().into_parts().0).map_err(|refusal| refusal.status.as_u16())
        };
        let (own, foreign) = ("localhost:9120", Some("https://evil.example"));
        assert_eq!(check("GET", own, foreign), Ok(()));
        assert_eq!(check("POST", own, None), Ok(()));
        assert_eq!(check("POST", own, Some("http://localhost:9120")), Ok(()));
        assert_eq!(check("POST", own, foreign), Err(403));
        assert_eq!(check("POST", own, Some("null")), Err(403));
        assert_eq!(check("GET", "evil.example", None), Err(421));
    }

    #[test]
    fn the_paths_of_an_enterprise_server_are_those_of_the_api() {
        for (path, plain, by_enterprise) in [
            ("/api/v3/repos/o/r", "/repos/o/r", true),
            ("/api/v3", "/", true),
            ("/api/v3/", "/", true),
            ("/api/graphql", "/graphql", true),
            ("/api/v30/x", "/api/v30/x", false),
            ("/repos/o/r", "/repos/o/r", false),
            ("/", "/", false),
        ] {
            let checked = check_with(DoorKind::BaseUrl, path, &[("host", "localhost")]).unwrap();
            assert_eq!((checked.target.path(), checked.by_enterprise), (plain, by_enterprise));
        }
        let checked = check_with(DoorKind::Socket, "/api/v3/user", &[("host", "ghes.example")]).unwrap();
        assert_eq!((checked.target.path(), checked.by_enterprise), ("/api/v3/user", false), "its own path");
    }

    #[test]
    fn a_real_host_is_kept_and_its_https_port_is_not() {
        let checked = check_with(DoorKind::Socket, "/x", &[("host", "API.github.com:443")]).unwrap();
        assert_eq!(checked.host, "api.github.com");
    }
}
