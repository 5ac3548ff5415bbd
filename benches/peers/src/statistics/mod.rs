//! What is made of many measured values: percentiles, medians, quartiles and ratios of pairs.

mod histogram;
mod spread;

pub use histogram::Histogram;
pub use spread::{Spread, paired};
