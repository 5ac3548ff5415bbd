//! Which pages of other sites may read a rule's answers, in Egret's own form, there and back:
//! `cors: { origins: [{ exact: https://example.com }], methods: [GET] }`.
//!
//! An origin that is not understood is not allowed.

use super::render::rules::text_match;
use super::render::{Fields, texts, time};
use super::report::Report;
use super::shapes;
use super::yaml::Node;
use crate::model::condition::is_token;
use crate::model::{Cors, Pattern, TextMatch, duration};

/// What is written at `field`.
pub(super) fn read(written: shapes::Cors, field: &str, report: &mut Report<'_>) -> Cors {
    let mut cors = Cors {
        credentials: written.credentials == Some(true),
        answers_all: written.answers_all == Some(true),
        ..Cors::default()
    };
    for (list, names, read) in [
        ("methods", written.methods, &mut cors.methods),
        ("headers", written.headers, &mut cors.headers),
        ("exposed", written.exposed, &mut cors.exposed),
    ] {
        for (index, name) in names.into_iter().flatten().enumerate() {
            if is_token(&name) {
                read.push(name);
                continue;
            }
            let at = format!("{field}.{list}[{index}]");
            let message = format!("\"{name}\" is no name; it is left out");
            report.error("EG081", &at, message, "write letters, digits and dashes");
        }
    }
    if let Some(age) = written.max_age {
        match duration::parse(&age) {
            Ok(age) => cors.max_age = Some(age.as_secs()),
            Err(why) => {
                let message = format!("{why}; browsers are told of none");
                report.error("EG081", &format!("{field}.maxAge"), message, "write e.g. 24h");
            }
        }
    }
    for (index, one) in written.origins.into_iter().flatten().enumerate() {
        cors.origins.extend(origin(one, &format!("{field}.origins[{index}]"), report));
    }
    if cors.origins.is_empty() {
        let message = "no origin is allowed, so nothing of it is in force";
        report.error("EG082", field, message, "add origins: [{ exact: https://example.com }]");
    }
    cors
}

fn origin(written: shapes::Origin, field: &str, report: &mut Report<'_>) -> Option<TextMatch> {
    let read = match (written.exact, written.prefix, written.regex) {
        (Some(exact), None, None) => Ok(TextMatch::Exact(exact)),
        (None, Some(prefix), None) => Ok(TextMatch::Prefix(prefix)),
        (None, None, Some(regex)) => Pattern::parse(&regex).map(TextMatch::Regex),
        _ => Err("exactly one of exact, prefix and regex is needed".to_owned()),
    };
    let wrong = |why| {
        let message = format!("{why}; no origin is allowed by it");
        report.error("EG081", field, message, "write e.g. exact: https://example.com");
    };
    read.map_err(wrong).ok()
}

/// The way back.
pub(super) fn render(cors: &Cors) -> Fields {
    let Cors { origins, credentials, methods, headers, exposed, max_age, answers_all } = cors;
    let origin = |one| Node::Map(text_match(one).into_iter().collect());
    let origins = origins.iter().map(origin).collect();
    let mut fields = vec![("origins".to_owned(), Node::List(origins))];
    if *credentials {
        fields.push(("credentials".to_owned(), Node::Flag(true)));
    }
    for (name, list) in [("methods", methods), ("headers", headers), ("exposed", exposed)] {
        if !list.is_empty() {
            fields.push((name.to_owned(), texts(list.iter().cloned())));
        }
    }
    fields.extend(max_age.map(|age| time("maxAge", std::time::Duration::from_secs(age))));
    if *answers_all {
        fields.push(("answersAll".to_owned(), Node::Flag(true)));
    }
    fields
}
