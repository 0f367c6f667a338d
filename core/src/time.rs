//! Points in time and days, as arguments: this crate never asks what time it is.
//!
//! Unix time (POSIX.1-2024, 4.19): seconds since 1970-01-01T00:00:00Z in which every day has 86,400 of them. A leap
//! second has the same number as the second after it.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Seconds in a day.
pub const DAY: i64 = 86_400;

/// A second of Unix time. Negative values are before 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
    pub const MAX: Self = Self(253_402_300_799);

    /// The time so many seconds after 1970; those beyond the range of the type are its end.
    pub const fn from_unsigned(seconds: u64) -> Self {
        Self(0_i64.saturating_add_unsigned(seconds))
    }

    /// The time so many days later; never beyond the range of the type.
    pub const fn plus_days(self, days: u32) -> Self {
        Self(self.0.saturating_add(days as i64 * DAY))
    }

    /// The end of the day that this time is in, wherever on earth; see [`UnixTime::end_of_day`].
    pub const fn day_end(self) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(DAY)).saturating_add(DAY + DAY / 2))
    }

    /// Whole days from `earlier` until this time, a started one counted as whole; 0 when it is past.
    #[expect(clippy::cast_possible_truncation, reason = "the value was compared with the greatest")]
    pub const fn days_since(self, earlier: Self) -> Days {
        let seconds = self.0.saturating_sub(earlier.0);
        if seconds <= 0 {
            return Days(0);
        }
        let days = (seconds - 1) / DAY + 1;
        Days(if days > u32::MAX as i64 { u32::MAX } else { days as u32 })
    }

    /// The end of a calendar day wherever on earth it is: noon UTC of the day after (UTC-12 is the last zone to end
    /// a day). `None` when there is no such day between 1970 and 9999.
    pub fn end_of_day(date: &str) -> Option<Self> {
        let mut parts = date.split('-');
        let mut field = |digits: usize| {
            let text = parts.next().filter(|text| text.len() == digits)?;
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok())?
        };
        let (year, month, day) = (field(4)?, field(2)?, field(2)?);
        let valid = parts.next().is_none() && year >= 1970 && (1..=12).contains(&month) && day >= 1;
        let days = days_from_civil(year, month, day);
        // A day that its month does not have comes back as one of the next month.
        let time = Self(days * DAY + DAY + DAY / 2);
        (valid && civil(days) == (i64::from(year), month, day) && time <= Self::MAX).then_some(time)
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar, by counting years from March.
fn days_from_civil(year: u32, month: u32, day: u32) -> i64 {
    let shifted = i64::from(year) - i64::from(month <= 2);
    let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let day_of_year =
        (153 * (i64::from(month) + if month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let narrow = |value: i64| u32::try_from(value).unwrap_or_default();
    (year, narrow(month), narrow(day))
}

/// As RFC 3339, in UTC.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
    }
}

/// A number of days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Days(pub u32);

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, if self.0 == 1 { "day" } else { "days" })
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn dates_print_as_date_does() {
        // From `date --utc --date=@N +%FT%TZ`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_483_228_800, "2017-01-01T00:00:00Z"), // follows the leap second 2016-12-31T23:59:60Z
            (2_147_483_648, "2038-01-19T03:14:08Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(UnixTime(seconds).to_string(), text);
        }
    }

    #[test]
    fn every_day_of_four_centuries_is_one_after_the_day_before() {
        for days in 0..146_097 {
            let (year, month, day) = civil(days);
            assert_eq!(days_from_civil(u32::try_from(year).unwrap(), month, day), days);
        }
    }

    #[test]
    fn days_end_when_they_have_ended_everywhere() {
        assert_eq!(UnixTime::end_of_day("2027-01-31").unwrap().to_string(), "2027-02-01T12:00:00Z");
        assert_eq!(UnixTime::end_of_day("2028-02-29").unwrap().to_string(), "2028-03-01T12:00:00Z");
        for wrong in [
            "",
            "2027",
            "2027-02-29",
            "2027-13-01",
            "2027-00-01",
            "2027-01-00",
            "2027-01-32",
            "2027-1-1",
            "1969-01-01",
            "9999-12-31",
            "2027-01-01-01",
            "2027-+1-01",
            "02027-01-01",
        ] {
            assert_eq!(UnixTime::end_of_day(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_end_of_a_day_is_that_of_its_date() {
        let end = UnixTime::end_of_day("2027-01-31").unwrap();
        let midnight = end.0 - DAY - DAY / 2;
        for second in [0, 1, DAY / 2, DAY - 1] {
            assert_eq!(UnixTime(midnight + second).day_end(), end);
        }
        assert_eq!(UnixTime(midnight - 1).day_end(), UnixTime(end.0 - DAY));
        assert_eq!(UnixTime(midnight + DAY).day_end(), UnixTime(end.0 + DAY));
        assert_eq!(UnixTime(-1).day_end(), UnixTime(DAY / 2));
    }

    #[test]
    fn what_is_beyond_the_range_is_its_end() {
        let largest = i64::MAX.unsigned_abs();
        let times = [0, 1, largest - 1, largest, largest + 1, u64::MAX]
            .map(|seconds| UnixTime::from_unsigned(seconds).0);
        assert_eq!(times, [0, 1, i64::MAX - 1, i64::MAX, i64::MAX, i64::MAX]);
    }

    #[test]
    fn started_days_count() {
        let at = |seconds| UnixTime(seconds).days_since(UnixTime(1000)).0;
        assert_eq!((at(0), at(1000), at(1001), at(1000 + DAY), at(1001 + DAY)), (0, 0, 1, 1, 2));
        assert_eq!(UnixTime(i64::MAX).days_since(UnixTime(i64::MIN)).0, u32::MAX);
        assert_eq!(UnixTime(i64::MAX).plus_days(1), UnixTime(i64::MAX));
    }
}
