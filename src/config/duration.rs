//! Durations as the configuration writes them: a whole number and a unit.

use std::time::Duration;

const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Reads `500ms`, `10s`, `5m` or `6h`.
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(factor)?))
}

/// Writes a duration in the largest unit that divides it, in whole milliseconds.
pub fn format(duration: Duration) -> String {
    let millis = duration.as_millis();
    let whole = UNITS.into_iter().rev().find(|(_, factor)| millis != 0 && millis.is_multiple_of(u128::from(*factor)));
    match whole {
        Some((unit, factor)) => format!("{}{unit}", millis / u128::from(factor)),
        None => "0s".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_number_with_a_unit_is_a_duration() {
        assert_eq!(parse("90s"), Some(Duration::from_secs(90)));
        for bad in
            ["", "10", "s", "1.5s", "-1s", "1 s", "1d", "1h30m", "99999999999999999999h", "18446744073709551615h"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_same(millis in 0u64..10_000_000_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&format(duration)), Some(duration));
        }
    }
}
