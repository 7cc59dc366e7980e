//! Questions of this machine's own, and how they are put to the origin without the cache.

use bytes::Bytes;
use gateway::Origin;
use github::{Ask, Plan, Site, Target, plan};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use wire::limits::BODY_BYTES_MAX;

use crate::{config::Config, machine::full_text};

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

/// Puts `ask` to the origin, with a validator if one is given. The body is as it was sent, packed or not.
///
/// # Errors
/// In words: no whole answer within the limits came.
pub(crate) async fn put(
    origin: &dyn Origin,
    site: &Site,
    ask: &Ask,
    if_none_match: Option<&str>,
) -> Result<(StatusCode, HeaderMap, Bytes), String> {
    let request = Request::get(site.api_uri(&ask.target)).body(gateway::empty());
    let mut request = request.map_err(|error| full_text(&error))?;
    *request.headers_mut() = ask.upstream_headers();
    if let Some(value) = if_none_match.and_then(|tag| HeaderValue::try_from(tag).ok()) {
        request.headers_mut().insert(header::IF_NONE_MATCH, value);
    }
    let (head, body) = origin.send(request).await.map_err(|error| full_text(&error))?.into_parts();
    let bytes_max = usize::try_from(BODY_BYTES_MAX).unwrap_or(usize::MAX);
    let body = Limited::new(body, bytes_max).collect().await.map_err(|error| full_text(&*error))?;
    Ok((head.status, head.headers, body.to_bytes()))
}
