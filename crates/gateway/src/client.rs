use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};
use http::{Request, Response, header};
use http_body_util::BodyExt;

use crate::{Body, Broken, Origin, OriginError, limits};

/// The origin over HTTPS: one client with its pool of connections.
pub struct HttpOrigin {
    client: reqwest::Client,
    /// How long the origin may take for the head of its answer, and between two pieces of its body.
    timeout: Duration,
}

/// Why there is no client at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS; are the system's CA certificates installed?")]
pub struct ClientError(#[source] reqwest::Error);

impl HttpOrigin {
    /// Certificates are the system's (`SSL_CERT_FILE` counts); `HTTPS_PROXY` and `NO_PROXY` are obeyed.
    pub fn new(timeout: Duration) -> Result<Self, ClientError> {
        // A second call finds the provider in place; that is what is wanted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(limits::CONNECT_TIMEOUT)
            .read_timeout(timeout)
            .build()
            .map_err(ClientError)?;
        Ok(Self { client, timeout })
    }

    async fn exchange(&self, request: Request<Body>) -> Result<Response<Body>, OriginError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let (head, body) = request.into_parts();
        let mut headers = head.headers;
        let length = headers.remove(header::CONTENT_LENGTH);
        let mut outgoing = self.client.request(head.method, head.uri.to_string()).headers(headers);
        if !hyper::body::Body::is_end_stream(&body) {
            outgoing = outgoing.body(reqwest::Body::wrap_stream(body.into_data_stream()));
        }
        if let Some(length) = length {
            outgoing = outgoing.header(header::CONTENT_LENGTH, length);
        }
        let response = match tokio::time::timeout(self.timeout, outgoing.send()).await {
            Err(_) => return Err(OriginError::Timeout { host }),
            Ok(Err(error)) if error.is_timeout() => return Err(OriginError::Timeout { host }),
            Ok(Err(error)) if error.is_connect() => {
                return Err(OriginError::Connect { host, cause: Broken::new(error.without_url()) });
            }
            Ok(Err(error)) => return Err(OriginError::Broken { host, cause: Broken::new(error.without_url()) }),
            Ok(Ok(response)) => response,
        };
        let response: Response<reqwest::Body> = response.into();
        Ok(response.map(|body| body.map_err(|error| Broken::new(error.without_url())).boxed_unsync()))
    }
}

impl Origin for HttpOrigin {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, OriginError>> {
        self.exchange(request).boxed()
    }
}
