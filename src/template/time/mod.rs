//! Times, durations and Go's layouts for them.
//!
//! There is no local zone: it is taken for UTC, as it is in a container, so that
//! the same chart renders the same everywhere.

mod layout;
mod reader;

pub(crate) use layout::format;
pub(crate) use reader::parse;

/// A point in time, shown in a zone.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub seconds: i64,
    pub nanos: u32,
    pub zone: Zone,
}

/// An offset from UTC with its abbreviation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    pub offset: i32,
    pub name: String,
}

impl Zone {
    pub(crate) fn utc() -> Self {
        Self { offset: 0, name: "UTC".to_owned() }
    }

    /// The zone `name` as it is at a time. Unknown ones are UTC, as in Sprig.
    pub(crate) fn named(name: &str, seconds: i64) -> Self {
        if matches!(name, "" | "UTC" | "Local") {
            return Self::utc();
        }
        // The bundled database, never the machine's: renders are the same everywhere.
        let found =
            jiff::tz::TimeZoneDatabase::bundled().get(name).ok().zip(jiff::Timestamp::from_second(seconds).ok());
        found.map_or_else(Self::utc, |(zone, at)| {
            let info = zone.to_offset_info(at);
            Self { offset: info.offset().seconds(), name: info.abbreviation().to_owned() }
        })
    }
}

/// A time as a calendar and a clock show it.
pub(crate) struct Civil {
    pub year: i64,
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub year_day: u32,
    /// 0 is Sunday.
    pub weekday: usize,
}

pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(crate) const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Civil {
    pub(crate) fn month_name(&self) -> &'static str {
        MONTHS[self.month as usize - 1]
    }

    pub(crate) fn weekday_name(&self) -> &'static str {
        DAYS[self.weekday]
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
pub(crate) fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = i64::from((month + 9) % 12);
    let day_of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = u32::try_from(day_of_year - (153 * shifted + 2) / 5 + 1).unwrap_or(1);
    let month = u32::try_from(if shifted < 10 { shifted + 3 } else { shifted - 9 }).unwrap_or(1);
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

impl Moment {
    /// The first instant of year 1, Go's zero time.
    pub(crate) const ZERO: Self =
        Self { seconds: -62_135_596_800, nanos: 0, zone: Zone { offset: 0, name: String::new() } };

    pub(crate) fn civil(&self) -> Civil {
        let local = self.seconds.saturating_add(self.zone.offset.into());
        let (days, clock) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        let clock = u32::try_from(clock).unwrap_or(0);
        let (year, month, day) = civil_from_days(days);
        Civil {
            year,
            month,
            day,
            hour: clock / 3600,
            minute: clock / 60 % 60,
            second: clock % 60,
            year_day: u32::try_from(days - days_from_civil(year, 1, 1) + 1).unwrap_or(1),
            weekday: usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0),
        }
    }

    pub(crate) fn plus(&self, nanos: i64) -> Self {
        let total = i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos) + i128::from(nanos);
        let seconds = i64::try_from(total.div_euclid(1_000_000_000)).unwrap_or(self.seconds);
        let nanos = u32::try_from(total.rem_euclid(1_000_000_000)).unwrap_or(0);
        Self { seconds, nanos, zone: self.zone.clone() }
    }

    pub(crate) fn plus_date(&self, years: i64, months: i64, days: i64) -> Self {
        const FAR: i64 = 1_000_000;
        let civil = self.civil();
        let month0 = i64::from(civil.month) - 1 + months.clamp(-FAR, FAR);
        let year = civil.year + years.clamp(-FAR, FAR) + month0.div_euclid(12);
        let month = u32::try_from(month0.rem_euclid(12) + 1).unwrap_or(1);
        let shifted = days_from_civil(year, month, 1) + i64::from(civil.day) - 1 + days.clamp(-FAR, FAR);
        let clock = self.seconds.saturating_add(self.zone.offset.into()).rem_euclid(86_400);
        let seconds = shifted * 86_400 + clock - i64::from(self.zone.offset);
        Self { seconds, nanos: self.nanos, zone: self.zone.clone() }
    }

    /// Nanoseconds from `earlier` to this.
    pub(crate) fn since(&self, earlier: &Self) -> i64 {
        let seconds = i128::from(self.seconds) - i128::from(earlier.seconds);
        let nanos = seconds * 1_000_000_000 + i128::from(self.nanos) - i128::from(earlier.nanos);
        i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
    }
}

/// Go's `time.ParseDuration`, in nanoseconds.
pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
    let bad = || format!("{text:?} is not a duration; write it as 1h30m");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    let mut total: i128 = 0;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(bad)?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let scale: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(bad()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(bad());
        }
        let digits = |part: &str| if part.is_empty() { Ok(0) } else { part.parse::<i128>().map_err(|_| bad()) };
        let fraction = &fraction[..fraction.len().min(18)];
        let power = 10i128.pow(u32::try_from(fraction.len()).unwrap_or(0));
        total += digits(whole)?.checked_mul(scale).ok_or_else(bad)? + digits(fraction)? * scale / power;
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| bad())
}

/// Go's `Duration.String`.
pub(crate) fn format_duration(nanos: i64) -> String {
    let total = nanos.unsigned_abs();
    let sign = if nanos < 0 { "-" } else { "" };
    let decimal = |value: u64, scale: u64| {
        let text = format!("{}.{:0width$}", value / scale, value % scale, width = scale.ilog10() as usize);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match total {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{total}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", decimal(total, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", decimal(total, 1_000_000)),
        _ => {
            let minutes = total / 60_000_000_000;
            let seconds = decimal(total % 60_000_000_000, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}
