//! What the figures of samples are called in tables.

/// The head of a column.
///
/// # Panics
///
/// If no column is called so: a table belongs to its code.
pub fn heading(name: &str) -> &'static str {
    let known = HEADINGS.iter().find(|(known, _)| *known == name);
    known.unwrap_or_else(|| panic!("no heading for {name}")).1
}

const HEADINGS: [(&str, &str); 21] = [
    ("calls", "system calls/request"),
    ("connections", "connections"),
    ("cpu_ms_per_mib", "CPU ms/MiB"),
    ("cpu_us", "CPU µs/request"),
    ("full", "full handshakes"),
    ("kib_each", "KiB each"),
    ("mb_per_s", "MB/s"),
    ("busiest", "busiest worker, % of CPU"),
    ("ready_ms", "ready after ms"),
    ("p50_us", "p50 µs"),
    ("p99_us", "p99 µs"),
    ("p999_us", "p99.9 µs"),
    ("post_quantum", "with X25519MLKEM768"),
    ("proportional_mib", "MiB, shared pages divided"),
    ("resident_mib", "MiB resident"),
    ("resumed", "resumed handshakes"),
    ("rps", "requests/s"),
    ("share", "% of the best peer's saturation"),
    ("system_us", "in the kernel"),
    ("unsent", "due, not sent"),
    ("user_us", "in the program"),
];
