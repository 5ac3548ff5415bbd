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

const HEADINGS: [(&str, &str); 24] = [
    ("busiest", "busiest thread, % of CPU"),
    ("calls", "system calls/request"),
    ("connections", "connections"),
    ("added_percent", "what it adds, %"),
    ("cpu_ms_per_mib", "CPU ms/MiB"),
    ("cpu_us", "CPU µs/request"),
    ("disturbances", "disturbances"),
    ("full", "full handshakes"),
    ("kib_each", "KiB each"),
    ("load_us", "CPU µs/request of origin and generator"),
    ("log_bytes", "bytes of log/request"),
    ("mb_per_s", "MB/s"),
    ("ready_ms", "ready after ms"),
    ("p50_us", "p50 µs"),
    ("p99_us", "p99 µs"),
    ("p999_us", "p99.9 µs"),
    ("pq_percent", "with X25519MLKEM768, %"),
    ("proportional_mib", "MiB, shared pages divided"),
    ("resident_mib", "MiB resident"),
    ("resumed", "resumed handshakes"),
    ("resumed_percent", "resumed, %"),
    ("rps", "requests/s"),
    ("system_us", "in the kernel"),
    ("user_us", "in the program"),
];
