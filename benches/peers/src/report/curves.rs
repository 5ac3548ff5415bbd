//! A chart of lines: latency against percentile, one for each gateway.

use super::figures::{Figures, Row};
use super::number;
use super::scale::Logarithmic;
use super::svg::{AXIS, Anchor, Drawing, LABEL, LINE, OURS, Style, WIDTH, Weight};
use crate::work::PERCENTILES;

const LEFT: f64 = 80.0;
/// Where lines end: to the right of it are the names.
const RIGHT: f64 = WIDTH - 175.0;
const TOP: f64 = 100.0;
const BOTTOM: f64 = 400.0;
/// What is too rare to be told of a run of seconds is left out of the chart.
const LAST: f64 = 99.9;
/// Those that have a line of their own.
const MARKS: [f64; 6] = [50.0, 75.0, 90.0, 95.0, 99.0, 99.9];
/// Those at which quartiles are shown: one beside the other, so that none covers another.
const WHISKERS: [f64; 3] = [50.0, 99.0, 99.9];
/// Names need so much room, one below the other.
const NAME: f64 = 17.0;
/// Lines of others, in the order of their names, which stand beside them.
const THEIRS: [&str; 6] = ["#334155", "#0e7490", "#7c3aed", "#64748b", "#15803d", "#a16207"];

/// Draws one, if there is anything to draw.
pub fn draw(title: &str, figures: &Figures) -> Option<String> {
    let rows: Vec<&Row> =
        figures.rows.iter().filter(|row| row.latency_us.len() == PERCENTILES.len()).collect();
    let shown = || PERCENTILES.iter().enumerate().filter(|(_, percent)| **percent <= LAST);
    let values = || rows.iter().flat_map(|row| shown().map(|(at, _)| row.latency_us[at]));
    let min = values().map(|spread| spread.lower).fold(f64::INFINITY, f64::min);
    let max = values().map(|spread| spread.upper).fold(0.0, f64::max);
    if rows.is_empty() || min <= 0.0 {
        return None;
    }
    let rounds = rows.iter().map(|row| row.rounds).max().unwrap_or_default();
    let scale = Logarithmic::between(min, max);
    let rounds = match rounds {
        1 => "One round.".to_owned(),
        _ => format!("Medians of {rounds} rounds; whiskers are quartiles."),
    };
    const FIRST: &str =
        "Microseconds from when a request was due, both axes logarithmic. Lower is better.";
    let mut drawing = Drawing::new(BOTTOM + 48.0, title, [FIRST, &rounds]);
    axes(&mut drawing, &scale);
    let mut names = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let is_ours = row.gateway == figures.ours;
        let colour = if is_ours { OURS } else { theirs(row, &rows) };
        let points: Vec<(f64, f64)> = shown()
            .map(|(at, percent)| (across(*percent), up(&scale, row.latency_us[at].median)))
            .collect();
        drawing.line(&points, colour, if is_ours { 3.0 } else { 1.6 });
        for (percentile, percent) in shown().filter(|(_, percent)| WHISKERS.contains(percent)) {
            let x = across(*percent) + (at as f64 - (rows.len() - 1) as f64 / 2.0) * 4.0;
            let spread = row.latency_us[percentile];
            let ends = [(x, up(&scale, spread.lower)), (x, up(&scale, spread.upper))];
            drawing.line(&ends, colour, if is_ours { 2.5 } else { 1.2 });
        }
        let last = points.last().map_or(BOTTOM, |(_, y)| *y);
        names.push((last, row, colour, is_ours));
    }
    names.sort_by(|a, b| a.0.total_cmp(&b.0));
    let places = apart(&names.iter().map(|(y, ..)| *y).collect::<Vec<_>>());
    for ((_, row, colour, is_ours), y) in names.into_iter().zip(places) {
        let weight = if is_ours { Weight::Bold } else { Weight::Normal };
        let mut name = row.gateway.clone();
        if row.unsent > 0.001 {
            name += ", overloaded";
        }
        let style = Style { colour, weight, ..LABEL };
        drawing.text((RIGHT + 18.0, y + 4.5), Anchor::Start, style, &name);
    }
    Some(drawing.finish())
}

/// The same in every chart of a run, whatever the order of its lines.
fn theirs(row: &Row, rows: &[&Row]) -> &'static str {
    let earlier = rows.iter().filter(|other| other.gateway < row.gateway).count();
    THEIRS[earlier % THEIRS.len()]
}

fn axes(drawing: &mut Drawing, scale: &Logarithmic) {
    for line in scale.lines() {
        let y = up(scale, line);
        drawing.line(&[(LEFT, y), (RIGHT, y)], LINE, 1.0);
        drawing.text((LEFT - 16.0, y + 4.0), Anchor::End, AXIS, &number(line));
    }
    for mark in MARKS {
        let x = across(mark);
        drawing.line(&[(x, TOP), (x, BOTTOM)], LINE, 1.0);
        drawing.text((x, BOTTOM + 20.0), Anchor::Middle, AXIS, &format!("p{mark}"));
    }
}

/// Each further nine has the same width.
fn across(percent: f64) -> f64 {
    let rarity = |percent: f64| -(1.0 - percent / 100.0).log10();
    let share = (rarity(percent) - rarity(50.0)) / (rarity(LAST) - rarity(50.0));
    LEFT + (RIGHT - LEFT) * share
}

fn up(scale: &Logarithmic, value: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * scale.share(value)
}

/// Places for names, from the top, that would like to stand at these and must not cover each other.
fn apart(wanted: &[f64]) -> Vec<f64> {
    let mut places: Vec<f64> = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let after = places.last().map_or(f64::NEG_INFINITY, |last| last + NAME);
        places.push(wanted.max(after));
    }
    let mut limit = BOTTOM + NAME;
    for place in places.iter_mut().rev() {
        *place = place.min(limit - NAME);
        limit = *place;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_apart_and_within_the_chart() {
        let places = apart(&[100.0, 101.0, 102.0, BOTTOM, BOTTOM]);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= NAME - 1e-9), "{places:?}");
        assert_eq!((places[0], places[4]), (100.0, BOTTOM));
    }

    #[test]
    fn each_nine_is_as_wide_as_the_last() {
        let (one, two, three) = (across(90.0), across(99.0), across(99.9));
        assert!((two - one - (three - two)).abs() < 1e-6);
        assert_eq!((across(50.0), three), (LEFT, RIGHT));
    }
}
