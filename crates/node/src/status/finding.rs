//! How peers are found, and why there are none.

use discovery::{IssueStatus, iso_text};
use serde_json::{Map, Value, json};
use wire::Millis;

use crate::{
    dialler::{Kind, Known, OTHER_SECRET, OWN_ADDRESS},
    limits,
};

/// Each way of finding peers by itself, and the reference's three switches.
pub(super) fn discovery(known: &Known, registry: Option<&IssueStatus>) -> Value {
    let kinds = known.kinds.iter().map(|(kind, state)| {
        let mut row = json!({
            "implemented": true,
            "configured": state.configured,
            "running": state.running,
            "has_worked": state.worked_at.is_some(),
            "last_success": state.worked_at.map(iso_text),
            "last_found": state.found_at.map(iso_text),
            "addresses": state.addresses,
            "trouble": state.trouble,
        });
        if let (Kind::Issue, Some(status)) = (kind, registry) {
            row["registry"] = issue(status);
        }
        (kind.name().to_owned(), row)
    });
    let is_running = |kind| known.kinds.get(&kind).is_some_and(|state| state.running);
    json!({ "mdns": is_running(Kind::Mdns), "dht": is_running(Kind::Kademlia), "relay": is_running(Kind::Circuits), "kinds": Map::from_iter(kinds) })
}

fn issue(status: &IssueStatus) -> Value {
    json!({
        "issue": status.issue,
        "is_writer": status.is_writer,
        "skipped": status.skipped,
        "reads": status.reads,
        "reads_charged": status.reads_charged,
        "edits": status.edits,
        "deletions": status.deletions,
        "last_answer": status.last_success.map(iso_text),
    })
}

/// Which of the two it is when nobody is connected: nobody found, or found and no connection.
pub(super) fn lonely(known: &Known, connected: usize, is_enabled: bool, now: Millis) -> Value {
    if connected > 0 || !is_enabled {
        return Value::Null;
    }
    let running: Vec<&str> = known
        .kinds
        .iter()
        .filter(|(kind, state)| state.running && kind.is_first())
        .map(|(kind, _)| kind.name())
        .collect();
    let mut reasons: Vec<(&str, &str)> = known.failures(now).collect();
    // Another secret is what only the operator can mend; one list of addresses on all machines is no trouble at all.
    reasons.sort_by_key(|(_, why)| (*why == OWN_ADDRESS, !why.contains(OTHER_SECRET)));
    if let Some(own) = reasons.iter().position(|(_, why)| *why == OWN_ADDRESS).filter(|own| *own > 0) {
        reasons.truncate(own);
    }
    let reasons: Vec<String> =
        reasons.iter().take(limits::REASONS_TOLD_MAX).map(|(place, why)| format!("{place}: {why}")).collect();
    let text = if !known.has_looked {
        "it has not looked yet".to_owned()
    } else if known.addresses == 0 && reasons.is_empty() {
        let ways = if running.is_empty() { "none is configured".to_owned() } else { running.join(", ") };
        let troubles: String = known.troubles().map(|(kind, why)| format!("; {}: {why}", kind.name())).collect();
        format!("no address of another machine was found (ways of finding: {ways}){troubles}")
    } else if reasons.is_empty() {
        format!("found {} address(es), dialled {}; no answer yet", known.addresses, known.dialled)
    } else {
        format!("found {} address(es), dialled {}: {}", known.addresses, known.dialled, reasons.join("; "))
    };
    text.into()
}

/// Peer exchange, under the names that the guides know.
pub(super) fn peer_exchange(known: &Known) -> Map<String, Value> {
    let is_on = known.kinds.get(&Kind::Exchange).is_some_and(|state| state.running);
    let by_peer = known.exchange_by_peer.iter().map(|(peer, at)| (peer.to_string(), seconds(at.0)));
    let keys = [
        ("peer_exchange_protocol", if is_on { json!("/ghoard/message/1") } else { Value::Null }),
        ("peer_exchange_interval_s", if is_on { json!(limits::HEARTBEAT_INTERVAL.as_secs()) } else { Value::Null }),
        ("peer_exchange_last", known.exchange_last.map_or(Value::Null, |at| seconds(at.0))),
        ("peer_exchange_last_iso", known.exchange_last.map(iso_text).into()),
        ("peer_exchange_last_by_peer", if is_on { Value::Object(by_peer.collect()) } else { Value::Null }),
    ];
    keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn seconds(millis: u64) -> Value {
    json!(millis as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_own_address_in_the_list_is_a_reason_only_where_there_is_no_other() {
        let at = Millis::from_secs(1_800_000_000);
        let mut known = Known { has_looked: true, addresses: 2, dialled: 2, ..Known::default() };
        let why = |known: &Known| lonely(known, 0, true, at).as_str().unwrap_or_default().to_owned();
        known.note_failure("/ip4/10.0.0.1/tcp/1".to_owned(), OWN_ADDRESS.to_owned(), at);
        assert_eq!(why(&known), "found 2 address(es), dialled 2: /ip4/10.0.0.1/tcp/1: this is this machine itself");
        known.note_failure("/ip4/10.0.0.2/tcp/1".to_owned(), "no route".to_owned(), at);
        assert_eq!(why(&known), "found 2 address(es), dialled 2: /ip4/10.0.0.2/tcp/1: no route");
    }

    #[test]
    fn a_refusal_of_long_ago_is_no_reason_for_being_alone_now() {
        let then = Millis::from_secs(1_800_000_000);
        let mut known = Known { has_looked: true, addresses: 1, dialled: 1, ..Known::default() };
        let fail = |known: &mut Known, place: &str, why: &str, at| {
            known.note_failure(place.to_owned(), why.to_owned(), at);
        };
        fail(&mut known, "/ip4/10.0.0.1/tcp/1", "no route", then);
        fail(
            &mut known,
            "a connection from 10.0.0.9",
            "key ids differ: the other side has another shared secret",
            then,
        );
        let why = |known: &Known, at| lonely(known, 0, true, at).as_str().unwrap_or_default().to_owned();
        assert!(
            why(&known, then).contains("dialled 1: a connection from 10.0.0.9: key ids differ"),
            "{}",
            why(&known, then)
        );
        let later = then.after(Duration::from_secs(600));
        fail(&mut known, "/ip4/10.0.0.1/tcp/1", "no route", later);
        assert_eq!(why(&known, later), "found 1 address(es), dialled 1: /ip4/10.0.0.1/tcp/1: no route");
        assert_eq!(lonely(&known, 1, true, later), Value::Null);
    }
}
