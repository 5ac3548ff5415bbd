//! Durations as people write them: `25s`, `1m30s`, `0.25s`, `500ms`.
//!
//! Go's form without a sign, of which protobuf's JSON form (`0.25s`) is a part. No days, no spaces.

use std::time::Duration;

/// The longest duration that can be written: a hundred years. Longer ones are typing errors, and this
/// keeps deadlines computed from them inside what a clock can hold.
const NANOSECONDS_MAX: u128 = 100 * 365 * 24 * 3600 * 1_000_000_000;

/// Units from the longest to the shortest, in nanoseconds.
const UNITS: [(&str, u128); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads a duration: one or more numbers, each with its unit (h, m, s, ms, us, ns); `0` needs no unit.
///
/// Errors: a sentence that says what to write instead.
pub fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let wrong = || {
        format!(
            "\"{text}\" is not a duration; write a number and a unit, as in 25s, 500ms or 1m30s"
        )
    };
    let mut nanoseconds = 0u128;
    let mut rest = text;
    while !rest.is_empty() || text.is_empty() {
        let (amount, after) = take_amount(rest).ok_or_else(wrong)?;
        let (unit, after) = take_unit(after);
        let (_, per_unit) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        nanoseconds += amount.whole * per_unit + amount.fraction * per_unit / amount.fraction_of;
        if nanoseconds > NANOSECONDS_MAX {
            return Err(format!(
                "\"{text}\" is longer than a hundred years; write a shorter duration"
            ));
        }
        rest = after;
    }
    // Both fit: a hundred years are far below u64::MAX seconds, and a remainder is below a billion.
    Ok(Duration::new((nanoseconds / 1_000_000_000) as u64, (nanoseconds % 1_000_000_000) as u32))
}

/// A decimal number: `whole + fraction / fraction_of`.
struct Amount {
    whole: u128,
    fraction: u128,
    fraction_of: u128,
}

/// Takes digits with at most one point off the front; `None` without a digit or with more than 15 on a side.
fn take_amount(text: &str) -> Option<(Amount, &str)> {
    let (whole, rest) = take_digits(text)?;
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(after_point) => take_digits(after_point)?,
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let number =
        |digits: &str| digits.bytes().fold(0u128, |sum, digit| sum * 10 + u128::from(digit - b'0'));
    let fraction_of = 10u128.pow(fraction.len() as u32); // at most 15 digits
    Some((Amount { whole: number(whole), fraction: number(fraction), fraction_of }, rest))
}

fn take_digits(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    (end <= 15).then(|| text.split_at(end))
}

fn take_unit(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| byte.is_ascii_digit() || byte == b'.');
    match text.split_at(end.unwrap_or(text.len())) {
        ("µs", rest) => ("us", rest),
        split => split,
    }
}

/// Writes a duration so that [`parse`] reads the same one: `25s`, `1m30s`, `500ms`.
pub fn format(duration: Duration) -> String {
    let mut nanoseconds = duration.as_nanos();
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, per_unit) in UNITS {
        if nanoseconds >= per_unit {
            text.push_str(&format!("{}{unit}", nanoseconds / per_unit));
            nanoseconds %= per_unit;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_and_protobuf_write_them() {
        for (text, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("25s", 25_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("0.25s", 250),
            (".5s", 500),
            ("1h5m", 3_900_000),
            ("1.5h", 5_400_000),
            ("2000us", 2),
            ("2000µs", 2),
            ("1000000ns", 1),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "25",
            "s",
            "-1s",
            "+1s",
            "1 s",
            "1d",
            "25x",
            "1.2.3s",
            ".s",
            "1s2",
            "1e3s",
            "9999999999h",
            "12345678901234567890s",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_written_duration_is_read_back() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (25_000_000_000, "25s"),
            (90_000_000_000, "1m30s"),
            (500_000_000, "500ms"),
            (3_600_000_000_001, "1h1ns"),
            (1_250_000, "1ms250us"),
        ] {
            let duration = Duration::from_nanos(nanoseconds);
            assert_eq!(format(duration), text);
            assert_eq!(parse(text), Ok(duration));
        }
    }
}
