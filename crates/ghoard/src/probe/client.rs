use std::time::{Duration, Instant};

use net::{Address, Carrier, Event, EventStream, GateError, Net, PullError, Refusal};
use tokio::time::timeout;
use wire::Peer;

use super::{
    AGENT,
    words::{self, Question, Reply},
};
use crate::{
    checks::Report,
    config::Config,
    machine::ports,
    names,
    reach::{self, Door, Protocol, Reach, firewall_lines},
};

/// For the connection, the proof of membership included.
const CONNECT_TIME: Duration = Duration::from_secs(12);
/// For what both sides say of themselves once connected.
const SAY_TIME: Duration = Duration::from_secs(5);
/// For the other side's attempt to reach this one.
const DIAL_BACK_TIME: Duration = Duration::from_secs(15);

/// Looks at one step after the other, and stops where the next one cannot succeed. `port` is where the other side
/// is to try the way back, if not where the probe listens.
pub(crate) async fn examine(
    address: &Address,
    config: &Config,
    port: Option<u16>,
    (net, events): (Net, EventStream),
) -> Report {
    let mut report = Report::default();
    let mut side = Side { net, events, name: config.runner_name.clone(), of_daemon: port.is_some(), port };
    if let Some(place) = reachable(address, config, &mut report).await
        && let Some(peer) = connect(&mut side, &place, &mut report).await
    {
        get_to_know(&mut side, &peer, &mut report).await;
        ask_for_dial_back(&side, &peer, config, &mut report).await;
    }
    side.net.shutdown().await;
    report
}

struct Side {
    net: Net,
    events: EventStream,
    name: String,
    /// Where it is to be reached: by the daemon's port, or the probe's own.
    port: Option<u16>,
    of_daemon: bool,
}

impl Side {
    fn listens_at(&mut self, address: &Address) {
        if !self.of_daemon {
            self.port = address.port();
        }
    }

    /// Whether the way back was tried at the port that members use.
    fn remark(&self, config: &Config) -> &'static str {
        if self.of_daemon {
            ", where the daemon listens"
        } else if config.listen_port == 0 || self.port == Some(config.listen_port) {
            ""
        } else {
            " (a port of the probe's own, as listen_port is another program's: it may be closed where listen_port is open)"
        }
    }
}

/// Resolves the address and knocks at the port; the first place that answers.
async fn reachable(address: &Address, config: &Config, report: &mut Report) -> Option<Address> {
    if let Some((what, cure)) = not_from_here(address, config) {
        report.wrong("address", what, cure);
        return None;
    }
    let places = match names::places(address).await {
        Ok(places) => places,
        Err(why) => {
            report.wrong("address", why, names::cure(address));
            return None;
        }
    };
    let list: Vec<String> = places.iter().map(ToString::to_string).collect();
    report.well("address", list.join(", "));
    // A list by name may have them for others.
    let (dialled, other): (Vec<_>, Vec<_>) =
        places.into_iter().partition(|place| ports::dials(config, place.carrier()));
    if let (true, Some(other)) = (dialled.is_empty(), other.first()) {
        let (what, cure) = ports::not_dialled(config, other.carrier());
        report.wrong("address", what, cure);
    }
    for place in dialled {
        let Some(door) = Door::of(&place) else { continue };
        let (name, reach) = (door.protocol.label(), reach::knock(door).await);
        match (reach.trouble(door, config.external_ip()), reach) {
            (None, Reach::Open(took)) => {
                report.well(name, format!("{} answers in {}", door.at, ms(took)));
                return Some(place);
            }
            (None, _) => return Some(place),
            (Some((what, cure)), _) => report.wrong(name, what, cure),
        }
    }
    None
}

/// What keeps a probe of this machine from trying an address at all, and what to try.
fn not_from_here(address: &Address, config: &Config) -> Option<(String, String)> {
    if address.is_relayed() {
        let relay = address.to_string();
        let relay = relay.split("/p2p-circuit").next().unwrap_or_default();
        return Some((
            format!("{address} leads through a relay, and a probe goes straight"),
            format!("`ghoard probe {relay}` examines the way to the relay; `ghoard peers` shows who is reached by it"),
        ));
    }
    let carrier = address.carrier();
    (!address.is_dnsaddr() && !ports::dials(config, carrier)).then(|| ports::not_dialled(config, carrier))
}

/// Encryption and the proof of membership.
async fn connect(side: &mut Side, address: &Address, report: &mut Report) -> Option<Peer> {
    let (door, start) = (Door::of(address)?, Instant::now());
    side.net.dial(address.clone());
    let connected = async {
        loop {
            match side.events.next().await? {
                Event::Listening { address } => side.listens_at(&address),
                Event::Connected { peer, .. } => return Some(Ok(peer)),
                Event::DialFailed { why, .. } => return Some(Err(why)),
                _ => {}
            }
        }
    };
    match timeout(CONNECT_TIME, connected).await {
        Ok(Some(Ok(peer))) => {
            let took = ms(start.elapsed());
            report.well("membership", format!("the other side has the same secret (connected and proved in {took})"));
            report.well("peer", peer.to_string());
            Some(peer)
        }
        Ok(Some(Err(why))) => {
            let (what, cure) = explain(&why, door, address.carrier());
            report.wrong("membership", what, cure);
            None
        }
        Ok(None) | Err(_) => {
            let patience = CONNECT_TIME.as_secs();
            report.wrong(
                "membership",
                format!("no connection within {patience} s"),
                "is it ghoard that listens there?",
            );
            None
        }
    }
}

fn explain(why: &Refusal, door: Door, carrier: Carrier) -> (String, String) {
    let place = door.at;
    match why {
        Refusal::Gate(GateError::KeyMismatch) => (
            "the other side has another shared secret".to_owned(),
            "set the same CACHE_P2P_SHARED_SECRET on both machines (or the same token, where none is set)".to_owned(),
        ),
        Refusal::Gate(GateError::SelfDial) => {
            ("this is this machine itself".to_owned(), "give the other machine's address".to_owned())
        }
        Refusal::WrongPeer { found } => (
            format!("another peer answers there: {found}"),
            "it was started anew with another identity: take the address that it prints now".to_owned(),
        ),
        Refusal::Timeout => (
            if carrier == Carrier::Quic {
                format!("{place} speaks QUIC, and no connection comes about")
            } else {
                format!("{place} takes connections and says nothing")
            },
            "is it ghoard that listens there, and not another program?".to_owned(),
        ),
        Refusal::Unreachable(why) => (
            format!("the connection to {place} did not come about: {why}"),
            match carrier {
                Carrier::Tcp => "is it ghoard that listens there, and not another program?".to_owned(),
                Carrier::Quic => format!(
                    "is it ghoard that listens there? It needs the port of UDP: {}",
                    firewall_lines(&[(place.port(), Protocol::Udp)])[0]
                ),
                Carrier::WebSocket => "is it ghoard's websocket_port? The address has /tls where that has a certificate, and not where it has none; a certificate of your own making must be in tls_cert_file on both machines".to_owned(),
            },
        ),
        other => (other.to_string(), "the other side's log says why it refuses".to_owned()),
    }
}

/// What both sides say of each other, and the round trip.
async fn get_to_know(side: &mut Side, peer: &Peer, report: &mut Report) {
    let (mut observed, mut rtt) = (None, None);
    let heard = async {
        while observed.is_none() || rtt.is_none() {
            match side.events.next().await {
                Some(Event::Observed { peer: of, address, listening }) if of == *peer => {
                    observed = Some((address, listening));
                }
                Some(Event::Rtt { peer: of, rtt: time }) if of == *peer => rtt = Some(time),
                Some(Event::Listening { address }) => side.listens_at(&address),
                Some(_) => {}
                None => return,
            }
        }
    };
    // What was heard until then counts.
    let _ = timeout(SAY_TIME, heard).await;
    let agent = agent(side, peer).unwrap_or_else(|| "unknown".to_owned());
    match observed {
        Some((address, listening)) => {
            let listening: Vec<String> = listening.iter().map(ToString::to_string).collect();
            report.well(
                "identify",
                format!("{agent}; it sees this machine at {address}, and listens at {}", listening.join(", ")),
            );
        }
        None => report.doubtful("identify", "it does not say what it is", "the connection may be very slow: try again"),
    }
    if let Some(info) = side.net.peers().into_iter().find(|info| info.peer == *peer) {
        report.well("path", format!("direct, over {}, to {}", info.carrier.label(), info.address));
    }
    match rtt {
        Some(rtt) => report.well("round trip", ms(rtt)),
        None => report.doubtful("round trip", "no ping was answered", "the connection may be very slow: try again"),
    }
}

async fn ask_for_dial_back(side: &Side, peer: &Peer, config: &Config, report: &mut Report) {
    if agent(side, peer).as_deref() != Some(AGENT) {
        report.open(
            "dial-back",
            "not tried: an ordinary daemon does not knock at other doors; run `ghoard probe --serve` there",
        );
        return;
    }
    let question = Question {
        from_peer_id: side.net.me().to_string(),
        from_hostname: side.name.clone(),
        from_pid: std::process::id(),
        ts: words::now(),
        listen_port: side.port,
    };
    match timeout(DIAL_BACK_TIME, exchange(&side.net, peer, &question)).await {
        Ok(Ok(Some(reply))) => match reply.dial_back {
            Some(back) if back.is_open => {
                let who = reply.hostname.escape_debug();
                report.well("dial-back", format!("{who} reaches this machine at {}{}", back.address, side.remark(config)));
            }
            Some(back) => report.doubtful(
                "dial-back",
                format!(
                    "the other side does not reach {}{}: {}",
                    back.address,
                    side.remark(config),
                    back.why.unwrap_or_default().escape_debug()
                ),
                format!(
                    "one way is enough: a connection serves both. For the other way, open the port here ({}), or use an anchor",
                    firewall_lines(&[(side.port.unwrap_or(config.listen_port), Protocol::Tcp)])[0]
                ),
            ),
            None => report.open("dial-back", "the other side did not try"),
        },
        Ok(Ok(None)) => {
            report.doubtful("dial-back", "the other side's answer makes no sense", "are both of one version?");
        }
        Ok(Err(error)) => report.doubtful("dial-back", format!("no answer: {error}"), "try again"),
        Err(late) => report.doubtful("dial-back", format!("no answer: {late}"), "try again"),
    }
}

async fn exchange(net: &Net, peer: &Peer, question: &Question) -> Result<Option<Reply>, PullError> {
    let mut stream = net.pull(peer, words::encode(question)).await?;
    Ok(stream.next_frame().await?.and_then(|frame| words::decode(&frame)))
}

fn agent(side: &Side, peer: &Peer) -> Option<String> {
    side.net.peers().into_iter().find(|info| info.peer == *peer)?.agent
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
