//! `2018-11-28T10:19:56.123Z`, with the part that stays the same for a second kept.
//!
//! No time zones and no leap seconds: UTC as Unix counts it. It reads no clock.

/// Writes times. Within one second only the milliseconds are computed.
#[derive(Debug)]
pub struct Timestamp {
    /// The second that `text` is of.
    second: u64,
    /// `2018-11-28T10:19:56.`
    text: [u8; 20],
}

impl Default for Timestamp {
    fn default() -> Self {
        Self { second: 0, text: *b"1970-01-01T00:00:00." }
    }
}

/// 9999-12-31T23:59:59.999Z; later times would need a fifth digit and are written as this one.
const LAST_MS: u64 = 253_402_300_799_999;

impl Timestamp {
    /// Appends the time that is `unix_ms` milliseconds after 1970 UTC.
    pub fn write(&mut self, out: &mut Vec<u8>, unix_ms: u64) {
        let unix_ms = unix_ms.min(LAST_MS);
        let second = unix_ms / 1000;
        if second != self.second {
            self.second = second;
            self.text = seconds_text(second);
        }
        out.extend_from_slice(&self.text);
        let ms = unix_ms % 1000;
        out.extend_from_slice(&[digit(ms / 100), digit(ms / 10), digit(ms), b'Z']);
    }
}

fn seconds_text(second: u64) -> [u8; 20] {
    let (year, month, day) = civil(second / 86_400);
    let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
    let mut text = *b"0000-00-00T00:00:00.";
    text[0] = digit(year / 1000);
    text[1] = digit(year / 100);
    for (at, two) in [(2, year), (5, month), (8, day), (11, hour), (14, minute), (17, second)] {
        text[at] = digit(two / 10);
        text[at + 1] = digit(two);
    }
    text
}

/// Year, month and day that is `days` after 1970-01-01, in the Gregorian calendar. Years are
/// counted from March, so that the leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days + 719_468; // since 0000-03-01
    let era = days / DAYS_IN_400_YEARS;
    let day_of_era = days % DAYS_IN_400_YEARS;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153; // 0 is March
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// The last digit of a number.
fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_543_400_396_123, "2018-11-28T10:19:56.123Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599_007, "2024-12-31T23:59:59.007Z"),
            (1_735_689_600_070, "2025-01-01T00:00:00.070Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ];
        let mut stamp = Timestamp::default();
        for (unix_ms, expected) in cases {
            let mut out = Vec::new();
            stamp.write(&mut out, unix_ms);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
