//! `ghoard invalidate`: the daemon drops what it keeps of something.

use http::Method;
use serde_json::{Value, json};

use crate::{
    admin_client::{self, AdminError},
    config::Config,
    output,
};

/// Returns whether there was anything that may have been meant.
pub(crate) async fn invalidate(pattern: &str, as_json: bool, config: &Config) -> Result<bool, AdminError> {
    let order = json!({ "pattern": pattern });
    let done = admin_client::ask(config, Method::POST, "/invalidate", Some(&order), None).await?;
    let matched = done["matched"] == true;
    if as_json {
        output::data(&done.to_string());
    } else {
        output::data(&said(&done));
        output::note(&spread(&done));
    }
    Ok(matched)
}

fn said(done: &Value) -> String {
    let count = |name: &str, one: &str, many: &str| {
        let count = done[name].as_u64().unwrap_or_default();
        format!("{count} {}", if count == 1 { one } else { many })
    };
    if done["everything_doubted"] == true {
        return "everything kept here is doubted: it could not be told what is meant, and less would be too little"
            .to_owned();
    }
    let entries = count("entries", "entry", "entries");
    let dropped = if done["matched"] != true {
        "nothing of it is kept here; what is on its way is dropped".to_owned()
    } else if done["repositories"] == 0 {
        format!("dropped {entries}")
    } else {
        format!("dropped {} known here ({entries} on disk)", count("repositories", "repository", "repositories"))
    };
    if done["earlier_entries_doubted"] == true {
        return format!("{dropped}; entries from before the last start are doubted as a whole");
    }
    dropped
}

/// What the rest of the fleet hears of it.
fn spread(done: &Value) -> String {
    let count = |name: &str| done[name].as_u64().unwrap_or_default();
    let (told, not_told) = (count("families_told"), count("families_not_told"));
    let is_open = done["earlier_entries_doubted"] == true || done["everything_doubted"] == true;
    match (told, not_told) {
        (0, _) => "no other machine is told: there an answer may be served until its own clocks end it".to_owned(),
        (_, 1..) => format!("the fleet is told of {told} names, and not of {not_told} more: run it on each machine"),
        _ if is_open => {
            format!("the fleet is told of {told} names known here; of what else is meant, run it on each machine")
        }
        _ => format!("the fleet is told: {told} names, each a repository or what is shown with one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_said_and_no_more() {
        let done = |matched, repositories, entries, earlier, everything| {
            said(&json!({
                "matched": matched,
                "repositories": repositories,
                "entries": entries,
                "earlier_entries_doubted": earlier,
                "everything_doubted": everything,
            }))
        };
        let spread = |told, not_told, earlier| {
            spread(&json!({
                "families_told": told,
                "families_not_told": not_told,
                "earlier_entries_doubted": earlier,
            }))
        };
        assert!(spread(0, 0, false).starts_with("no other machine is told"));
        assert!(spread(3, 0, false).starts_with("the fleet is told: 3 names"));
        assert!(spread(3, 0, true).contains("3 names known here"));
        assert!(spread(1024, 2, true).contains("not of 2 more"));
        assert_eq!(done(true, 1, 3, false, false), "dropped 1 repository known here (3 entries on disk)");
        assert_eq!(
            done(true, 3, 1, true, false),
            "dropped 3 repositories known here (1 entry on disk); \
             entries from before the last start are doubted as a whole"
        );
        assert_eq!(done(true, 0, 2, false, false), "dropped 2 entries");
        assert!(done(false, 0, 0, false, false).starts_with("nothing of it is kept here"));
        assert!(done(true, 0, 0, false, true).starts_with("everything kept here is doubted"));
    }
}
