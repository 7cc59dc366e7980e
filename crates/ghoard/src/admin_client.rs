//! How a command asks the running daemon, over its admin socket.

use std::{io, path::PathBuf, time::Duration};

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::{config::Config, machine::full_text};

/// A daemon that takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(30);

const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Why the daemon gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error("no daemon answers at {}", path.display())]
    NoDaemon {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("the daemon did not answer: {0}")]
    Broken(String),
    #[error("the daemon takes questions, and did not answer within {} s", .0.as_secs())]
    Late(Duration),
    /// In the daemon's own words.
    #[error("{message}")]
    Refused { message: String, hint: Option<String> },
    #[error("{0:?} is no header; write it as 'Name: value'")]
    Header(String),
}

impl AdminError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoDaemon { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                Some("it answers to the user that runs `ghoard run`".to_owned())
            }
            Self::NoDaemon { .. } => Some(
                "start `ghoard run`; with other settings of it, set GHOARD_ADMIN_SOCKET to what it printed".to_owned(),
            ),
            Self::Refused { hint, .. } => hint.clone(),
            Self::Late(_) => Some("it hangs, or is stopped (`ps -C ghoard -o pid,stat,cmd` shows T): kill -CONT goes on, else start it anew".to_owned()),
            Self::Broken(_) => Some("is it a ghoard of this version that listens there? start it anew".to_owned()),
            Self::Header(_) => None,
        }
    }
}

/// One question to the daemon. `authorization` is sent in the header of that name, and nowhere else.
pub(crate) async fn ask(
    config: &Config,
    method: Method,
    path: &str,
    body: Option<&Value>,
    authorization: Option<header::HeaderValue>,
) -> Result<Value, AdminError> {
    let socket = &config.admin_socket;
    let no_daemon = |cause| AdminError::NoDaemon { path: socket.clone(), cause };
    let stream = UnixStream::connect(socket).await.map_err(no_daemon)?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
    let mut request = request.body(Full::new(body.into())).expect("the parts are ours");
    if let Some(mut value) = authorization {
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    match tokio::time::timeout(TIMEOUT, exchange(stream, request)).await {
        Ok(Ok((status, answer))) => understand(status, &answer),
        Ok(Err(error)) => Err(AdminError::Broken(full_text(&*error))),
        Err(_) => Err(AdminError::Late(TIMEOUT)),
    }
}

type Exchanged = Result<(StatusCode, Vec<u8>), Box<dyn std::error::Error + Send + Sync>>;

async fn exchange(stream: UnixStream, request: Request<Full<bytes::Bytes>>) -> Exchanged {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?;
        Ok((head.status, body.to_bytes().to_vec()))
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        ended = connection => {
            ended?;
            answer.await
        }
    }
}

fn understand(status: StatusCode, answer: &[u8]) -> Result<Value, AdminError> {
    let value: Value = serde_json::from_slice(answer).map_err(|error| AdminError::Broken(error.to_string()))?;
    if status.is_success() {
        return Ok(value);
    }
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let message = text("message").unwrap_or_else(|| status.to_string());
    let message = message.strip_prefix("ghoard: ").map(str::to_owned).unwrap_or(message);
    Err(AdminError::Refused { message, hint: text("hint") })
}
