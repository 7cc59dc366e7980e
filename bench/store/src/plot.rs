//! Small plots as SVG, one above the other, each with its own scale from zero.

use std::fmt::Write;

pub(crate) struct Plot {
    pub(crate) x_title: String,
    /// Moments that are drawn as a line through all series.
    pub(crate) marks: Vec<f64>,
    pub(crate) series: Vec<Series>,
}

pub(crate) struct Series {
    pub(crate) title: String,
    /// From left to right.
    pub(crate) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 110.0;
const LEFT: f64 = 60.0;
const GAP: f64 = 40.0;

impl Plot {
    pub(crate) fn svg(&self) -> String {
        let height = self.series.len() as f64 * (HEIGHT + GAP) + GAP;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
            LEFT + WIDTH + 20.0
        );
        for (n, series) in self.series.iter().enumerate() {
            series.draw(&mut svg, GAP + n as f64 * (HEIGHT + GAP), &self.marks);
        }
        let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{}\">{}</text>\n</svg>", height - 12.0, self.x_title);
        svg
    }
}

impl Series {
    fn draw(&self, svg: &mut String, top: f64, marks: &[f64]) {
        let known = || self.points.iter().filter(|(_, y)| y.is_finite());
        let x_max = known().map(|(x, _)| *x).fold(f64::MIN_POSITIVE, f64::max);
        let y_max = known().map(|(_, y)| *y).fold(f64::MIN_POSITIVE, f64::max) * 1.1;
        let bottom = top + HEIGHT;
        for mark in marks {
            let x = LEFT + mark / x_max * WIDTH;
            let _ = writeln!(svg, "<path d=\"M{x:.1},{top} V{bottom}\" stroke=\"#c33\" stroke-dasharray=\"4\"/>");
        }
        let path: String = known()
            .map(|(x, y)| format!("{:.1},{:.1} ", LEFT + x / x_max * WIDTH, bottom - y / y_max * HEIGHT))
            .collect();
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{}\">{}</text>\n\
             <path d=\"M{LEFT},{top} V{bottom} H{}\" fill=\"none\" stroke=\"#999\"/>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{y_max:.0}</text>\n\
             <text x=\"{}\" y=\"{bottom}\" text-anchor=\"end\">0</text>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{x_max:.0}</text>\n\
             <polyline points=\"{}\" fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"1.5\"/>",
            top - 8.0,
            self.title,
            LEFT + WIDTH,
            LEFT - 6.0,
            top + 10.0,
            LEFT - 6.0,
            LEFT + WIDTH,
            bottom + 14.0,
            path.trim_end(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_series_has_a_line_through_all_its_known_points() {
        let series = Series { title: "a".into(), points: vec![(1.0, 5.0), (2.0, f64::NAN), (4.0, 10.0)] };
        let svg = Plot { x_title: "minutes".into(), marks: vec![2.0], series: vec![series] }.svg();
        assert!(svg.contains("points=\"240.0,100.0 780.0,50.0\""), "{svg}");
        assert!(svg.contains("M420.0,40 V150"), "{svg}");
    }
}
