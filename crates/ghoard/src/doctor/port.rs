//! The ports at which members are awaited, and what opens them.

use std::collections::BTreeSet;

use net::{Address, Carrier};
use serde_json::Value;

use super::fleet::Daemon;
use crate::{
    checks::Report,
    config::Config,
    machine::ports,
    reach::{Door, Protocol, firewall_lines},
};

const NAME: &str = "port";

type Ports = BTreeSet<(u16, Protocol)>;

/// Whether the ports for members can be had, or the daemon has them; and the line that opens them.
pub(super) fn port(config: &Config, daemon: &Daemon, report: &mut Report) {
    tls(config, report);
    let ports = match daemon {
        Daemon::Runs(shown) => of_daemon(config, shown, report),
        Daemon::Silent => {
            report.open(NAME, "not looked at: what holds it may be the daemon that does not answer");
            wanted(config)
        }
        Daemon::None => of_machine(config, report),
    };
    let ports: Vec<_> = ports.into_iter().collect();
    if ports.iter().any(|(port, _)| *port == 0) {
        report
            .open("firewall", "the daemon picks its port when it starts (listen_port is 0): look again while it runs");
    } else if !ports.is_empty() {
        let lines = firewall_lines(&ports).join("; or: ");
        report.open("firewall", format!("where one runs, this opens what is listened on: {lines}"));
    }
}

/// What the settings ask for.
fn wanted(config: &Config) -> Ports {
    let main = main_carriers(config).map(|carrier| (config.listen_port, Protocol::of(carrier)));
    let websocket = config.websocket_port.map(|port| (port, Protocol::Tcp));
    main.chain(websocket).filter(|_| config.enable_p2p).collect()
}

/// Those of `listen_port`.
fn main_carriers(config: &Config) -> impl Iterator<Item = Carrier> {
    [Carrier::Tcp, Carrier::Quic].into_iter().filter(|carrier| config.transports.contains(carrier))
}

/// Why nothing is listened on, where that is what the settings say.
fn deaf_by_settings(config: &Config) -> Option<&'static str> {
    if !config.enable_p2p {
        return Some("none is needed: this machine shares with no other (enable_p2p)");
    }
    wanted(config)
        .is_empty()
        .then_some("none: with transports = ws and no websocket_port this machine dials others, and nobody can dial it")
}

/// Each is tried.
fn of_machine(config: &Config, report: &mut Report) -> Ports {
    if let Some(why) = deaf_by_settings(config) {
        report.open(NAME, why);
        return Ports::new();
    }
    let ip = config.listen_address;
    let main = main_carriers(config).find_map(|carrier| ports::try_port(ip, config.listen_port, carrier).err());
    match main {
        Some(cause) => {
            let (what, cure) = ports::no_port(config, config.listen_port, &cause);
            report.wrong(NAME, what, cure);
        }
        None if main_carriers(config).next().is_none() => {}
        None if config.listen_port == 0 => report.well(NAME, "any will do (listen_port is 0)"),
        None => report.well(NAME, format!("{} is free", config.listen_port)),
    }
    if let Some(port) = config.websocket_port {
        match ports::try_port(ip, port, Carrier::WebSocket) {
            Ok(()) => report.well(NAME, format!("{port} is free (websocket_port)")),
            Err(cause) => report.wrong(NAME, format!("websocket_port {port} cannot be had: {cause}"), WEBSOCKET_CURE),
        }
    }
    wanted(config)
}

const WEBSOCKET_CURE: &str =
    "set GHOARD_WEBSOCKET_PORT to a free port; with TLS, tls_cert_file and tls_key_file to files that can be read";

/// What the daemon has got, and what it has not.
fn of_daemon(config: &Config, shown: &Value, report: &mut Report) -> Ports {
    if shown["enabled"] == false {
        let why = deaf_by_settings(config).unwrap_or("the daemon shares with no other, so it listens for nobody");
        report.open(NAME, why);
        return Ports::new();
    }
    let texts: Vec<&str> = shown["listening"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let listening: Vec<Address> = texts.iter().filter_map(|text| text.parse().ok()).collect();
    let failed: Vec<(&String, &str)> = shown["not_listening"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(address, why)| Some((address, why.as_str()?)))
        .collect();
    match (texts.is_empty(), deaf_by_settings(config)) {
        (false, _) => said_where(config, &listening, &texts.join(", "), report),
        (true, Some(why)) => report.open(NAME, why),
        (true, None) if failed.is_empty() => {
            report.wrong(NAME, "the daemon listens nowhere", "its log says why (`cannot listen for members`)");
        }
        (true, None) => {}
    }
    for (address, why) in failed {
        let what = format!("the daemon cannot listen on {address}: {why}");
        let is_websocket = address.parse::<Address>().is_ok_and(|address| address.carrier() == Carrier::WebSocket);
        let cure = if is_websocket { WEBSOCKET_CURE.to_owned() } else { cure_now(config) };
        if texts.is_empty() {
            report.wrong(NAME, what, cure);
        } else {
            report.doubtful(NAME, what, cure);
        }
    }
    listening.iter().filter_map(Door::of).map(|door| (door.at.port(), door.protocol)).collect()
}

fn said_where(config: &Config, listening: &[Address], all: &str, report: &mut Report) {
    let wanted = config.listen_port;
    let mut main = listening.iter().filter(|address| address.carrier() != Carrier::WebSocket);
    match main.next().and_then(Address::port) {
        Some(port) if wanted != 0 && port != wanted => report.doubtful(
            NAME,
            format!("{wanted} could not be had when the daemon started; it listens at {all}"),
            cure_now(config),
        ),
        _ => report.well(NAME, format!("the daemon listens at {all}")),
    }
}

/// What to try about `listen_port`, by what keeps one from it now.
fn cure_now(config: &Config) -> String {
    let tried =
        main_carriers(config).find_map(|one| ports::try_port(config.listen_address, config.listen_port, one).err());
    tried.map_or_else(
        || "it can be had now: start the daemon anew".to_owned(),
        |cause| ports::no_port(config, config.listen_port, &cause).1,
    )
}

fn tls(config: &Config, report: &mut Report) {
    const NAME: &str = "tls";
    let Some((certificate, key)) = &config.tls_files else { return };
    match ports::read_tls(config) {
        None => {}
        Some(Err((what, cure))) => report.wrong(NAME, what, cure),
        Some(Ok(tls)) => match tls.check() {
            Ok(()) => report.well(NAME, format!("{} and its key fit", certificate.display())),
            Err(why) => report.wrong(
                NAME,
                format!("{} and {} cannot be used: {why}", certificate.display(), key.display()),
                ports::TLS_CURE,
            ),
        },
    }
}
