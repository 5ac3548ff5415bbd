//! What a program does, by callgrind's count: instructions and allocations.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The C library's functions that allocate.
const ALLOCATING: [&str; 6] =
    ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign"];

/// AWS-LC makes its first random numbers out of jitter, for as long as chance will have it.
const BY_CHANCE: &str = "jent_";

/// What one thread did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// User instructions, but for those that gather entropy.
    pub instructions: f64,
    /// Calls of what allocates.
    pub allocations: f64,
}

/// Whether callgrind is installed; else what to install.
pub fn installed() -> Result<(), String> {
    let found = Command::new("valgrind").arg("--version").output();
    found.map(drop).map_err(|_| "install valgrind".to_owned())
}

/// The words that run a program under callgrind; what it counts is put into `directory`.
pub fn tool(directory: &Path) -> Vec<String> {
    let out = format!("--callgrind-out-file={}/out", directory.display());
    ["valgrind", "--quiet", "--tool=callgrind", "--separate-threads=yes", &out]
        .map(str::to_owned)
        .to_vec()
}

/// What the thread that runs functions named like this did. A program has ended when it is asked for.
pub fn read(directory: &Path, function: &str) -> Counts {
    let mut counts = Counts::default();
    for entry in fs::read_dir(directory).expect("it was made here") {
        let text = fs::read_to_string(entry.expect("a file").path()).expect("text");
        if text.contains(function) {
            add(&mut counts, &text);
        }
    }
    counts
}

/// Adds what stands behind each function (`fn=(7) name`, later only `fn=(7)`): lines of its own cost, and
/// `calls=N ...` of one that it calls (`cfn=`), whose cost in all is told in the next line.
fn add(counts: &mut Counts, text: &str) {
    let mut names = HashMap::new();
    let (mut caller, mut called) = ("", "");
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(function) = line.strip_prefix("fn=") {
            caller = resolve(function, &mut names);
        } else if let Some(function) = line.strip_prefix("cfn=") {
            called = resolve(function, &mut names);
        } else if let Some(calls) = line.strip_prefix("calls=") {
            lines.next();
            if ALLOCATING.contains(&called) && !ALLOCATING.contains(&caller) {
                counts.allocations += number(calls.split(' ').next());
            }
        } else if line.starts_with(|first: char| "+-*".contains(first) || first.is_ascii_digit())
            && !caller.contains(BY_CHANCE)
        {
            counts.instructions += number(line.split(' ').next_back());
        }
    }
}

fn number(word: Option<&str>) -> f64 {
    word.and_then(|word| word.parse().ok()).expect("callgrind counts")
}

fn resolve<'t>(function: &'t str, names: &mut HashMap<&'t str, &'t str>) -> &'t str {
    match function.split_once(' ') {
        Some((number, name)) => {
            names.insert(number, name);
            name
        }
        None => names.get(function).copied().unwrap_or_default(),
    }
}
