use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use net::{Address, Carrier, Event, EventStream, GateError, Net, PullError, Refusal};
use tokio::time::timeout;
use wire::Peer;

use super::{
    AGENT,
    words::{self, Question, Reply},
};
use crate::{
    checks::Report,
    names,
    reach::{self, firewall_lines},
};

/// For the connection, the proof of membership included.
const CONNECT_TIME: Duration = Duration::from_secs(12);
/// For what both sides say of themselves once connected.
const SAY_TIME: Duration = Duration::from_secs(5);
/// For the other side's attempt to reach this one.
const DIAL_BACK_TIME: Duration = Duration::from_secs(15);

/// Looks at one step after the other, and stops where the next one cannot succeed.
pub(crate) async fn examine(
    address: &Address,
    name: &str,
    own: Option<IpAddr>,
    (net, events): (Net, EventStream),
) -> Report {
    let mut report = Report::default();
    let mut side = Side { net, events, name: name.to_owned(), port: None };
    if let Some(place) = reachable(address, own, &mut report).await
        && let Some(peer) = connect(&mut side, &place, &mut report).await
    {
        get_to_know(&mut side, &peer, &mut report).await;
        ask_for_dial_back(&side, &peer, &mut report).await;
    }
    side.net.shutdown().await;
    report
}

struct Side {
    net: Net,
    events: EventStream,
    name: String,
    /// Where it listens itself.
    port: Option<u16>,
}

/// Resolves the address and connects to the port; the first place that answers.
async fn reachable(address: &Address, own: Option<IpAddr>, report: &mut Report) -> Option<Address> {
    let places = match names::places(address).await {
        Ok(places) => places,
        Err(why) => {
            report.wrong("address", why, "is the name right, and does this machine's DNS know it?");
            return None;
        }
    };
    let list: Vec<String> = places.iter().map(ToString::to_string).collect();
    report.well("address", list.join(", "));
    for place in places {
        let Some(socket) = socket(&place) else { continue };
        if place.carrier() == Carrier::Quic {
            report.open("tcp", "not looked at: the address is of QUIC, over UDP");
            return Some(place);
        }
        let reach = reach::tcp(socket).await;
        match reach.trouble(socket, own) {
            None => {
                if let reach::Reach::Open(took) = reach {
                    report.well("tcp", format!("{socket} answers in {}", ms(took)));
                }
                return Some(place);
            }
            Some((what, cure)) => report.wrong("tcp", what, cure),
        }
    }
    None
}

fn socket(place: &Address) -> Option<SocketAddr> {
    Some(SocketAddr::new(place.ip()?, place.port()?))
}

/// Encryption and the proof of membership.
async fn connect(side: &mut Side, address: &Address, report: &mut Report) -> Option<Peer> {
    let (place, start) = (socket(address)?, Instant::now());
    side.net.dial(address.clone());
    let connected = async {
        loop {
            match side.events.next().await? {
                Event::Listening { address } => side.port = address.port(),
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
            let (what, cure) = explain(&why, place);
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

fn explain(why: &Refusal, place: SocketAddr) -> (String, String) {
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
            format!("{place} takes connections and says nothing"),
            "is it ghoard that listens there, and not another program?".to_owned(),
        ),
        Refusal::Unreachable(why) if place.port() != 0 => (
            format!("the connection to {place} did not come about: {why}"),
            format!("is it ghoard that listens there? For QUIC: {}", firewall_lines(place.port())[0]),
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
                Some(Event::Listening { address }) => side.port = address.port(),
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
    match rtt {
        Some(rtt) => report.well("round trip", ms(rtt)),
        None => report.doubtful("round trip", "no ping was answered", "the connection may be very slow: try again"),
    }
}

async fn ask_for_dial_back(side: &Side, peer: &Peer, report: &mut Report) {
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
                report.well(
                    "dial-back",
                    format!("{} reaches this machine at {}", reply.hostname.escape_debug(), back.address),
                );
            }
            Some(back) => report.doubtful(
                "dial-back",
                format!(
                    "the other side does not reach {}: {}",
                    back.address,
                    back.why.unwrap_or_default().escape_debug()
                ),
                "one way is enough: a connection serves both. For the other way, open the port here, or use an anchor",
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
