use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use net::{Address, Event, EventStream, Net, PullReplyStream};
use tokio::time::{Instant, sleep_until};
use wire::Peer;

use super::{
    ProbeError, is_usable,
    words::{self, DialBack, Question, Reply},
};
use crate::{
    cli::Probe,
    output,
    reach::{self, Door, Protocol},
};

/// After this a machine without an address for others is told so.
const ADDRESS_TIME: Duration = Duration::from_secs(3);

/// What answers probes.
pub(crate) struct Server<'a> {
    probe: &'a Probe,
    /// What this machine calls itself.
    name: &'a str,
    /// Where it was asked to listen, the transport that is best known first.
    listen: Vec<Address>,
    net: Net,
    told: BTreeSet<String>,
}

impl<'a> Server<'a> {
    pub(crate) fn new(probe: &'a Probe, name: &'a str, listen: Vec<Address>, net: Net) -> Self {
        Self { probe, name, listen, net, told: BTreeSet::new() }
    }

    /// Answers probes until it is stopped, or with `--exit-after-one` until one was answered.
    ///
    /// # Errors
    /// [`ProbeError::Deaf`] if it can listen nowhere.
    pub(crate) async fn run(mut self, mut events: EventStream) -> Result<(), ProbeError> {
        let mut failed = 0;
        let mut address_at = Some(Instant::now() + ADDRESS_TIME);
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = sleep_until(address_at.unwrap_or_else(Instant::now)), if address_at.is_some() => {
                    address_at = None;
                    if self.told.is_empty() {
                        output::warning("this machine listens, and has no address that others could use");
                        output::hint("say with --advertise-ip under which address they reach it");
                    }
                    continue;
                }
            };
            match event {
                Some(Event::Listening { address }) => self.tell_address(&address),
                Some(Event::ListenFailed { address, why }) => {
                    output::warning(&format!("cannot listen on {address}: {why}"));
                    failed += 1;
                    if failed == self.listen.len() {
                        self.net.shutdown().await;
                        return Err(ProbeError::Deaf(address, why));
                    }
                }
                Some(Event::Connected { peer, address, .. }) => {
                    output::data(&format!("a member came: {peer} from {address}"));
                }
                Some(Event::Refused { address, why }) => output::data(&format!("refused {address}: {why}")),
                Some(Event::Pull { from, request, reply }) => {
                    let Some(question) = words::decode::<Question>(&request) else { continue };
                    let is_done = self.answer(&from, question, reply).await;
                    if is_done && self.probe.exit_after_one {
                        break;
                    }
                }
                Some(_) => {}
                None => break,
            }
        }
        self.net.shutdown().await;
        Ok(())
    }

    /// The line to paste on the other machine; once, if the operator says under which address. Loopback is of no use
    /// there, unless it was asked for.
    fn tell_address(&mut self, address: &Address) {
        let Some(own) = address.ip() else { return };
        let is_wanted = |ip: IpAddr| self.listen.iter().any(|wanted| wanted.ip() == Some(ip));
        let address = match self.probe.advertise_ip {
            Some(ip) if ip.is_ipv4() == own.is_ipv4() => address.resolved(ip),
            None if is_usable(own) || is_wanted(own) => address.clone(),
            _ => return,
        };
        if self.told.insert(address.to_string()) {
            let whole = address.with_peer(self.net.me());
            // One way is enough for whoever pastes a line; the others are there to be tried.
            let is_main = self.listen.first().is_some_and(|first| first.carrier() == address.carrier());
            output::data(&if is_main { format!("P2P_PROBE_MULTIADDR={whole}") } else { format!("also at {whole}") });
        }
    }

    async fn answer(&self, from: &Peer, question: Question, mut reply: PullReplyStream) -> bool {
        let came_from = self.net.peers().into_iter().find(|info| info.peer == *from).and_then(|info| info.address.ip());
        let dial_back = dial_back(came_from, question.listen_port).await;
        output::data(&format!("probed by {} of {}", question.from_peer_id, question.from_hostname.escape_debug()));
        let answer = Reply {
            peer_id: self.net.me().to_string(),
            hostname: self.name.to_owned(),
            pid: std::process::id(),
            ts: words::now(),
            request: question,
            dial_back,
        };
        reply.write_frame(words::encode(&answer)).await.is_ok() && reply.finish().await.is_ok()
    }
}

/// Only to where the question came from: nobody can make this machine knock elsewhere.
async fn dial_back(came_from: Option<IpAddr>, port: Option<u16>) -> Option<DialBack> {
    let door = Door { protocol: Protocol::Tcp, at: SocketAddr::new(came_from?, port?) };
    let why = reach::knock(door).await.trouble(door, None).map(|(why, _)| why);
    Some(DialBack { address: door.at.to_string(), is_open: why.is_none(), why })
}

/// Whether nobody can come under that address, as IPv6 leads to no socket of IPv4, nor the other way round.
pub(crate) fn is_of_another_family(ip: IpAddr, listen: &[Address]) -> bool {
    !listen.iter().filter_map(Address::ip).any(|own| own.is_ipv4() == ip.is_ipv4())
}
