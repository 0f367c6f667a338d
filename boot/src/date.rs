//! Dates of the proleptic Gregorian calendar, UTC, as the formats of archives and images need them.

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Sat, 12 Sep 2026 07:55:41 UTC` as Unix time (days from civil, proleptic Gregorian calendar).
pub fn parse_rfc822(text: &str) -> Option<u64> {
    let mut words = text.split_whitespace().skip(1);
    let day: u64 = words.next()?.parse().ok()?;
    let month = words.next().and_then(|name| MONTHS.iter().position(|month| *month == name))? as u64 + 1;
    let year: u64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let seconds = clock.next()?? * 3600 + clock.next()?? * 60 + clock.next()??;
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + seconds)
}

/// The inverse of [`parse_rfc822`]; the day of the week is not read by apt but expected by it.
pub fn rfc822(time: u64) -> String {
    let days = time / 86_400;
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7) as usize];
    let (year, month, day) = civil(days);
    let (h, m, s) = (time / 3600 % 24, time / 60 % 60, time % 60);
    format!("{weekday}, {day:02} {} {year} {h:02}:{m:02}:{s:02} UTC", MONTHS[month - 1])
}

/// `2026-09-12 07:55:41`, in UTC, as `faketime` reads it.
pub fn clock(time: u64) -> String {
    let (year, month, day) = civil(time / 86_400);
    let (h, m, s) = (time / 3600 % 24, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02} {h:02}:{m:02}:{s:02}")
}

/// Year, month and day of a number of days since 1970-01-01.
pub fn civil(days: u64) -> (u64, usize, u64) {
    let z = days + 719_468;
    let era_day = z % 146_097;
    let era_year = (era_day - era_day / 1460 + era_day / 36_524 - era_day / 146_096) / 365;
    let year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    let shifted = (5 * year_day + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = z / 146_097 * 400 + era_year + u64::from(month <= 2);
    (year, usize::try_from(month).unwrap_or(1), year_day - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_round_trip() {
        for (text, time) in [
            ("Thu, 01 Jan 1970 00:00:00 UTC", 0),
            ("Sat, 12 Sep 2026 07:55:41 UTC", 1_789_199_741),
            ("Thu, 29 Feb 2024 23:59:59 UTC", 1_709_251_199),
        ] {
            assert_eq!(parse_rfc822(text), Some(time));
            assert_eq!(rfc822(time), text);
        }
        assert_eq!(clock(1_789_199_741), "2026-09-12 07:55:41");
    }
}
