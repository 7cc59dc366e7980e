//! The way to the origin, from the settings and from the environment that every program has.

use gateway::HttpOrigin;

use crate::{
    config::{Config, World},
    output,
    run::RunError,
};

/// Returns the client for the origin, with the extra CA if one is set.
pub(crate) fn origin(config: &Config, world: &World<'_>) -> Result<HttpOrigin, RunError> {
    for name in unusable_proxies(world) {
        output::warning(&format!("{name} names no proxy that ghoard can use"));
        output::hint("write it as http://host:port");
    }
    let Some(path) = &config.extra_ca else { return Ok(HttpOrigin::new(config.origin_timeout)?) };
    let unusable = |cause: Box<dyn std::error::Error + Send + Sync>| RunError::ExtraCa { path: path.clone(), cause };
    let pem = (world.read_file)(path).map_err(|error| unusable(error.into()))?;
    HttpOrigin::with_ca(config.origin_timeout, pem.as_bytes()).map_err(|error| unusable(error.into()))
}

/// The variables whose proxy is none over HTTP. Their values may hold a password, and are not shown.
fn unusable_proxies<'a>(world: &World<'_>) -> Vec<&'a str> {
    let names = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    let is_proxy = |value: &str| {
        let uri = value.parse::<http::Uri>();
        uri.is_ok_and(|uri| uri.host().is_some() && matches!(uri.scheme_str(), None | Some("http" | "https")))
    };
    let is_unusable = |name: &&str| world.variable(name).is_some_and(|value| !value.is_empty() && !is_proxy(value));
    names.into_iter().filter(is_unusable).collect()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_proxy_that_cannot_be_used_is_named() {
        let set = [
            ("HTTPS_PROXY", "socks5://a:1"),
            ("https_proxy", "a:1"),
            ("ALL_PROXY", "http://u:p@a:1"),
            ("http_proxy", "a b"),
        ];
        let env = set.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let world = World { env: &env, read_file: &|_| Err(io::ErrorKind::NotFound.into()) };
        assert_eq!(unusable_proxies(&world), ["HTTPS_PROXY", "http_proxy"]);
    }
}
