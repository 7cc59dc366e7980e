//! A holder that stops in the middle of a large body: the next one goes on.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rustix::process::{Pid, Signal, kill_process};

use crate::world::{GitHub, Machine, SECRET, Setup, TOKEN, wait_until};

const BODY_BYTES: usize = 5 << 20;
/// More than anything but a body, and less than half of this one.
const STRUCK_AFTER_BYTES: usize = 3 << 19;

/// The way to one machine. Whichever of several brings so much first has its machine struck.
struct Way {
    address: SocketAddr,
    peer: String,
}

impl Way {
    #[expect(clippy::disallowed_methods, reason = "the test's own threads, beside the programs")]
    fn to(machine: &Machine, signal: Signal, struck: &Arc<AtomicBool>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let port = machine.listening().rsplit('/').next().unwrap().parse::<u16>().unwrap();
        let (pid, struck) = (Pid::from_child(&machine.child), struck.clone());
        let brought = Arc::new(AtomicUsize::new(0));
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let far = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let (near_in, far_in) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                std::thread::spawn(move || carry(near_in, far, |_| true));
                let (struck, brought) = (struck.clone(), brought.clone());
                std::thread::spawn(move || {
                    carry(far_in, near, |bytes| {
                        let is_much = brought.fetch_add(bytes, Ordering::Relaxed) + bytes >= STRUCK_AFTER_BYTES;
                        let strikes = is_much && !struck.swap(true, Ordering::Relaxed);
                        if strikes {
                            kill_process(pid, signal).unwrap();
                        }
                        // A stopped machine's last words stay on the way; its connection stands.
                        if strikes && signal == Signal::STOP {
                            std::thread::park();
                        }
                        !strikes
                    });
                });
            }
        });
        Self { address, peer: machine.peer_id() }
    }

    fn multiaddr(&self) -> String {
        format!("/ip4/{}/tcp/{}/p2p/{}", self.address.ip(), self.address.port(), self.peer)
    }
}

/// Carries bytes until one end closes or `goes_on` says no.
fn carry(mut from: TcpStream, mut to: TcpStream, mut goes_on: impl FnMut(usize) -> bool) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if !goes_on(count) || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(std::net::Shutdown::Both);
    let _ = to.shutdown(std::net::Shutdown::Both);
}

fn a_holder_is_struck(signal: Signal) {
    let github = GitHub::start();
    let member = |name: &str, bootstrap: String| {
        let setup = Setup::new(&github);
        // A folder of its own: only the bootstrap addresses connect it.
        let registry = setup.home.path("registry").display().to_string();
        let setup = setup.member(SECRET, &registry, name).env("CACHE_BOOTSTRAP_PEERS", bootstrap);
        setup.env("GHOARD_PEER_EXCHANGE", "false").start()
    };
    let a = member("a", String::new());
    let b = member("b", format!("{}/p2p/{}", a.listening(), a.peer_id()));
    b.wait_for_peers(1);
    let struck = Arc::new(AtomicBool::new(false));
    let ways = [&a, &b].map(|machine| Way::to(machine, signal, &struck).multiaddr());
    let c = member("c", ways.join(","));
    c.wait_for_peers(2);
    let path = format!("/repos/octocat/Hello-World/git/blobs/size-{BODY_BYTES}");
    let first = a.get(&path, Some(TOKEN));
    assert_eq!(first.body.len(), BODY_BYTES);
    wait_until("b and c have heard of it", || [&b, &c].iter().all(|machine| machine.stat("index_entries") == 1));
    assert!(b.get(&path, Some(TOKEN)).body == first.body);
    // Who has pulled a large body says so.
    wait_until("c knows both holders", || c.stat("count_entries_received") >= 2);

    let answer = c.get(&path, Some(TOKEN));
    assert!(struck.load(Ordering::Relaxed), "nobody was struck");
    assert!(answer.body == first.body, "another body of {} bytes", answer.body.len());
    assert!(answer.header("cache-status").contains("detail=peer"), "{:?}", answer.headers);
    assert_eq!(github.count(&path).requests, 1, "github was asked again");
    assert_eq!(c.stat("count_pulls"), 1);
    assert!(c.stat("count_pulls_resumed") >= 1, "it began again");
}

#[test]
fn a_body_whose_holder_hangs_arrives_whole_from_the_other() {
    a_holder_is_struck(Signal::STOP);
}

#[test]
fn a_body_whose_holder_dies_arrives_whole_from_the_other() {
    a_holder_is_struck(Signal::KILL);
}
