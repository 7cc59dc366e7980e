use gateway::{Checked, DoorKind, Refusal, check};
use github::{Ask, Plan, Site, Touches, plan, redacted};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use serde_json::{Map, Value, json};

use crate::Node;

/// A request as a client would send it.
#[derive(Clone, Debug)]
pub struct Question {
    pub method: Method,
    /// As it was typed: a URL, or a path for the main site.
    pub url: String,
    /// The credential among them, if there is one.
    pub headers: HeaderMap,
}

impl Node {
    /// What would be done with a request, and why, without doing it: for the operator.
    ///
    /// It tells what is held for the credential in `question`, and nothing of what others hold. Values
    /// of parameters that may be secrets are left out; the credential is in no field.
    ///
    /// # Errors
    /// What a door would refuse.
    pub async fn why(&self, question: Question) -> Result<Value, Refusal> {
        let Place { site, checked } = match self.place(&question)? {
            Ok(place) => place,
            Err(host) => {
                let why = "it is for no API that is cached; only the socket passes it on, to hosts that GitHub's clients need";
                return Ok(json!({ "plan": "pass", "host": host, "why": why }));
            }
        };
        let mut story = Map::new();
        story.insert("site".to_owned(), site.name.clone().into());
        story.insert("target".to_owned(), redacted(&checked.target).into());
        if question.method == Method::POST && checked.target.path() == "/graphql" {
            let why = "it depends on the document: what is certainly a query may be kept for a moment, for its own \
                credential; anything else is passed on, and drops what it may change";
            story.extend(object(json!({ "plan": "pass", "why": why })));
            return Ok(story.into());
        }
        let more = match plan(&question.method, &site.name, checked.target, &question.headers, checked.has_body) {
            Plan::Cache(mut ask) => {
                let mut more = self.cache.why(&mut ask).await;
                more.extend([("plan".to_owned(), "cache".into()), ("selects".to_owned(), selecting(&ask))]);
                more
            }
            Plan::Pass { why } => object(json!({ "plan": "pass", "why": why })),
            Plan::Write { touches } => object(json!({ "plan": "write", "touches": names(&touches) })),
        };
        story.extend(more);
        Ok(story.into())
    }

    /// The site that is meant, and the request in its normal form; or the host that is none.
    fn place(&self, question: &Question) -> Result<Result<Place<'_>, String>, Refusal> {
        let bad_url =
            || Refusal::bad_request("that is no URL", "write https://api.github.com/repos/o/r, or /repos/o/r");
        let url: Uri = question.url.split('#').next().unwrap_or_default().parse().map_err(|_| bad_url())?;
        let authority = url.authority().map(|authority| authority.as_str().to_ascii_lowercase());
        let site = authority.as_deref().map_or(Some(&self.sites[0]), |authority| self.site_called(authority));
        let Some(site) = site else { return Ok(Err(authority.unwrap_or_default())) };
        let mut head = Request::new(()).into_parts().0;
        let path_and_query = url.path_and_query().ok_or_else(bad_url)?;
        head.uri = path_and_query.as_str().parse().map_err(|_| bad_url())?;
        head.method = question.method.clone();
        head.headers = question.headers.clone();
        head.headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        Ok(Ok(Place { site, checked: check(&head, DoorKind::BaseUrl)? }))
    }

    /// The site that a person means by `authority`, in lower case: as it is written in the settings, as
    /// clients call it, or as the door to the main one.
    pub(crate) fn site_called(&self, authority: &str) -> Option<&Site> {
        let name = authority.strip_suffix(":443").unwrap_or(authority);
        let found = self.sites.iter().find(|site| site.authority() == authority || site.is_called(name));
        found.or_else(|| is_loopback(authority).then(|| &self.sites[0]))
    }
}

struct Place<'a> {
    site: &'a Site,
    checked: Checked,
}

/// Names by which a door of this machine may have been called.
const LOOPBACK_NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

fn is_loopback(authority: &str) -> bool {
    let host = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(authority, |(host, _)| host);
    LOOPBACK_NAMES.contains(&host)
}

/// The headers that are part of the key.
fn selecting(ask: &Ask) -> Value {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    ask.selecting()
        .map(|(name, value)| (name.as_str().to_owned(), Value::from(text(value))))
        .collect::<Map<_, _>>()
        .into()
}

fn names(touches: &Touches) -> Value {
    match touches {
        Touches::Everything => "everything".into(),
        Touches::Families(families) => families.iter().map(github::Family::as_str).collect(),
    }
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { unreachable!("it was made as an object") };
    object
}
