//! `egret check`: every problem of a configuration, and what becomes of each object.

use std::process::ExitCode;

use super::{Check, CheckOutput, offline};
use crate::config::{Problem, Severity};
use crate::inspect::{problems, sarif};

/// Exits 0 when the configuration is clean, 1 when it has problems, 2 when it cannot be read.
pub fn run(arguments: &Check) -> ExitCode {
    let compiled = match offline::load(&arguments.config) {
        Ok(offline) => offline.compiled,
        Err(why) => return offline::usage("check", &why),
    };
    let text = match arguments.output {
        CheckOutput::Text => problems::text(&compiled),
        CheckOutput::Json => format!("{:#}\n", problems::value(&compiled)),
        CheckOutput::Sarif => format!("{:#}\n", sarif::log(&compiled)),
    };
    let tolerated = if arguments.strict { Severity::Info } else { Severity::Warning };
    let failed = |problem: &Problem| problem.severity > tolerated;
    let code =
        if compiled.problems.iter().any(failed) { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    offline::finish("check", &text, code)
}
