use std::{io::Write, sync::PoisonError};

use crypto::{FleetKeys, MembershipKeys, Secret};
use discovery::{AnnounceError, Announced, DiscoverError, Found, PeerRecord, WithdrawError};
use net::{Config, Identity};

use super::*;

/// What was logged, by this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn count(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).matches(text).count()
    }
}

fn dialler(bootstrap: &str, known: Arc<Mutex<Known>>) -> (Dialler, mpsc::Sender<Told>, mpsc::Receiver<Told>) {
    let keys = FleetKeys::derive(&Secret::generate([1; 32]));
    let membership = MembershipKeys { current: keys.membership, next: None };
    let config = Config::new(Identity::from_seed([2; 32]), membership, keys.topic);
    let (net, _events) = Net::start(config, net::tcp_transport(), Tasks::tokio(), [3; 32]).unwrap();
    let config = DiallerConfig {
        bootstrap: vec![bootstrap.parse().unwrap()],
        directories: Vec::new(),
        runner_name: "a".to_owned(),
        external: None,
        force_localhost: None,
        discovery: Discovery::default(),
    };
    let (told, events) = mpsc::channel(8);
    let around = Surroundings {
        net,
        relay_client: true,
        tasks: Tasks::tokio(),
        known,
        signatures: Arc::new(Signer(Identity::from_seed([2; 32]))),
        role: Role::Node,
        say: Box::new(|_, _| {}),
        registry: None,
        look: Arc::default(),
        heard: watch::channel(Vec::new()).1,
    };
    (Dialler::new(config, around), told, events)
}

#[tokio::test]
async fn an_address_that_the_machine_lost_is_not_said_any_more() {
    let known = Arc::<Mutex<Known>>::default();
    let (dialler, told, events) = dialler("/ip4/127.0.0.1/tcp/1", known.clone());
    let [old, new]: [Address; 2] = ["/ip4/10.0.0.1/tcp/9100", "/ip4/10.0.0.2/tcp/9100"].map(|at| at.parse().unwrap());
    let says = |event| told.try_send(Told::Event(Box::new(event))).unwrap();
    says(Event::Listening { address: old.clone() });
    says(Event::Listening { address: new.clone() });
    says(Event::Listening { address: new.clone() });
    says(Event::NotListening { address: old });
    drop(told);
    dialler.run(events).await;
    let known = known.lock().unwrap();
    assert_eq!(known.listening, std::slice::from_ref(&new), "once, and the other is gone");
    assert_eq!(known.advertised.as_ref().map(Address::without_peer), Some(new));
    assert!(known.announced.as_ref().unwrap().multiaddr.contains("10.0.0.2"));
}

#[tokio::test]
async fn what_could_not_start_stays_told() {
    let known = Arc::<Mutex<Known>>::default();
    let (mut dialler, told, events) = dialler("/ip4/127.0.0.1/tcp/1", known.clone());
    for kind in [Kind::Static, Kind::File] {
        dialler.config.discovery.not_started.insert(kind, "it is broken".to_owned());
    }
    dialler.note_kinds();
    dialler.resolve_names().await;
    let address = "/ip4/10.0.0.1/tcp/9100".parse().unwrap();
    told.try_send(Told::Event(Box::new(Event::ListenFailed { address, why: "no such address".to_owned() }))).unwrap();
    drop(told);
    dialler.run(events).await;
    let known = known.lock().unwrap();
    for (kind, is_running) in [(Kind::Static, true), (Kind::File, false)] {
        let state = &known.kinds[&kind];
        assert_eq!((state.configured, state.running), (true, is_running));
        assert_eq!(state.trouble.as_deref(), Some("it is broken"));
    }
    assert_eq!(known.not_listening["/ip4/10.0.0.1/tcp/9100"], "no such address");
}

#[tokio::test]
async fn who_is_blocked_is_let_go_when_he_comes() {
    let keys = FleetKeys::derive(&Secret::generate([1; 32]));
    let start = |seed: u8| {
        let membership = MembershipKeys { current: keys.membership.clone(), next: None };
        let mut config = Config::new(Identity::from_seed([seed; 32]), membership, keys.topic.clone());
        config.listen.push("/ip4/127.0.0.1/tcp/0".parse().unwrap());
        Net::start(config, net::tcp_transport(), Tasks::tokio(), [seed; 32]).unwrap()
    };
    let (mine, mut events) = start(4);
    let (other, mut theirs) = start(5);
    let (mut dialler, told, heard) = dialler("/ip4/127.0.0.1/tcp/1", Arc::default());
    dialler.around.net = mine;
    dialler.config.discovery.blocked.insert(other.me().clone());
    let place = loop {
        if let Some(Event::Listening { address }) = events.next().await {
            break address;
        }
    };
    other.dial(place);
    let run = dialler.run(heard);
    let pass_on = async {
        while let Some(event) = events.next().await {
            let is_end = matches!(event, Event::Disconnected { .. });
            let _ = told.send(Told::Event(Box::new(event))).await;
            if is_end {
                return;
            }
        }
    };
    let theirs = async { while theirs.next().await.is_some() {} };
    tokio::select! {
        () = pass_on => {}
        () = run => panic!("it goes on"),
        () = theirs => panic!("nobody stopped it"),
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("he is still there"),
    }
}

#[tokio::test]
async fn where_the_blocked_answer_nobody_dials_for_a_while() {
    let known = Arc::<Mutex<Known>>::default();
    let (mut dialler, _told, _heard) = dialler("/ip4/127.0.0.1/tcp/1", known.clone());
    dialler.discover().await;
    let (peer, address) = (Identity::from_seed([9; 32]).peer(), dialler.config.bootstrap[0].clone());
    let next = |dialler: &Dialler| dialler.book.next_due(&BTreeSet::new()).unwrap();
    let comes_and_goes = || {
        let (peer, address) = (peer.clone(), address.clone());
        let gone = Event::Disconnected { peer: peer.clone(), why: "closed".to_owned() };
        [Event::Connected { peer, address, direction: Direction::Outbound }, gone]
    };
    let later = Instant::now() + limits::REFRESH_INTERVAL;
    for event in comes_and_goes() {
        dialler.on_event(event).await;
    }
    assert!(next(&dialler) < later, "nobody is blocked");
    dialler.config.discovery.blocked.insert(peer.clone());
    for event in comes_and_goes() {
        dialler.on_event(event).await;
    }
    assert!(next(&dialler) >= later);
    let known = known.lock().unwrap();
    assert!(known.failures.values().any(|failure| failure.why.contains("blocked_peers")));
}

struct Hung;

impl Directory for Hung {
    fn announce(&self, _: &PeerRecord, _: Millis) -> Result<Announced, AnnounceError> {
        panic!("it is still at the first question")
    }

    fn discover(&self, _: Millis) -> Result<Found, DiscoverError> {
        std::thread::sleep(Duration::from_secs(4));
        Ok(Found::default())
    }

    fn withdraw(&self, _: &PeerRecord) -> Result<(), WithdrawError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_directory_that_hangs_is_waited_for_once() {
    let (folder, tasks) = (Folder::new(Arc::new(Hung)), Tasks::tokio());
    let began = Instant::now();
    assert!(folder.ask(&tasks, |folder| folder.discover(Millis::ZERO).is_ok()).await.is_err());
    let me = PeerRecord::new("a", "a", 1, "/ip4/10.0.0.1/tcp/1");
    assert!(folder.ask(&tasks, move |folder| folder.announce(&me, Millis::ZERO).is_ok()).await.is_err());
    assert!(began.elapsed() < limits::DIRECTORY_PATIENCE * 2, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn each_300_s_the_known_peers_are_dialled_again_with_the_lines_that_people_search_for() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    // Nobody listens there.
    let (dialler, _told, events) = dialler("/ip4/127.0.0.1/tcp/1", Arc::default());
    let began = Instant::now();
    let _ = tokio::time::timeout(Duration::from_secs(601), dialler.run(events)).await;
    assert_eq!(began.elapsed(), Duration::from_secs(601));
    assert_eq!(log.count("Refreshing bootstrap peer connections..."), 2);
    assert_eq!(log.count("✓ Refreshed 1 bootstrap connection(s)"), 2);
}
