//! `egret check` from the outside: every field accounted for, every mistake named at its place, in every form of output.
//!
//! It compiles texts, and runs the real binary where exit codes and output count; it opens no socket.

mod accounting;
mod broken;
mod codes;
mod files;
mod mutations;
mod output;
mod scale;
mod strange;

use std::process::{Command, Stdio};

use egret::config::{self, Compiled, Identity, Materials, document};

/// What a text compiles to; nothing that it points at exists.
fn compile(text: &str) -> Compiled {
    let (documents, problems) = document::parse("t.yaml", text);
    let mut compiled = config::compile(&documents, &Materials::new(), &Identity::default());
    compiled.problems.splice(0..0, problems);
    compiled
}

/// What `egret check` prints of a file, and its exit code.
fn check(file: &std::path::Path, arguments: &[&str]) -> (String, i32) {
    run(&[&["check"], arguments].concat(), file)
}

/// What a command prints of a file, and its exit code.
#[expect(clippy::disallowed_methods, reason = "nothing of ours may be in its environment")]
fn run(arguments: &[&str], file: &std::path::Path) -> (String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_egret"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("EGRET_")) {
        command.env_remove(name);
    }
    let output = command
        .args(arguments)
        .arg("-c")
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .expect("egret can be started");
    let out = String::from_utf8(output.stdout).expect("UTF-8");
    (out, output.status.code().expect("it ends by itself"))
}
