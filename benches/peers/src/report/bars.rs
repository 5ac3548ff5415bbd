//! A chart of bars: one for each gateway, the shortest first, with its quartiles.

use super::figures::{Figures, Row};
use super::number;
use super::scale::Linear;
use super::svg::{
    AXIS, Anchor, Drawing, INK, LABEL, LINE, OURS, OURS_LIGHT, Style, THEIRS, THEIRS_LIGHT, WIDTH,
    Weight,
};
use crate::statistics::Spread;

/// Where bars begin: to the left of it are the names.
const LEFT: f64 = 116.0;
/// Where the longest may end: to the right of it are figures.
const RIGHT: f64 = WIDTH - 150.0;
const TOP: f64 = 94.0;
const ROW: f64 = 36.0;
const BAR: f64 = 20.0;

/// Draws one, if there is anything to draw.
pub fn draw(title: &str, figures: &Figures) -> Option<String> {
    let rows: Vec<(&Row, Spread)> = figures
        .rows
        .iter()
        .filter_map(|row| row.spreads.get(figures.key).map(|spread| (row, *spread)))
        .collect();
    let rounds = rows.iter().map(|(row, _)| row.rounds).max()?;
    let max = rows.iter().map(|(_, spread)| spread.upper).fold(0.0, f64::max);
    let scale = Linear::to(max);
    let bottom = TOP + ROW * rows.len() as f64;
    let [first, second] = subtitles(rounds, &rows, figures);
    let mut drawing = Drawing::new(bottom + 38.0, title, [&first, &second]);
    for line in scale.lines() {
        let x = place(&scale, line);
        drawing.line(&[(x, TOP - 6.0), (x, bottom)], LINE, 1.0);
        drawing.text((x, bottom + 18.0), Anchor::Middle, AXIS, &number(line));
    }
    for (at, (row, spread)) in rows.iter().enumerate() {
        bar(&mut drawing, TOP + ROW * at as f64, &scale, row, spread, figures);
    }
    Some(drawing.finish())
}

fn subtitles(rounds: usize, rows: &[(&Row, Spread)], figures: &Figures) -> [String; 2] {
    let mut first = "Shorter is better.".to_owned();
    if rows.iter().any(|(row, _)| split(row, figures).is_some()) {
        first += " Dark: in the program; light: in the kernel.";
    }
    let second = match rounds {
        1 => "One round.".to_owned(),
        _ => format!("Medians of {rounds} rounds; whiskers are quartiles."),
    };
    [first, second + &format!(" ×: times {}, paired by round.", figures.ours)]
}

fn bar(
    drawing: &mut Drawing,
    top: f64,
    scale: &Linear,
    row: &Row,
    spread: &Spread,
    figures: &Figures,
) {
    let is_ours = row.gateway == figures.ours;
    let (dark, light) = if is_ours { (OURS, OURS_LIGHT) } else { (THEIRS, THEIRS_LIGHT) };
    let weight = if is_ours { Weight::Bold } else { Weight::Normal };
    let style = Style { weight, colour: if is_ours { OURS } else { INK }, ..LABEL };
    let (middle, y) = (top + ROW / 2.0, top + (ROW - BAR) / 2.0);
    let end = place(scale, spread.median);
    match split(row, figures) {
        Some(share) => {
            let cut = LEFT + (end - LEFT) * share;
            drawing.rectangle((LEFT, y), (cut - LEFT, BAR), dark);
            drawing.rectangle((cut, y), (end - cut, BAR), light);
        }
        None => drawing.rectangle((LEFT, y), (end - LEFT, BAR), dark),
    }
    let (low, high) = (place(scale, spread.lower), place(scale, spread.upper));
    if row.rounds > 1 {
        drawing.line(&[(low, middle), (high, middle)], INK, 1.5);
        for x in [low, high] {
            drawing.line(&[(x, middle - 4.0), (x, middle + 4.0)], INK, 1.5);
        }
    }
    drawing.text((LEFT - 10.0, middle + 5.0), Anchor::End, style, &row.gateway);
    let mut told = number(spread.median);
    let ratio = row.ratios.get(figures.key);
    if let Some(ratio) = ratio.filter(|ratio| !is_ours && ratio.median > 0.0) {
        told += &format!(" · ×{:.2}", 1.0 / ratio.median);
    }
    if row.failures > 0 {
        told += &format!(" · {} failed", row.failures);
    }
    drawing.text((end.max(high) + 10.0, middle + 5.0), Anchor::Start, style, &told);
}

/// Which share of the bar is the program's own.
fn split(row: &Row, figures: &Figures) -> Option<f64> {
    if figures.key != "cpu_us" {
        return None;
    }
    let median = |name: &str| row.spreads.get(name).map(|spread| spread.median);
    let (user, system) = (median("user_us")?, median("system_us")?);
    (user + system > 0.0).then(|| user / (user + system))
}

fn place(scale: &Linear, value: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * scale.share(value)
}
