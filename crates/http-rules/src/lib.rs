//! What a shared cache may do by RFC 9111, for an origin of which nothing else is known.
//!
//! Pure: a request, a response and the time go in, a decision comes out. Nothing here holds a body,
//! and nothing is done: who keeps, sends and answers is `http-cache`.
//!
//! ```
//! # use std::time::{Duration, SystemTime};
//! use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
//! use http_rules::{Exchange, Reuse, Stored, Wishes};
//!
//! let mut response = HeaderMap::new();
//! response.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
//! let request = HeaderMap::new();
//! let now = SystemTime::now();
//! let exchange = Exchange { method: &Method::GET, target: "/a", request: &request, asked: now, answered: now };
//! let stored = Stored::new(&exchange, StatusCode::OK, &response).expect("it may be stored");
//!
//! assert_eq!(stored.reuse(&Wishes::default(), now), Reuse::Fresh);
//! assert_eq!(stored.reuse(&Wishes::default(), now + Duration::from_secs(60)), Reuse::Validate);
//! ```

mod age;
mod condition;
mod control;
mod directives;
mod headers;
mod invalidation;
mod lifetime;
mod range;
mod reuse;
mod stored;
mod target;
mod validation;
mod vary;
mod wishes;

pub use condition::{Verdict, evaluate, is_for_the_origin, not_modified};
pub use control::OUR_NAME;
pub use directives::{Directives, Fields};
pub use headers::{forwardable, is_unsafe};
pub use invalidation::invalidated;
pub use range::{Asked, ContentRange, Part, asked_range, content_range, if_range_holds};
pub use reuse::{Failure, Reuse};
pub use stored::{Exchange, NotStored, Stored};
pub use target::{BadTarget, same_origin_target, target};
pub use validation::{condition_on, missing_part, without_conditions};
pub use wishes::Wishes;
