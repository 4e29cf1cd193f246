//! `glassnet chart`: draws what a lesson measured.

use std::io::{self, Write};
use std::path::PathBuf;

use glassnet_scenarios::output::write_whole;
use glassnet_scenarios::{lab, run};
use miette::Report;
use plotters::prelude::*;
use regex::Regex;

use super::{Status, complain, read_lesson};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A lesson; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The SVG file to write
    #[arg(short, long, value_name = "SVG")]
    output: PathBuf,
    /// Where chance comes from
    #[arg(long, default_value_t = lab::SEED)]
    seed: u64,
}

const EXAMPLES: &str = "\
Example:
  glassnet chart scenarios/lessons/rule-cost.md -o rule-cost.svg

A point is a line that a prompt printed of the form `NUMBER WORD NUMBER UNIT`, such as `1000 rules 0.021 ms`; the unit is
one of ns, us, ms, s. The first such line names the axes.";

/// Largest number that is drawn.
const MOST: f64 = 1e15;

/// What the lesson printed, as points.
#[derive(Debug, Default, PartialEq)]
struct Points {
    /// What is counted, and the unit of what was measured.
    axes: (String, String),
    points: Vec<(f64, f64)>,
}

pub(super) fn main(args: Args) -> io::Result<Status> {
    let lesson = match read_lesson(&args.file) {
        Ok(lesson) => lesson,
        Err(report) => return Ok(complain(&report)),
    };
    let printed = match run::run(&lesson, args.seed, |_, _| {}) {
        Ok(outcomes) => outcomes.into_iter().map(|outcome| outcome.output).collect::<String>(),
        Err(error) => return Ok(complain(&Report::new(error))),
    };
    let points = match points(&printed) {
        Ok(points) => points,
        Err(why) => return Ok(complain(&Report::msg(format!("{}: {why}", args.file.display())))),
    };
    if points.points.len() < 2 {
        let why = "no two lines of the form `1000 rules 0.021 ms` were printed";
        return Ok(complain(&Report::msg(format!("{}: {why}", args.file.display()))));
    }
    let svg = match draw(&points) {
        Ok(svg) => svg,
        Err(error) => return Ok(complain(&Report::msg(format!("{}: {error}", args.file.display())))),
    };
    write_whole(&args.output, svg.as_bytes())?;
    writeln!(io::stdout(), "{}: {} points", args.output.display(), points.points.len())?;
    Ok(Status::Expected)
}

fn points(printed: &str) -> Result<Points, String> {
    let mut found = Points::default();
    // The pattern is constant, and a test matches it.
    let Ok(pattern) = Regex::new(r"^\s*([0-9.]+)\s+(\w+)\s+([0-9.]+)\s*(ns|us|ms|s)$") else {
        return Ok(found);
    };
    for line in printed.lines() {
        let Some(parts) = pattern.captures(line) else { continue };
        if let (Ok(x), Ok(y)) = (parts[1].parse(), parts[3].parse()) {
            if found.points.is_empty() {
                found.axes = (parts[2].to_owned(), parts[4].to_owned());
            }
            if found.axes.1 == parts[4] {
                if f64::max(x, y) > MOST {
                    return Err(format!("a number above {MOST:e} cannot be drawn: {}", line.trim()));
                }
                found.points.push((x, y));
            }
        }
    }
    Ok(found)
}

fn draw(points: &Points) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    // An axis has a length, also if all is 0.
    let largest = |of: fn(&(f64, f64)) -> f64| match points.points.iter().map(of).fold(0.0, f64::max) {
        0.0 => 1.0,
        largest => largest,
    };
    let (right, top) = (largest(|point| point.0) * 1.05, largest(|point| point.1) * 1.1);
    {
        let area = SVGBackend::with_string(&mut svg, (720, 400)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..right, 0.0..top)?;
        let mesh = &mut chart.configure_mesh();
        mesh.x_desc(points.axes.0.as_str()).y_desc(points.axes.1.as_str());
        mesh.light_line_style(WHITE.mix(0.0)).x_label_formatter(&|x| format!("{x:.0}"));
        mesh.y_label_formatter(&|y| format!("{y:.2}")).draw()?;
        let line = RGBColor(0x1f, 0x6f, 0xb4);
        chart.draw_series(LineSeries::new(points.points.iter().copied(), line.stroke_width(2)))?;
        chart.draw_series(points.points.iter().map(|point| Circle::new(*point, 4, line.filled())))?;
        area.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_four_words_are_points_and_others_are_not() {
        let printed = "hello\n0 rules 0.010 ms\n2000 rules 0.042 ms\n1 box 3 parsecs\n10000 rules 0.170 ms\n5 rules 3 s\n";
        let found = points(printed).expect("small numbers");
        assert_eq!(found.axes, ("rules".to_owned(), "ms".to_owned()));
        assert_eq!(found.points, [(0.0, 0.010), (2000.0, 0.042), (10000.0, 0.170)]);
        let svg = draw(&found).expect("points");
        assert!(svg.contains("<svg") && svg.matches("<circle").count() == 3, "{svg}");
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        let long = format!("{} rules 1 ms", "9".repeat(400));
        for line in [long.as_str(), "1 rules 1000000000000001 ms"] {
            assert!(points(&format!("1 rules 1 ms\n{line}\n")).expect_err("too large").ends_with(line));
        }
        let zero = points("0 rules 0 ms\n0 rules 0.0 ms\n1.2.3 rules 1 ms\n").expect("zeros");
        assert_eq!(zero.points.len(), 2);
        assert!(draw(&zero).expect("a chart").contains("<circle"));
    }
}
