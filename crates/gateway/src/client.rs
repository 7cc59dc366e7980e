use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, StreamBody};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::time::Instant;
use tracing::debug;

use crate::{Body, Broken, Origin, OriginError, limits};

/// The origin over HTTPS: one client with its pool of connections.
pub struct HttpOrigin {
    /// By the proxy that the environment names, if it names one.
    client: reqwest::Client,
    /// By no proxy.
    direct: reqwest::Client,
    /// How long the origin may take for the head of its answer, and between two pieces of its body.
    timeout: Duration,
}

/// Why there is no client at all.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot set up TLS; are the system's CA certificates installed?")]
    Tls(#[source] reqwest::Error),
    #[error("there is no certificate in it")]
    NoCertificate,
    /// Counted from 1.
    #[error("its certificate {number} cannot be read")]
    Certificate {
        number: usize,
        #[source]
        cause: Broken,
    },
}

impl HttpOrigin {
    /// Certificates are the system's (`SSL_CERT_FILE` counts).
    ///
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, or their names in lower case, are read as curl
    /// reads them, once. An origin on loopback is never asked by a proxy, which would look for it on
    /// its own machine: so does Go's client, and with it gh.
    pub fn new(timeout: Duration) -> Result<Self, ClientError> {
        Self::build(timeout, &[])
    }

    /// The same, and trusts the certificates in `pem` as well: one or more.
    ///
    /// # Errors
    /// [`ClientError`] if there is none, or one that is none.
    pub fn with_ca(timeout: Duration, pem: &[u8]) -> Result<Self, ClientError> {
        let trusted = certificates(pem)?;
        if trusted.is_empty() { Err(ClientError::NoCertificate) } else { Self::build(timeout, &trusted) }
    }

    fn build(timeout: Duration, trusted: &[reqwest::Certificate]) -> Result<Self, ClientError> {
        // A second call finds the provider in place; that is what is wanted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .connect_timeout(limits::CONNECT_TIMEOUT)
                .tcp_user_timeout(limits::UNACKNOWLEDGED_MAX)
                .tls_certs_merge(trusted.iter().cloned())
        };
        let client = builder().build().map_err(ClientError::Tls)?;
        let direct = builder().no_proxy().build().map_err(ClientError::Tls)?;
        Ok(Self { client, direct, timeout })
    }

    async fn exchange(&self, request: Request<Body>) -> Result<Response<Body>, OriginError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let (head, body) = request.into_parts();
        let mut headers = head.headers;
        let length = headers.remove(header::CONTENT_LENGTH);
        let client = if is_loopback(&host) { &self.direct } else { &self.client };
        let is_read = matches!(head.method, Method::GET | Method::HEAD);
        let mut outgoing = client.request(head.method, head.uri.to_string()).headers(headers);
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
        let again = outgoing.try_clone().filter(|_| is_read);
        let mut sent = self.patiently(outgoing.send(), &moved).await;
        // A connection that was kept may be dead and nobody knew: the machine has another address by now, say. Once
        // more, on another one, in what is left of the time.
        if let (Some(Err(error)), Some(again)) = (&sent, again)
            && !error.is_connect()
        {
            debug!(%host, "the origin's connection died before its answer; asking again");
            sent = self.patiently(again.send(), &moved).await;
        }
        let response = match sent {
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

/// Reads every certificate of a bundle, and nothing else that may be there.
fn certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, ClientError> {
    let mut roots = RootCertStore::empty();
    (1..)
        .zip(CertificateDer::pem_slice_iter(pem))
        .map(|(number, der)| {
            let bad = |cause| ClientError::Certificate { number, cause };
            let der = der.map_err(|error| bad(Broken::new(error)))?;
            // Tried here, since the client would only say that something is wrong somewhere.
            roots.add(der.clone()).map_err(|error| bad(Broken::new(error)))?;
            reqwest::Certificate::from_der(&der).map_err(|error| bad(Broken::new(error)))
        })
        .collect()
}

/// `host` as it stands in a URL.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
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
    Body::streamed(StreamBody::new(frames))
}

impl Origin for HttpOrigin {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, OriginError>> {
        self.exchange(request).boxed()
    }
}

#[cfg(test)]
mod tests {
    use github::Target;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn a_bundle_without_a_certificate_or_with_a_bad_one_is_refused() {
        let refused =
            |pem: &str| HttpOrigin::with_ca(Duration::from_secs(1), pem.as_bytes()).err().unwrap().to_string();
        assert_eq!(refused("not PEM at all"), "there is no certificate in it");
        let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(refused(bad), "its certificate 1 cannot be read");
        assert_eq!(refused("-----BEGIN CERTIFICATE-----\nAAAA\n"), "its certificate 1 cannot be read");
    }

    /// Answers the first request of each connection, and drops it at the second one.
    async fn drop_at_the_second(listener: TcpListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            for answer in ["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""] {
                assert!(stream.read(&mut buffer).await.unwrap() > 0);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_read_on_a_dead_connection_is_sent_once_more_and_a_write_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let origin = HttpOrigin::new(Duration::from_secs(60)).unwrap();
        let send = async |method: &str| {
            let request = Request::builder().method(method).uri(format!("http://{address}/")).body(crate::empty());
            origin.send(request.unwrap()).await.map(|response| response.status().as_u16())
        };
        let asked = async {
            assert_eq!(send("GET").await.unwrap(), 200);
            assert_eq!(send("GET").await.unwrap(), 200, "on a new connection");
            assert!(matches!(send("DELETE").await, Err(OriginError::Broken { .. })));
        };
        tokio::select! {
            () = asked => {}
            () = drop_at_the_second(listener) => {}
        }
    }

    #[test]
    fn loopback_is_known_in_every_spelling_of_a_url() {
        for (host, is_so) in [
            ("127.0.0.1", true),
            ("127.1.2.3", true),
            ("[::1]", true),
            ("LocalHost", true),
            ("10.0.0.1", false),
            ("localhost.example", false),
        ] {
            assert_eq!(is_loopback(host), is_so, "{host}");
        }
    }

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
