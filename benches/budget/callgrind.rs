//! What a program does, by callgrind's count: instructions and allocations.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The C library's functions that allocate.
const ALLOCATING: [&str; 6] =
    ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign"];

/// What one thread did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// User instructions.
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
            counts.instructions += instructions(&text);
            counts.allocations += allocations(&text);
        }
    }
    counts
}

fn instructions(text: &str) -> f64 {
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    total.and_then(|total| total.trim().parse().ok()).expect("callgrind sums up")
}

/// Adds up `calls=N ...` where the function named before it (`cfn=(7) malloc`, later only `cfn=(7)`)
/// allocates, and is not called by another of them.
fn allocations(text: &str) -> f64 {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let (mut caller, mut called, mut sum) = ("", "", 0.0);
    for line in text.lines() {
        if let Some(function) = line.strip_prefix("fn=") {
            caller = resolve(function, &mut names);
        } else if let Some(function) = line.strip_prefix("cfn=") {
            called = resolve(function, &mut names);
        } else if let Some(calls) = line.strip_prefix("calls=")
            && ALLOCATING.contains(&called)
            && !ALLOCATING.contains(&caller)
        {
            let count = calls.split(' ').next().and_then(|count| count.parse::<f64>().ok());
            sum += count.expect("callgrind counts");
        }
    }
    sum
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
