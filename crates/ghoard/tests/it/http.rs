//! A plain HTTP/1.1 client that does exactly what it is told, right or wrong.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case; the last of several wins.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }
}

pub(crate) fn tcp(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

pub(crate) fn unix(to: &Path) -> UnixStream {
    let stream = UnixStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends one request on a connection of its own. `head` is the request line and headers, without
/// the last empty line.
pub(crate) fn exchange(stream: impl Read + Write, head: &str, body: &[u8]) -> Reply {
    try_exchange(stream, head, body).unwrap()
}

pub(crate) fn try_exchange(mut stream: impl Read + Write, head: &str, body: &[u8]) -> io::Result<Reply> {
    let head = head.lines().map(str::trim).collect::<Vec<_>>().join("\r\n");
    let closing = if head.to_lowercase().contains("\r\nconnection:") { "" } else { "\r\nConnection: close" };
    stream.write_all(format!("{head}{closing}\r\n\r\n").as_bytes())?;
    stream.write_all(body)?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw)?;
    parse(&raw).ok_or_else(|| io::Error::other(format!("no answer: {:?}", String::from_utf8_lossy(&raw))))
}

fn parse(raw: &[u8]) -> Option<Reply> {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let body = &raw[end + 4..];
    let is_chunked = headers.get("transfer-encoding").is_some_and(|coding| coding.contains("chunked"));
    let body = if is_chunked { unchunk(body)? } else { body.to_vec() };
    let length = headers.get("content-length").and_then(|length| length.parse().ok());
    // A body that broke off is no answer; a HEAD has a length and no body.
    if !body.is_empty() && length.is_some_and(|length: usize| length != body.len()) {
        return None;
    }
    Some(Reply { status, headers, body })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?.trim(), 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}
