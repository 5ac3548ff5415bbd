//! The floors of the source tree: who may import whom, which library is named where, and where Istio's words stop.
//!
//! It reads the source as text. Every `crate::module` counts, in tests too; libraries count outside tests.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of each floor; imports go down only. Those of floor 0 may use `model`.
const FLOORS: [&[&str]; 8] = [
    &["model", "wire", "observe", "drain", "quota", "settings"],
    &["transport"], // what both sides of an exchange stand on
    &["config", "upstream", "downstream"],
    &["snapshot"],
    &["proxy", "inspect"],
    &["listen"],
    &["worker", "control", "admin"],
    &["main", "cli", "app"],
];

/// Where each library may be named: files, and folders of the same name.
const LIBRARIES: [(&str, &[&str]); 9] = [
    ("tokio_rustls", &["upstream/tls", "cli/demo"]),
    ("rustls", &["upstream/tls", "cli/demo"]),
    ("webpki_roots", &["upstream/tls"]),
    ("hickory_resolver", &["upstream/dns"]),
    ("granit_parser", &["config/document"]),
    ("httparse", &["wire/parse"]),
    ("h2", &["downstream/h2", "upstream/h2", "transport/frames"]),
    ("hyper", &["admin"]),
    ("futures_util", &["proxy/clients"]),
];

const ISTIO_WORDS: [&str; 5] =
    ["VirtualService", "DestinationRule", "ServiceEntry", "subset", "exportTo"];

#[test]
fn imports_go_down_only() {
    let mut offending = Vec::new();
    for (path, text) in sources() {
        let from = path.split(['/', '.']).next().unwrap_or_default();
        if from == "lib" {
            continue; // it declares the modules
        }
        let floor =
            floor(from).unwrap_or_else(|| panic!("src/{path}: module {from} is on no floor"));
        for to in modules_named(&code(&text)) {
            let allowed =
                to == from || (floor == 0 && to == "model") || self::floor(&to) < Some(floor);
            // Within the top floor the process is put together.
            if self::floor(&to).is_some() && !allowed && floor + 1 != FLOORS.len() {
                offending.push(format!("src/{path} imports {to}"));
            }
        }
    }
    assert!(offending.is_empty(), "imports only go down the floors:\n{}", offending.join("\n"));
}

#[test]
fn libraries_are_named_in_one_place() {
    let mut offending = Vec::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| !is_test(path)) {
        let text = code(without_tests(&text));
        for (library, places) in LIBRARIES {
            let at_home = places.iter().any(|place| {
                path == format!("{place}.rs") || path.starts_with(&format!("{place}/"))
            });
            if !at_home && names_library(&text, library) {
                offending.push(format!("src/{path} names {library}; it belongs in {places:?}"));
            }
        }
    }
    assert!(offending.is_empty(), "{}", offending.join("\n"));
}

#[test]
fn istio_words_stay_in_their_folder() {
    let mut offending = Vec::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| !path.starts_with("config/istio/"))
    {
        for word in ISTIO_WORDS {
            for (number, line) in text.lines().enumerate().filter(|(_, line)| line.contains(word)) {
                offending.push(format!("src/{path}:{}: {word}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(
        offending.is_empty(),
        "Istio's words stay in src/config/istio:\n{}",
        offending.join("\n")
    );
}

/// Whoever looks up a code that `check` printed finds it in the table.
#[test]
fn every_code_of_a_problem_is_in_the_table() {
    let mut missing = Vec::new();
    for (path, text) in sources() {
        for (at, _) in text.match_indices("\"EG") {
            let code = text[at + 1..].split('"').next().unwrap_or_default();
            let is_code = code.len() == 5 && code[2..].bytes().all(|digit| digit.is_ascii_digit());
            if is_code && !egret::config::problem::CODES.iter().any(|(known, _)| *known == code) {
                missing.push(format!("src/{path}: {code}"));
            }
        }
    }
    assert!(missing.is_empty(), "not in config::problem::CODES:\n{}", missing.join("\n"));
}

#[test]
fn the_checks_find_what_they_look_for() {
    assert_eq!(
        modules_named("use crate::{model::Host, wire};\nlet x = crate::proxy::f();"),
        ["model", "wire", "proxy"]
    );
    assert_eq!(
        modules_named("use crate::{\n    observe::{Record, Stats},\n    drain::Drain,\n};"),
        ["observe", "drain"]
    );
    assert!(
        names_library("use h2::server;", "h2") && names_library("let x = ::h2::client::f();", "h2")
    );
    assert!(!names_library("use super::h2;\nh2::open();", "h2"), "our own module of that name");
    assert!(
        !names_library("use tokio_rustls::TlsStream;", "rustls"),
        "another crate whose name ends so"
    );
    assert!(without_tests("a\n#[cfg(test)]\nmod tests {\n b }").trim() == "a");
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

/// The first module of every path that begins with `crate::` (or `egret::`, in main), groups included.
fn modules_named(text: &str) -> Vec<String> {
    let word = |text: &str| {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    let mut modules = Vec::new();
    for rest in text.split("crate::").skip(1).chain(text.split("egret::").skip(1)) {
        let Some(group) = rest.strip_prefix('{') else {
            modules.push(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = true;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && c.is_alphabetic() => {
                    modules.push(word(&group[at..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    modules
}

fn names_library(text: &str, library: &str) -> bool {
    if text.contains(&format!("::{library}::"))
        && text.lines().any(|line| line.contains(&format!(" ::{library}::")))
    {
        return true;
    }
    // A module of ours with that name, declared or imported here, hides the library.
    let ours = text.lines().any(|line| {
        let imports = line.contains("super::")
            || line.contains("crate::")
            || line.trim_start().starts_with("pub mod")
            || line.trim_start().starts_with("mod ");
        imports
            && line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == library)
    });
    let named = text.match_indices(&format!("{library}::")).any(|(at, _)| {
        let before = text[..at].chars().next_back().unwrap_or(' ');
        !before.is_alphanumeric() && before != '_' && before != ':'
    });
    named && !ours
}

/// The text without its comment lines.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/")
}

/// Every source file: its path below `src/`, and its text.
fn sources() -> Vec<(String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(!found.is_empty(), "no source below {}", root.display());
    found
}

fn collect(folder: &Path, root: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder)
        .expect("a readable folder")
        .map(|entry| entry.expect("a readable entry").path())
    {
        if entry.is_dir() {
            collect(&entry, root, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            let path = entry.strip_prefix(root).expect("below the root").display().to_string();
            found.push((path, fs::read_to_string(&entry).expect("readable source")));
        }
    }
}
