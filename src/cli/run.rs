//! `egret run`: the gateway itself.

use std::path::PathBuf;
use std::process::ExitCode;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::Run;
use crate::app::{self, Start};
use crate::config::native;
use crate::config::source::files::{self, Loaded};
use crate::control::Source;
use crate::settings::{self, Settings};

/// The exit code of a command that was not given what it needs.
const USAGE: u8 = 2;

/// Runs until told to stop.
pub fn run(arguments: &Run) -> ExitCode {
    let mut start = match prepare(arguments) {
        Ok(start) => start,
        Err(wrongs) => {
            wrongs.iter().for_each(|wrong| eprintln!("egret run: {wrong}"));
            return ExitCode::from(USAGE);
        }
    };
    log_to_stderr(&start.settings.log);
    let started = further_roots(&start.settings.cacert).and_then(|further_roots| {
        start.further_roots = further_roots;
        app::run(start)
    });
    match started {
        Ok(code) => code,
        Err(why) => {
            why.lines().for_each(|line| tracing::error!("{line}"));
            ExitCode::FAILURE
        }
    }
}

/// Settles settings and source, which is read for that. Errors: everything that is wrong with either.
fn prepare(arguments: &Run) -> Result<Start, Vec<String>> {
    let paths = arguments.paths().map_err(|why| vec![why])?;
    let loaded = load(arguments, &paths)?;
    let (document, problems) = native::settings(&loaded.documents);
    let environment = settings::environment(&super::variable);
    let merged = Settings::merge([arguments.flags.layer(), environment, document]);
    let settings =
        merged.map_err(|wrongs| wrongs.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    if !problems.is_empty() {
        return Err(problems.iter().map(ToString::to_string).collect());
    }
    let source = match paths.is_empty() {
        true => Source::Fixed(loaded.documents.clone()),
        false => Source::Paths(paths),
    };
    Ok(Start { settings, source, loaded: Some(loaded), further_roots: Vec::new() })
}

fn load(arguments: &Run, paths: &[PathBuf]) -> Result<Loaded, Vec<String>> {
    match (paths.is_empty(), arguments.hosts.is_empty()) {
        (true, _) => native::from_hosts(&arguments.hosts)
            .map(|documents| Loaded { documents, ..Loaded::default() }),
        (false, false) => Err(vec![
            "--host cannot be combined with -c: put the host into the configuration".into(),
        ]),
        (false, true) => files::load(paths).map_err(|error| vec![error.to_string()]),
    }
}

/// Reads what `--cacert` names. Errors: which file, and why.
pub(super) fn further_roots(paths: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>, String> {
    let read = |path: &PathBuf| match std::fs::read(path) {
        Ok(pem) => Ok((path.display().to_string(), pem)),
        Err(error) => Err(format!("--cacert {}: {error}", path.display())),
    };
    paths.iter().map(read).collect()
}

/// The process's own log goes to standard error; standard output is the access log's.
fn log_to_stderr(filter: &str) {
    // What the settings let through is what this parses. Targets, not the larger filter over spans and
    // fields: that one brings a regular expression engine.
    let targets: Targets = filter.parse().unwrap_or_default();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false);
    tracing_subscriber::registry().with(lines).with(targets).init();
}
