//! `egret explain`: what would happen to a request, and why.

use std::process::ExitCode;

use super::run::further_roots;
use super::{Explain, ExplainOutput, Header, Scheme, Url, offline};
use crate::inspect::explain::{self, Ending, Explanation, Question};
use crate::inspect::{self, Format, View};
use crate::snapshot::Snapshot;
use crate::upstream::tls::TlsContext;

/// Exits 0 when the request would be forwarded, 1 when it would not, 2 when that cannot be told.
pub fn run(arguments: &Explain) -> ExitCode {
    if arguments.url.scheme == Scheme::Https && !arguments.proxy {
        return offline::finish("explain", &client_speaks_tls(&arguments.url), ExitCode::FAILURE);
    }
    match explained(arguments) {
        Ok(explanation) => {
            let code = match explanation.ending {
                Ending::Forwarded | Ending::Answered => ExitCode::SUCCESS,
                Ending::NotForwarded => ExitCode::FAILURE,
            };
            let format = match arguments.output {
                ExplainOutput::Text => Format::Table,
                ExplainOutput::Json => Format::Json,
            };
            offline::finish("explain", &inspect::explained(&explanation, format), code)
        }
        Err(why) => offline::usage("explain", &why),
    }
}

fn explained(arguments: &Explain) -> Result<Explanation, String> {
    let offline = offline::load(&arguments.config)?;
    let tls = TlsContext::new(&further_roots(&offline.settings.cacert)?)?;
    let snapshot = Snapshot::build(&offline.compiled.plan, &Snapshot::default(), &tls);
    let question = Question {
        method: arguments.method.clone(),
        authority: arguments.url.authority.clone(),
        target: target(arguments),
        headers: arguments.headers.iter().map(pair).collect(),
        port: arguments.port,
        guard: offline.settings.guard.clone(),
    };
    let view = View { compiled: &offline.compiled, snapshot: None };
    explain::explain(&question, &view, &snapshot)
}

/// As the client sends it (RFC 9112, sections 3.2.1 and 3.2.2).
fn target(arguments: &Explain) -> String {
    let Url { scheme, authority, path } = &arguments.url;
    match (arguments.proxy, scheme) {
        (false, _) => path.clone(),
        (true, Scheme::Http) => format!("http://{authority}{path}"),
        (true, Scheme::Https) => format!("https://{authority}{path}"),
    }
}

fn pair(header: &Header) -> (String, String) {
    (header.name.clone(), header.value.clone())
}

/// Listeners take plain HTTP: a client that is told `https` begins with TLS, and gets nowhere.
fn client_speaks_tls(url: &Url) -> String {
    let Url { authority, path, .. } = url;
    format!(
        "not forwarded: for https:// the client itself begins with TLS, and the gateway's listeners take plain HTTP\n\
         let the application call http://{authority}{path}: the gateway adds TLS\n\
         to see how: egret explain http://{authority}{path}\n"
    )
}
