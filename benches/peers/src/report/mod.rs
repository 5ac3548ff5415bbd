//! A run's results as people read them: Markdown, and charts beside it.

mod bars;
mod curves;
mod figures;
mod markdown;
mod metric;
mod scale;
mod svg;

use std::fs;
use std::io;
use std::path::Path;

use self::figures::Figures;
use crate::bench::results::Results;
use crate::experiments::{self, Chart, Experiment, Table};

/// Writes `README.md` and its charts into a directory.
///
/// Errors: files cannot be written.
pub fn write(results: &Results, directory: &Path) -> io::Result<()> {
    for (experiment, table) in told(results) {
        let figures = Figures::of(results, experiment.name, table);
        let chart = match table.chart {
            Chart::None => None,
            Chart::Bars(title) => bars::draw(title, &figures),
            Chart::Curves(title) => curves::draw(title, &figures),
        };
        if let Some(chart) = chart {
            fs::write(directory.join(chart_file(experiment, table)), chart)?;
        }
    }
    fs::write(directory.join("README.md"), markdown::write(results))
}

/// The tables of the experiments that were done.
fn told(results: &Results) -> impl Iterator<Item = (&'static Experiment, &'static Table)> {
    let done: Vec<&'static Experiment> = experiments::ALL
        .into_iter()
        .filter(|experiment| results.experiments.iter().any(|name| name == experiment.name))
        .collect();
    done.into_iter()
        .flat_map(|experiment| experiment.tables.iter().map(move |table| (experiment, table)))
}

/// Where a table's chart is.
fn chart_file(experiment: &Experiment, table: &Table) -> String {
    if table.case == experiment.name {
        format!("{}.svg", table.case)
    } else {
        format!("{}-{}.svg", experiment.name, table.case)
    }
}

/// A figure with as many digits as it deserves.
pub fn number(value: f64) -> String {
    match value.abs() {
        size if value.fract() == 0.0 && size < 100.0 => format!("{value:.0}"),
        size if size >= 100.0 => thousands(value),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A whole number, in groups of three digits.
fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_about_three_digits_and_counts_no_fraction() {
        let told = [0.0, 0.123, 1.0, 9.996, 12.34, 64.0, 123.4, 1_234.5, 1_234_567.0].map(number);
        assert_eq!(told, ["0", "0.12", "1", "10.00", "12.3", "64", "123", "1,234", "1,234,567"]);
        assert_eq!(number(-1500.0), "-1,500");
    }
}
