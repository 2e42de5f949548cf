//! The plots: bars, a panel a workload. They bring their own background, so they read the same on light and dark pages.

use plotters::coord::Shift;
use plotters::prelude::{
    Color as _, DrawingArea, IntoDrawingArea as _, IntoFont as _, RGBColor, Rectangle, SVGBackend, Text,
    TextStyle, WHITE,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use twistor_bench::figure;

use crate::results::{Measure, Results};
use crate::work::Work;

use Measure::{Cost, Median, Memory};

/// A file with some panels, two in a row.
pub struct Figure {
    /// Its name below `results/`.
    pub file: &'static str,
    title: &'static str,
    panels: &'static [(&'static str, Measure)],
}

/// All there are.
pub const FIGURES: &[Figure] = &[
    Figure {
        file: "echo.svg",
        title: "Echo: shorter is better",
        panels: &[("echo1", Cost), ("echo1", Median), ("echo50", Cost), ("echo1000", Cost)],
    },
    Figure {
        file: "bulk.svg",
        title: "Streams and lines: shorter is better",
        panels: &[("stream1", Cost), ("stream8", Cost), ("line1", Cost), ("line50", Cost)],
    },
    Figure {
        file: "connections.svg",
        title: "Connections and datagrams: shorter is better",
        panels: &[("conn32", Cost), ("idle9000", Memory), ("udp1", Cost), ("udp32", Cost)],
    },
];

/// All of them on a page, below this folder.
pub fn links(folder: &str) -> String {
    let link = |figure: &Figure| format!("![{}]({folder}/{})\n", figure.title, figure.file);
    FIGURES.iter().map(link).collect()
}

/// Of a panel, in pixels.
const WIDTH: i32 = 410;
/// Where the bars begin, and how long one is at most.
const LEFT: i32 = 128;
const LONGEST: i32 = 210;
/// From one bar to the next.
const STEP: i32 = 18;
const MARGIN: i32 = 16;
/// Above the first row of panels, and below the last.
const HEAD: i32 = 56;
const FOOT: i32 = 28;
/// What is more than so many times the shortest, and so many times twistor's, is cut off, and its number tells.
const CUT: f64 = 4.0;
const OVER: f64 = 1.5;

const INK: RGBColor = RGBColor(33, 37, 41);
const PALE: RGBColor = RGBColor(110, 117, 124);
const OWN: RGBColor = RGBColor(217, 72, 15);
const FLOOR: RGBColor = RGBColor(134, 142, 150);
const PEER: RGBColor = RGBColor(92, 141, 189);

/// What went wrong, in words: the backend's own error borrows the text it writes to.
type Drawn = Result<(), String>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Figure {
    /// The picture, if anything in it was measured.
    ///
    /// # Errors
    ///
    /// What the drawing library says.
    pub fn draw(&self, results: &Results, machine: &str) -> Result<Option<String>, String> {
        let panels: Vec<Panel> =
            self.panels.iter().filter_map(|(work, measure)| Panel::of(results, work, *measure)).collect();
        if panels.is_empty() {
            return Ok(None);
        }
        let rows: Vec<&[Panel]> = panels.chunks(2).collect();
        let height = HEAD + rows.iter().map(|row| height(row)).sum::<i32>() + FOOT;
        let mut svg = String::new();
        let root = SVGBackend::with_string(&mut svg, (2 * WIDTH as u32, height as u32)).into_drawing_area();
        root.fill(&WHITE).map_err(told)?;
        text(&root, self.title, (MARGIN, 22), 17, INK)?;
        let mut top = HEAD;
        for row in rows {
            for (panel, left) in row.iter().zip([0, WIDTH]) {
                panel.draw(&root, left, top)?;
            }
            top += self::height(row);
        }
        text(&root, machine, (MARGIN, top + FOOT / 2), 11, PALE)?;
        root.present().map_err(told)?;
        drop(root);
        Ok(Some(svg))
    }
}

/// The bars of one workload.
struct Panel {
    title: String,
    bars: Vec<(String, f64)>,
    /// What the longest bar stands for.
    full: f64,
}

impl Panel {
    fn of(results: &Results, work: &str, measure: Measure) -> Option<Panel> {
        let work: Work = work.parse().ok()?;
        let bars: Vec<(String, f64)> =
            results.of(work).filter_map(|cell| Some((cell.server.clone(), cell.median(measure)?))).collect();
        let longest = bars.iter().map(|(_, value)| *value).reduce(f64::max)?;
        let shortest = bars.iter().map(|(_, value)| *value).reduce(f64::min)?;
        let own = bars.iter().find(|(name, _)| name == "twistor").map_or(0.0, |(_, value)| *value);
        let unit = match measure {
            Measure::Cost => "CPU us a message",
            Measure::Rate => "messages a second",
            Measure::Median => "half of the answers within, us",
            Measure::Tail => "99 of 100 answers within, us",
            Measure::Memory => "bytes a connection",
        };
        Some(Panel {
            title: format!("{}: {unit}", work.title()),
            bars,
            full: longest.min(f64::max(shortest * CUT, own * OVER)),
        })
    }

    fn draw(&self, root: &Area<'_>, left: i32, top: i32) -> Drawn {
        text(root, &self.title, (left + MARGIN, top), 13, INK)?;
        for ((name, value), row) in self.bars.iter().zip(1..) {
            let middle = top + row * STEP + 4;
            let cut = *value > self.full;
            let length = (value.min(self.full) / self.full * f64::from(LONGEST)).round() as i32;
            let (start, end) = (left + LEFT, left + LEFT + length.max(1));
            let bar = Rectangle::new([(start, middle - 6), (end, middle + 6)], colour(name).filled());
            root.draw(&bar).map_err(told)?;
            text(root, name, (left + MARGIN, middle), 12, INK)?;
            let number = if cut { format!("→ {}", figure(*value)) } else { figure(*value) };
            text(root, &number, (end + 6, middle), 12, INK)?;
        }
        Ok(())
    }
}

/// Of a row of panels.
fn height(row: &[Panel]) -> i32 {
    let bars = row.iter().map(|panel| panel.bars.len()).max().unwrap_or(0);
    (bars as i32 + 2) * STEP
}

fn colour(server: &str) -> RGBColor {
    if server.starts_with("twistor") {
        OWN
    } else if server.starts_with("raw") {
        FLOOR
    } else {
        PEER
    }
}

/// Writes a line whose left end is at half of its height there.
fn text(root: &Area<'_>, text: &str, at: (i32, i32), size: i32, colour: RGBColor) -> Drawn {
    let style = TextStyle::from(("sans-serif", size).into_font()).color(&colour);
    let style = style.pos(Pos::new(HPos::Left, VPos::Center));
    root.draw(&Text::new(text.to_owned(), at, style)).map_err(told)
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::FIGURES;
    use crate::results::{Cell, Results};
    use crate::run::Run;
    use crate::work::{WORKS, Work};
    use std::time::Duration;

    fn results() -> Results {
        let cell = |server: &str, ran| Cell {
            work: "echo50".parse().expect("a workload"),
            server: server.to_owned(),
            runs: vec![Run { messages: 100, ran: Duration::from_micros(ran), ..Run::default() }],
            calls: None,
        };
        Results { cells: vec![cell("raw epoll", 400), cell("twistor", 410), cell("Twisted", 9000)] }
    }

    #[test]
    fn a_figure_shows_its_workloads_that_were_measured_with_their_numbers() {
        let drawn: Vec<String> = FIGURES
            .iter()
            .filter_map(|figure| figure.draw(&results(), "a machine").expect("it can be drawn"))
            .collect();
        let [svg] = &drawn[..] else { panic!("of three figures one has a workload that was measured") };
        for part in ["twistor", "4.10", "→ 90.0", "a machine", "50 connections"] {
            assert!(svg.contains(part), "{part}");
        }
        assert!(!svg.contains("1000 connections"));
    }

    #[test]
    fn the_figures_name_workloads_of_the_tables() {
        for (work, _) in FIGURES.iter().flat_map(|figure| figure.panels) {
            assert!(work.parse::<Work>().is_ok() && WORKS.contains(work), "{work}");
        }
    }
}
