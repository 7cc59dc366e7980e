//! Troubles that need a firewall or a router, each made here, and what `ghoard probe` says of it.

use std::{fs, path::PathBuf, process::Command};

use super::{
    daemon::{self, Daemon},
    kind::{Kind, PORT},
    namespace::Namespace,
};

/// One trouble, and words of the finding that names it.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    run: fn(&World) -> Result<(), String>,
}

pub(crate) static SCENES: &[Scene] = &[
    Scene { name: "one-sided-firewall", run: one_sided_firewall },
    Scene { name: "no-route", run: no_route },
    Scene { name: "hairpin", run: hairpin },
    Scene { name: "relay-needed", run: relay_needed },
];

impl Scene {
    pub(crate) fn run(&self, number: usize) -> Result<(), String> {
        (self.run)(&World::new(number)?)
    }
}

/// A public host, and one behind a router, in one internet.
struct World {
    home: PathBuf,
    outside: Namespace,
    inside: Namespace,
    _between: Vec<Namespace>,
}

const OUTSIDE: &str = "50.0.0.1";
const ROUTER: &str = "50.0.0.2";

impl World {
    fn new(number: usize) -> Result<Self, String> {
        let home = PathBuf::from(format!("/run/lab/scene{number}"));
        fs::create_dir_all(&home).map_err(|cause| format!("{}: {cause}", home.display()))?;
        let named = |role: &str| Namespace::new(format!("scene{number}-{role}"));
        let (internet, outside, router, inside) = (named("internet")?, named("out")?, named("router")?, named("in")?);
        let lan = named("lan")?;
        internet.bridge()?;
        lan.bridge()?;
        outside.plug("wan", &format!("{OUTSIDE}/24"), &internet, "outside")?;
        router.plug("wan", &format!("{ROUTER}/24"), &internet, "router")?;
        router.plug("lan", "192.168.2.1/24", &lan, "router")?;
        router.make_router(&Kind::Masquerade.rules(ROUTER, "192.168.2.2"))?;
        inside.plug("lan", "192.168.2.2/24", &lan, "host")?;
        inside.route("192.168.2.1")?;
        Ok(Self { home, outside, inside, _between: vec![internet, router, lan] })
    }

    fn daemon(&self, namespace: &Namespace, name: &str) -> Result<Daemon, String> {
        // No GitHub is there; nothing is asked of it.
        Daemon::start(namespace, self.home.join(name), &[("RUNNER_NAME", name), ("GHOARD_MDNS", "false")])
    }

    /// What a probe says, and whether all was well.
    fn probe(&self, namespace: &Namespace, address: &str, settings: &[(&str, &str)]) -> Result<(bool, String), String> {
        let mut command: Command = namespace.command(daemon::program("ghoard"));
        command.args(["probe", address]).env("CACHE_P2P_SHARED_SECRET", daemon::SECRET).env("HOME", &self.home);
        let output = command.envs(settings.iter().copied()).output().map_err(|cause| cause.to_string())?;
        Ok((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// The firewall of one side drops what it has not asked for; the other side is as it should be.
fn one_sided_firewall(world: &World) -> Result<(), String> {
    let firewall = "table ip filter {\n chain input { type filter hook input priority filter; policy drop;\n \
                    ct state established,related accept; iifname lo accept; }\n}\n";
    world.outside.rules(firewall)?;
    let daemon = world.daemon(&world.outside, "outside")?;
    let (well, said) = world.probe(&world.inside, &tcp(OUTSIDE, &daemon), &[])?;
    says(!well, &said, &["does not answer: a firewall", &format!("ufw allow {PORT}/tcp")])
}

/// A private address of another site.
fn no_route(world: &World) -> Result<(), String> {
    let (well, said) = world.probe(&world.outside, &format!("/ip4/192.168.77.7/tcp/{PORT}"), &[])?;
    says(!well, &said, &["there is no route", "the address is private"])
}

/// The own router's address from within.
fn hairpin(world: &World) -> Result<(), String> {
    let (well, said) = world.probe(&world.inside, &format!("/ip4/{ROUTER}/tcp/{PORT}"), &[("EXTERNAL_IP", ROUTER)])?;
    says(!well, &said, &["this site's own address outside", "no hairpin"])
}

/// Behind a router that lets nobody in, without an anchor.
fn relay_needed(world: &World) -> Result<(), String> {
    let _daemon = world.daemon(&world.inside, "inside")?;
    let (well, said) = world.probe(&world.outside, &format!("/ip4/{ROUTER}/tcp/{PORT}"), &[])?;
    says(!well, &said, &["does not answer", "role anchor"])
}

fn tcp(ip: &str, daemon: &Daemon) -> String {
    format!("/ip4/{ip}/tcp/{PORT}/p2p/{}", daemon.peer_id)
}

fn says(is_right: bool, said: &str, words: &[&str]) -> Result<(), String> {
    let missing: Vec<_> = words.iter().filter(|word| !said.contains(*word)).collect();
    (is_right && missing.is_empty()).then_some(()).ok_or_else(|| format!("expected {missing:?} in\n{said}"))
}
