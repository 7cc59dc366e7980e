//! GitHub's own rules: what a request means, what may be kept of its answer, for whom, how long.
//!
//! Pure. The request is normalised first ([`Ask`]), and everything else (key, scope, route, family)
//! is computed from that normal form and never from the text that the client sent.

mod ask;
mod client;
mod credential;
mod crossing;
mod drift;
mod etag;
mod family;
mod freshness;
mod graphql;
mod headers;
mod leak;
mod ledger;
pub mod limits;
mod link;
mod page;
mod pattern;
mod pretty;
mod reach;
mod redact;
mod resource;
mod route;
mod said;
mod site;
mod target;
mod verdict;

pub use ask::{Ask, Plan, SentQuery, cacheable_form, plan, plan_query, plan_said};
pub use client::ClientDirectives;
pub use credential::Credential;
pub use crossing::crossing_headers;
pub use drift::{Changed as DriftChanged, Drift};
pub use etag::{EtagInput, etag, matches};
pub use family::{Aliases, Family, Touches};
pub use freshness::{Freshness, Policy};
pub use graphql::{Graphql, GraphqlQuery, classify, may_keep};
pub use headers::{KEPT_HEADERS, kept_headers};
pub use leak::holds_credential;
pub use ledger::{
    Admit, BucketState, Gauge, Ledger, LimitAnswer, LimitFigures, ResourceState, StopReason, Ticket, View, Word, Work,
};
pub use page::{is_full_last_page, travelling_link};
pub use pattern::{Pattern, PatternError};
pub use pretty::pretty;
pub use reach::Reach;
pub use redact::redacted;
pub use resource::Resource;
pub use route::Route;
pub use said::{ClientWants, Said};
pub use site::{ENTERPRISE_PATH, Site, enterprise_path};
pub use target::{Target, TargetError};
pub use verdict::{Verdict, judge, judge_at};

/// The host whose answers are cached, whatever the base URL by which the client came.
pub const API_HOST: &str = "api.github.com";

/// What ghoard calls itself to the origin. GitHub pretty-prints for browsers and curl, and a
/// pretty-printed body does not have the digest that other clients see.
pub const USER_AGENT: &str = concat!("ghoard/", env!("CARGO_PKG_VERSION"));
