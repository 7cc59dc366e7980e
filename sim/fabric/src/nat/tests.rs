use super::*;

const TIMEOUT: Duration = Duration::from_secs(300);
const ROUTER: Ipv4Addr = Ipv4Addr::new(50, 0, 0, 1);
const HOST: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 2), 9100);
const SIBLING: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 3), 9100);

fn table(nat: Nat) -> Table {
    let mut table = Table::new(nat, ROUTER, SplitMix64::new(7, &[]));
    table.add_machine(*HOST.ip());
    table
}

fn server(last: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(50, 0, 0, last), port)
}

#[test]
fn a_masquerade_keeps_the_port_and_lets_in_only_whom_it_sent_to() {
    let mut nat = table(Nat::masquerade());
    let now = Duration::ZERO;
    let outer = nat.outward(HOST, server(9, 80), now).unwrap();
    assert_eq!(outer, SocketAddrV4::new(ROUTER, 9100));
    assert_eq!(nat.outward(HOST, server(8, 80), now), Some(outer), "towards everybody the same");
    assert_eq!(nat.inward(server(9, 80), 9100, now), Some(HOST));
    assert_eq!(nat.inward(server(9, 81), 9100, now), None, "another port of a known machine");
    assert_eq!(nat.inward(server(7, 80), 9100, now), None, "a machine that was never sent to");
    assert_eq!(nat.inward(server(9, 80), 9101, now), None, "a port without a mapping");
}

#[test]
fn the_second_machine_with_the_same_port_gets_another_one_and_keeps_it() {
    let mut nat = table(Nat::masquerade());
    let now = Duration::ZERO;
    nat.outward(HOST, server(9, 80), now).unwrap();
    let second = nat.outward(SIBLING, server(9, 80), now).unwrap();
    assert_ne!(second.port(), 9100);
    assert_eq!(nat.outward(SIBLING, server(8, 80), now), Some(second));
    assert_eq!(nat.inward(server(8, 80), second.port(), now), Some(SIBLING));
}

#[test]
fn a_symmetric_router_has_another_port_for_each_destination() {
    let mut nat = table(Nat::symmetric());
    let now = Duration::ZERO;
    let ports = [9, 8].map(|last| nat.outward(HOST, server(last, 80), now).unwrap().port());
    assert!(ports[0] != ports[1] && !ports.contains(&9100), "{ports:?}");
    assert_eq!(nat.inward(server(9, 80), ports[0], now), Some(HOST));
    assert_eq!(nat.inward(server(8, 80), ports[0], now), None);
}

#[test]
fn an_address_restricted_router_lets_in_every_port_of_whom_it_sent_to() {
    let mut nat = table(Nat { filtering: Filtering::AddressDependent, ..Nat::masquerade() });
    nat.outward(HOST, server(9, 80), Duration::ZERO).unwrap();
    assert_eq!(nat.inward(server(9, 81), 9100, Duration::ZERO), Some(HOST));
    assert_eq!(nat.inward(server(8, 80), 9100, Duration::ZERO), None);
}

#[test]
fn a_full_cone_lets_in_everybody_before_anything_was_sent() {
    let mut nat = table(Nat::full_cone());
    assert_eq!(nat.inward(server(7, 80), 9100, Duration::ZERO), Some(HOST));
}

#[test]
fn a_mapping_ends_after_its_time_without_packets_and_its_port_is_free_again() {
    let mut nat = table(Nat::masquerade());
    nat.outward(HOST, server(9, 80), Duration::ZERO).unwrap();
    assert_eq!(nat.inward(server(9, 80), 9100, TIMEOUT), Some(HOST), "a packet keeps it");
    let later = 2 * TIMEOUT;
    assert_eq!(nat.inward(server(9, 80), 9100, later), Some(HOST));
    let end = later + TIMEOUT + Duration::from_millis(1);
    assert_eq!(nat.inward(server(9, 80), 9100, end), None);
    assert_eq!(nat.outward(SIBLING, server(9, 80), end), Some(SocketAddrV4::new(ROUTER, 9100)));
}
