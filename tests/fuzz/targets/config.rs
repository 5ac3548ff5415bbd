//! Any text as a configuration: every object gets its verdict, every problem its place, and the plan that
//! comes of it is sound, can be shown in every form, and is the same when it is written and read again.
//!
//! Parts of an input, apart by 0xFF: the documents, the content of every file they name, and the method,
//! authority and target of a request to explain.
#![no_main]

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use egret::config::document::Node;
use egret::config::problem::CODES;
use egret::config::{self, Compiled, Document, Identity, Materials, Problem, document, native};
use egret::inspect::explain::{Question, explain};
use egret::inspect::{Format, View, What, render};
use egret::model::{Action, Authority, Destination, GuardPolicy, HeaderEdits, PathRewrite, Plan};
use egret::settings::Settings;
use egret::snapshot::Snapshot;
use egret::upstream::tls::TlsContext;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Values of a document that are looked for one by one: aliases can make a million of them.
const LOCATED_MAX: u32 = 1000;

const FILE: &str = "fuzz.yaml";

fuzz_target!(|input: &[u8]| {
    let mut parts = input.split(|byte| *byte == 0xff);
    let text = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let (documents, problems) = document::parse(FILE, &text);
    problems.iter().for_each(|problem| is_told(problem, &text));
    documents
        .iter()
        .for_each(|document| located(document, document.body(), "", &mut LOCATED_MAX.clone()));
    is_what_others_read(&text, &documents);
    let materials = materials(&documents, parts.next());
    let compiled = config::compile(&documents, &materials, &Identity::default());
    assert_eq!(config::compile(&documents, &materials, &Identity::default()), compiled);
    compiled.problems.iter().for_each(|problem| is_told(problem, &text));
    every_object_has_its_verdict(&documents, &compiled);
    is_sound(&compiled);
    is_read_again(&compiled, &documents, &materials);
    let mut word = |default: &str| match parts.next() {
        Some(part) => String::from_utf8_lossy(part).into_owned(),
        None => default.to_owned(),
    };
    let question = Question {
        method: word("GET"),
        authority: word("edition.cnn.com"),
        target: word("/"),
        headers: vec![("x-a".to_owned(), word("b")), ("cookie".to_owned(), "c=d".to_owned())],
        port: compiled.plan.listeners.first().map(|listener| listener.port),
        guard: GuardPolicy::default(),
    };
    is_shown(&compiled, &question);
    let (layer, _) = native::settings(&documents);
    let _ = Settings::merge([layer, Default::default(), Default::default()]);
});

fn is_told(problem: &Problem, text: &str) {
    assert!(CODES.iter().any(|(code, _)| *code == problem.code), "{}", problem.code);
    assert!(!problem.message.is_empty() && !problem.object.name.is_empty());
    // A lone CR ends a line too, and what is unfinished is missed after the end.
    let lines = text.bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count() as u32 + 2;
    assert!((1..=lines).contains(&problem.place.line), "{problem:?} of {lines}");
    assert!(problem.place.column >= 1 && !problem.to_string().is_empty());
}

/// Every value is found by its path, unless its name looks like several steps of one.
fn located(document: &Document, value: Node<'_>, path: &str, left: &mut u32) {
    assert!(document.locate(path) >= document.place(), "{path}");
    let found = document.value(path).map(Node::position);
    assert_eq!(found, Some(value.position()), "{path}");
    let Some(rest) = left.checked_sub(1) else { return };
    *left = rest;
    for (index, entry) in value.entries().enumerate() {
        located(document, entry, &format!("{path}[{index}]"), left);
    }
    for (name, field) in value.fields() {
        if !name.is_empty() && !name.contains(['.', '[', ']']) {
            located(document, field, format!("{path}.{name}").trim_start_matches('.'), left);
        }
    }
}

/// A second reader of YAML, where it reads the text as one document, reads the same.
fn is_what_others_read(text: &str, documents: &[Document]) {
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    let [document] = documents else { return };
    let Ok(mut theirs) = serde_saphyr::from_str_with_options::<Value>(text, options) else {
        return;
    };
    without_nulls(&mut theirs);
    if theirs.get("items").is_none() {
        assert_eq!(document.body().to_value(), theirs);
    }
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(entries) => entries.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

fn every_object_has_its_verdict(documents: &[Document], compiled: &Compiled) {
    let verdicts = &compiled.provenance.verdicts;
    let mut places: Vec<_> = verdicts.iter().map(|verdict| verdict.place.clone()).collect();
    let mut expected: Vec<_> = documents.iter().map(Document::place).collect();
    places.sort();
    expected.sort();
    assert_eq!(places, expected);
}

fn is_sound(compiled: &Compiled) {
    let Plan { listeners, routes, upstreams } = &compiled.plan;
    let made = &compiled.provenance;
    assert_eq!(
        (made.listeners.len(), made.routes.len(), made.upstreams.len()),
        (listeners.len(), routes.len(), upstreams.len())
    );
    let mut names = HashSet::new();
    assert!(listeners.iter().all(|listener| listener.port != 0 && names.insert(&listener.name)));
    let mut keys = HashSet::new();
    assert!(upstreams.iter().all(|upstream| keys.insert(&upstream.key)));
    let mut taken = HashSet::new();
    for (route, origins) in routes.iter().zip(&made.routes) {
        assert!(!route.hosts.is_empty() && !route.listeners.is_empty());
        assert_eq!(route.rules.len(), origins.len());
        for listener in &route.listeners {
            assert!(*listener < listeners.len());
            assert!(route.hosts.iter().all(|host| taken.insert((listener, host))));
        }
        route.rules.iter().for_each(|rule| can_be_done(&rule.action, upstreams.len()));
    }
}

/// Whatever a rule writes into a message can stand there.
fn can_be_done(action: &Action, upstreams: usize) {
    match action {
        Action::Forward(forward) => {
            assert!(!forward.to.is_empty() && forward.to.iter().all(|share| share.weight > 0));
            let mirrors = forward.mirrors.iter().map(|mirror| &mirror.to);
            for to in forward.to.iter().map(|share| &share.to).chain(mirrors) {
                assert!(!matches!(to, Destination::Upstream(index) if *index >= upstreams));
            }
            for share in &forward.to {
                can_be_written(&share.request);
                can_be_written(&share.response);
                is_an_authority(share.rewrite_host.as_deref());
            }
            can_be_written(&forward.request);
            can_be_written(&forward.response);
            is_an_authority(forward.rewrite_host.as_deref());
            match forward.rewrite_path.as_deref() {
                Some(PathRewrite::Matched(path)) => is_of_a_target(path),
                Some(PathRewrite::Regex(substitution)) => is_of_a_target(substitution.with()),
                None => {}
            }
        }
        Action::Redirect(redirect) => {
            assert!((300..400).contains(&redirect.status) && redirect.port != Some(0));
            is_an_authority(redirect.authority.as_deref());
            redirect.path.iter().chain(&redirect.scheme).for_each(|text| is_of_a_target(text));
            can_be_written(&redirect.response);
        }
        Action::Respond(respond) => {
            assert!((200..600).contains(&respond.status), "{}", respond.status);
            can_be_written(&respond.response);
        }
    }
}

fn can_be_written(edits: &HeaderEdits) {
    for line in edits.set.iter().chain(&edits.add) {
        http::HeaderName::try_from(&line.name).expect("a name that can be written");
        http::HeaderValue::try_from(line.value.to_string()).expect("a value that can be written");
    }
}

fn is_an_authority(text: Option<&str>) {
    assert!(text.is_none_or(|text| Authority::parse(text.as_bytes()).is_some()), "{text:?}");
}

fn is_of_a_target(text: &str) {
    assert!(!text.bytes().any(|byte| byte <= b' ' || byte == 0x7f), "{text:?}");
}

/// The plan as text, beside the objects that bring its certificates.
fn is_read_again(compiled: &Compiled, documents: &[Document], materials: &Materials) {
    let text = native::render(&compiled.plan);
    let (mut rendered, problems) = document::parse("rendered", &text);
    assert_eq!(problems, [], "{text}");
    let is_kept = |document: &&Document| matches!(&*document.kind, "Secret" | "ConfigMap");
    rendered.extend(documents.iter().filter(is_kept).cloned());
    let again = config::compile(&rendered, materials, &Identity::default());
    assert_eq!(sorted(again.plan), sorted(compiled.plan.clone()), "{text}{:#?}", again.problems);
}

/// With upstreams and header lines in the order of their names, the two things that rendering may change.
fn sorted(mut plan: Plan) -> Plan {
    let names: Vec<String> = plan.upstreams.iter().map(|spec| spec.key.name.clone()).collect();
    plan.upstreams.sort_by(|a, b| a.key.name.cmp(&b.key.name));
    for rule in plan.routes.iter_mut().flat_map(|route| &mut route.rules) {
        let Action::Forward(forward) = &mut Arc::make_mut(rule).action else { continue };
        let own = [&mut forward.request, &mut forward.response];
        let of_shares =
            forward.to.iter_mut().flat_map(|share| [&mut share.request, &mut share.response]);
        for edits in own.into_iter().chain(of_shares) {
            let mut lists = std::mem::take(edits).into_lists();
            lists.set.sort_by(|a, b| a.name.cmp(&b.name));
            lists.add.sort_by(|a, b| a.name.cmp(&b.name));
            *edits = lists.into();
        }
        let shares = forward.to.iter_mut().map(|share| &mut share.to);
        for to in shares.chain(forward.mirrors.iter_mut().map(|mirror| &mut mirror.to)) {
            if let Destination::Upstream(index) = to {
                let name = &names[*index];
                let place = plan.upstreams.iter().position(|spec| spec.key.name == *name);
                *index = place.expect("every upstream is still there");
            }
        }
    }
    plan
}

fn is_shown(compiled: &Compiled, question: &Question) {
    static TLS: OnceLock<TlsContext> = OnceLock::new();
    let tls = TLS.get_or_init(|| TlsContext::new(&[]).expect("no files are named"));
    let snapshot = Snapshot::build(&compiled.plan, &Snapshot::default(), tls);
    let running = View { compiled, snapshot: Some(&snapshot) };
    for what in What::ALL {
        for format in [Format::Table, Format::Json, Format::Yaml] {
            assert!(render(what, format, &running).ends_with('\n'), "{what:?} {format:?}");
        }
    }
    if let Ok(explanation) = explain(question, &View { compiled, snapshot: None }, &snapshot) {
        assert!(!explanation.to_string().is_empty());
    }
}

/// Every file that is named holds the same, or cannot be read.
fn materials(documents: &[Document], content: Option<&[u8]>) -> Materials {
    let content = content.map(Arc::from).ok_or("there is no such file".to_owned());
    let files = config::referenced_files(documents);
    files.into_iter().map(|path| (path, content.clone())).collect()
}
