//! Draws the controller on the simulated links of the tests: `docs/concurrency.svg`.
//!
//! `cargo xtask plot` writes the file; the test fails if it shows another controller.

use std::fmt::Write;

use super::simulation::{Limit, Link, Point, Run, run};
use super::tests::{self, MAX};

/// The seconds that a panel shows.
const SHOWN_S: f64 = 20.0;
/// The horizontal pixels of a second, and the left edge of a panel.
const SECOND_PX: f64 = 34.0;
const LEFT_PX: f64 = 50.0;
const PANEL_PX: f64 = 110.0;
/// The height between two panels.
const GAP_PX: f64 = 34.0;
const WIDTH_PX: f64 = LEFT_PX + SHOWN_S * SECOND_PX + 50.0;

/// Returns the plot of all links.
fn plot() -> String {
    let links = tests::links_of_the_plot();
    let height = f64::from(u32::try_from(links.len()).unwrap()) * (PANEL_PX + GAP_PX) + 52.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH_PX} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    let mut top = 24.0;
    for (title, link) in &links {
        panel(&mut svg, top, title, link);
        top += PANEL_PX + GAP_PX;
    }
    for second in (0..=20).step_by(5) {
        let x = LEFT_PX + f64::from(second) * SECOND_PX;
        text(&mut svg, x, top - 18.0, "middle", "#444", &format!("{second} s"));
    }
    let legend = "requests in flight";
    text(&mut svg, LEFT_PX, top + 6.0, "start", "#1f6fb4", legend);
    let legend = "goodput, in percent of the best fixed limit's (dashed: 90 %)";
    text(&mut svg, LEFT_PX + 140.0, top + 6.0, "start", "#c2571a", legend);
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, top: f64, title: &str, link: &Link) {
    let fixed = [1, 2, 4, 8, 12, 16, 24, 32, 40, 48, 64];
    let goodput = |limit| run(link, &Limit::Fixed(limit), 1, 5.0, SHOWN_S).goodput;
    let best = fixed.map(goodput).into_iter().fold(0.0, f64::max);
    let Run { points, .. } = run(link, &Limit::Adaptive { max: MAX }, 1, 0.0, SHOWN_S);
    let bottom = top + PANEL_PX;
    let _ = writeln!(
        svg,
        "<rect x=\"{LEFT_PX}\" y=\"{top}\" width=\"{}\" height=\"{PANEL_PX}\" fill=\"none\" \
         stroke=\"#bbb\"/>",
        SHOWN_S * SECOND_PX
    );
    text(svg, LEFT_PX, top - 6.0, "start", "#111", title);
    for limit in [16.0, 32.0, 48.0, 64.0] {
        let y = bottom - limit / f64::from(MAX) * PANEL_PX + 4.0;
        text(svg, LEFT_PX - 6.0, y, "end", "#1f6fb4", &format!("{limit}"));
    }
    let percent = |share: f64| bottom - share.min(1.2) / 1.2 * PANEL_PX;
    for share in [0.0, 0.5, 1.0] {
        let (x, y) = (LEFT_PX + SHOWN_S * SECOND_PX + 6.0, percent(share) + 4.0);
        text(svg, x, y, "start", "#c2571a", &format!("{}", share * 100.0));
    }
    let (right, ninety) = (LEFT_PX + SHOWN_S * SECOND_PX, percent(0.9));
    let _ = writeln!(
        svg,
        "<path d=\"M{LEFT_PX} {ninety:.1}H{right}\" stroke=\"#c2571a\" stroke-dasharray=\"2 4\"/>"
    );
    let x = |point: &Point| LEFT_PX + point.at_s * SECOND_PX;
    line(svg, "#c2571a", points.iter().map(|it| (x(it), percent(it.goodput / best))));
    let limits = points.iter().map(|it| (x(it), it.limit / f64::from(MAX)));
    line(svg, "#1f6fb4", limits.map(|(x, share)| (x, bottom - share * PANEL_PX)));
}

fn line(svg: &mut String, colour: &str, points: impl Iterator<Item = (f64, f64)>) {
    let points: Vec<_> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        svg,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>",
        points.join(" ")
    );
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, colour: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.0}\" y=\"{y:.0}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>"
    );
}

/// The plot is part of the documentation, and a changed controller must not leave it behind.
#[test]
#[allow(clippy::disallowed_methods, reason = "cargo xtask plot asks for the file by a variable")]
fn the_plot_in_the_docs_shows_this_controller() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/concurrency.svg");
    let plot = plot();
    if std::env::var_os("HAUL_PLOT").is_some() {
        std::fs::write(path, &plot).unwrap();
    }
    let documented = std::fs::read_to_string(path).unwrap_or_default();
    assert!(documented == plot, "run cargo xtask plot");
}
