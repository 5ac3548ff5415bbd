//! What somebody may have meant by a name that nobody knows.
//!
//! It compares words and knows no list of them.

/// What to write instead of an unknown field or value: the nearest known name, or all of them.
pub fn nearest(unknown: &str, known: &[&str]) -> String {
    match misspelt(unknown, known, 1 + unknown.len() / 3) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The known name that an unknown one is probably a misspelling of: the nearest, when it differs in at
/// most so many letters.
pub fn misspelt<'k>(unknown: &str, known: &[&'k str], letters_max: usize) -> Option<&'k str> {
    let distance =
        |name: &&str| edit_distance(&unknown.to_ascii_lowercase(), &name.to_ascii_lowercase());
    let name = known.iter().copied().min_by_key(distance)?;
    (distance(&name) <= letters_max).then_some(name)
}

/// How many letters must be added, removed or replaced to make one word of the other (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
