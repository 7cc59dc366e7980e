//! A thousand connections at once.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{Failure, members, print, verdict, victim::Victim};

const GROWTH_BYTES_MAX: u64 = 10 << 20;
const CLOSED_WITHIN: Duration = Duration::from_secs(30);

/// They say one byte each; all of them are closed, and a member comes in afterwards.
pub(crate) async fn run(count: u32) -> Result<bool, Failure> {
    let victim = Victim::start(None)?;
    let plain = victim.address("/ip4/127.0.0.1/tcp/")?.to_owned();
    members::visit(&plain).await?;
    let before = victim.resident_bytes()?;
    let address: net::Address = plain.parse()?;
    let place = (address.ip().ok_or("no IP")?, address.port().ok_or("no port")?);
    let mut crowd = Vec::new();
    for _ in 0..count {
        crowd.push(TcpStream::connect(place).await?);
    }
    for stream in &mut crowd {
        // It may be closed already.
        let _ = stream.write_all(&[0x13]).await;
    }
    let most = victim.resident_bytes()?;
    let began = Instant::now();
    for stream in &mut crowd {
        // An end and a reset are the same here.
        let _ = timeout(CLOSED_WITHIN, stream.read_to_end(&mut Vec::new())).await?;
    }
    let (closed, most) = (began.elapsed(), most.max(victim.resident_bytes()?));
    let waited = members::visit(&plain).await?;
    let grown = most.saturating_sub(before);
    let stood = grown <= GROWTH_BYTES_MAX;
    print(&format!(
        "{count} connections at once: {:.1} MiB more, all closed within {:.1} s, a member in after {:.0} ms: {}\n",
        grown as f64 / f64::from(1 << 20),
        closed.as_secs_f64(),
        waited.as_secs_f64() * 1000.0,
        verdict(stood)
    ));
    Ok(stood)
}
