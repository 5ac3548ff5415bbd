//! The process: arguments in, exit code out.

use std::process::ExitCode;

use egret::cli::{self, Command};

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(error) => {
            // Help goes to standard output, a mistake to standard error; if either is closed, nobody reads it.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    match command {
        Command::Run(arguments) => cli::run::run(&arguments),
        Command::Check(arguments) => cli::check::run(&arguments),
        Command::Explain(arguments) => cli::explain::run(&arguments),
        Command::Show(arguments) => cli::show::run(&arguments),
        Command::Demo(arguments) => cli::demo::run(&arguments),
    }
}
