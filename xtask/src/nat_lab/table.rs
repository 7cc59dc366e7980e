//! The matrix as a person reads it.

use super::{
    cell::{Cell, Seen, Transport},
    kind::Kind,
};
use crate::run;

/// One cell's result in a few words.
pub(crate) fn line(seen: &Seen) -> String {
    let secs = |time: std::time::Duration| format!("{:.1} s", time.as_secs_f64());
    let Some(connected) = seen.connected_after else {
        let trouble = seen.trouble.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        return format!("not connected: {trouble}");
    };
    let path = match seen.direct_after {
        Some(direct) => format!("direct after {} + {}", secs(connected), secs(direct)),
        None => format!("relayed after {}", secs(connected)),
    };
    let connections = seen.connections.map_or(String::new(), |count| format!(", {count} connection(s)"));
    let crossed = if seen.has_crossed { "data crosses" } else { "NO DATA" };
    format!("{path}{connections}, {crossed}")
}

/// The whole matrix, A down, B across: D direct or R relayed, with the seconds from B's start to it.
pub(crate) fn print(results: &[(Cell, Seen)]) {
    for transport in [Transport::Tcp, Transport::Quic] {
        let of = |a, b, one_router| {
            let cell = Cell { a, b, transport, one_router };
            let found = results.iter().find(|(tried, _)| *tried == cell);
            found.map_or_else(|| "-".to_owned(), |(_, seen)| short(seen))
        };
        if !results.iter().any(|(cell, _)| cell.transport == transport) {
            continue;
        }
        let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        run::print(&format!("\n| {}: A \\ B | {} | one router |", transport.name(), names.join(" | ")));
        run::print(&format!("|---|{}---|", "---|".repeat(names.len())));
        for a in Kind::ALL {
            let mut cells: Vec<String> = Kind::ALL.map(|b| of(a, b, false)).into();
            cells.push(of(a, a, true));
            run::print(&format!("| {a} | {} |", cells.join(" | ")));
        }
    }
    run::print("\nD direct, R relayed, - not tried; with seconds from B's start; ! where no data crossed");
}

fn short(seen: &Seen) -> String {
    let mark = if seen.has_crossed { "" } else { "!" };
    match (seen.connected_after, seen.direct_after) {
        (Some(connected), Some(direct)) => format!("D {:.1}{mark}", (connected + direct).as_secs_f64()),
        (Some(connected), None) => format!("R {:.1}{mark}", connected.as_secs_f64()),
        (None, _) => "none!".to_owned(),
    }
}
