//! The node under attack, as its process.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::Failure;

/// Of `/proc`: what this kernel counts processor time in, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: u64 = 4096;

pub(crate) struct Victim {
    child: Child,
    orders: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    /// With its peer id: TCP, QUIC, WebSocket in some order, and a circuit if there is a relay.
    pub(crate) addresses: Vec<String>,
}

/// What it has counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connects: u64,
    pub(crate) refused: u64,
    pub(crate) messages: u64,
}

impl Victim {
    pub(crate) fn start(relay: Option<&str>) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("node").args(relay).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let orders = child.stdin.take().ok_or("no stdin")?;
        let said = BufReader::new(child.stdout.take().ok_or("no stdout")?).lines();
        let mut victim = Self { child, orders, said, addresses: Vec::new() };
        loop {
            let line = victim.line()?;
            match line.strip_prefix("listening ") {
                Some(address) => victim.addresses.push(address.to_owned()),
                None if line == "ready" => return Ok(victim),
                None => {}
            }
        }
    }

    /// Its address by this part of it; of several the plainest.
    pub(crate) fn address(&self, having: &str) -> Result<&str, Failure> {
        let found =
            self.addresses.iter().filter(|address| address.contains(having)).min_by_key(|address| address.len());
        Ok(found.ok_or_else(|| format!("no address with {having} in {:?}", self.addresses))?)
    }

    pub(crate) fn counters(&mut self) -> Result<Counters, Failure> {
        self.orders.write_all(b"\n")?;
        self.orders.flush()?;
        let line = self.line()?;
        let numbers: Vec<u64> = line.split(' ').skip(1).filter_map(|word| word.parse().ok()).collect();
        let [connects, refused, messages] = numbers[..] else { return Err(format!("it said {line:?}").into()) };
        Ok(Counters { connects, refused, messages })
    }

    fn line(&mut self) -> Result<String, Failure> {
        Ok(self.said.next().ok_or("the node has ended")??)
    }

    pub(crate) fn resident_bytes(&self) -> Result<u64, Failure> {
        let pages = self.read("statm")?.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
        Ok(pages.ok_or("statm is not what it was")? * PAGE_BYTES)
    }

    /// User and system, since its start.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Failure> {
        let stat = self.read("stat")?;
        // The name in parentheses may hold anything.
        let (_, rest) = stat.rsplit_once(')').ok_or("stat is not what it was")?;
        let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
        Ok(ticks as f64 / TICKS_PER_SECOND)
    }

    fn read(&self, file: &str) -> Result<String, Failure> {
        Ok(std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))?)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
