//! The chart of a sweep: a panel for each measure.

use std::collections::BTreeMap;

use glassnet_scenarios::sweep::{Head, Rows};
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// Width of the chart and height of a panel, pixels.
const SIZE: (u32, u32) = (760, 340);
/// Space around what is drawn, pixels.
const MARGIN: u32 = 16;
/// Height of a line of the legend, and where it begins, pixels.
const LEGEND_LINE: u32 = 18;
const LEGEND_LEFT: i32 = 88;
/// Lines of different colours, of Okabe and Ito, which people who do not see all colours can tell apart.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x00, 0x00, 0x00),
    RGBColor(0x8a, 0x6d, 0x3b),
];
/// Largest number that is drawn.
const MOST: f64 = 1e15;

/// What is drawn over what.
pub(super) struct Lines {
    /// The axis of the grid that is the chart's x axis.
    x: usize,
    numbers: BTreeMap<String, f64>,
    /// Its values grow by one factor.
    is_log: bool,
    others: Vec<usize>,
}

/// Finds out what is drawn.
///
/// # Errors
///
/// Nothing that is varied is a number, or there are more lines than colours.
pub(super) fn lines(head: &Head) -> Result<Lines, String> {
    let axes = &head.set.axes;
    let numbers = |values: &[String]| -> Option<Vec<f64>> {
        values.iter().map(|value| value.parse().ok().filter(|number: &f64| number.abs() <= MOST)).collect()
    };
    let found = axes.iter().enumerate().rev().find_map(|(at, (_, values))| Some((at, numbers(values)?)));
    let (x, found) = found.ok_or("a chart needs numbers that are varied")?;
    let others: Vec<usize> = (0..axes.len()).filter(|at| *at != x).collect();
    let count = others.iter().fold(1_usize, |count, at| count.saturating_mul(axes[*at].1.len()));
    if count > COLOURS.len() {
        let most = COLOURS.len();
        return Err(format!(
            "a chart has at most {most} lines, and this sweep {count}, all but the values of {}",
            axes[x].0
        ));
    }
    let is_log = grows_by_a_factor(&found);
    let numbers = axes[x].1.iter().cloned().zip(found).collect();
    Ok(Lines { x, numbers, is_log, others })
}

/// At least three numbers above 0, each the same factor from the one before, but for rounding.
fn grows_by_a_factor(numbers: &[f64]) -> bool {
    let factors: Vec<f64> = numbers.windows(2).map(|pair| pair[1] / pair[0]).collect();
    let [first, _, ..] = factors[..] else { return false };
    let is_alike = |factor: &f64| (factor / first - 1.0).abs() < 0.05;
    numbers.iter().all(|number| *number > 0.0) && (first - 1.0).abs() > 0.2 && factors.iter().all(is_alike)
}

/// Points of each line, by the values of the other axes in their order.
type Series = BTreeMap<u64, (String, Vec<(f64, f64)>)>;

impl Lines {
    fn series(&self, head: &Head, rows: &Rows, measure: usize) -> Series {
        let mut series = Series::new();
        let x_values = &head.set.axes[self.x].1;
        let after: u64 = head.set.axes[self.x + 1..].iter().map(|(_, values)| values.len() as u64).product();
        for (point, measured) in rows {
            let values = head.set.point(*point);
            // The same point at the first x.
            let line = point - (point / after % x_values.len() as u64) * after;
            let words = self.others.iter().map(|at| format!("{} {}", head.set.axes[*at].0, values[*at]));
            let (_, points) =
                series.entry(line).or_insert_with(|| (words.collect::<Vec<_>>().join(", "), Vec::new()));
            let y = measured.get(measure).and_then(serde_json::Number::as_f64).unwrap_or(f64::NAN);
            points.push((self.numbers[values[self.x]], y));
        }
        series.values_mut().for_each(|(_, points)| points.sort_by(|a, b| a.0.total_cmp(&b.0)));
        series
    }
}

/// Draws it as SVG.
///
/// # Errors
///
/// As [`lines`]; a measured number is too large to be drawn.
pub(super) fn draw(head: &Head, rows: &Rows) -> Result<String, String> {
    let lines = lines(head)?;
    let names: Vec<String> = lines.series(head, rows, 0).into_values().map(|(name, _)| name).collect();
    let legend = if names.len() > 1 { LEGEND_LINE * names.len() as u32 + MARGIN } else { 0 };
    let mut svg = String::new();
    {
        let height = SIZE.1 * head.measures.len() as u32 + legend;
        let area = SVGBackend::with_string(&mut svg, (SIZE.0, height)).into_drawing_area();
        area.fill(&WHITE).map_err(|error| error.to_string())?;
        let (above, below) = area.split_vertically(legend);
        draw_legend(&above, &names).map_err(|error| error.to_string())?;
        let panels = below.split_evenly((head.measures.len(), 1));
        for (at, panel) in panels.iter().enumerate() {
            let name = &head.measures[at].0;
            let series = lines.series(head, rows, at);
            let all = series.values().flat_map(|(_, points)| points);
            if let Some((_, y)) = all.clone().find(|(_, y)| y.abs() > MOST) {
                return Err(format!("a number above {MOST:e} cannot be drawn: {name} is {y}"));
            }
            let (low, high) = all.fold((0.0_f64, 0.0_f64), |(low, high), (_, y)| (low.min(*y), high.max(*y)));
            // An axis has a length, also if all is 0.
            let high = if high > low { high + (high - low) * 0.08 } else { 1.0 };
            let (first, last) = lines
                .numbers
                .values()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(first, last), x| (first.min(*x), last.max(*x)));
            let last = if last > first { last } else { first + 1.0 };
            let labels = (head.set.axes[lines.x].0.as_str(), name.as_str());
            let drawn = match lines.is_log {
                true => self::panel(panel, (first..last).log_scale(), low..high, labels, &series),
                false => self::panel(panel, first..last, low..high, labels, &series),
            };
            drawn.map_err(|error| error.to_string())?;
        }
        area.present().map_err(|error| error.to_string())?;
    }
    Ok(svg)
}

/// A part of a drawing.
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn panel<X>(
    area: &Area,
    x: X,
    y: std::ops::Range<f64>,
    (x_name, y_name): (&str, &str),
    series: &Series,
) -> Result<(), Box<dyn std::error::Error>>
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .margin(MARGIN)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d::<X, std::ops::Range<f64>>(x, y)?;
    let chart: &mut ChartContext<_, Cartesian2d<X::CoordDescType, RangedCoordf64>> = &mut chart;
    let mesh = &mut chart.configure_mesh();
    mesh.x_desc(x_name).y_desc(y_name).light_line_style(WHITE.mix(0.0));
    mesh.x_label_formatter(&label).y_label_formatter(&label).draw()?;
    for ((_, points), colour) in series.values().zip(COLOURS) {
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
    }
    Ok(())
}

/// Says which line is which, above the panels, where it covers nothing.
fn draw_legend(area: &Area, names: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    if names.len() < 2 {
        return Ok(());
    }
    for (at, (name, colour)) in names.iter().zip(COLOURS).enumerate() {
        let (left, middle) = (LEGEND_LEFT, (MARGIN + LEGEND_LINE * at as u32 + LEGEND_LINE / 2) as i32);
        area.draw(&PathElement::new([(left, middle), (left + 18, middle)], colour.stroke_width(2)))?;
        let top = middle - LEGEND_LINE as i32 / 3;
        area.draw(&Text::new(name.as_str(), (left + 26, top), ("sans-serif", 12)))?;
    }
    Ok(())
}

/// A number on an axis, with the suffixes that `--set` takes.
fn label(number: &f64) -> String {
    let (factor, suffix) = match number.abs() {
        size if size >= 1e9 => (1e9, "G"),
        size if size >= 1e6 => (1e6, "M"),
        size if size >= 1e4 => (1e3, "k"),
        _ => (1.0, ""),
    };
    format!("{}{suffix}", (number / factor * 1e3).round() / 1e3 + 0.0)
}

#[cfg(test)]
mod tests {
    use glassnet_scenarios::sweep::Grid;

    use super::*;

    fn head(axes: &[(&str, &[&str])]) -> Head {
        let axis = |(name, values): &(&str, &[&str])| {
            ((*name).to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
        };
        Head {
            glassnet: String::new(),
            lesson: String::new(),
            text: String::new(),
            seed: 1,
            set: Grid { axes: axes.iter().map(axis).collect() },
            measures: vec![("lost".to_owned(), String::new()), ("sent".to_owned(), String::new())],
        }
    }

    #[test]
    fn a_line_is_a_combination_of_the_others() {
        let head = head(&[
            ("ring", &["64", "256"]),
            ("load", &["1000", "2000", "4000"]),
            ("qdisc", &["fq", "pfifo"]),
        ]);
        let rows: Rows = (0..12).map(|point| (point, vec![point.into(), 0.into()])).collect();
        let drawn = lines(&head).expect("numbers");
        assert!(drawn.is_log);
        let series = drawn.series(&head, &rows, 0);
        let expected = [
            ("ring 64, qdisc fq", [(1000.0, 0.0), (2000.0, 2.0), (4000.0, 4.0)]),
            ("ring 64, qdisc pfifo", [(1000.0, 1.0), (2000.0, 3.0), (4000.0, 5.0)]),
            ("ring 256, qdisc fq", [(1000.0, 6.0), (2000.0, 8.0), (4000.0, 10.0)]),
            ("ring 256, qdisc pfifo", [(1000.0, 7.0), (2000.0, 9.0), (4000.0, 11.0)]),
        ];
        let found: Vec<_> = series.values().map(|(name, points)| (name.as_str(), points.clone())).collect();
        assert_eq!(found, expected.map(|(name, points)| (name, points.to_vec())));
        let svg = draw(&head, &rows).expect("a chart");
        assert_eq!(svg.matches("<circle").count(), 24);
        assert!(svg.contains("lost") && svg.contains("sent") && svg.contains("ring 256, qdisc pfifo"));
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        let why = |axes| lines(&head(axes)).err().unwrap_or_default();
        assert!(why(&[("qdisc", &["fq", "pfifo"])]).contains("needs numbers"));
        let nine = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
        assert!(why(&[("ring", &nine), ("load", &["1", "2"])]).contains("at most 8 lines"));
        assert!(!lines(&head(&[("load", &["64", "256", "4096"])])).expect("numbers").is_log);
        let one = head(&[("load", &["5"])]);
        let large = Rows::from([(0, vec![2_000_000_000_000_000_u64.into(), 0.into()])]);
        assert!(draw(&one, &large).expect_err("too large").contains("lost"));
        assert!(draw(&one, &Rows::from([(0, vec![0.into(), 0.into()])])).is_ok());
    }
}
