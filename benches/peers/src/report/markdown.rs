//! The tables, with all that one must know to trust or to doubt them.

use std::fmt::Write as _;

use super::figures::{Figures, OURS, Row};
use super::metric::heading;
use super::{chart_file, number};
use crate::bench::results::Results;
use crate::experiments::{self, Chart, Experiment, Table};
use crate::statistics::Spread;

/// Writing to text does not fail.
macro_rules! line {
    ($text:expr, $($words:tt)*) => { let _ = writeln!($text, $($words)*); };
}

/// All of it.
pub fn write(results: &Results) -> String {
    let mut text = String::new();
    head(&mut text, results);
    in_short(&mut text, results);
    for experiment in experiments::ALL {
        if results.experiments.iter().any(|name| name == experiment.name) {
            section(&mut text, results, experiment);
        }
    }
    omissions(&mut text, results);
    text
}

fn head(text: &mut String, results: &Results) {
    let machine = &results.machine;
    line!(text, "# Egret beside other gateways\n");
    line!(
        text,
        "Written by `benches/peers/run {}` on {}. `results.json` has every single measurement.\n",
        results.arguments.join(" "),
        results.began
    );
    line!(
        text,
        "{}, {} CPUs, {:.0} GiB, {}, {}; {} open files; {}.\n",
        machine.processor,
        machine.cpus,
        machine.memory_gib,
        machine.kernel,
        machine.system,
        machine.files,
        machine.placement
    );
    line!(text, "| gateway | version | set besides the defaults |");
    line!(text, "|---|---|---|");
    for gateway in &results.gateways {
        line!(text, "| {} | {} | {} |", gateway.name, gateway.version, gateway.tuned);
    }
    line!(text, "\n{METHOD}");
    if let Some([load, steal]) = conditions(results) {
        line!(
            text,
            "Over all measurements, the load average was {} [{} - {}], and the hypervisor took {} % [{} - {}] of the \
             CPUs' time.",
            number(load.median),
            number(load.lower),
            number(load.upper),
            number(steal.median),
            number(steal.lower),
            number(steal.upper)
        );
    }
}

/// How all was measured.
const METHOD: &str = "\
All do the same work: plain HTTP from the clients, TLS 1.3 (AES-128-GCM, X25519, an ECDSA P-256 certificate) to one \
origin, its chain and its name verified, connections kept. Gateways with one worker run on a CPU of their own, the \
origin and the load generator on the other; with two workers, everything shares both. As root, all run with priority over \
what else the machine does. CPU is user and system time of all \
of a gateway's processes, which the kernel counts in steps of 10 ms; on loopback it includes the delivery of what a \
gateway sends. In every round each gateway has its turn, another one first each time. A figure is the median of all \
rounds; *ratio* is the median of our figure over the gateway's **in the same round**, with its quartiles: under 1, ours is \
less. *CPUs* says how busy the gateway's and the load's were, in percent: near 100 for the load, the load generator and the \
origin are what limits requests/s. A row with failed requests says how many.
";

fn conditions(results: &Results) -> Option<[Spread; 2]> {
    let all = || results.samples.iter().filter_map(|sample| sample.conditions);
    Some([
        Spread::of(all().map(|conditions| conditions.load_average))?,
        Spread::of(all().map(|conditions| conditions.steal))?,
    ])
}

/// Each table in a line: ours beside the best of the others.
fn in_short(text: &mut String, results: &Results) {
    if results.gateways.len() < 2 {
        return; // there is nothing beside ours
    }
    line!(text, "\n## In short\n");
    line!(text, "| | {} | best of the others | ratio | |", ours(results));
    line!(text, "|---|---|---|---|---|");
    for (experiment, table) in super::told(results) {
        let figures = Figures::of(results, experiment.name, table);
        let median = |row: &Row| row.spreads.get(table.key).map(|spread| number(spread.median));
        let ours = figures.rows.iter().find(|row| row.gateway == figures.ours);
        let best = figures.rows.iter().find(|row| row.gateway != figures.ours);
        let (Some(ours), Some(best)) = (ours, best) else { continue };
        let (Some(our_figure), Some(best_figure)) = (median(ours), median(best)) else { continue };
        let (ratio, verdict) = match best.ratios.get(table.key) {
            Some(ratio) => (quartiles(ratio), verdict(ratio, ours.rounds)),
            None => ("-".to_owned(), "no ratio: theirs is nothing"),
        };
        line!(
            text,
            "| {}: {} | {our_figure} | {best_figure}, {} | {ratio} | {verdict} |",
            table.title,
            heading(table.key),
            best.gateway
        );
    }
}

fn ours(results: &Results) -> &str {
    let names = || results.gateways.iter().map(|gateway| gateway.name.as_str());
    names().find(|name| *name == OURS).or(names().next()).unwrap_or(OURS)
}

/// What quartiles allow to say.
fn verdict(ratio: &Spread, rounds: usize) -> &'static str {
    match ratio {
        _ if rounds < 3 => "too few rounds",
        ratio if ratio.upper < 1.0 => "less",
        ratio if ratio.lower > 1.0 => "**more**",
        _ => "level",
    }
}

fn section(text: &mut String, results: &Results, experiment: &Experiment) {
    line!(text, "\n## {}\n\n{}.", experiment.name, experiment.about);
    for table in experiment.tables {
        let figures = Figures::of(results, experiment.name, table);
        if figures.rows.iter().all(|row| row.rounds == 0) {
            continue; // a part that only `--full` has, or one whose failure is told below
        }
        line!(text, "\n### {}\n", table.title);
        if let Chart::Bars(title) | Chart::Curves(title) = table.chart {
            line!(text, "![{title}]({})\n", chart_file(experiment, table));
        }
        rows(text, &figures, table);
        for sample in &results.samples {
            let is_of = sample.experiment == experiment.name && sample.case == table.case;
            if let Some(note) = sample.note.as_ref().filter(|_| is_of && sample.round == 0) {
                line!(text, "\n{}: {note}", sample.gateway);
            }
        }
    }
}

fn rows(text: &mut String, figures: &Figures, table: &Table) {
    let has_conditions = figures.rows.iter().any(|row| row.conditions.is_some());
    let columns = || std::iter::once(&table.key).chain(table.columns);
    let mut head = vec!["gateway".to_owned()];
    head.extend(columns().map(|name| heading(name).to_owned()));
    let compared = || std::iter::once(&table.key).chain(table.ratios);
    for name in compared() {
        let of = if table.ratios.is_empty() { "" } else { heading(name) };
        head.push(format!("ratio: {} / it {of}", figures.ours).trim_end().to_owned());
    }
    head.push("rounds".to_owned());
    if has_conditions {
        head.push("CPUs".to_owned());
    }
    line!(text, "| {} |", head.join(" | "));
    line!(text, "|{}", "---|".repeat(head.len()));
    for row in &figures.rows {
        let is_ours = row.gateway == figures.ours;
        let mut cells =
            vec![if is_ours { format!("**{}**", row.gateway) } else { row.gateway.clone() }];
        cells.extend(columns().map(|name| match row.spreads.get(*name) {
            Some(spread) if *name == table.key => told(spread, row),
            Some(spread) => number(spread.median),
            None => "-".to_owned(),
        }));
        cells.extend(compared().map(|name| match row.ratios.get(name) {
            Some(_) if is_ours => "1".to_owned(),
            Some(ratio) => quartiles(ratio),
            None => "-".to_owned(),
        }));
        cells.push(rounds(row));
        if has_conditions {
            let cpus = row.conditions.map(|[gateway, load, _]| format!("{gateway:.0} / {load:.0}"));
            cells.push(cpus.unwrap_or_else(|| "-".to_owned()));
        }
        line!(text, "| {} |", cells.join(" | "));
    }
}

/// A ratio.
fn quartiles(ratio: &Spread) -> String {
    format!("**{:.2}** [{:.2} - {:.2}]", ratio.median, ratio.lower, ratio.upper)
}

fn told(spread: &Spread, row: &Row) -> String {
    if row.rounds < 2 {
        return number(spread.median);
    }
    format!("{} [{} - {}]", number(spread.median), number(spread.lower), number(spread.upper))
}

fn rounds(row: &Row) -> String {
    let mut told = match row.rounds {
        0 => "none: see below".to_owned(),
        rounds => rounds.to_string(),
    };
    if row.failures > 0 {
        told += &format!(", **{} requests failed**", row.failures);
    }
    if row.unsent > 0.001 {
        told += &format!(", **overloaded**: {:.1} % not sent in time", 100.0 * row.unsent);
    }
    told
}

fn omissions(text: &mut String, results: &Results) {
    line!(text, "\n## What is not here\n");
    if results.omissions.is_empty() {
        line!(text, "Nothing that was asked for is missing.");
    }
    for omission in &results.omissions {
        line!(text, "- {}", omission.replace('\n', " "));
    }
}
