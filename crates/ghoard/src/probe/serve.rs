use std::net::{IpAddr, SocketAddr};

use net::{Address, Event, EventStream, Net, PullReplyStream};
use wire::Peer;

use super::{
    is_usable,
    words::{self, DialBack, Question, Reply},
};
use crate::{cli::Probe, output, reach};

/// Answers probes until it is stopped, or with `--exit-after-one` until one was answered.
pub(crate) async fn serve(probe: &Probe, name: &str, (net, mut events): (Net, EventStream)) {
    let mut is_first = true;
    while let Some(event) = events.next().await {
        match event {
            Event::Listening { address } => {
                tell_address(probe, &net, &address, is_first);
                is_first = false;
            }
            Event::ListenFailed { address, why } => {
                output::warning(&format!("cannot listen on {address}: {why}"));
                output::hint("another program has the port: give another one with --port");
            }
            Event::Connected { peer, address, .. } => output::data(&format!("a member came: {peer} from {address}")),
            Event::Refused { address, why } => output::data(&format!("refused {address}: {why}")),
            Event::Pull { from, request, reply } => {
                let Some(question) = words::decode::<Question>(&request) else { continue };
                let is_done = answer(&net, name, &from, question, reply).await;
                if is_done && probe.exit_after_one {
                    break;
                }
            }
            _ => {}
        }
    }
    net.shutdown().await;
}

/// The line to paste on the other machine; once, if the operator says under which address. Loopback is of no use
/// there, unless it was asked for.
fn tell_address(probe: &Probe, net: &Net, address: &Address, is_first: bool) {
    let address = match probe.advertise_ip {
        Some(ip) if is_first => address.resolved(ip),
        None if address.ip().is_some_and(is_usable) => address.clone(),
        _ => return,
    };
    output::data(&format!("P2P_PROBE_MULTIADDR={}", address.with_peer(net.me())));
}

async fn answer(net: &Net, name: &str, from: &Peer, question: Question, mut reply: PullReplyStream) -> bool {
    let came_from = net.peers().into_iter().find(|info| info.peer == *from).and_then(|info| info.address.ip());
    let dial_back = dial_back(came_from, question.listen_port).await;
    output::data(&format!("probed by {} of {}", question.from_peer_id, question.from_hostname.escape_debug()));
    let answer = Reply {
        peer_id: net.me().to_string(),
        hostname: name.to_owned(),
        pid: std::process::id(),
        ts: words::now(),
        request: question,
        dial_back,
    };
    reply.write_frame(words::encode(&answer)).await.is_ok() && reply.finish().await.is_ok()
}

/// Only to where the question came from: nobody can make this machine knock elsewhere.
async fn dial_back(came_from: Option<IpAddr>, port: Option<u16>) -> Option<DialBack> {
    let to = SocketAddr::new(came_from?, port?);
    let why = reach::tcp(to).await.trouble(to, None).map(|(why, _)| why);
    Some(DialBack { address: to.to_string(), is_open: why.is_none(), why })
}
