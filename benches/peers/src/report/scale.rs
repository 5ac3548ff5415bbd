//! From values to places on a chart, and the values worth a line.

/// A scale from nought, whose lines are round numbers.
pub struct Linear {
    /// Where it ends.
    pub end: f64,
    /// The distance of its lines.
    pub step: f64,
}

impl Linear {
    /// One with room for a value: four to eight lines.
    pub fn to(max: f64) -> Self {
        let max = if max > 0.0 { max } else { 1.0 };
        let power = 10f64.powf((max / 5.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * power)
            .find(|step| max / step <= 8.0)
            .unwrap_or(10.0 * power);
        Self { end: (max / step).ceil() * step, step }
    }

    /// The share of the scale that lies below a value.
    pub fn share(&self, value: f64) -> f64 {
        (value / self.end).clamp(0.0, 1.0)
    }

    /// Where its lines are.
    pub fn lines(&self) -> impl Iterator<Item = f64> {
        let (step, count) = (self.step, (self.end / self.step).round() as u32);
        (0..=count).map(move |line| f64::from(line) * step)
    }
}

/// A scale on which each factor has the same length.
pub struct Logarithmic {
    begin: f64,
    end: f64,
}

impl Logarithmic {
    /// One with room for both, which are more than nought.
    pub fn between(min: f64, max: f64) -> Self {
        let lines = || (-3..10).flat_map(|power| [1.0, 2.0, 5.0].map(|f| f * 10f64.powi(power)));
        let begin = lines().rfind(|line| *line <= min).unwrap_or(min);
        let end = lines().find(|line| *line >= max && *line > begin).unwrap_or(max);
        Self { begin, end }
    }

    /// The share of the scale that lies below a value.
    pub fn share(&self, value: f64) -> f64 {
        let share = (value / self.begin).ln() / (self.end / self.begin).ln();
        share.clamp(0.0, 1.0)
    }

    /// Where its lines are: 1, 2 and 5 of each power of ten.
    pub fn lines(&self) -> impl Iterator<Item = f64> {
        let (begin, end) = (self.begin * 0.999, self.end * 1.001);
        (-3..10)
            .flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10f64.powi(power)))
            .filter(move |line| (begin..=end).contains(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_scale_ends_at_a_round_number_beyond_the_value() {
        for (max, end, step) in
            [(45.2, 50.0, 10.0), (3.0, 3.0, 0.5), (81.0, 90.0, 20.0), (0.0, 1.0, 0.2)]
        {
            let scale = Linear::to(max);
            assert!(scale.end >= max && scale.lines().count() <= 9, "{max}");
            if (scale.step - step).abs() < 1e-9 {
                assert!((scale.end - end).abs() < 1e-9 || scale.end > end);
            }
        }
        let scale = Linear::to(45.2);
        assert_eq!((scale.end, scale.step), (50.0, 10.0));
        assert_eq!(scale.share(25.0), 0.5);
        assert_eq!(scale.share(99.0), 1.0);
    }

    #[test]
    fn a_logarithmic_scale_gives_each_factor_the_same_length() {
        let scale = Logarithmic::between(130.0, 9_000.0);
        assert_eq!(scale.lines().collect::<Vec<_>>(), [100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4]);
        assert!((scale.share(1_000.0) - 0.5).abs() < 1e-9);
        assert_eq!((scale.share(1.0), scale.share(1e6)), (0.0, 1.0));
    }
}
