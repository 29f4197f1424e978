//! Times, sizes and values as a person reads them.

use jiff::Timestamp;
use serde_json::Value;

/// The longest value shown whole, in characters.
const LONGEST: usize = 300;

/// `12 s`, `5 min`, `3 h`, `4 d`; never negative.
pub(super) fn age(since: Timestamp, now: Timestamp) -> String {
    span((now.as_second() - since.as_second()).max(0) as u64)
}

/// A number of seconds in its largest whole unit.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A duration with the precision that matters.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}

/// `1.5 GiB`.
pub(super) fn bytes(count: f64) -> String {
    let mut value = count;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    let decimals = usize::from(value < 10.0 && unit != "B" && value.fract() > 0.05);
    format!("{value:.decimals$} {unit}")
}

/// A value of a manifest: text as it is, everything else as JSON, cut when long.
pub(super) fn value(value: Option<&Value>) -> String {
    let text = match value {
        None => return "(none)".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "\"\"".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain("…".chars()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spans_have_one_unit() {
        for (seconds, shown) in [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 d")] {
            assert_eq!(span(seconds), shown);
        }
        let (early, late) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(60).expect("a time"));
        assert_eq!(age(early, late), "60 s");
        assert_eq!(age(late, early), "0 s", "a clock that went back shows no negative age");
    }

    #[test]
    fn sizes_have_a_binary_unit() {
        for (count, shown) in [
            (0.0, "0 B"),
            (1023.0, "1023 B"),
            (1_572_864.0, "1.5 MiB"),
            (268_435_456.0, "256 MiB"),
            (1e15, "909 TiB"),
            (2_147_483_648.0, "2 GiB"),
        ] {
            assert_eq!(bytes(count), shown);
        }
    }

    #[test]
    fn values_are_text_or_json_and_never_endless() {
        assert_eq!(value(None), "(none)");
        assert_eq!(value(Some(&json!(""))), "\"\"");
        assert_eq!(value(Some(&json!({"a": [1, true]}))), r#"{"a":[1,true]}"#);
        let cut = value(Some(&json!("é".repeat(5_000))));
        assert_eq!(cut.chars().count(), LONGEST + 1);
    }
}
