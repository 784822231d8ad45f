//! Draws the CPU seconds per GiB of each case as bars, as an SVG for the README. Colours and text
//! are legible on a light and on a dark page.

use std::fmt::Write as _;

use crate::contestant::Contestant;
use crate::measured::Measured;

const WIDTH: f64 = 720.0;
const LABELS_WIDTH: f64 = 100.0;
const VALUES_WIDTH: f64 = 60.0;
const BAR_HEIGHT: f64 = 14.0;
const ROW_HEIGHT: f64 = 20.0;
const TITLE_HEIGHT: f64 = 34.0;
/// Text and colours; a browser that prefers dark replaces those that need it.
const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #424a53 }
.title { font-weight: 600 }
.haul { fill: #1f6feb } .floor { fill: #8b949e } .peer { fill: #bf8700 }
@media (prefers-color-scheme: dark) { text { fill: #c9d1d9 } .haul { fill: #58a6ff } }";

/// Returns the SVG. Each case has its own scale: the longest bar is that of the most CPU.
pub(crate) fn svg<'a>(cpu: &str, cases: impl IntoIterator<Item = &'a Measured>) -> String {
    let (mut body, mut y) = (String::new(), 0.0);
    text(&mut body, 0.0, y + 20.0, "", &format!("CPU seconds per GiB, less is better; {cpu}"));
    y += TITLE_HEIGHT;
    for case in cases {
        text(&mut body, 0.0, y + 16.0, r#" class="title""#, &case.title());
        y += ROW_HEIGHT + 4.0;
        let figures = case.figures();
        let most = figures.iter().map(|it| it.cpu_seconds_per_gib).fold(0.0, f64::max);
        for figures in &figures {
            let cpu = figures.cpu_seconds_per_gib;
            // A program that took no measurable time still has a visible bar.
            let share = if most > 0.0 { cpu / most } else { 0.0 };
            let length = (share * (WIDTH - LABELS_WIDTH - VALUES_WIDTH)).max(1.0);
            let class = match figures.who {
                Contestant::Haul => "haul",
                who if who.is_floor() => "floor",
                _ => "peer",
            };
            let baseline = y + BAR_HEIGHT - 2.0;
            let end = r#" text-anchor="end""#;
            text(&mut body, LABELS_WIDTH - 8.0, baseline, end, figures.who.name());
            // Writing to a string cannot fail.
            let _ = writeln!(
                body,
                "<rect class=\"{class}\" x=\"{LABELS_WIDTH}\" y=\"{y}\" width=\"{length:.1}\" \
                 height=\"{BAR_HEIGHT}\" rx=\"2\"/>"
            );
            text(&mut body, LABELS_WIDTH + length + 6.0, baseline, "", &format!("{cpu:.2}"));
            y += ROW_HEIGHT;
        }
        y += 10.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" \
         height=\"{y}\" role=\"img\" aria-label=\"CPU seconds per GiB of haul and its \
         peers\">\n<style>{STYLE}</style>\n{body}</svg>\n"
    )
}

fn text(into: &mut String, x: f64, y: f64, attributes: &str, content: &str) {
    let content = content.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(into, r#"<text x="{x:.1}" y="{y:.1}"{attributes}>{content}</text>"#);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::tests::measured;

    #[test]
    fn bars_are_as_long_as_their_figures() {
        let rows = [
            (Contestant::FloorOfMany, 0.5, 0.0, 6),
            (Contestant::Haul, 0.5, 1.0, 20),
            (Contestant::S5cmd, 3.0, 4.0, 30),
        ];
        let svg = svg("A <fast> CPU & more", &[measured("upload-plain", &rows)]);
        let document = roxmltree::Document::parse(&svg).unwrap();
        let bars: Vec<(&str, f64)> = document
            .descendants()
            .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "rect")))
            .map(|node| {
                let width = node.attribute("width").unwrap().parse().unwrap();
                (node.attribute("class").unwrap(), width)
            })
            .collect();
        assert_eq!(bars, [("floor", 1.0), ("haul", 140.0), ("peer", 560.0)]);
        let texts: Vec<&str> = document.descendants().filter_map(|node| node.text()).collect();
        for expected in ["upload-plain", "haul", "0.50", "2.00"] {
            assert!(texts.contains(&expected), "{expected} in {texts:?}");
        }
        assert!(texts.iter().any(|text| text.ends_with("A <fast> CPU & more")), "{texts:?}");
        assert!(svg.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn everything_is_inside_the_picture() {
        let row = [(Contestant::Haul, 0.5, 1.0, 20)];
        let cases = ["upload-plain", "upload-tls"].map(|case| measured(case, &row));
        let svg = svg("CPU", &cases);
        let document = roxmltree::Document::parse(&svg).unwrap();
        let height: f64 = document.root_element().attribute("height").unwrap().parse().unwrap();
        let lowest = document.descendants().filter_map(|node| node.attribute("y")?.parse().ok());
        assert!(lowest.fold(0.0, f64::max) < height, "{svg}");
    }
}
