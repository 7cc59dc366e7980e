use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use http::{Request, Response, header};
use http_body_util::{BodyExt, StreamBody};
use tokio::time::Instant;

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
        let moved = Arc::new(Mutex::new(Instant::now()));
        if !hyper::body::Body::is_end_stream(&body) {
            let moved = moved.clone();
            let counted =
                body.into_data_stream().inspect(move |_| *moved.lock().expect("no panic while held") = Instant::now());
            outgoing = outgoing.body(reqwest::Body::wrap_stream(counted));
        }
        if let Some(length) = length {
            outgoing = outgoing.header(header::CONTENT_LENGTH, length);
        }
        let response = match self.patiently(outgoing.send(), &moved).await {
            None => return Err(OriginError::Timeout { host }),
            Some(Err(error)) if error.is_timeout() => return Err(OriginError::Timeout { host }),
            Some(Err(error)) if error.is_connect() => {
                return Err(OriginError::Connect { host, cause: Broken::new(error.without_url()) });
            }
            Some(Err(error)) => return Err(OriginError::Broken { host, cause: Broken::new(error.without_url()) }),
            Some(Ok(response)) => response,
        };
        let response: Response<reqwest::Body> = response.into();
        Ok(response.map(|body| in_time(body, self.timeout)))
    }

    /// Waits for the head of an answer; an upload that moves is no silence.
    async fn patiently<T>(&self, sent: impl Future<Output = T>, moved: &Mutex<Instant>) -> Option<T> {
        tokio::pin!(sent);
        loop {
            let deadline = *moved.lock().expect("no panic while held") + self.timeout;
            match tokio::time::timeout_at(deadline, &mut sent).await {
                Ok(answer) => return Some(answer),
                Err(_) if *moved.lock().expect("no panic while held") + self.timeout > Instant::now() => {}
                Err(_) => return None,
            }
        }
    }
}

/// Ends a body when nothing of it arrives for `patience`.
fn in_time(body: reqwest::Body, patience: Duration) -> Body {
    let frames = stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        match tokio::time::timeout(patience, body.frame()).await {
            Ok(None) => None,
            Ok(Some(Ok(frame))) => Some((Ok(frame), Some(body))),
            Ok(Some(Err(error))) => Some((Err(Broken::new(error.without_url())), None)),
            Err(late) => Some((Err(Broken::new(late)), None)),
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

impl Origin for HttpOrigin {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, OriginError>> {
        self.exchange(request).boxed()
    }
}

#[cfg(test)]
mod tests {
    use github::Target;

    /// What is in the key must be what is sent: the client's URL parser may change nothing.
    #[test]
    fn a_canonical_target_is_sent_as_it_is() {
        let all: String = (0x21..0x7f).map(char::from).filter(|c| !"?#%\\".contains(*c)).collect();
        for (path, query) in [
            (format!("/a/{all}/b"), all.clone()),
            ("/a/\u{e9}\u{4e2d}".to_owned(), "q=\u{e9}%20x?/".to_owned()),
            ("/repos/o/r/git/ref/heads%2Fx".to_owned(), "a=%27&b[]=1|2".to_owned()),
        ] {
            let target = Target::parse(&path, Some(&query)).unwrap().text();
            let sent = reqwest::Url::parse(&format!("https://api.github.com{target}")).unwrap();
            assert_eq!(format!("{}?{}", sent.path(), sent.query().unwrap()), target);
        }
    }
}
