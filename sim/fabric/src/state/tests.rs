use std::{
    net::SocketAddrV4,
    task::{Context, Poll, Waker},
};

use super::*;

/// A world in which a has dialled b twice, and b has not accepted.
fn two_dials() -> (State, [MachineId; 2], [SocketId; 2]) {
    let mut state = State::new(1, Link::default());
    let [a, b] = [1, 2].map(|last| state.add_machine([10, 0, 0, last].into(), None, None));
    state.listen(b, 0, 80).unwrap();
    let dials = [0; 2].map(|boots| state.connect(a, boots, SocketAddrV4::new([10, 0, 0, 2].into(), 80), None).unwrap());
    state.advance(Duration::from_secs(1));
    (state, [a, b], dials)
}

fn assert_empty(state: &State) {
    assert!(state.sockets.is_empty() && state.events.is_empty());
    assert!(state.machines.iter().all(|machine| machine.table.is_empty()));
}

#[test]
fn power_loss_leaves_no_socket_behind() {
    let (mut state, [a, b], [first, second]) = two_dials();
    // One of those that wait for accept is over already.
    state.sockets.get_mut(&first).unwrap().connection.abort();
    state.settle(first);
    state.advance(Duration::from_secs(2));
    state.power_off(b);
    state.power_off(a);
    state.release(first);
    state.release(second);
    state.advance(Duration::from_secs(3));
    assert_empty(&state);
}

#[test]
fn a_closed_listener_leaves_no_socket_behind() {
    let (mut state, [_, b], dials) = two_dials();
    let id = state.machines[b.index()].listeners[&80].id;
    state.unlisten(crate::listening::ListenerKey { machine: b, port: 80, id });
    state.advance(Duration::from_secs(2));
    let cx = Context::from_waker(Waker::noop());
    for dial in dials {
        assert!(matches!(state.poll_read(dial, &mut [0], &cx), Poll::Ready(Err(_))));
        state.release(dial);
    }
    assert_empty(&state);
}

#[test]
fn a_socket_that_waits_for_nothing_has_no_event() {
    let (state, ..) = two_dials();
    assert_eq!((state.next_event(), state.sockets.len()), (None, 4));
}
