//! Sprig's functions on times and durations.

use std::rc::Rc;

use super::{
    Call, Function, Outcome,
    Param::{Any, Str as Text, Time},
    plain,
};
use crate::template::{
    time::{Moment, Zone, format, format_duration, parse, parse_duration},
    value::{IntKind, Object, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("now", &[], |c| Ok(value(now(c)))),
    plain("date", &[Text, Any], |c| in_zone(c, &c.text(0), 1, "Local")),
    plain("dateInZone", &[Text, Any, Text], |c| in_zone(c, &c.text(0), 1, &c.text(2))),
    plain("date_in_zone", &[Text, Any, Text], |c| in_zone(c, &c.text(0), 1, &c.text(2))),
    plain("htmlDate", &[Any], |c| in_zone(c, "2006-01-02", 0, "Local")),
    plain("htmlDateInZone", &[Any, Text], |c| in_zone(c, "2006-01-02", 0, &c.text(1))),
    plain("dateModify", &[Text, Time], modify_or_same),
    plain("date_modify", &[Text, Time], modify_or_same),
    plain("mustDateModify", &[Text, Time], modify),
    plain("must_date_modify", &[Text, Time], modify),
    plain("ago", &[Any], ago),
    plain("duration", &[Any], |c| {
        let seconds = match &c.args[0] {
            Value::Str(text) => crate::template::literal::parse_int(&text.text(), 10).unwrap_or(0),
            Value::Int(seconds, IntKind::Int64) => *seconds,
            _ => 0,
        };
        Ok(Value::str(format_duration(seconds.wrapping_mul(1_000_000_000))))
    }),
    plain("durationRound", &[Any], duration_round),
    plain("toDate", &[Text, Text], |c| Ok(value(parse(&c.text(0), &c.text(1)).unwrap_or(Moment::ZERO)))),
    plain("mustToDate", &[Text, Text], |c| Ok(value(parse(&c.text(0), &c.text(1))?))),
    plain("unixEpoch", &[Time], |c| Ok(Value::str(moment(c, 0).seconds.to_string()))),
];

fn value(moment: Moment) -> Value {
    Value::Object(Rc::new(moment))
}

fn now(call: &Call<'_, '_>) -> Moment {
    let (seconds, nanos) = call.machine.host.now();
    Moment { seconds, nanos, zone: Zone::utc() }
}

/// A time or a whole number of seconds; anything else means now.
fn moment(call: &Call<'_, '_>, index: usize) -> Moment {
    match &call.args[index] {
        Value::Object(object) => match object.as_any().downcast_ref::<Moment>() {
            Some(moment) => moment.clone(),
            None => now(call),
        },
        Value::Int(seconds, IntKind::Int | IntKind::Int64) => Moment { seconds: *seconds, nanos: 0, zone: Zone::utc() },
        _ => now(call),
    }
}

fn in_zone(call: &Call<'_, '_>, layout: &str, index: usize, zone: &str) -> Outcome {
    let moment = moment(call, index);
    let zone = Zone::named(zone, moment.seconds);
    Ok(Value::str(format(layout, &Moment { zone, ..moment })))
}

fn modify(call: &mut Call<'_, '_>) -> Outcome {
    let nanos = parse_duration(&call.text(0))?;
    Ok(value(moment(call, 1).plus(nanos)))
}

fn modify_or_same(call: &mut Call<'_, '_>) -> Outcome {
    let nanos = parse_duration(&call.text(0)).unwrap_or(0);
    Ok(value(moment(call, 1).plus(nanos)))
}

fn ago(call: &mut Call<'_, '_>) -> Outcome {
    let (then, now) = (moment(call, 0), now(call));
    let nanos = now.since(&then);
    let second = 1_000_000_000;
    let rounded = (nanos.saturating_add(nanos.signum().saturating_mul(second / 2)) / second).saturating_mul(second);
    Ok(Value::str(format_duration(rounded)))
}

fn duration_round(call: &mut Call<'_, '_>) -> Outcome {
    let nanos = match &call.args[0] {
        Value::Str(text) => parse_duration(&text.text()).unwrap_or(0),
        Value::Int(nanos, IntKind::Int64) => *nanos,
        Value::Object(_) => now(call).since(&moment(call, 0)),
        _ => 0,
    };
    let seconds = nanos.unsigned_abs();
    const SECOND: u64 = 1_000_000_000;
    let units = [
        (SECOND * 3600 * 24 * 365, "y"),
        (SECOND * 3600 * 24 * 30, "mo"),
        (SECOND * 3600 * 24, "d"),
        (SECOND * 3600, "h"),
        (SECOND * 60, "m"),
        (SECOND, "s"),
    ];
    let found = units.iter().find(|(unit, _)| seconds > *unit);
    Ok(Value::str(found.map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", seconds / unit))))
}

/// A span between two times.
struct Duration(i64);

impl Object for Duration {
    fn type_name(&self) -> &'static str {
        "time.Duration"
    }

    fn member(&self, name: &str, _args: &[Value]) -> Option<Result<Value, String>> {
        let nanos = self.0 as f64;
        Some(Ok(match name {
            "Hours" => Value::Float(nanos / 3.6e12),
            "Minutes" => Value::Float(nanos / 6e10),
            "Seconds" => Value::Float(nanos / 1e9),
            "Milliseconds" => Value::int64(self.0 / 1_000_000),
            "Nanoseconds" => Value::int64(self.0),
            "String" => Value::str(format_duration(self.0)),
            _ => return None,
        }))
    }

    fn print(&self) -> String {
        format_duration(self.0)
    }

    fn plain(&self) -> Value {
        Value::int64(self.0)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// The nanoseconds of a duration object.
pub(super) fn duration_nanos(object: &dyn std::any::Any) -> Option<i64> {
    object.downcast_ref::<Duration>().map(|duration| duration.0)
}

fn other(args: &[Value]) -> Result<Moment, String> {
    match args {
        [Value::Object(object)] => object.as_any().downcast_ref::<Moment>().cloned(),
        _ => None,
    }
    .ok_or_else(|| "another time is needed".to_owned())
}

impl Object for Moment {
    fn type_name(&self) -> &'static str {
        "time.Time"
    }

    fn member(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let civil = self.civil();
        let whole = |number: i64| Ok(Value::int(number));
        Some(match name {
            "Unix" => Ok(Value::int64(self.seconds)),
            "UnixNano" => Ok(Value::int64(self.seconds.wrapping_mul(1_000_000_000).wrapping_add(self.nanos.into()))),
            "UnixMilli" => {
                Ok(Value::int64(self.seconds.wrapping_mul(1000).wrapping_add((self.nanos / 1_000_000).into())))
            }
            "Year" => whole(civil.year),
            "Month" => Ok(Value::str(civil.month_name())),
            "Day" => whole(civil.day.into()),
            "Hour" => whole(civil.hour.into()),
            "Minute" => whole(civil.minute.into()),
            "Second" => whole(civil.second.into()),
            "Nanosecond" => whole(self.nanos.into()),
            "Weekday" => Ok(Value::str(civil.weekday_name())),
            "YearDay" => whole(civil.year_day.into()),
            "IsZero" => Ok(Value::Bool(self.seconds == Self::ZERO.seconds && self.nanos == 0)),
            "String" => Ok(Value::str(self.print())),
            "UTC" | "Local" => Ok(value(Self { zone: Zone::utc(), ..self.clone() })),
            "Format" => match args {
                [Value::Str(layout)] => Ok(Value::str(format(&layout.text(), self))),
                _ => Err("Format takes one layout".to_owned()),
            },
            "AddDate" => match args {
                [Value::Int(years, _), Value::Int(months, _), Value::Int(days, _)] => {
                    Ok(value(self.plus_date(*years, *months, *days)))
                }
                _ => Err("AddDate takes years, months and days".to_owned()),
            },
            "Sub" => other(args).map(|other| Value::Object(Rc::new(Duration(self.since(&other))))),
            "Before" => other(args).map(|other| Value::Bool(self.since(&other) < 0)),
            "After" => other(args).map(|other| Value::Bool(self.since(&other) > 0)),
            "Equal" => other(args).map(|other| Value::Bool(self.since(&other) == 0)),
            _ => return None,
        })
    }

    fn print(&self) -> String {
        format("2006-01-02 15:04:05.999999999 -0700 MST", self)
    }

    fn plain(&self) -> Value {
        Value::str(format("2006-01-02T15:04:05.999999999Z07:00", self))
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
