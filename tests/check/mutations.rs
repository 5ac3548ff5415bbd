//! Whatever is done to an example, compiling it ends well, and every object in it has exactly one verdict.

use std::fs;
use std::path::{Path, PathBuf};

use egret::config::{self, Identity, Materials, document};
use proptest::prelude::*;

fn examples() -> Vec<String> {
    let mut files = Vec::new();
    for directory in ["config", "tests/plans"] {
        yaml_files(Path::new(directory), &mut files);
    }
    files.sort();
    files.iter().map(|file| fs::read_to_string(file).expect("readable")).collect()
}

fn yaml_files(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            yaml_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
}

/// What may stand in place of a value or a key, or after a colon.
const PIECES: [&str; 24] = [
    "",
    "null",
    "[]",
    "{}",
    "-1",
    "0",
    "70000",
    "1e99",
    "\"\"",
    "\"*\"",
    "true",
    "[[1]]",
    "{a: {}}",
    "a.b",
    "*.b",
    "\u{0}",
    "::1",
    "%",
    "{number: 443}",
    "18446744073709551616",
    "1h",
    "/",
    "ж",
    "!!binary x",
];

/// Changes one place of a text: a word, a line or the order of two lines.
fn mutate(text: &str, place: usize, piece: &str, how: u8) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        return piece.to_owned();
    }
    let at = place % lines.len();
    match how % 6 {
        0 => drop(lines.remove(at)),
        1 => {
            let again = lines[at].clone();
            lines.insert(at, again);
        }
        2 => {
            let other = (place / 7) % lines.len();
            lines.swap(at, other);
        }
        3 => {
            if let Some((key, _)) = lines[at].clone().split_once(": ") {
                lines[at] = format!("{key}: {piece}");
            }
        }
        4 => {
            let middle = (0..=lines[at].len())
                .filter(|index| lines[at].is_char_boundary(*index))
                .nth(place % (lines[at].chars().count() + 1))
                .unwrap_or(0);
            lines[at].insert_str(middle, piece);
        }
        _ => lines[at] = format!("  {}", lines[at]),
    }
    lines.join("\n") + "\n"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mutation_panics_or_goes_without_a_verdict(
        which in any::<usize>(),
        changes in prop::collection::vec((any::<usize>(), 0..PIECES.len(), any::<u8>()), 1..6),
    ) {
        let examples = examples();
        let mut text = examples[which % examples.len()].clone();
        for (place, piece, how) in changes {
            text = mutate(&text, place, PIECES[piece], how);
        }
        let (documents, _) = document::parse("t.yaml", &text);
        let compiled = config::compile(&documents, &Materials::new(), &Identity::default());
        let mut places: Vec<_> =
            compiled.provenance.verdicts.iter().map(|verdict| verdict.place.clone()).collect();
        let mut expected: Vec<_> = documents.iter().map(document::Document::place).collect();
        places.sort();
        expected.sort();
        prop_assert_eq!(places, expected, "{}", text);
        for problem in &compiled.problems {
            prop_assert!(problem.place.line as usize <= text.lines().count().max(1), "{}", problem);
        }
    }
}
