//! The command line.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;

use clap::{Args, Parser, Subcommand};

use crate::bench::Bench;
use crate::bench::results::{Results, Subject};
use crate::bench::schedule::Schedule;
use crate::bench::turn::Scale;
use crate::experiments::{self, Experiment};
use crate::gateways::Gateway;
use crate::gateways::install::{self, Home, NAMES};
use crate::machine::description::Machine;
use crate::work::Work;
use crate::{load, origin, report};

/// Measures Egret beside other gateways on the same work, and writes tables, charts and raw results
#[derive(Debug, Parser)]
#[command(
    name = "benches/peers/run",
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Internal>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Internal {
    /// Write tables and charts again, from the results of a run
    Report(Again),
    #[command(hide = true)]
    Origin(origin::Arguments),
    #[command(hide = true)]
    Load(Json),
}

#[derive(Debug, Args)]
struct Json {
    work: String,
}

#[derive(Debug, Args)]
struct Again {
    /// The directory with results.json
    directory: PathBuf,
}

#[derive(Debug, Args)]
struct Run {
    /// The most important experiments, in less than five minutes (the default)
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// All experiments, with as many rounds as figures need that are to be told: an hour and a half
    #[arg(long)]
    full: bool,
    /// Only these gateways
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    only: Vec<String>,
    /// Only these experiments
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    exp: Vec<String>,
    /// So many rounds of each experiment
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Another binary of Egret, to compare two builds (repeatable)
    #[arg(long = "subject", value_name = "NAME=COMMAND")]
    subjects: Vec<String>,
    /// Where tables, charts and results go [default: peers/results/TIME in the target directory]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Say which experiments and gateways there are
    #[arg(long)]
    list: bool,
    /// The repository
    #[arg(long, hide = true, default_value = ".")]
    repository: PathBuf,
    /// cargo's target directory
    #[arg(long, hide = true, default_value = "target")]
    target: PathBuf,
}

/// Does what the command line says.
///
/// Errors: what could not be done, for the person who asked.
pub fn run() -> io::Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Internal::Origin(arguments)) => block_on(origin::run(&arguments)),
        Some(Internal::Load(json)) => {
            let work: Work = serde_json::from_str(&json.work)?;
            block_on(load::run(work))
        }
        Some(Internal::Report(again)) => {
            let results = Results::read(&again.directory.join("results.json"))?;
            report::write(&results, &again.directory)
        }
        None if arguments.run.list => {
            list();
            Ok(())
        }
        None => measure(&arguments.run),
    }
}

fn block_on(work: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn list() {
    let mut text =
        format!("gateways: {}\n\nexperiments (* also with --quick):\n", NAMES.join(", "));
    for experiment in experiments::ALL {
        let mark = if experiment.quick.is_some() { "*" } else { " " };
        text += &format!("{mark} {:14} {}\n", experiment.name, experiment.about);
    }
    print(&text);
}

/// To standard output, which may be closed by who has seen enough.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

fn measure(run: &Run) -> io::Result<()> {
    let scale = if run.full { Scale::Full } else { Scale::Quick };
    let experiments = chosen(run, scale)?;
    let mut results = Results { arguments: told(), ..Results::default() };
    let gateways = gateways(run, &mut results)?;
    let out = match &run.out {
        Some(out) => out.clone(),
        None => {
            let time = install::said(Command::new("date").arg("+%Y%m%d-%H%M%S"));
            run.target.join("peers/results").join(time)
        }
    };
    fs::create_dir_all(&out)?;
    let bench = Bench::new(scale)?;
    results.began = install::said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]));
    results.machine = Machine::this(&bench.cpus, bench.files);
    results.experiments = experiments.iter().map(|experiment| experiment.name.to_owned()).collect();
    results.gateways = gateways.iter().map(|gateway| subject(&**gateway)).collect();
    let schedule = Schedule {
        bench: &bench,
        experiments: &experiments,
        gateways: &gateways,
        rounds: run.rounds,
        file: &out.join("results.json"),
    };
    let done = schedule.run(&mut results);
    drop(bench);
    done?;
    report::write(&results, &out)?;
    print(&fs::read_to_string(out.join("README.md"))?);
    eprintln!("tables, charts and results: {}", out.display());
    Ok(())
}

/// The arguments as a person gave them.
fn told() -> Vec<String> {
    let mut told = Vec::new();
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if ["--repository", "--target"].contains(&argument.as_str()) {
            arguments.next();
        } else {
            told.push(argument);
        }
    }
    told
}

fn chosen(run: &Run, scale: Scale) -> io::Result<Vec<&'static Experiment>> {
    let mut chosen = Vec::new();
    for name in &run.exp {
        let known = experiments::ALL.into_iter().find(|experiment| experiment.name == name);
        chosen.push(known.ok_or_else(|| {
            io::Error::other(format!("no experiment is called {name}: --list tells them"))
        })?);
    }
    if run.exp.is_empty() {
        let all = experiments::ALL.into_iter();
        chosen.extend(all.filter(|experiment| scale == Scale::Full || experiment.quick.is_some()));
    }
    Ok(chosen)
}

/// Brings those that are asked for; one that cannot be had is told, and the others go on.
fn gateways(run: &Run, results: &mut Results) -> io::Result<Vec<Box<dyn Gateway>>> {
    let target = std::path::absolute(&run.target)?;
    let home = Home { repository: std::path::absolute(&run.repository)?, target };
    let is_asked = |name: &str| run.only.is_empty() || run.only.iter().any(|only| only == name);
    let subjects = run.subjects.iter().map(|text| install::subject(text));
    let subjects = subjects.collect::<io::Result<Vec<_>>>()?;
    let mut gateways = Vec::new();
    for name in NAMES.into_iter().filter(|name| is_asked(name)) {
        match home.bring(name) {
            Ok(gateway) => gateways.push(gateway),
            Err(error) => {
                eprintln!("{name}: {error}");
                results.omissions.push(format!("{name} cannot be had here: {error}"));
            }
        }
    }
    gateways.extend(subjects.into_iter().filter(|gateway| is_asked(gateway.name())));
    let unknown = run.only.iter().find(|only| {
        !NAMES.contains(&only.as_str())
            && !gateways.iter().any(|gateway| gateway.name() == only.as_str())
    });
    match unknown {
        Some(name) => Err(io::Error::other(format!("no gateway is called {name}"))),
        None if gateways.is_empty() => Err(io::Error::other("there is no gateway to measure")),
        None => Ok(gateways),
    }
}

fn subject(gateway: &dyn Gateway) -> Subject {
    Subject {
        name: gateway.name().to_owned(),
        version: gateway.version(),
        tuned: gateway.tuned().to_owned(),
    }
}
