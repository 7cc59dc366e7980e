//! A drawing with two logarithmic axes, as SVG.

use std::fmt::Write;

pub struct Line {
    pub name: &'static str,
    pub points: Vec<(f64, f64)>,
}

impl Line {
    pub fn new(name: &'static str) -> Self {
        Self { name, points: Vec::new() }
    }
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
/// Room for the words: left, top, right, bottom.
const MARGIN: (f64, f64, f64, f64) = (64.0, 20.0, 20.0, 92.0);
const COLOURS: [&str; 3] = ["#1f6feb", "#bf3989", "#1a7f37"];
const DASHES: [&str; 3] = ["none", "6 3", "2 3"];

/// The lines over the number of nodes; values that are not above nothing are left out.
pub fn svg(lines: &[Line]) -> String {
    let all = || lines.iter().flat_map(|line| &line.points).filter(|(x, y)| *x > 0.0 && *y > 0.0);
    let decades = |of: fn(&(f64, f64)) -> f64| {
        let logs = || all().map(|point| of(point).log10());
        let (low, high) = (logs().fold(f64::MAX, f64::min).floor(), logs().fold(f64::MIN, f64::max).ceil());
        if low < high { (low, high) } else { (low.min(0.0), low.min(0.0) + 1.0) }
    };
    let (x_range, y_range) = (decades(|point| point.0), decades(|point| point.1));
    let (left, top, right, bottom) = MARGIN;
    let share = |value: f64, (low, high): (f64, f64)| (value.log10() - low) / (high - low);
    let x = |value: f64| left + share(value, x_range) * (WIDTH - left - right);
    let y = |value: f64| HEIGHT - bottom - share(value, y_range) * (HEIGHT - top - bottom);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    for decade in powers(x_range) {
        let at = x(decade);
        let _ = writeln!(svg, "<path d=\"M{at:.1} {top}V{:.1}\" stroke=\"#ddd\"/>", HEIGHT - bottom);
        let _ = writeln!(
            svg,
            "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{decade}</text>",
            HEIGHT - bottom + 16.0
        );
    }
    for decade in powers(y_range) {
        let at = y(decade);
        let _ = writeln!(svg, "<path d=\"M{left} {at:.1}H{:.1}\" stroke=\"#ddd\"/>", WIDTH - right);
        let _ =
            writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{decade}</text>", left - 6.0, at + 4.0);
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">nodes</text>",
        WIDTH / 2.0,
        HEIGHT - bottom + 34.0
    );
    for (number, line) in lines.iter().enumerate() {
        let (colour, dash) = (COLOURS[number % COLOURS.len()], DASHES[number % DASHES.len()]);
        let points: Vec<String> = line
            .points
            .iter()
            .filter(|(_, value)| *value > 0.0)
            .map(|(nodes, value)| format!("{:.1},{:.1}", x(*nodes), y(*value)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>",
            points.join(" ")
        );
        let (from, words) = (left + 220.0 * number as f64, HEIGHT - 20.0);
        let _ = writeln!(
            svg,
            "<path d=\"M{from} {:.1}h24\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>\
             <text x=\"{:.1}\" y=\"{words}\">{}</text>",
            words - 4.0,
            from + 30.0,
            line.name
        );
    }
    svg + "</svg>\n"
}

fn powers((low, high): (f64, f64)) -> impl Iterator<Item = f64> {
    (low as i32..=high as i32).map(|power| 10_f64.powi(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_from_corner_to_corner() {
        let line = Line { name: "messages", points: vec![(1.0, 10.0), (10.0, 100.0), (100.0, 0.0)] };
        let svg = svg(&[line]);
        assert!(svg.contains("points=\"64.0,328.0 700.0,20.0\""), "{svg}");
        assert!(svg.ends_with("</svg>\n"));
    }
}
