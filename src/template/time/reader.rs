//! Reads times by Go's layouts.

use super::{
    DAYS, MONTHS, Moment, Zone, days_from_civil,
    layout::{Part, next_part},
};

/// What was read so far.
struct Reading {
    year: i64,
    month: u32,
    day: u32,
    year_day: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
    half: Option<bool>,
    offset: Option<i32>,
    zone: String,
}

/// Go's `time.Parse`.
pub(crate) fn parse(layout: &str, text: &str) -> Result<Moment, String> {
    let bad = || format!("{text:?} does not have the form {layout:?}");
    let mut reading = Reading {
        year: 0,
        month: 1,
        day: 1,
        year_day: None,
        hour: 0,
        minute: 0,
        second: 0,
        nanos: 0,
        half: None,
        offset: None,
        zone: String::new(),
    };
    let (mut layout_rest, mut rest) = (layout, text);
    while let Some((literal, part, after)) = next_part(layout_rest) {
        rest = skip_literal(rest, literal).ok_or_else(bad)?;
        rest = reading.read(part, after, rest).ok_or_else(bad)?;
        layout_rest = after;
    }
    rest = skip_literal(rest, layout_rest).ok_or_else(bad)?;
    if !rest.is_empty() {
        return Err(bad());
    }
    reading.moment().ok_or_else(bad)
}

/// Passes fixed text; a space in the layout takes any number of them.
fn skip_literal<'t>(mut text: &'t str, literal: &str) -> Option<&'t str> {
    let mut literal = literal;
    while let Some(c) = literal.chars().next() {
        if c == ' ' {
            if !text.is_empty() && !text.starts_with(' ') {
                return None;
            }
            literal = literal.trim_start_matches(' ');
            text = text.trim_start_matches(' ');
            continue;
        }
        text = text.strip_prefix(c)?;
        literal = &literal[c.len_utf8()..];
    }
    Some(text)
}

/// A number of `least` to `most` digits.
fn number(text: &str, least: usize, most: usize) -> Option<(u32, &str)> {
    let digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if digits < least {
        return None;
    }
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

fn name<'t>(text: &'t str, names: &[&str], length: Option<usize>) -> Option<(u32, &'t str)> {
    names.iter().enumerate().find_map(|(index, name)| {
        let name = &name[..length.unwrap_or(name.len())];
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name).then(|| (u32::try_from(index).unwrap_or(0), &text[name.len()..]))
    })
}

impl Reading {
    fn read<'t>(&mut self, part: Part, layout_after: &str, text: &'t str) -> Option<&'t str> {
        let rest = match part {
            Part::LongMonth | Part::Month => {
                let length = (part == Part::Month).then_some(3);
                let (month, rest) = name(text, &MONTHS, length)?;
                self.month = month + 1;
                rest
            }
            Part::LongWeekday | Part::Weekday => {
                let length = (part == Part::Weekday).then_some(3);
                name(text, &DAYS, length)?.1
            }
            Part::NumMonth => take(&mut self.month, number(text, 1, 2)?),
            Part::ZeroMonth => take(&mut self.month, number(text, 2, 2)?),
            Part::Day => take(&mut self.day, number(text, 1, 2)?),
            Part::SpaceDay => take(&mut self.day, number(text.trim_start_matches(' '), 1, 2)?),
            Part::ZeroDay => take(&mut self.day, number(text, 2, 2)?),
            Part::SpaceYearDay | Part::ZeroYearDay => {
                let (day, rest) = number(text.trim_start_matches(' '), 1, 3)?;
                self.year_day = Some(day);
                rest
            }
            Part::Hour24 => take(&mut self.hour, number(text, 1, 2)?),
            Part::Hour12 => take(&mut self.hour, number(text, 1, 2)?),
            Part::ZeroHour12 => take(&mut self.hour, number(text, 2, 2)?),
            Part::Minute => take(&mut self.minute, number(text, 1, 2)?),
            Part::ZeroMinute => take(&mut self.minute, number(text, 2, 2)?),
            Part::Second | Part::ZeroSecond => {
                let least = if part == Part::Second { 1 } else { 2 };
                let rest = take(&mut self.second, number(text, least, 2)?);
                let fraction_follows = matches!(next_part(layout_after), Some(("", Part::Fraction { .. }, _)));
                if fraction_follows { rest } else { self.fraction(rest) }
            }
            Part::LongYear => {
                let (year, rest) = number(text, 4, 4)?;
                self.year = year.into();
                rest
            }
            Part::Year => {
                let (year, rest) = number(text, 2, 2)?;
                self.year = i64::from(year) + if year >= 69 { 1900 } else { 2000 };
                rest
            }
            Part::UpperHalf | Part::LowerHalf => {
                let (am, pm) = if part == Part::UpperHalf { ("AM", "PM") } else { ("am", "pm") };
                self.half = Some(text.starts_with(pm));
                text.strip_prefix(pm).or_else(|| text.strip_prefix(am))?
            }
            Part::ZoneName => {
                let end = text.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(text.len());
                if !(3..=5).contains(&end) {
                    return None;
                }
                text[..end].clone_into(&mut self.zone);
                &text[end..]
            }
            Part::Offset { z, colon, minutes, seconds } => self.offset(text, z, colon, minutes, seconds)?,
            Part::Fraction { digits, keep_zeros: true, .. } => {
                let body = text.strip_prefix(['.', ','])?;
                let (_, rest) = number(body, digits, digits.min(9))?;
                self.fraction(text);
                rest
            }
            Part::Fraction { .. } => self.fraction(text),
        };
        Some(rest)
    }

    /// An optional fraction of a second.
    fn fraction<'t>(&mut self, text: &'t str) -> &'t str {
        let Some(body) = text.strip_prefix(['.', ',']) else { return text };
        let digits = body.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return text;
        }
        let shown = &body[..digits.min(9)];
        self.nanos = format!("{shown:0<9}").parse().unwrap_or(0);
        &body[digits..]
    }

    fn offset<'t>(&mut self, text: &'t str, z: bool, colon: bool, minutes: bool, seconds: bool) -> Option<&'t str> {
        if z && let Some(rest) = text.strip_prefix('Z') {
            self.offset = Some(0);
            "UTC".clone_into(&mut self.zone);
            return Some(rest);
        }
        let negative = text.starts_with('-');
        let (hours, mut rest) = number(text.strip_prefix(['+', '-'])?, 2, 2)?;
        let mut total = hours * 3600;
        for (wanted, scale) in [(minutes, 60), (seconds, 1)] {
            if wanted {
                let body = if colon { rest.strip_prefix(':')? } else { rest };
                let (value, after) = number(body, 2, 2)?;
                total += value * scale;
                rest = after;
            }
        }
        let total = i32::try_from(total).ok()?;
        self.offset = Some(if negative { -total } else { total });
        Some(rest)
    }

    fn moment(mut self) -> Option<Moment> {
        match self.half {
            Some(true) if self.hour < 12 => self.hour += 12,
            Some(false) if self.hour == 12 => self.hour = 0,
            _ => {}
        }
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let days_in_month = match self.month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let fits = (1..=12).contains(&self.month)
            && (1..=days_in_month).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60;
        if !fits {
            return None;
        }
        let days = match self.year_day {
            Some(day) if (1..=365 + u32::from(leap)).contains(&day) => {
                days_from_civil(self.year, 1, 1) + i64::from(day) - 1
            }
            Some(_) => return None,
            None => days_from_civil(self.year, self.month, self.day),
        };
        let clock = i64::from(self.hour * 3600 + self.minute * 60 + self.second);
        let offset = self.offset.unwrap_or(0);
        let zone = match (self.offset, self.zone.as_str()) {
            (None, "") | (Some(0), "" | "UTC") => Zone::utc(),
            _ => Zone { offset, name: self.zone },
        };
        Some(Moment { seconds: days * 86_400 + clock - i64::from(offset), nanos: self.nanos, zone })
    }
}

fn take<'t>(slot: &mut u32, (value, rest): (u32, &'t str)) -> &'t str {
    *slot = value;
    rest
}
