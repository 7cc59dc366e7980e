use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};

use crate::{Body, Broken, Refusal};

/// The port to GitHub. Production fills it with an HTTP client, the simulator with fakehub's handler.
///
/// The request has an absolute URI. Redirects come back as they are. The future may be dropped at
/// any time; then the request may or may not have reached the origin.
pub trait Origin: Send + Sync + 'static {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, OriginError>>;
}

/// Why the origin gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// Nothing was sent.
    #[error("cannot connect to {host}")]
    Connect {
        host: String,
        #[source]
        cause: Broken,
    },
    #[error("{host} did not answer in time")]
    Timeout { host: String },
    #[error("the connection to {host} broke")]
    Broken {
        host: String,
        #[source]
        cause: Broken,
    },
}

impl OriginError {
    pub fn refusal(&self) -> Refusal {
        let status = match self {
            Self::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Connect { .. } | Self::Broken { .. } => StatusCode::BAD_GATEWAY,
        };
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        Refusal::new(status, message, "check that this machine reaches GitHub; GHOARD_BYPASS=1 goes direct")
    }
}
