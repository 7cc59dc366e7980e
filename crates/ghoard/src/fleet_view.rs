//! `ghoard peers` and `ghoard stats`: the fleet as the running daemon sees it.

use http::Method;
use serde_json::Value;

use crate::{
    admin_client::{self, AdminError},
    config::Config,
    output,
};

pub(crate) async fn peers(as_json: bool, config: &Config) -> Result<(), AdminError> {
    let answer = admin_client::ask(config, Method::GET, "/peers", None, None).await?;
    if as_json {
        output::data(&answer.to_string());
    } else {
        peer_lines(&answer).iter().for_each(|line| output::data(line));
    }
    Ok(())
}

pub(crate) async fn stats(as_json: bool, config: &Config) -> Result<(), AdminError> {
    let answer = admin_client::ask(config, Method::GET, "/stats", None, None).await?;
    if as_json {
        output::data(&answer.to_string());
    } else {
        stat_lines(&answer).iter().for_each(|line| output::data(line));
    }
    Ok(())
}

fn peer_lines(answer: &Value) -> Vec<String> {
    if answer["enabled"] == false {
        return vec!["this machine shares with no other".to_owned()];
    }
    let rows = answer["members"].as_array().map_or(&[][..], Vec::as_slice);
    let connected = answer["connected_peer_count"].as_u64().unwrap_or_default();
    let mut lines = vec![format!("{} other members known, {connected} connected", rows.len())];
    if !rows.is_empty() {
        lines.push(line("peer", ["role", "path", "over", "rtt", "entries", "behind", "heard", "version"]));
    }
    let sealing = &answer["sealing"];
    for row in rows {
        let path = if row["connected"] == true { text(&row["path"]) } else { "by gossip".to_owned() };
        let role = if row["leaving"] == true { "leaving".to_owned() } else { text(&row["role"]) };
        let over = match row["direction"].as_str() {
            Some("inbound") => format!("{} in", text(&row["transport"])),
            Some(_) => format!("{} out", text(&row["transport"])),
            None => "-".to_owned(),
        };
        let rtt = row["rtt_ms"].as_f64().map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
        let heard = row["heard_seconds_ago"].as_u64().map_or("never".to_owned(), |secs| format!("{secs} s ago"));
        let cells =
            [role, path, over, rtt, text(&row["entries"]), text(&row["entries_behind"]), heard, text(&row["version"])];
        lines.push(line(&text(&row["peer_id"]), cells.each_ref().map(String::as_str)));
        if !row["relay"].is_null() {
            lines.push(format!("  through {}", text(&row["relay"])));
        }
        if row["sealing"] != *sealing && !row["sealing"].is_null() {
            lines.push(format!("  sealing is {} there: nothing is shared with it", text(&row["sealing"])));
        }
    }
    lines.extend(reach_line(answer));
    let ours = text(&answer["index_entries"]);
    lines
        .push(format!("this node knows {ours} answers; `behind` is by how many fewer the other did when it was heard"));
    lines
}

/// How others reach this machine.
fn reach_line(answer: &Value) -> Option<String> {
    let reach = Some(&answer["connectivity"]["reach"]).filter(|reach| reach.is_object())?;
    let circuits = reach["circuits"].as_array().map_or(0, Vec::len);
    let counts = &reach["counts"];
    let serves = if reach["serves_relay"] == true {
        format!("; relays for others: {} circuits so far", text(&counts["circuits_served"]))
    } else {
        String::new()
    };
    let (succeeded, failed) = (text(&counts["punches_succeeded"]), text(&counts["punches_failed"]));
    Some(format!(
        "others can dial this machine: {}; held by {circuits} relays; hole punches {succeeded}, failed {failed}{serves}",
        match reach["nat"].as_str() {
            Some("public") => "yes",
            Some("private") => "no",
            _ => "not known yet",
        }
    ))
}

fn line(peer: &str, [role, path, over, rtt, entries, behind, heard, version]: [&str; 8]) -> String {
    let line =
        format!("{peer:<52} {role:<9} {path:<9} {over:<8} {rtt:>10} {entries:>8} {behind:>7} {heard:>11}  {version}");
    line.trim_end().to_owned()
}

fn stat_lines(answer: &Value) -> Vec<String> {
    let fleet = &answer["aggregate"];
    let own = &fleet["this_node"];
    let mut lines = vec![format!("{:<42}{:>12}{:>12}", "since the start", "this node", "the fleet")];
    for (what, name) in [
        ("answered without asking GitHub", "hits"),
        ("confirmed free of charge (304)", "proofs"),
        ("charged by GitHub", "charged"),
        ("saved: answered and confirmed", "saved"),
    ] {
        lines.push(format!("{what:<42}{:>12}{:>12}", text(&own[name]), text(&fleet[name])));
    }
    let members = fleet["members"].as_u64().unwrap_or_default();
    lines.push(match fleet["oldest_word_seconds"].as_u64() {
        Some(secs) => format!("the fleet: {members} machines, each as it last said; the oldest word is {secs} s old"),
        None => "the fleet: this machine alone".to_owned(),
    });
    let kept = format!("{} entries, {} MB", text(&answer["total_entries"]), text(&answer["total_size_mb"]));
    lines.push(format!(
        "requests of clients {}, hit rate {}; kept {kept}; {} answers of the fleet known",
        text(&answer["total_requests"]),
        text(&answer["hit_rate_display"]),
        text(&answer["index_entries"]),
    ));
    if answer["persistence"] == "degraded" {
        lines.push(format!("persistence: degraded: {}", text(&answer["persistence_detail"])));
    }
    if answer["sealing"] == "off" {
        lines.push("sealing is OFF: what this machine sends to the others is not sealed".to_owned());
    }
    lines
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_is_a_line_and_one_that_said_nothing_yet_has_dashes() {
        let answer = json!({
            "enabled": true, "connected_peer_count": 1, "index_entries": 7,
            "members": [
                { "peer_id": "P1", "role": "anchor", "connected": true, "path": "relayed", "transport": "quic",
                  "direction": "outbound", "relay": "R1", "rtt_ms": 0.25, "entries": 5,
                  "entries_behind": 2, "heard_seconds_ago": 3, "leaving": false, "version": "0.0.0" },
                { "peer_id": "P2", "role": null, "connected": false, "path": null, "rtt_ms": null, "entries": null,
                  "entries_behind": null, "heard_seconds_ago": null, "leaving": null, "version": null },
            ],
            "connectivity": { "reach": {
                "nat": "private", "circuits": [{}, {}], "serves_relay": false,
                "counts": { "punches_succeeded": 1, "punches_failed": 2, "circuits_served": 0 },
            } },
        });
        let lines = peer_lines(&answer);
        assert_eq!(lines[0], "2 other members known, 1 connected");
        let words: Vec<&str> = lines[2].split_whitespace().collect();
        assert_eq!(words, ["P1", "anchor", "relayed", "quic", "out", "0.2", "ms", "5", "2", "3", "s", "ago", "0.0.0"]);
        assert_eq!(lines[3], "  through R1");
        let words: Vec<&str> = lines[4].split_whitespace().collect();
        assert_eq!(words, ["P2", "-", "by", "gossip", "-", "-", "-", "-", "never", "-"]);
        assert_eq!(lines[5], "others can dial this machine: no; held by 2 relays; hole punches 1, failed 2");
        assert_eq!(peer_lines(&json!({ "enabled": false })), ["this machine shares with no other"]);
    }
}
