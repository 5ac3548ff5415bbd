//! Codes are stable and documented: the source, the table of all codes and the README say the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use egret::config::problem::CODES;

/// Every `EG000` in a text.
fn codes_in(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("EG0").filter_map(|(at, _)| {
        let code = text.get(at..at + 5)?;
        code[2..].bytes().all(|byte| byte.is_ascii_digit()).then_some(code)
    })
}

fn sources(directory: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("readable");
            found.push((path.display().to_string(), text));
        }
    }
}

#[test]
fn every_code_in_the_source_is_in_the_table_and_every_one_in_the_table_is_in_use() {
    let mut found = Vec::new();
    sources(Path::new("src"), &mut found);
    let mut used: BTreeMap<&str, &str> = BTreeMap::new();
    for (path, text) in found.iter().filter(|(path, _)| !path.ends_with("config/problem.rs")) {
        for code in codes_in(text) {
            used.insert(code, path);
        }
    }
    let known: Vec<&str> = CODES.iter().map(|(code, _)| *code).collect();
    for (code, path) in &used {
        assert!(known.contains(code), "{code} of {path} is not in CODES");
    }
    for code in &known {
        assert!(used.contains_key(code), "{code} is in CODES and nowhere else");
    }
    assert!(known.is_sorted(), "CODES are in order");
}

#[test]
fn the_readme_lists_every_code_with_its_subject() {
    let readme = fs::read_to_string("README.md").expect("the README");
    let listed: Vec<(&str, &str)> = readme
        .lines()
        .filter(|line| line.starts_with("| EG"))
        .filter_map(|line| line.trim_matches(['|', ' ']).split_once(" | "))
        .collect();
    assert_eq!(listed, CODES);
}
