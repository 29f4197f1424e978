//! Go's layouts: a reference time, `Mon Jan 2 15:04:05 MST 2006`, whose parts
//! say how to write each part of a time.

use super::Moment;

/// A part of a layout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    SpaceDay,
    ZeroDay,
    SpaceYearDay,
    ZeroYearDay,
    Hour24,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperHalf,
    LowerHalf,
    ZoneName,
    /// `Z` for UTC, colons, minutes, seconds.
    Offset {
        z: bool,
        colon: bool,
        minutes: bool,
        seconds: bool,
    },
    /// A separator with digits; trailing zeros are kept or not.
    Fraction {
        digits: usize,
        keep_zeros: bool,
        comma: bool,
    },
}

const fn offset(z: bool, colon: bool, minutes: bool, seconds: bool) -> Part {
    Part::Offset { z, colon, minutes, seconds }
}

/// What stands for which part. Longer texts come first.
const PARTS: &[(&str, Part)] = &[
    ("January", Part::LongMonth),
    ("Monday", Part::LongWeekday),
    ("MST", Part::ZoneName),
    ("002", Part::ZeroYearDay),
    ("01", Part::ZeroMonth),
    ("02", Part::ZeroDay),
    ("03", Part::ZeroHour12),
    ("04", Part::ZeroMinute),
    ("05", Part::ZeroSecond),
    ("06", Part::Year),
    ("15", Part::Hour24),
    ("1", Part::NumMonth),
    ("2006", Part::LongYear),
    ("2", Part::Day),
    ("__2", Part::SpaceYearDay),
    ("_2", Part::SpaceDay),
    ("3", Part::Hour12),
    ("4", Part::Minute),
    ("5", Part::Second),
    ("PM", Part::UpperHalf),
    ("pm", Part::LowerHalf),
    ("-070000", offset(false, false, true, true)),
    ("-07:00:00", offset(false, true, true, true)),
    ("-0700", offset(false, false, true, false)),
    ("-07:00", offset(false, true, true, false)),
    ("-07", offset(false, false, false, false)),
    ("Z070000", offset(true, false, true, true)),
    ("Z07:00:00", offset(true, true, true, true)),
    ("Z0700", offset(true, false, true, false)),
    ("Z07:00", offset(true, true, true, false)),
    ("Z07", offset(true, false, false, false)),
];

/// Splits a layout at its first part: the text before, the part, the rest.
pub(super) fn next_part(layout: &str) -> Option<(&str, Part, &str)> {
    for (at, _) in layout.char_indices() {
        let rest = &layout[at..];
        // An underscore in front of a year is text.
        if let Some(after) = rest.strip_prefix("_2006") {
            return Some((&layout[..=at], Part::LongYear, after));
        }
        if let Some((text, part)) = PARTS.iter().find(|(text, _)| rest.starts_with(text)) {
            return Some((&layout[..at], *part, &rest[text.len()..]));
        }
        for (text, part) in [("Jan", Part::Month), ("Mon", Part::Weekday)] {
            if let Some(after) = rest.strip_prefix(text)
                && !after.starts_with(|c: char| c.is_ascii_lowercase())
            {
                return Some((&layout[..at], part, after));
            }
        }
        if let Some((part, after)) = fraction(rest) {
            return Some((&layout[..at], part, after));
        }
    }
    None
}

fn fraction(rest: &str) -> Option<(Part, &str)> {
    let comma = rest.starts_with(',');
    if !comma && !rest.starts_with('.') {
        return None;
    }
    let digit = rest[1..].chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let after = rest[1..].trim_start_matches(digit);
    if after.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits = rest.len() - 1 - after.len();
    Some((Part::Fraction { digits, keep_zeros: digit == '0', comma }, after))
}

/// Go's `Time.Format`.
pub(crate) fn format(layout: &str, moment: &Moment) -> String {
    let mut out = String::new();
    let mut rest = layout;
    while let Some((text, part, after)) = next_part(rest) {
        out.push_str(text);
        write_part(&mut out, part, moment);
        rest = after;
    }
    out.push_str(rest);
    out
}

fn write_part(out: &mut String, part: Part, moment: &Moment) {
    let civil = moment.civil();
    let hour12 = match civil.hour % 12 {
        0 => 12,
        hour => hour,
    };
    let text = match part {
        Part::LongMonth => civil.month_name().to_owned(),
        Part::Month => civil.month_name()[..3].to_owned(),
        Part::NumMonth => civil.month.to_string(),
        Part::ZeroMonth => format!("{:02}", civil.month),
        Part::LongWeekday => civil.weekday_name().to_owned(),
        Part::Weekday => civil.weekday_name()[..3].to_owned(),
        Part::Day => civil.day.to_string(),
        Part::SpaceDay => format!("{:2}", civil.day),
        Part::ZeroDay => format!("{:02}", civil.day),
        Part::SpaceYearDay => format!("{:3}", civil.year_day),
        Part::ZeroYearDay => format!("{:03}", civil.year_day),
        Part::Hour24 => format!("{:02}", civil.hour),
        Part::Hour12 => hour12.to_string(),
        Part::ZeroHour12 => format!("{hour12:02}"),
        Part::Minute => civil.minute.to_string(),
        Part::ZeroMinute => format!("{:02}", civil.minute),
        Part::Second => civil.second.to_string(),
        Part::ZeroSecond => format!("{:02}", civil.second),
        Part::LongYear => format!("{:04}", civil.year),
        Part::Year => format!("{:02}", civil.year.rem_euclid(100)),
        Part::UpperHalf => if civil.hour >= 12 { "PM" } else { "AM" }.to_owned(),
        Part::LowerHalf => if civil.hour >= 12 { "pm" } else { "am" }.to_owned(),
        Part::ZoneName => zone_name(moment),
        Part::Offset { z, colon, minutes, seconds } => written_offset(moment.zone.offset, z, colon, minutes, seconds),
        Part::Fraction { digits, keep_zeros, comma } => written_fraction(moment.nanos, digits, keep_zeros, comma),
    };
    out.push_str(&text);
}

fn zone_name(moment: &Moment) -> String {
    let zone = &moment.zone;
    match (zone.name.as_str(), zone.offset) {
        ("", 0) => "UTC".to_owned(),
        ("", offset) => written_offset(offset, false, false, offset % 3600 != 0, false),
        (name, _) => name.to_owned(),
    }
}

fn written_offset(offset: i32, z: bool, colon: bool, minutes: bool, seconds: bool) -> String {
    if z && offset == 0 {
        return "Z".to_owned();
    }
    let sign = if offset < 0 { '-' } else { '+' };
    let offset = offset.unsigned_abs();
    let colon = if colon { ":" } else { "" };
    let mut text = format!("{sign}{:02}", offset / 3600);
    if minutes {
        text.push_str(&format!("{colon}{:02}", offset / 60 % 60));
    }
    if seconds {
        text.push_str(&format!("{colon}{:02}", offset % 60));
    }
    text
}

fn written_fraction(nanos: u32, digits: usize, keep_zeros: bool, comma: bool) -> String {
    let all = format!("{nanos:09}");
    let mut shown = all[..digits.min(9)].to_owned();
    if keep_zeros {
        shown.push_str(&"0".repeat(digits.saturating_sub(9).min(100)));
    } else {
        shown.truncate(shown.trim_end_matches('0').len());
    }
    if shown.is_empty() { shown } else { format!("{}{shown}", if comma { ',' } else { '.' }) }
}
