use std::{io::Write, sync::PoisonError};

use crypto::{FleetKeys, MembershipKeys, Secret};
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

#[tokio::test(start_paused = true)]
async fn each_300_s_the_known_peers_are_dialled_again_with_the_lines_that_people_search_for() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let keys = FleetKeys::derive(&Secret::generate([1; 32]));
    let membership = MembershipKeys { current: keys.membership, next: None };
    let config = Config::new(Identity::from_seed([2; 32]), membership, keys.topic);
    let (net, _events) = Net::start(config, net::tcp_transport(), Tasks::tokio(), [3; 32]).unwrap();
    let config = DiallerConfig {
        // Nobody listens there.
        bootstrap: vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap()],
        directories: Vec::new(),
        runner_name: "a".to_owned(),
        external: None,
        force_localhost: None,
        discovery: Discovery::default(),
    };
    let (_told, events) = mpsc::channel(1);
    let around = Surroundings {
        net,
        tasks: Tasks::tokio(),
        known: Arc::default(),
        signatures: Arc::new(Signer(Identity::from_seed([2; 32]))),
        role: Role::Node,
        say: Box::new(|_, _| {}),
        registry: None,
        look: Arc::default(),
    };
    let dialler = Dialler::new(config, around);
    let began = Instant::now();
    let _ = tokio::time::timeout(Duration::from_secs(601), dialler.run(events)).await;
    assert_eq!(began.elapsed(), Duration::from_secs(601));
    assert_eq!(log.count("Refreshing bootstrap peer connections..."), 2);
    assert_eq!(log.count("✓ Refreshed 1 bootstrap connection(s)"), 2);
}
