use super::*;

const RTT: Duration = Duration::from_millis(40);
const WINDOW: u64 = RECEIVE_BUFFER_BYTES as u64;

/// A sender with `count` full segments out since time zero, and their ends.
fn flight_of(count: usize) -> (Sender, Vec<u64>) {
    let mut sender = Sender::new(0);
    sender.rtt.sample(RTT);
    sender.write(&vec![7; count * SEGMENT_BYTES_MAX], Duration::ZERO);
    let ends = sender.take_out().0.iter().map(Piece::end).collect();
    (sender, ends)
}

/// Where the pieces begin that the sender wants on the wire.
fn sent(sender: &mut Sender) -> Vec<u64> {
    sender.take_out().0.iter().map(|piece| piece.seq).collect()
}

#[test]
fn three_equal_acknowledgements_repair_a_loss_without_a_timeout() {
    let (mut sender, ends) = flight_of(6);
    sender.acknowledge(ends[0], WINDOW, Some(Duration::ZERO), RTT);
    for _ in 0..2 {
        sender.acknowledge(ends[0], WINDOW, Some(Duration::ZERO), RTT);
    }
    assert_eq!(sent(&mut sender), []);
    sender.acknowledge(ends[0], WINDOW, Some(Duration::ZERO), RTT);
    sender.acknowledge(ends[0], WINDOW, Some(Duration::ZERO), RTT);
    assert_eq!(sent(&mut sender), [ends[0]], "once");
}

#[test]
fn each_further_hole_of_a_repair_costs_a_round_trip_not_a_timeout() {
    let (mut sender, ends) = flight_of(4);
    let late = sender.deadline().unwrap();
    sender.timeout(late).unwrap();
    assert_eq!(sent(&mut sender), [0]);
    // The second and the fourth were lost too.
    sender.acknowledge(ends[0], WINDOW, Some(late), late + RTT);
    assert_eq!(sent(&mut sender), [ends[0]]);
    sender.acknowledge(ends[2], WINDOW, Some(late + RTT), late + RTT * 2);
    assert_eq!(sent(&mut sender), [ends[2]]);
    sender.acknowledge(ends[3], WINDOW, Some(late + RTT * 2), late + RTT * 3);
    assert_eq!((sent(&mut sender), sender.deadline()), (vec![], None));
}

#[test]
fn after_a_timeout_that_was_too_early_nothing_more_goes_out_twice() {
    let (mut sender, ends) = flight_of(4);
    let early = sender.deadline().unwrap();
    sender.timeout(early).unwrap();
    assert_eq!(sent(&mut sender), [0]);
    for end in ends {
        sender.acknowledge(end, WINDOW, Some(Duration::ZERO), early + RTT);
    }
    assert_eq!(sent(&mut sender), []);
}

#[test]
fn timeouts_double_and_end_after_the_last_retransmission() {
    let (mut sender, _) = flight_of(1);
    let mut waits = Vec::new();
    let mut now = Duration::ZERO;
    loop {
        let due = sender.deadline().unwrap();
        waits.push(due - now);
        now = due;
        if sender.timeout(now).is_err() {
            break;
        }
    }
    assert_eq!(waits.len() as u32, RETRANSMISSIONS_MAX + 1);
    assert_eq!(waits[1], waits[0] * 2);
    assert_eq!(waits.last(), Some(&crate::limits::RTO_MAX));
    assert!((13..20).contains(&(now.as_secs() / 60)), "{now:?}");
}

#[test]
fn a_fin_goes_with_the_last_bytes_and_counts_as_one() {
    let mut sender = Sender::new(0);
    sender.write(b"abc", Duration::ZERO);
    sender.close(false, Duration::ZERO);
    assert_eq!(sender.next(), 4);
    sender.acknowledge(3, WINDOW, Some(Duration::ZERO), RTT);
    assert!(!sender.is_finished());
    sender.acknowledge(4, WINDOW, Some(Duration::ZERO), RTT);
    assert!(sender.is_finished() && sender.deadline().is_none());
}
