//! The morning as it goes on: a few lines, drawn anew in their place.

use std::time::Duration;

use tokio::time::sleep;

use super::{Event, Stage, figures::Figures};
use crate::output;

const PAUSE: Duration = Duration::from_millis(150);
const BAR_CHARS: u64 = 24;
const EVENTS_SHOWN: usize = 6;
/// What fits a terminal of 80.
const LINE_CHARS: usize = 79;

#[derive(Default)]
pub(super) struct View {
    lines_drawn: usize,
}

/// One machine's line.
struct Row {
    name: &'static str,
    is_gone: bool,
    asked: u64,
    here: u64,
    from_peers: u64,
    index: usize,
}

impl View {
    /// Draws until somebody stops it.
    pub(super) async fn watch(&mut self, stage: &Stage) {
        loop {
            self.draw(stage);
            sleep(PAUSE).await;
        }
    }

    pub(super) fn draw(&mut self, stage: &Stage) {
        let rows: Vec<Row> = stage
            .machines
            .iter()
            .map(|machine| {
                let c = &machine.node.counters;
                Row {
                    name: machine.name,
                    is_gone: machine.is_gone(),
                    asked: c.requests.get(),
                    here: c.local_hits.get() + c.collapsed.get(),
                    from_peers: c.peer_hits.get(),
                    index: machine.node.index_len(),
                }
            })
            .collect();
        let lines = frame(&Figures::read(stage), stage.length, &rows, &stage.events());
        output::screen(&redrawn(self.lines_drawn, &lines));
        self.lines_drawn = lines.len();
    }
}

/// Puts `lines` over the `before` lines that were drawn last.
fn redrawn(before: usize, lines: &[String]) -> String {
    let mut text = if before > 0 { format!("\x1b[{before}A\r") } else { String::new() };
    for line in lines {
        let line: String = line.chars().take(LINE_CHARS).collect();
        text += &format!("\x1b[2K{line}\n");
    }
    text
}

fn frame(figures: &Figures, length: Duration, rows: &[Row], events: &[Event]) -> Vec<String> {
    let mut lines =
        vec![format!("a morning in {:.0} s: {:.1} s", length.as_secs_f64(), figures.seconds), String::new()];
    for (what, _, count) in figures.rows() {
        lines.push(format!("{what:<44}{count:>7} {}", bar(count, figures.requests)));
    }
    lines.push(String::new());
    lines.push(format!("{:<12}{:>8}{:>8}{:>12}{:>10}", "machine", "asked", "here", "from peers", "knows"));
    for row in rows {
        let Row { name, asked, here, from_peers, index, is_gone } = row;
        let gone = if *is_gone { "  gone" } else { "" };
        lines.push(format!("{name:<12}{asked:>8}{here:>8}{from_peers:>12}{index:>10}{gone}"));
    }
    lines.push(String::new());
    let shown = &events[events.len().saturating_sub(EVENTS_SHOWN)..];
    lines.extend(shown.iter().map(Event::line));
    lines.resize(lines.len() + EVENTS_SHOWN - shown.len(), String::new());
    lines
}

/// `count` of `all` as a bar; what is there at all is seen.
fn bar(count: u64, all: u64) -> String {
    let chars = (count * BAR_CHARS).div_ceil(all.max(1)).min(BAR_CHARS);
    "#".repeat(usize::try_from(chars).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_always_as_many_lines_and_is_drawn_over_the_last_one() {
        let figures = Figures { requests: 200, local_hits: 100, charged: 1, nodes: 1, ..Figures::default() };
        let row = || Row { name: "a", is_gone: false, asked: 1, here: 1, from_peers: 0, index: 2 };
        let event = || Event { at: Duration::from_secs(1), what: "x".repeat(100) };
        let lengths: Vec<usize> = [0, 3, 9]
            .into_iter()
            .map(|n| {
                let events: Vec<Event> = std::iter::repeat_with(event).take(n).collect();
                frame(&figures, Duration::from_secs(5), &[row()], &events).len()
            })
            .collect();
        assert!(lengths.iter().all(|len| *len == lengths[0] && *len < 24), "{lengths:?}");
        let lines = frame(&figures, Duration::from_secs(5), &[row()], &[event()]);
        assert!(lines.iter().any(|line| line.ends_with(&format!("100 {}", "#".repeat(12)))), "{lines:?}");
        assert!(lines.iter().any(|line| line.ends_with("1 #")), "one of two hundred is seen: {lines:?}");
        let again = redrawn(lines.len(), &lines);
        assert!(again.starts_with(&format!("\x1b[{}A\r", lines.len())));
        assert!(again.lines().all(|line| line.chars().count() <= LINE_CHARS + 10));
    }
}
