//! A configuration read and compiled once, for the commands that only look at it, and what they print.
//!
//! It binds nothing and looks up no name.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::Arc;

use super::Config;
use crate::config::provenance::Object;
use crate::config::source::files;
use crate::config::{self, Compiled, Document, Identity, Place, Problem, Severity, native};
use crate::settings::{self, Layer, Settings};
use crate::snapshot::materials;
use crate::upstream::tls::TlsContext;

/// The exit code of a command that was not given what it needs.
const USAGE: u8 = 2;

/// A configuration, and the settings it is judged by.
pub(super) struct Offline {
    /// With the problems of reading among the others.
    pub compiled: Compiled,
    pub settings: Settings,
}

/// Reads and compiles. Errors: what is missing or unreadable, with the fix.
pub(super) fn load(config: &Config) -> Result<Offline, String> {
    let paths = config.paths_or_default()?;
    let loaded = files::load(&paths).map_err(|error| {
        format!("{error}; name a file or a directory that can be read with -c PATH")
    })?;
    let settings = settings(&loaded.documents)?;
    let identity = Identity {
        namespace: settings.namespace.clone(),
        root_namespace: settings.root_namespace.clone(),
        labels: settings.labels.clone(),
        port_map: settings.port_map.clone(),
        bind: settings.bind,
    };
    let mut compiled = config::compile(&loaded.documents, &loaded.materials, &identity);
    compiled.problems.extend(loaded.problems);
    materials::judge(&loaded.documents, &TlsContext::new(&[])?, &mut compiled);
    if compiled.plan.listeners.is_empty() {
        let path = paths.first().map_or_else(String::new, |path| path.display().to_string());
        compiled.problems.push(no_listener(&path, &loaded.documents));
    }
    Ok(Offline { compiled, settings })
}

/// What `run` logs as its own trouble: it would be up, and serve nothing.
fn no_listener(path: &str, documents: &[Document]) -> Problem {
    let istio = documents.iter().any(|document| !document.is_native());
    let fix = if istio { "add a Gateway with a server" } else { "add listeners: [{port: 443}]" };
    Problem {
        code: "EG090",
        severity: Severity::Warning,
        place: Place { file: path.into(), line: 1, column: 1 },
        object: Arc::new(Object { name: "configuration".into(), ..Object::default() }),
        field: String::new(),
        message: "it has no listener, so nothing is served".to_owned(),
        fix: fix.into(),
    }
}

/// The environment's settings, then the document's. Errors: what is wrong in the environment; what is
/// wrong in a document is a problem of the configuration, and the default holds.
fn settings(documents: &[Document]) -> Result<Settings, String> {
    let environment = settings::environment(&super::variable);
    let alone = Settings::merge([environment.clone(), Layer::new(), Layer::new()])
        .map_err(|wrongs| wrongs.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let (mut document, _) = native::settings(documents);
    match Settings::merge([Layer::new(), environment.clone(), document.clone()]) {
        Ok(settings) => return Ok(settings),
        Err(wrongs) => wrongs.iter().for_each(|wrong| _ = document.remove(wrong.name)),
    }
    Ok(Settings::merge([Layer::new(), environment, document]).unwrap_or(alone))
}

/// Prints a command's result, without anything a terminal would obey. A reader that goes away early
/// (`| head`) is no failure.
fn print(text: &str) -> io::Result<()> {
    let obeyed = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    let text = text.replace(obeyed, "\u{fffd}");
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Prints a result and ends with this code, or says why it cannot be printed.
pub(super) fn finish(command: &str, text: &str, code: ExitCode) -> ExitCode {
    match print(text) {
        Ok(()) => code,
        Err(error) => {
            eprintln!("egret {command}: cannot write to standard output: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says what kept a command from its work.
pub(super) fn usage(command: &str, why: &str) -> ExitCode {
    why.lines().for_each(|line| eprintln!("egret {command}: {line}"));
    ExitCode::from(USAGE)
}
