//! What the fuzz targets share: a stream in memory, our reading of a connection, and hyper's.
//!
//! Nothing here says what is right: the targets compare.

#![forbid(unsafe_code)]

pub mod ours;
pub mod stream;
pub mod theirs;

/// Bytes of an input that say how the rest of it is cut into reads and writes. Seeds have printable ones.
pub const STEER_BYTES: usize = 8;

/// An input as its steering bytes and what they steer; `None` when it is too short to have both.
pub fn steered(input: &[u8]) -> Option<(&[u8], &[u8])> {
    input.split_at_checked(STEER_BYTES)
}

/// A field line.
pub type Line = (Vec<u8>, Vec<u8>);

/// Field lines, or trailers, as owned pairs.
pub fn owned<'a>(lines: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<Line> {
    lines.map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// The same lines for a reader that does not keep case, nor the order of lines with different names.
pub fn normalised(lines: &[Line]) -> Vec<Line> {
    let mut lines: Vec<Line> =
        lines.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines
}
