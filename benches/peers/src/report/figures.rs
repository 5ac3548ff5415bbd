//! The figures of one table: for each gateway its medians, and how ours compares with it.

use std::collections::BTreeMap;

use crate::bench::results::{Results, Sample};
use crate::experiments::Table;
use crate::statistics::{Spread, paired};
use crate::work::PERCENTILES;

/// Whom all others are compared with: this one, or else the first of the table.
pub const OURS: &str = "egret";

/// The figures of a table.
pub struct Figures {
    /// What gateways are compared by.
    pub key: &'static str,
    /// Whom they are compared with.
    pub ours: String,
    /// A row for each gateway of the run, the one with the least first, those without figures last.
    pub rows: Vec<Row>,
}

/// What is known of one gateway.
#[derive(Default)]
pub struct Row {
    /// Which one.
    pub gateway: String,
    /// How many rounds have figures.
    pub rounds: usize,
    /// The spread of each figure over the rounds, by its name.
    pub spreads: BTreeMap<String, Spread>,
    /// The ratios of our figures to this gateway's in the same round, for those that are compared.
    pub ratios: BTreeMap<&'static str, Spread>,
    /// The spread of the latency in microseconds at each of [`PERCENTILES`].
    pub latency_us: Vec<Spread>,
    /// Requests that failed, of all rounds.
    pub failures: u64,
    /// The share of requests that were due and could not be sent.
    pub unsent: f64,
    /// How busy the gateway's CPU was and that of the load, in percent, and the load average; medians.
    pub conditions: Option<[f64; 3]>,
}

impl Figures {
    /// Those of a table.
    pub fn of(results: &Results, experiment: &str, table: &Table) -> Self {
        let of = |gateway: &str| -> Vec<&Sample> {
            let samples = results.samples.iter();
            samples
                .filter(|sample| sample.experiment == experiment && sample.case == table.case)
                .filter(|sample| sample.gateway == gateway)
                .collect()
        };
        let names: Vec<&str> =
            results.gateways.iter().map(|gateway| gateway.name.as_str()).collect();
        let ours = names.iter().find(|name| **name == OURS).or(names.first()).copied();
        let ours = ours.unwrap_or(OURS).to_owned();
        let ours_samples = of(&ours);
        let mut rows: Vec<Row> = names
            .iter()
            .map(|name| {
                let samples = of(name);
                let mut row = Row::of(name, &samples);
                for name in std::iter::once(&table.key).chain(table.ratios) {
                    let pairs = paired(&by_round(&ours_samples, name), &by_round(&samples, name));
                    row.ratios.extend(Spread::of(pairs).map(|ratio| (*name, ratio)));
                }
                row
            })
            .collect();
        rows.sort_by(|a, b| a.order(table.key).total_cmp(&b.order(table.key)));
        Self { key: table.key, ours, rows }
    }
}

impl Row {
    fn of(gateway: &str, samples: &[&Sample]) -> Self {
        let names: Vec<&String> =
            samples.first().into_iter().flat_map(|s| s.values.keys()).collect();
        let spreads = names.into_iter().filter_map(|name| {
            let values = samples.iter().filter_map(|sample| sample.values.get(name).copied());
            Spread::of(values).map(|spread| (name.clone(), spread))
        });
        let median = |values: Vec<f64>| Spread::of(values).map(|spread| spread.median);
        let conditions: Vec<_> = samples.iter().filter_map(|sample| sample.conditions).collect();
        let latency_us = PERCENTILES.iter().filter_map(|percent| {
            let summaries = samples.iter().filter_map(|sample| sample.summary.as_ref());
            Spread::of(summaries.filter_map(|summary| summary.latency_us(*percent)))
        });
        let sum = |name: &str| -> f64 {
            samples.iter().filter_map(|sample| sample.values.get(name)).sum()
        };
        Self {
            gateway: gateway.to_owned(),
            rounds: samples.len(),
            spreads: spreads.collect(),
            ratios: BTreeMap::new(),
            latency_us: latency_us.collect(),
            failures: samples.iter().map(|sample| sample.failures).sum(),
            unsent: sum("unsent") / (sum("unsent") + sum("requests")).max(1.0),
            conditions: (!conditions.is_empty()).then(|| {
                [
                    median(conditions.iter().map(|c| c.gateway_cpu).collect()).unwrap_or_default(),
                    median(conditions.iter().map(|c| c.load_cpu).collect()).unwrap_or_default(),
                    median(conditions.iter().map(|c| c.load_average).collect()).unwrap_or_default(),
                ]
            }),
        }
    }

    fn order(&self, key: &str) -> f64 {
        self.spreads.get(key).map_or(f64::INFINITY, |spread| spread.median)
    }
}

fn by_round(samples: &[&Sample], key: &str) -> BTreeMap<u32, f64> {
    let values = samples.iter().map(|sample| (sample.round, sample.values.get(key).copied()));
    values.filter_map(|(round, value)| Some((round, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::Subject;
    use crate::experiments::Chart;

    const TABLE: Table = Table {
        case: "c",
        title: "",
        key: "cpu_us",
        columns: &[],
        ratios: &[],
        chart: Chart::None,
    };

    fn sample(gateway: &str, round: u32, cpu_us: f64) -> Sample {
        Sample {
            experiment: "e".to_owned(),
            case: "c".to_owned(),
            gateway: gateway.to_owned(),
            round,
            values: BTreeMap::from([("cpu_us".to_owned(), cpu_us)]),
            ..Sample::default()
        }
    }

    fn results(gateways: &[&str], samples: Vec<Sample>) -> Results {
        let gateways = gateways.iter().map(|name| Subject {
            name: (*name).to_owned(),
            version: String::new(),
            tuned: String::new(),
        });
        Results { gateways: gateways.collect(), samples, ..Results::default() }
    }

    #[test]
    fn ratios_are_ours_over_theirs_and_the_least_comes_first() {
        let samples = vec![
            sample("nginx", 0, 20.0),
            sample("egret", 0, 10.0),
            sample("nginx", 1, 50.0),
            sample("egret", 1, 20.0),
        ];
        let figures = Figures::of(&results(&["nginx", "egret"], samples), "e", &TABLE);
        let order: Vec<&str> = figures.rows.iter().map(|row| row.gateway.as_str()).collect();
        assert_eq!(order, ["egret", "nginx"]);
        let ratio = figures.rows[1].ratios["cpu_us"];
        assert!((ratio.median - 0.45).abs() < 1e-9, "{ratio:?}");
    }

    #[test]
    fn a_gateway_without_figures_keeps_its_row() {
        let figures =
            Figures::of(&results(&["nginx", "egret"], vec![sample("egret", 0, 1.0)]), "e", &TABLE);
        assert_eq!(figures.rows[1].gateway, "nginx");
        assert!(figures.rows[1].rounds == 0 && figures.rows[1].ratios.is_empty());
    }
}
