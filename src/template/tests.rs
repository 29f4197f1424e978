//! What no template may do: panic, loop, or eat memory.

use proptest::prelude::*;

use super::*;

struct NoHost;

impl Host for NoHost {
    fn lookup(&self, _: &str, _: &str, _: &str, _: &str) -> Result<Value, String> {
        Ok(Value::Map(Map::new()))
    }

    fn now(&self) -> (i64, u32) {
        (1_700_000_000, 0)
    }

    fn random(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }

    fn lenient(&self) -> bool {
        false
    }
}

const SMALL: Limits = Limits { depth: 2000, output: 1 << 20, produced: 16 << 20, steps: 200_000 };

fn run_with(text: &str, limits: Limits) -> Result<String, TemplateError> {
    let mut set = TemplateSet::default();
    set.add("t", text)?;
    let values = serde_json::json!({"Values": {"a": {"b": [1, "x", null]}, "n": 5, "s": "text"}});
    let out = Execution::new(set, &NoHost, limits).run("t", &Value::from_json(&values))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn refused(text: &str, reason: &str) {
    let error = run_with(text, SMALL).expect_err("this must be refused");
    assert!(error.to_string().contains(reason), "{error}");
    assert!(error.to_string().len() < 4000, "the message stays readable");
}

#[test]
fn endless_recursion_is_refused() {
    refused(r#"{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}"#, "levels deep");
    refused(r#"{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}"#, "more than 1000 times");
    refused(r#"{{ $t := "{{ tpl . . }}" }}{{ tpl $t $t }}"#, "levels deep");
}

#[test]
fn endless_work_is_refused() {
    refused("{{ range 1000000000 }}{{ end }}", "steps");
    refused("{{ range until 1000000000 }}{{ end }}", "too long");
    refused("{{ range untilStep 0 9223372036854775807 1 }}{{ end }}", "too long");
}

#[test]
fn endless_memory_is_refused() {
    refused(r#"{{ $s := "xxxxxxxx" }}{{ range 60 }}{{ $s = print $s $s }}{{ end }}"#, "produces more");
    refused(r#"{{ repeat 999999999999 "x" }}"#, "out of bounds");
    refused(r#"{{ indent 999999999999 "x" }}"#, "out of bounds");
    refused(r#"{{ range 100000 }}{{ "0123456789012345678901234567890123456789" }}{{ end }}"#, "larger than");
    refused(r#"{{ printf "%999999d" 1 }}{{ printf "%999999d%999999d" 1 2 }}"#, "larger than");
    refused(r#"{{ mustRegexMatch "((a{1,1000}){1,1000}){1,1000}" "a" }}"#, "regular");
}

#[test]
fn a_value_that_holds_itself_is_refused_and_freed() {
    for action in ["$d", "$d | toYaml | len | fail", "$d | toJson", "deepCopy $d", "$d | quote"] {
        let text = format!("{{{{ $d := dict }}}}{{{{ $_ := set $d \"d\" $d }}}}{{{{ {action} }}}}");
        let _ = run_with(&text, SMALL);
    }
    refused(r#"{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ $d }}"#, "holds itself");
}

#[test]
fn deep_nesting_overflows_no_stack() {
    refused(&format!("{}x{}", "{{ if 1 }}".repeat(5000), "{{ end }}".repeat(5000)), "nested deeper");
    refused(&format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000)), "nested deeper");
    let built = "{{ $d := dict }}{{ range 50000 }}{{ $d = dict \"d\" $d }}{{ end }}done";
    assert_eq!(run_with(built, Limits::default()).expect("values may nest"), "done");
    let listed = "{{ $l := list }}{{ range 50000 }}{{ $l = list $l }}{{ end }}{{ $l }}";
    assert!(run_with(listed, Limits::default()).is_err());
}

#[test]
fn deep_includes_run_on_a_small_stack() {
    let text = r#"{{ define "down" }}{{ if gt . 0 }}{{ include "down" (sub . 1 | int) }}{{ else }}bottom{{ end }}{{ end }}{{ include "down" 900 }}"#;
    let run = || run_with(text, Limits::default()).expect("900 levels are allowed");
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(run).expect("a thread");
    assert_eq!(thread.join().expect("no overflow"), "bottom");
}

/// Templates to start from: the cases that are compared with helm.
fn corpus() -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helm");
    let mut texts = Vec::new();
    for chart in ["strings", "numbers", "collections", "language", "dates"] {
        let path = root.join(format!("charts/{chart}/templates/cases.yaml"));
        let text = std::fs::read_to_string(path).expect("a case");
        texts.extend(text.lines().map(str::to_owned));
    }
    texts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Mutated cases and splices of two end with a result, whatever they say.
    #[test]
    fn no_mutation_panics(first in 0usize..1000, second in 0usize..1000, cut in 0usize..200, byte in any::<char>(), drop in 0usize..20) {
        let corpus = corpus();
        let (a, b) = (&corpus[first % corpus.len()], &corpus[second % corpus.len()]);
        let a: Vec<char> = a.chars().collect();
        let b: Vec<char> = b.chars().collect();
        let cut_a = cut.min(a.len());
        let start_b = (cut + drop).min(b.len());
        let text: String = a[..cut_a].iter().chain([&byte]).chain(&b[start_b..]).collect();
        let _ = run_with(&text, SMALL);
        let dropped: String = a.iter().enumerate().filter(|(i, _)| *i != cut % a.len().max(1)).map(|(_, c)| *c).collect();
        let _ = run_with(&dropped, SMALL);
    }

    #[test]
    fn no_yaml_panics(text in "[-a-z0-9:?,\\[\\]{}#&*!|>'\"%@` \n\t~.<\\\\é]{0,60}") {
        let _ = crate::values::yaml::read(&text, crate::values::yaml::Numbers::Exact);
    }

    /// Whatever text a value holds, what `toYaml` writes reads back as the same.
    #[test]
    fn yaml_round_trips(text in "[ -~\n\té€🎉\u{a0}]{0,120}", key in "[ -~]{0,20}") {
        // Helm writes the merge key without quotes, and then cannot read it either.
        prop_assume!(key != "<<");
        let value = serde_json::json!({ key: [text] });
        // Helm cuts the last line break, which a block value may need.
        let written = to_yaml(&Value::from_json(&value)).expect("it has a YAML form") + "\n";
        let read = crate::values::yaml::read(&written, crate::values::yaml::Numbers::Exact).expect("it is YAML");
        prop_assert_eq!(read, value);
    }
}
