//! A member of the fleet that knows the secret and lies: what it announces, and what it sends when
//! asked for a body.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use crypto::{FleetKeys, MembershipKeys, SegmentSealer, TagKey};
use github::{API_HOST, Ask, Plan as Planned, Target};
use http::{HeaderMap, Method, header};
use net::{Config, Event, Net, PullReplyStream, RawTransport};
use task::Tasks;
use tokio::{sync::mpsc, time::Instant};
use wire::{
    Announcement, Body, Digest, Form, KeyId, Message, Millis, PullReply, PullRequest, Record, ScopeId, Version, limits,
};

use crate::{
    addresses,
    checkers::sealed,
    draw::Stream,
    machine::{bootstrap, fleet_keys, until},
    plan::{Lie, What},
    stage::{Stage, lock},
    trace::{self, Kind},
};

/// How often it tries to come back in.
const DIAL_EVERY: Duration = Duration::from_millis(500);

/// More than any body that was announced: a reader must have stopped long before.
const ENDLESS_SEGMENTS: usize = 4096;

/// Records that it remembers of what it hears.
const HEARD_MAX: usize = 1024;

/// What it says in place of GitHub.
const FORGERY: &[u8] = br#"{"message":"forged by a member"}"#;

struct Liar {
    stage: Arc<Stage>,
    id: u32,
    keys: FleetKeys,
    net: Net,
    nonces: Stream,
    /// True records with their true tags.
    heard: BTreeMap<(KeyId, ScopeId), Announcement>,
    /// What it does to those who pull from it.
    trap: Arc<Mutex<Lie>>,
}

pub async fn live(stage: Arc<Stage>, id: u32, tasks: Tasks) {
    let machine = stage.machine(id);
    let keys = fleet_keys(stage.plan.seed);
    let membership = MembershipKeys { current: keys.membership.clone(), next: None };
    let mut config = Config::new(machine.identity.clone(), membership, keys.topic.clone());
    config.listen = vec![addresses::place(&machine.plan)];
    let transport = RawTransport::new(stage.network.transport(machine.id));
    let mut nonces = Stream::new(stage.plan.seed, &format!("liar {id} {}", machine.alive().starts));
    let (net, mut events) = match Net::start(config, transport, tasks.clone(), nonces.bytes()) {
        Ok(started) => started,
        Err(error) => return stage.violated(Some(machine.lane()), "start", error.to_string()),
    };
    let (say, mut said) = mpsc::unbounded_channel();
    for op in stage.plan.ops.iter().filter(|op| op.what.node() == Some(id)) {
        let (say, op) = (say.clone(), op.clone());
        if Duration::from_millis(op.at_ms) < det::elapsed() {
            continue;
        }
        tasks.spawn(async move {
            until(Duration::from_millis(op.at_ms)).await;
            let _ = say.send(op.what);
        });
    }
    let trap = Arc::new(Mutex::new(Lie::WrongBody));
    let mut liar = Liar { stage: stage.clone(), id, keys, net, nonces, heard: BTreeMap::new(), trap };
    let mut next_dial = Instant::now();
    loop {
        let is_alone = liar.net.peers().is_empty();
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(next_dial), if is_alone => {
                next_dial = Instant::now() + DIAL_EVERY;
                bootstrap(&stage.plan, id).into_iter().for_each(|address| liar.net.dial(address));
            }
            event = events.next() => match event {
                Some(event) => liar.on_event(event, &tasks),
                None => return,
            },
            Some(what) = said.recv() => liar.lie(&what),
        }
    }
}

impl Liar {
    fn on_event(&mut self, event: Event, tasks: &Tasks) {
        match event {
            Event::Gossip { data, id, .. } => {
                self.net.accept_gossip(&id);
                self.hear(&data);
            }
            Event::Message { data, .. } => self.hear(&data),
            Event::Pull { request, reply, .. } => {
                let (keys, lie) = (self.keys.clone(), *lock(&self.trap));
                tasks.spawn(async move {
                    // The victim hangs up; that is what it should do.
                    let _ = serve(&keys, lie, &request, reply).await;
                });
            }
            _ => {}
        }
    }

    /// What a member is sent. It is sealed, and no token is in it even for members.
    fn hear(&mut self, data: &[u8]) {
        let tokens = self.stage.github().tokens.clone();
        if let Some(what) = sealed::leak(data, &tokens) {
            self.stage.violated(None, "sealed.message", format!("{what} is in a message, in the clear"));
        }
        let Ok(plain) = self.keys.sealing.open(b"ghoard/1 message", data) else { return };
        if sealed::holds_token(&plain, &tokens) {
            self.stage.violated(None, "sealed.token", "a token is told to members");
        }
        let Ok(Message::Announce(records)) = Message::decode(&plain) else { return };
        for record in records {
            if self.heard.len() < HEARD_MAX {
                self.heard.insert((record.key, record.scope), record);
            }
        }
    }

    fn lie(&mut self, what: &What) {
        let What::Lie { token, path, lie, .. } = what else { return };
        let text = format!("lies about {path} of t{token}: {lie:?}");
        self.stage.tell(trace::Event::new(Kind::Note, self.id as usize + 1, text).ok(false));
        match lie {
            Lie::Nonsense => {
                let noise = self.nonces.bytes();
                self.net.publish(Bytes::copy_from_slice(&noise));
                let sealed = self.seal(&noise);
                self.net.publish(sealed);
            }
            Lie::Oversize => {
                let sealed = self.seal(&vec![0; limits::MESSAGE_BYTES_MAX + (8 << 10)]);
                self.net.publish(sealed.clone());
                for peer in self.net.peers() {
                    self.net.send(&peer.peer, sealed.clone());
                }
            }
            lie => {
                let announcement = self.announcement(*token, path, *lie);
                let Ok(message) = Message::Announce(vec![announcement]).encode() else { return };
                let sealed = self.seal(&message);
                self.net.publish(sealed);
            }
        }
    }

    fn announcement(&mut self, token: usize, path: &str, lie: Lie) -> Announcement {
        let credential = format!("Bearer {}", self.stage.github().tokens[token]);
        let ask = ask(path, &credential);
        let (key, scope) = (self.keys.ids.key_id(&ask.key()), self.keys.ids.scope_id(Some(credential.as_bytes())));
        if matches!(lie, Lie::WrongBody | Lie::Endless) {
            *lock(&self.trap) = lie;
            // Everything of it is true, but that the body is to be had here.
            if let Some(heard) = self.heard.get(&(key, scope)) {
                return Announcement { body: None, ..heard.clone() };
            }
        }
        let now = Millis::from(SystemTime::now());
        let ahead = Duration::from_secs(if lie == Lie::Future { 48 * 3600 } else { 30 });
        let minute = Duration::from_secs(60);
        let digest = if lie == Lie::WrongDigest { Digest::of(b"something else") } else { Digest::of(FORGERY) };
        let record = Record {
            family: self.keys.ids.family_id(ask.family.as_str()),
            version: Version { date_secs: now.after(ahead).as_secs(), digest },
            status: 200,
            headers: Vec::new(),
            body_bytes: FORGERY.len() as u64,
            validated_at: now,
            fresh_until: now.after(minute + ahead),
            proved_until: now.after(minute + ahead),
            stale_until: now.after(60 * minute),
        };
        let tag = (lie == Lie::ForgedTag).then(|| TagKey::of(b"Bearer of the liar's own").tag(key, &record));
        let body = (lie != Lie::WrongBody && lie != Lie::Endless).then(|| Body::from_plain(FORGERY.into()));
        Announcement { key, scope, record, tag, body, holder: None }
    }

    fn seal(&mut self, message: &[u8]) -> Bytes {
        let mut nonce = [0; 24];
        nonce.copy_from_slice(&self.nonces.bytes()[..24]);
        self.keys.sealing.seal(nonce, b"ghoard/1 message", message).into()
    }
}

/// The question of that path and credential in its normal form.
fn ask(path: &str, credential: &str) -> Ask {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, credential.parse().expect("a token is a header value"));
    let target = Target::parse(path, query).expect("plans hold plain paths");
    match github::plan(&Method::GET, API_HOST, target, &headers, false) {
        Planned::Cache(ask) => *ask,
        other => panic!("plans lie about what is cached: {other:?}"),
    }
}

/// Answers a pull, properly sealed, with another body or with one that does not end.
async fn serve(keys: &FleetKeys, lie: Lie, request: &[u8], mut reply: PullReplyStream) -> anyhow::Result<()> {
    let request = PullRequest::decode(&keys.sealing.open(b"ghoard/1 pull request", request)?)?;
    let bound = |kind: &[u8]| [kind, &request.key.0, &request.scope.0, &request.digest.0].concat();
    let segments = if lie == Lie::Endless { ENDLESS_SEGMENTS } else { 1 };
    let promised = if lie == Lie::Endless { 150_000 } else { FORGERY.len() as u64 };
    let found = PullReply::Found { form: Form::Identity, encoded_bytes: promised, from_segment: 0 };
    let head = [&[3; 19][..], &found.encode()?].concat();
    let head = keys.sealing.seal([4; 24], &bound(b"ghoard/1 pull reply"), &head);
    reply.write_frame(head.into()).await?;
    let bound = bound(b"ghoard/1 body");
    let mut sealer = SegmentSealer::new(&keys.sealing, [3; 19], &bound);
    if lie != Lie::Endless {
        reply.write_frame(sealer.seal(FORGERY, true).into()).await?;
        return Ok(reply.finish().await?);
    }
    for _ in 0..segments {
        reply.write_frame(sealer.seal(&[7; 1 << 10], false).into()).await?;
    }
    Ok(())
}
