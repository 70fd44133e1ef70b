//! `docs/pictures/fleet.svg`: requests a minute of a fleet that runs, and how fast one that starts is served.

use crate::LIMITS;
use crate::model::{SECOND, Time};
use std::fmt::Write as _;

const WIDTH: u32 = 880;
const HEIGHT: u32 = 664;

/// The colours of a light and of a dark page; each picture has its own background, so that it can be read on either.
const STYLE: &str = "\
    svg { color-scheme: light dark; font: 13px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif }
    .page { fill: #ffffff; stroke: #d0d7de }
    text { fill: #1f2328 }
    .title { font-weight: 600; font-size: 15px }
    .faint { fill: #59636e }
    .grid { stroke: #d0d7de; stroke-width: 1 }
    .limit { stroke: #59636e; stroke-width: 1.5; stroke-dasharray: 6 4 }
    .a { stroke: #0969da } .b { stroke: #bc4c00 } .c { stroke: #8250df }
    text.a { fill: #0969da; stroke: none } text.b { fill: #bc4c00; stroke: none } text.c { fill: #8250df; stroke: none }
    path { fill: none; stroke-width: 2; stroke-linejoin: round }
    .area { stroke: none; fill: #0969da; opacity: .15 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; stroke: #3d444d }
      text { fill: #f0f6fc }
      .faint { fill: #9198a1 }
      .grid { stroke: #30363d }
      .limit { stroke: #9198a1 }
      .a { stroke: #4493f8 } .b { stroke: #f0883e } .c { stroke: #ab7df8 }
      text.a { fill: #4493f8 } text.b { fill: #f0883e } text.c { fill: #ab7df8 }
      .area { fill: #4493f8; opacity: .2 }
    }
";

/// A frame with a scale on each side.
struct Frame {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

const ABOVE: Frame = Frame {
    left: 70.0,
    top: 94.0,
    width: 780.0,
    height: 240.0,
};
const BELOW: Frame = Frame {
    left: 70.0,
    top: 458.0,
    width: 780.0,
    height: 150.0,
};

impl Frame {
    fn x(&self, share: f64) -> f64 {
        self.left + self.width * share
    }

    fn y(&self, share: f64) -> f64 {
        self.top + self.height * (1.0 - share)
    }
}

struct Svg(String);

impl Svg {
    fn text(&mut self, x: f64, y: f64, class: &str, anchor: &str, words: &str) {
        writeln!(
            self.0,
            r#"<text x="{x:.1}" y="{y:.1}" class="{class}" text-anchor="{anchor}">{words}</text>"#
        )
        .expect("a string");
    }

    fn across(&mut self, frame: &Frame, share: f64, class: &str) {
        let (left, right, y) = (frame.x(0.0), frame.x(1.0), frame.y(share));
        writeln!(
            self.0,
            r#"<line x1="{left:.1}" x2="{right:.1}" y1="{y:.1}" y2="{y:.1}" class="{class}"/>"#
        )
        .expect("a string");
    }

    fn path(&mut self, class: &str, points: &[(f64, f64)], end: &str) {
        let mut path = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            write!(path, "{}{x:.1} {y:.1}", if index == 0 { "M" } else { "L" }).expect("a string");
        }
        writeln!(self.0, r#"<path class="{class}" d="{path}{end}"/>"#).expect("a string");
    }
}

/// Logarithmic, from 10 to 40,000.
fn height_of(requests: u64) -> f64 {
    let requests = f64::from(u32::try_from(requests).expect("fewer than there are nodes"));
    ((requests.max(10.0) / 10.0).ln() / 4_000_f64.ln()).min(1.0)
}

/// `spread` and `alike` are exchanges of each minute; `starts` the times at which nodes had their first credential, in order.
pub(crate) fn draw(spread: &[u64], alike: &[u64], starts: &[(&str, &[Time])]) -> String {
    let mut svg = Svg(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"title\">\n\
         <title id=\"title\">Exchanges a minute of 5,000 nodes, with their renewals spread and alike; and a start of all at once</title>\n\
         <style>\n{STYLE}</style>\n\
         <rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n",
        WIDTH - 1,
        HEIGHT - 1
    ));
    above(&mut svg, spread, alike);
    below(&mut svg, starts);
    svg.0 + "</svg>\n"
}

fn above(svg: &mut Svg, spread: &[u64], alike: &[u64]) {
    svg.text(
        20.0,
        30.0,
        "title",
        "start",
        "5,000 nodes, each of which renews as soon as its credential has ended",
    );
    svg.text(
        20.0,
        50.0,
        "faint",
        "start",
        "exchanges a minute, on a logarithmic scale; dashed: the limits of a Basic or Standard registry, and of a Premium one",
    );
    for (requests, words, class) in [
        (10, "10", "grid"),
        (100, "100", "grid"),
        (1_000, "1,000", "grid"),
        (LIMITS[0], "10,000", "limit"),
        (LIMITS[1], "20,000", "limit"),
    ] {
        svg.across(&ABOVE, height_of(requests), class);
        svg.text(
            ABOVE.left - 8.0,
            ABOVE.y(height_of(requests)) + 4.0,
            "faint",
            "end",
            words,
        );
    }
    let minutes = spread.len() - 1;
    let at = |minute: usize| ABOVE.x(share(minute, minutes));
    for hour in 0..=minutes / 60 {
        svg.text(
            at(hour * 60),
            ABOVE.y(0.0) + 20.0,
            "faint",
            "middle",
            &format!("{hour} h"),
        );
    }
    let line = |values: &[u64]| -> Vec<(f64, f64)> {
        (0..minutes)
            .map(|minute| (at(minute), ABOVE.y(height_of(values[minute]))))
            .collect()
    };
    let spread = line(spread);
    svg.path(
        "area",
        &spread,
        &format!(
            "L{:.1} {:.1}L{:.1} {:.1}Z",
            spread[minutes - 1].0,
            ABOVE.y(0.0),
            ABOVE.left,
            ABOVE.y(0.0)
        ),
    );
    svg.path("b", &line(alike), "");
    svg.path("a", &spread, "");
    // Between the start and the first renewal.
    for (requests, words) in [(2_600, "all start"), (1_300, "at once")] {
        svg.text(
            at(0) + 12.0,
            ABOVE.y(height_of(requests)),
            "faint",
            "start",
            words,
        );
    }
    svg.text(
        ABOVE.x(0.0),
        78.0,
        "a",
        "start",
        "— as shipped: kept for 40 to 50 % of its life",
    );
    svg.text(
        ABOVE.x(0.38),
        78.0,
        "b",
        "start",
        "— if all kept it for the same time",
    );
}

fn below(svg: &mut Svg, starts: &[(&str, &[Time])]) {
    const SPAN: Time = 100 * SECOND;
    svg.text(
        20.0,
        394.0,
        "title",
        "start",
        "All switched on within one second, each for one image",
    );
    svg.text(
        20.0,
        414.0,
        "faint",
        "start",
        "nodes that have a credential, by the registry's limit of exchanges and tokens",
    );
    for (share, words) in [(0.0, "0"), (0.5, "2,500"), (1.0, "5,000")] {
        svg.across(&BELOW, share, "grid");
        svg.text(
            BELOW.left - 8.0,
            BELOW.y(share) + 4.0,
            "faint",
            "end",
            words,
        );
    }
    for seconds in (0..=100).step_by(20) {
        svg.text(
            BELOW.x(f64::from(seconds) / 100.0),
            BELOW.y(0.0) + 20.0,
            "faint",
            "middle",
            &format!("{seconds} s"),
        );
    }
    for ((words, times), (class, place)) in starts.iter().zip([("c", 0.0), ("a", 0.22)]) {
        let mut points = vec![(BELOW.x(0.0), BELOW.y(0.0))];
        let nodes = times.len();
        for index in (0..nodes).step_by(50).chain([nodes - 1]) {
            let time = usize::try_from(times[index].min(SPAN)).expect("a small number");
            points.push((
                BELOW.x(share(time, usize::try_from(SPAN).expect("a small number"))),
                BELOW.y(share(index + 1, nodes)),
            ));
        }
        points.push((BELOW.x(1.0), BELOW.y(1.0)));
        svg.path(class, &points, "");
        svg.text(
            BELOW.x(place),
            BELOW.y(1.0) - 12.0,
            class,
            "start",
            &format!("— {words}"),
        );
    }
}

fn share(part: usize, whole: usize) -> f64 {
    let small = |number: usize| f64::from(u32::try_from(number).expect("a small number"));
    small(part) / small(whole)
}
