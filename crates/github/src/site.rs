use crate::{API_HOST, Target};

/// A GitHub whose answers are cached: github.com, an Enterprise Server, or a stand-in of either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// What stands for it in every key and family, so that answers of two sites are never mixed:
    /// [`API_HOST`] for github.com, and the host, with its port, of any other.
    pub name: String,
    /// Base URL of its REST API, without a slash at the end.
    pub url: String,
}

/// Where an Enterprise Server has its REST API.
pub const ENTERPRISE_PATH: &str = "/api/v3";

/// Where it has GraphQL, beside that.
const GRAPHQL_PATH: &str = "/api/graphql";

/// Names by which a machine calls itself.
const LOOPBACK_NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

impl Site {
    /// The site that a daemon is about in the first place. On loopback it stands in for github.com.
    pub fn main(url: &str) -> Self {
        let site = Self::other(url);
        let is_stand_in = LOOPBACK_NAMES.contains(&site.host());
        if is_stand_in { Self { name: API_HOST.to_owned(), ..site } } else { site }
    }

    /// A site beside it.
    pub fn other(url: &str) -> Self {
        let url = url.trim_end_matches('/').to_owned();
        Self { name: authority(&url).to_ascii_lowercase(), url }
    }

    pub fn is_github(&self) -> bool {
        self.name == API_HOST
    }

    /// Host, and port if it is not the usual one, as they stand in the base URL.
    pub fn authority(&self) -> &str {
        authority(&self.url)
    }

    /// Whether a client that keeps the real host means this site by `host`, which is in lower case.
    pub fn is_called(&self, host: &str) -> bool {
        if self.is_github() { host == API_HOST } else { host == self.name || host == self.host() }
    }

    /// Where `target` of the API is.
    pub fn api_uri(&self, target: &Target) -> String {
        match self.url.strip_suffix(ENTERPRISE_PATH) {
            Some(server) if target.path() == "/graphql" => format!("{server}{GRAPHQL_PATH}"),
            _ => format!("{}{}", self.url, target.text()),
        }
    }

    /// The path in the API that a client means by `path`, if it keeps the real paths of this site;
    /// `None` if the site has something else there.
    pub fn api_path<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.url.ends_with(ENTERPRISE_PATH) { enterprise_path(path) } else { Some(path) }
    }

    /// Where `path_and_query` is that is not of the API: uploads, logins, archives.
    pub fn server_uri(&self, path_and_query: &str) -> String {
        let scheme = self.url.split("://").next().unwrap_or_default();
        format!("{scheme}://{}{path_and_query}", self.authority())
    }

    fn host(&self) -> &str {
        let authority = self.authority();
        authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(authority, |(host, _)| host)
    }
}

/// The path in the API of what an Enterprise Server has at `path`; `None` if that is not the API.
pub fn enterprise_path(path: &str) -> Option<&str> {
    if path == GRAPHQL_PATH {
        return Some("/graphql");
    }
    match path.strip_prefix(ENTERPRISE_PATH)? {
        "" => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}

fn authority(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_named_by_its_host_and_loopback_stands_in_for_github() {
        let names = |url| (Site::main(url).name, Site::other(url).name);
        let both = |name: &str| (name.to_owned(), name.to_owned());
        assert_eq!(names("https://api.github.com"), both("api.github.com"));
        assert_eq!(names("https://GHES.example/api/v3/"), both("ghes.example"));
        assert_eq!(names("http://127.0.0.1:81"), ("api.github.com".to_owned(), "127.0.0.1:81".to_owned()));
        assert_eq!(names("http://[::1]/api/v3"), ("api.github.com".to_owned(), "[::1]".to_owned()));
    }

    #[test]
    fn an_enterprise_server_has_its_api_below_a_path_and_graphql_beside_it() {
        let at = |url: &str, path: &str| Site::other(url).api_uri(&Target::parse(path, Some("q")).unwrap());
        let server = "https://ghes.example/api/v3";
        assert_eq!(at(server, "/user"), "https://ghes.example/api/v3/user?q");
        assert_eq!(at(server, "/graphql"), "https://ghes.example/api/graphql");
        assert_eq!(at("https://api.github.com", "/graphql"), "https://api.github.com/graphql?q");

        let server = Site::other(server);
        for (path, expected) in [
            ("/api/v3/user", Some("/user")),
            ("/api/v3", Some("/")),
            ("/api/graphql", Some("/graphql")),
            ("/api/v30/user", None),
            ("/api/uploads/x", None),
            ("/user", None),
        ] {
            assert_eq!(server.api_path(path), expected, "{path}");
        }
        assert_eq!(Site::other("https://api.github.com").api_path("/user"), Some("/user"));
        assert_eq!(server.server_uri("/api/uploads/x?y"), "https://ghes.example/api/uploads/x?y");
    }

    #[test]
    fn a_client_calls_a_site_by_its_host() {
        let server = Site::other("https://ghes.example:8443/api/v3");
        assert!(server.is_called("ghes.example") && server.is_called("ghes.example:8443"));
        assert!(!server.is_called("api.github.com"));
        let stand_in = Site::main("http://127.0.0.1:81");
        assert!(stand_in.is_called("api.github.com") && !stand_in.is_called("127.0.0.1"));
    }
}
