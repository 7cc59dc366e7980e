//! Network namespaces and the wires between them.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::run;

/// A network namespace with a name, for as long as this lives.
pub(crate) struct Namespace(String);

impl Namespace {
    pub(crate) fn new(name: String) -> Result<Self, String> {
        run::output(Command::new("ip").args(["netns", "add", &name]))?;
        let made = Self(name);
        made.ip("link set lo up")?;
        Ok(made)
    }

    /// Runs `ip` within it, with these words.
    pub(crate) fn ip(&self, words: &str) -> Result<(), String> {
        run::output(Command::new("ip").args(["-n", &self.0]).args(words.split(' '))).map(drop)
    }

    /// A program within it.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program);
        command
    }

    /// Makes it a bridge of wires: the internet, or a LAN's switch.
    pub(crate) fn bridge(&self) -> Result<(), String> {
        self.ip("link add name switch type bridge")?;
        self.ip("link set switch up")
    }

    /// Lays a wire from `device` here to a plug of `to`'s bridge; `address` with its prefix length.
    pub(crate) fn plug(&self, device: &str, address: &str, to: &Self, plug: &str) -> Result<(), String> {
        let (here, there) = (&self.0, &to.0);
        let wire = format!("link add {device} netns {here} type veth peer name {plug} netns {there}");
        run::output(Command::new("ip").args(wire.split(' ')))?;
        to.ip(&format!("link set {plug} master switch up"))?;
        self.ip(&format!("addr add {address} dev {device}"))?;
        self.ip(&format!("link set {device} up"))
    }

    /// Sends everything that has no other way to `gateway`.
    pub(crate) fn route(&self, gateway: &str) -> Result<(), String> {
        self.ip(&format!("route add default via {gateway}"))
    }

    /// Lets it pass packets on, by these rules of nftables.
    pub(crate) fn make_router(&self, rules: &str) -> Result<(), String> {
        run::output(self.command("sysctl").args(["-qw", "net.ipv4.ip_forward=1"]))?;
        self.rules(rules)
    }

    /// Loads rules of nftables.
    pub(crate) fn rules(&self, rules: &str) -> Result<(), String> {
        let mut nft = self.command("nft").args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = nft.as_mut().map_err(|cause| format!("could not run nft: {cause}"))?;
        let written = child.stdin.take().expect("it is piped").write_all(rules.as_bytes());
        let output = nft.and_then(std::process::Child::wait_with_output).map_err(|cause| format!("nft: {cause}"))?;
        if written.is_err() || !output.status.success() {
            return Err(format!("nft refused the rules: {}\n{rules}", String::from_utf8_lossy(&output.stderr)));
        }
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Fails only where it is gone already; all of them end with the run.
        let _ = run::output(Command::new("ip").args(["netns", "del", &self.0]));
    }
}
