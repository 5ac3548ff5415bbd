//! Golden plans: what each configuration compiles to, and every word that is said about it.
//!
//! `EGRET_UPDATE_GOLDEN=1 cargo test --test plans` writes them anew, to be read in review.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use egret::config::{self, Compiled, Document, Identity, Materials, document};

const ARTICLE: &str = "config/article";

fn read(paths: &[PathBuf]) -> (Vec<Document>, Vec<config::Problem>) {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_name().expect("a file has a name").to_string_lossy();
        let (mut more, mut bad) = document::parse(&name, &text);
        documents.append(&mut more);
        problems.append(&mut bad);
    }
    (documents, problems)
}

/// Files that the examples point at: those in `tests/plans/files`, and nothing else.
fn materials(documents: &[Document]) -> Materials {
    let load = |path: &String| {
        let file = Path::new("tests/plans/files").join(path.trim_start_matches('/'));
        fs::read(file).map(Into::into).map_err(|error| error.kind().to_string())
    };
    config::referenced_files(documents).into_iter().map(|path| (path.clone(), load(&path))).collect()
}

fn compile(paths: &[PathBuf]) -> Compiled {
    let (documents, problems) = read(paths);
    let mut compiled = config::compile(&documents, &materials(&documents), &Identity::default());
    compiled.problems.splice(0..0, problems);
    compiled
}

fn article(files: &[&str]) -> Vec<PathBuf> {
    files.iter().map(|file| Path::new(ARTICLE).join(file).with_extension("yaml")).collect()
}

fn yaml_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.expect("readable").path()) {
        if path.is_dir() {
            files.append(&mut yaml_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn told(compiled: &Compiled) -> String {
    let mut text = String::new();
    for problem in &compiled.problems {
        writeln!(text, "{} {} {problem}", problem.severity, problem.code).expect("a string takes all");
    }
    text.push('\n');
    for verdict in &compiled.provenance.verdicts {
        let (place, object, outcome) = (&verdict.place, &verdict.object, &verdict.outcome);
        writeln!(text, "{place}: {object}: {outcome:?}").expect("a string takes all");
        for reason in &verdict.reasons {
            writeln!(text, "    {reason}").expect("a string takes all");
        }
    }
    text
}

/// Compares with the golden file, or writes it. Returns what differs.
fn golden(path: &Path, actual: &str) -> Option<String> {
    if std::env::var_os("EGRET_UPDATE_GOLDEN").is_some() {
        fs::write(path, actual).expect("the golden file can be written");
        return None;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    let differs = expected.lines().zip(actual.lines()).position(|(a, b)| a != b);
    (expected != actual).then(|| {
        let line = differs.unwrap_or_else(|| expected.lines().count().min(actual.lines().count()));
        let shown = |text: &str| text.lines().nth(line).unwrap_or("(end)").to_owned();
        format!("{}:{}:\n  expected {}\n  actual   {}", path.display(), line + 1, shown(&expected), shown(actual))
    })
}

#[test]
fn every_example_compiles_to_its_golden_plan() {
    let mut cases: Vec<(String, Vec<PathBuf>)> = yaml_files(Path::new("tests/plans"))
        .into_iter()
        .map(|path| (path.file_stem().expect("a name").to_string_lossy().into_owned(), vec![path]))
        .collect();
    for (name, files) in [
        ("article-1-gateway", &["service-entry", "gateway"][..]),
        ("article-2-plain-text", &["service-entry", "gateway", "destination-rule-gateway", "virtual-service"]),
        (
            "article-3-tls",
            &["service-entry", "gateway", "destination-rule-gateway", "virtual-service", "destination-rule-tls"],
        ),
    ] {
        cases.push((name.to_owned(), article(files)));
    }
    let mut wrong = Vec::new();
    for (name, paths) in cases {
        let compiled = compile(&paths);
        let stem = Path::new("tests/plans").join(name);
        wrong.extend(golden(&stem.with_extension("plan"), &format!("{:#?}\n", compiled.plan)));
        wrong.extend(golden(&stem.with_extension("problems"), &told(&compiled)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_document_has_exactly_one_verdict() {
    for path in yaml_files(Path::new("tests/plans")) {
        let (documents, _) = read(std::slice::from_ref(&path));
        let documents: Vec<Document> = documents.into_iter().filter(|document| !document.is_native()).collect();
        let compiled = config::compile(&documents, &Materials::new(), &Identity::default());
        let mut places: Vec<_> = compiled.provenance.verdicts.iter().map(|verdict| verdict.place.clone()).collect();
        let mut expected: Vec<_> = documents.iter().map(Document::place).collect();
        places.sort();
        expected.sort();
        assert_eq!(places, expected, "{}", path.display());
    }
}
