//! Every bound and pause of GitHub's rules that is not GitHub's own header.

use std::time::Duration;

/// Repositories whose id is remembered: some 100 bytes each.
pub const ALIASES_MAX: usize = 4096;

/// Bodies over this are not searched for ids of repositories.
pub const ALIAS_BODY_BYTES_MAX: usize = 1 << 20;

/// References of a `Link` header; GitHub sends four at most.
pub const LINKS_MAX: usize = 8;

/// Bytes of a `Link` header; what is longer is not GitHub's.
pub const LINK_BYTES_MAX: usize = 8 << 10;

/// How long a 404 or 410 may be told again to the credential that got it.
pub const NEGATIVE_TTL: Duration = Duration::from_secs(15);

/// Bytes of a GraphQL request that may be cached. Longer ones are passed on, and touch everything.
pub const GRAPHQL_BYTES_MAX: usize = 256 << 10;

/// Tokens of a GraphQL document, and how deep its selections nest.
pub const GRAPHQL_TOKENS_MAX: usize = 16 << 10;
pub const GRAPHQL_DEPTH_MAX: usize = 64;

/// How long the answer to a query is fresh: there is no validator to ask with. An operator may set
/// another time.
pub const GRAPHQL_TTL: Duration = Duration::from_secs(10);

/// How long the schema is: what `gh` itself does.
pub const INTROSPECTION_TTL: Duration = Duration::from_secs(24 * 60 * 60);
