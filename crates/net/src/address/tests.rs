use super::*;

const PEER: &str = "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X";
const RELAY: &str = "12D3KooWH3uVF6wv47WnArKHk5p6cvgCJEb74UTmxztmQDc298L3";

fn parse(text: &str) -> Result<Address, AddressError> {
    text.replace("PEER", PEER).replace("RELAY", RELAY).parse()
}

#[test]
fn valid_and_dialable_are_two_questions() {
    let table = [
        ("/ip4/192.0.2.7/tcp/9100", true),
        ("/ip4/192.0.2.7/tcp/9100/p2p/PEER", true),
        ("/ip6/2001:db8::7/tcp/9100", true),
        ("/ip4/192.0.2.7/tcp/0", false),
        ("/ip4/0.0.0.0/tcp/9100", false),
        ("/ip6/::/tcp/9100", false),
        ("/dns4/cache.example/tcp/9100", false),
        ("/dns6/cache.example/tcp/9100/p2p/PEER", false),
        ("/dnsaddr/fleet.example", false),
        ("/dnsaddr/fleet.example/p2p/PEER", false),
        ("/ip4/192.0.2.7/udp/9100/quic-v1", true),
        ("/ip4/192.0.2.7/udp/9100/quic-v1/p2p/PEER", true),
        ("/ip4/0.0.0.0/udp/9100/quic-v1", false),
        ("/ip4/192.0.2.7/tcp/9443/ws", true),
        ("/ip4/192.0.2.7/tcp/9443/tls/ws/p2p/PEER", true),
        ("/dns4/cache.example/tcp/9443/tls/ws", false),
        ("/ip4/192.0.2.7/tcp/9443/tls/sni/cache.example/ws/p2p/PEER", true),
        ("/ip4/192.0.2.7/tcp/9100/p2p/RELAY/p2p-circuit", false),
        ("/ip4/192.0.2.7/tcp/9100/p2p/RELAY/p2p-circuit/p2p/PEER", true),
        ("/ip4/192.0.2.7/udp/9100/quic-v1/p2p/RELAY/p2p-circuit/p2p/PEER", true),
        ("/dns4/cache.example/tcp/9100/p2p/RELAY/p2p-circuit/p2p/PEER", false),
    ];
    for (text, dialable) in table {
        let address = parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(address.is_dialable_now(), dialable, "{text}");
        assert_eq!(parse(&address.to_string()).as_ref(), Ok(&address), "{text}");
    }
}

#[test]
fn the_error_names_what_is_wrong() {
    let table = [
        ("/foo", "no transport ghoard can dial in /foo"),
        ("", "no transport ghoard can dial in "),
        ("/ip4/192.0.2.7", "no transport ghoard can dial in /ip4/192.0.2.7"),
        ("/ip4/192.0.2.7/udp/9100", "no transport ghoard can dial in /ip4/192.0.2.7/udp/9100"),
        ("/ip4/192.0.2.7/udp/9100/ws", "no transport ghoard can dial in /ip4/192.0.2.7/udp/9100/ws"),
        ("/ip4/192.0.2.7/tcp/9100/p2p-circuit", "no transport ghoard can dial in /ip4/192.0.2.7/tcp/9100/p2p-circuit"),
    ];
    for (text, expected) in table {
        assert_eq!(parse(text).unwrap_err().to_string(), expected);
    }
    for text in ["/ip4/cache.example/tcp/1", "/ip4/192.0.2.7/tcp/99999", "192.0.2.7:9100", "/ip4/192.0.2.7/tcp"] {
        let why = parse(text).unwrap_err();
        assert!(matches!(why, AddressError::Malformed { .. }), "{text}: {why}");
    }
}

#[test]
fn the_peer_comes_and_goes() {
    let bare = parse("/ip4/192.0.2.7/tcp/9100").unwrap();
    let named = parse("/ip4/192.0.2.7/tcp/9100/p2p/PEER").unwrap();
    assert_eq!(bare.peer(), None);
    assert_eq!(named.peer(), Some(Peer::new(PEER)));
    assert_eq!(named.without_peer(), bare);
    assert_eq!(bare.with_peer(&Peer::new(PEER)), named);
    assert_eq!(named.with_peer(&Peer::new(PEER)), named);
    assert_eq!(bare.with_peer(&Peer::new("nobody")), bare);
}

#[test]
fn a_name_is_resolved_by_the_caller() {
    let address = parse("/dns4/cache.example/tcp/9100/p2p/PEER").unwrap();
    assert_eq!(address.dns_name().as_deref(), Some("cache.example"));
    assert_eq!((address.ip(), address.port()), (None, Some(9100)));
    let resolved = address.resolved("192.0.2.7".parse().unwrap());
    assert_eq!(resolved, parse("/ip4/192.0.2.7/tcp/9100/p2p/PEER").unwrap());
    assert!(resolved.is_dialable_now());
}

#[test]
fn tls_asks_for_the_name_that_was_resolved() {
    for (named, resolved) in [
        ("/dns4/a.example/tcp/443/tls/ws/p2p/PEER", "/ip4/192.0.2.7/tcp/443/tls/sni/a.example/ws/p2p/PEER"),
        ("/dns/a.example/tcp/443/wss", "/ip4/192.0.2.7/tcp/443/tls/sni/a.example/ws"),
        ("/dns/a.example/tcp/443/tls/sni/b.example/ws", "/ip4/192.0.2.7/tcp/443/tls/sni/b.example/ws"),
        ("/dns/a.example/tcp/80/ws", "/ip4/192.0.2.7/tcp/80/ws"),
    ] {
        let found = parse(named).unwrap().resolved("192.0.2.7".parse().unwrap());
        assert_eq!(found, parse(resolved).unwrap());
        assert_eq!(found.resolved("192.0.2.9".parse().unwrap()).carrier(), Carrier::WebSocket);
    }
}

#[test]
fn a_circuit_tells_its_relay_and_what_carries_it() {
    let relay = parse("/ip4/192.0.2.7/udp/9100/quic-v1/p2p/RELAY").unwrap();
    let circuit = relay.circuit(&Peer::new(RELAY), &Peer::new(PEER)).unwrap();
    assert_eq!(circuit, parse("/ip4/192.0.2.7/udp/9100/quic-v1/p2p/RELAY/p2p-circuit/p2p/PEER").unwrap());
    assert_eq!((circuit.relay(), circuit.peer()), (Some(Peer::new(RELAY)), Some(Peer::new(PEER))));
    assert_eq!((circuit.carrier(), circuit.is_relayed()), (Carrier::Quic, true));
    assert_eq!(circuit.circuit(&Peer::new(RELAY), &Peer::new(PEER)), None, "one relay is the most there is");
    assert_eq!(relay.relay(), None);
}

#[test]
fn what_only_neighbours_reach_is_not_global() {
    for (ip, expected) in [
        ("/ip4/50.0.0.1", true),
        ("/ip4/10.1.2.3", false),
        ("/ip4/192.168.1.2", false),
        ("/ip4/100.64.0.1", false),
        ("/ip4/169.254.0.1", false),
        ("/ip6/2001:db8::7", true),
        ("/ip6/fd00::1", false),
        ("/ip6/fe80::1", false),
    ] {
        assert_eq!(parse(&format!("{ip}/tcp/9100")).unwrap().is_global(), expected, "{ip}");
    }
}
