//! Sprig's arithmetic. Whole-number functions wrap around as Go's do; the `…f`
//! functions calculate in decimal, so that 0.1 + 0.2 is 0.3.

use super::{
    Call, Function, Outcome,
    Param::{Any, Float, Int, Str as Text},
    numbers::{to_float64, to_int64},
    plain, sprint, variadic,
};
use crate::template::{literal::parse_int, print, value::Value};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("atoi", &[Text], |c| Ok(Value::int(parse_int(&c.text(0), 10).unwrap_or(0)))),
    plain("int", &[Any], |c| Ok(Value::int(to_int64(&c.args[0])))),
    plain("int64", &[Any], |c| Ok(Value::int64(to_int64(&c.args[0])))),
    plain("float64", &[Any], |c| Ok(Value::Float(to_float64(&c.args[0])))),
    plain("toDecimal", &[Any], |c| Ok(Value::int64(parse_int(&sprint(&c.args[0])?.text(), 8).unwrap_or(0)))),
    plain("add1", &[Any], |c| Ok(Value::int64(to_int64(&c.args[0]).wrapping_add(1)))),
    variadic("add", &[], Any, |c| Ok(Value::int64(c.args.iter().map(to_int64).fold(0, i64::wrapping_add)))),
    plain("sub", &[Any, Any], |c| Ok(Value::int64(to_int64(&c.args[0]).wrapping_sub(to_int64(&c.args[1]))))),
    variadic("mul", &[Any], Any, |c| Ok(Value::int64(c.args.iter().map(to_int64).fold(1, i64::wrapping_mul)))),
    plain("div", &[Any, Any], |c| divide(c, i64::wrapping_div)),
    plain("mod", &[Any, Any], |c| divide(c, i64::wrapping_rem)),
    variadic("max", &[Any], Any, |c| Ok(Value::int64(c.args.iter().map(to_int64).max().unwrap_or(0)))),
    variadic("biggest", &[Any], Any, |c| Ok(Value::int64(c.args.iter().map(to_int64).max().unwrap_or(0)))),
    variadic("min", &[Any], Any, |c| Ok(Value::int64(c.args.iter().map(to_int64).min().unwrap_or(0)))),
    variadic("maxf", &[Any], Any, |c| Ok(extreme(c, f64::max))),
    variadic("minf", &[Any], Any, |c| Ok(extreme(c, f64::min))),
    plain("floor", &[Any], |c| Ok(Value::Float(to_float64(&c.args[0]).floor()))),
    plain("ceil", &[Any], |c| Ok(Value::Float(to_float64(&c.args[0]).ceil()))),
    variadic("round", &[Any, Int], Float, round),
    plain("add1f", &[Any], |c| decimal(c.args[0].clone(), &[Value::int(1)], Decimal::add, |a, b| a + b)),
    variadic("addf", &[], Any, |c| decimal(Value::Float(0.0), c.args, Decimal::add, |a, b| a + b)),
    variadic("subf", &[Any], Any, |c| {
        decimal(c.args[0].clone(), &c.args[1..], |a, b| a.add(b.negated()), |a, b| a - b)
    }),
    variadic("mulf", &[Any], Any, |c| decimal(c.args[0].clone(), &c.args[1..], Decimal::mul, |a, b| a * b)),
    variadic("divf", &[Any], Any, divf),
];

fn divide(call: &Call<'_, '_>, op: fn(i64, i64) -> i64) -> Outcome {
    let (a, b) = (to_int64(&call.args[0]), to_int64(&call.args[1]));
    if b == 0 {
        return Err("division by zero".into());
    }
    Ok(Value::int64(op(a, b)))
}

fn extreme(call: &Call<'_, '_>, pick: fn(f64, f64) -> f64) -> Value {
    let either = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { pick(a, b) };
    Value::Float(call.args.iter().map(to_float64).reduce(either).unwrap_or(0.0))
}

fn round(call: &mut Call<'_, '_>) -> Outcome {
    let threshold = match call.args.get(2) {
        Some(Value::Float(threshold)) => *threshold,
        _ => 0.5,
    };
    let power = 10f64.powi(i32::try_from(call.int(1)).unwrap_or(i32::MAX));
    let digit = power * to_float64(&call.args[0]);
    let rounded = if digit.fract() >= threshold { digit.ceil() } else { digit.floor() };
    Ok(Value::Float(rounded / power))
}

/// An exact decimal: `mantissa` × 10^`exponent`.
#[derive(Clone, Copy)]
struct Decimal {
    mantissa: i128,
    exponent: i32,
}

impl Decimal {
    fn from_float(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let (digits, first) = print::shortest(value.abs());
        let mantissa: i128 = digits.parse().ok()?;
        let exponent = first - i32::try_from(digits.len()).ok()? + 1;
        Some(Self { mantissa: if value < 0.0 { -mantissa } else { mantissa }, exponent })
    }

    fn scaled(self, exponent: i32) -> Option<i128> {
        let by = u32::try_from(self.exponent - exponent).ok()?;
        self.mantissa.checked_mul(10i128.checked_pow(by)?)
    }

    fn negated(self) -> Self {
        Self { mantissa: -self.mantissa, ..self }
    }

    fn add(self, other: Self) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        let mantissa = self.scaled(exponent)?.checked_add(other.scaled(exponent)?)?;
        Some(Self { mantissa, exponent })
    }

    fn mul(self, other: Self) -> Option<Self> {
        let mantissa = self.mantissa.checked_mul(other.mantissa)?;
        Some(Self { mantissa, exponent: self.exponent + other.exponent })
    }

    /// Quotient with 16 decimals, rounded half away from zero.
    fn div(self, other: Self) -> Option<Self> {
        const PLACES: i32 = 16;
        let shift = self.exponent - other.exponent + PLACES;
        let power = 10i128.checked_pow(shift.unsigned_abs())?;
        let (above, below) = if shift >= 0 {
            (self.mantissa.checked_mul(power)?, other.mantissa)
        } else {
            (self.mantissa, other.mantissa.checked_mul(power)?)
        };
        let quotient = above.checked_div(below)?;
        let remainder = (above % below).unsigned_abs();
        let away = if (above < 0) == (below < 0) { 1 } else { -1 };
        let up = remainder.checked_mul(2)? >= below.unsigned_abs();
        Some(Self { mantissa: if up { quotient + away } else { quotient }, exponent: -PLACES })
    }

    fn to_float(self) -> f64 {
        format!("{}e{}", self.mantissa, self.exponent).parse().unwrap_or(0.0)
    }
}

/// Folds in decimal; numbers past its range fall back to floats.
fn decimal(
    start: Value,
    others: &[Value],
    exact: fn(Decimal, Decimal) -> Option<Decimal>,
    rough: fn(f64, f64) -> f64,
) -> Outcome {
    let start = to_float64(&start);
    let floats: Vec<f64> = others.iter().map(to_float64).collect();
    let result = floats
        .iter()
        .try_fold(Decimal::from_float(start), |sum, other| Some(exact(sum?, Decimal::from_float(*other)?)));
    Ok(Value::Float(match result.flatten() {
        Some(decimal) => decimal.to_float(),
        None => floats.iter().fold(start, |a, b| rough(a, *b)),
    }))
}

fn divf(call: &mut Call<'_, '_>) -> Outcome {
    if call.args[1..].iter().any(|value| to_float64(value) == 0.0) {
        return Err("division by zero".into());
    }
    decimal(call.args[0].clone(), &call.args[1..], Decimal::div, |a, b| a / b)
}
