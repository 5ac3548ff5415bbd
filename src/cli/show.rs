//! `egret show`: a part of a configuration, from files or from a running gateway.

use std::process::ExitCode;

use super::{Show, ShowOutput, Shown, admin, offline};
use crate::inspect::{self, Format, View, What};

/// Exits 0 when it was shown, 1 when the running gateway did not answer, 2 when there is nothing to read.
pub fn run(arguments: &Show) -> ExitCode {
    let what = match arguments.what {
        Shown::Listeners => What::Listeners,
        Shown::Routes => What::Routes,
        Shown::Clusters => What::Clusters,
        Shown::Endpoints => What::Endpoints,
        Shown::Config => What::Config,
        Shown::Problems => What::Problems,
    };
    let format = match arguments.output {
        ShowOutput::Table => Format::Table,
        ShowOutput::Json => Format::Json,
        ShowOutput::Yaml => Format::Yaml,
    };
    if let Some(url) = &arguments.admin {
        let page = format!("/{}?format={}", what.as_str(), format.as_str());
        return match admin::fetch(url, &page) {
            Ok(text) => offline::finish("show", &text, ExitCode::SUCCESS),
            Err(why) => {
                eprintln!("egret show: {why}");
                ExitCode::FAILURE
            }
        };
    }
    match offline::load(&arguments.config) {
        Ok(offline) => {
            let view = View { compiled: &offline.compiled, snapshot: None };
            let text = inspect::render(what, format, &view);
            offline::finish("show", &text, ExitCode::SUCCESS)
        }
        Err(why) => offline::usage("show", &why),
    }
}
