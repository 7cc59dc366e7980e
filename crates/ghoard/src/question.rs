use github::{Ask, Plan, Site, Target, plan};
use http::{HeaderMap, HeaderValue, Method, header};

use crate::config::Config;

/// The question that a client with this machine's own token would ask; `None` if it is not one whose
/// answer is kept.
pub(crate) fn question(config: &Config, path: &str, query: Option<&str>) -> Option<Ask> {
    let mut headers = HeaderMap::new();
    if let Some((token, _)) = &config.github_token
        && let Ok(mut value) = HeaderValue::try_from(format!("Bearer {}", token.reveal()))
    {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    let target = Target::parse(path, query).ok()?;
    let site = Site::main(&config.origin);
    match plan(&Method::GET, &site.name, target, &headers, false) {
        Plan::Cache(ask) => Some(*ask),
        Plan::Pass { .. } | Plan::Write { .. } => None,
    }
}
