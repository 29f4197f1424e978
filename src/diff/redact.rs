//! Masking of secrets by value in everything that leaves the daemon.
//!
//! API errors quote values and annotations hold whole Secrets, so fields alone
//! do not tell where a secret shows up. Each pass collects the values of every
//! Secret it has seen; a [`Redactor`] masks them in all the forms they are
//! written in. A mask carries a short keyed hash: the same secret has the same
//! mask, another of the same length has another, and nothing can be guessed.

use std::{collections::BTreeSet, fmt, fmt::Write as _};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use serde_json::{Map, Value};

use super::{digest::keyed, fields::Step, fields::path_text};
use crate::resource::Manifest;

/// Values shorter than this are masked in running text only where they stand
/// in quotes, as API errors write them: masking every `1` would hide everything.
const SHORT: usize = 4;

/// Lines of a longer secret (a key, a file) are secrets of their own from this length on.
const LINE: usize = 8;

/// How many bytes of a form are searched for.
const HEAD: usize = 64;

/// Values longer than this are files; they are masked plain, in base64 and in JSON only.
const LONG: usize = 4096;

/// Words that say nothing even where a Secret holds them.
const PUBLIC: [&str; 3] = ["true", "false", "null"];

/// What is shown instead of `last-applied-configuration`, which can hold a whole Secret.
const HIDDEN: &str = "<not shown>";

/// The annotation in which `kubectl apply` keeps the whole object.
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Masks the secrets of one pass.
pub struct Redactor {
    key: Vec<u8>,
    /// Finds the heads of all forms.
    heads: AhoCorasick,
    /// The forms, in the order of the heads.
    forms: Vec<String>,
    quoted: Vec<String>,
}

impl fmt::Debug for Redactor {
    /// Shows how many forms are masked, never one of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("forms", &self.forms.len()).finish_non_exhaustive()
    }
}

/// The secrets are too many to be searched for, so no text can be let out.
#[derive(Debug, thiserror::Error)]
#[error(
    "the values of {count} Secrets cannot be searched for, so nothing may be shown: {cause}; keep fewer or smaller Secrets in one environment"
)]
pub struct RedactorError {
    count: usize,
    cause: aho_corasick::BuildError,
}

impl Redactor {
    /// A redactor for every value of `secrets`: Secret objects, live or desired.
    /// `key` is random per process or per inventory; it keys the short hashes.
    pub fn new<'a>(key: &[u8], secrets: impl IntoIterator<Item = &'a Value>) -> Result<Self, RedactorError> {
        let mut values = BTreeSet::new();
        let mut count = 0;
        for secret in secrets {
            count += 1;
            collect(secret, &mut values);
        }
        let mut forms = BTreeSet::new();
        let mut quoted = Vec::new();
        for value in &values {
            forms_of(value, &mut forms, &mut quoted);
        }
        let forms: Vec<String> = forms.into_iter().collect();
        let heads = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            // The automaton chosen by default is a megabyte per environment, and texts are short.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(forms.iter().map(|form| head(form)))
            .map_err(|cause| RedactorError { count, cause })?;
        Ok(Self { key: key.to_vec(), heads, forms, quoted })
    }

    /// `text` with every secret masked.
    pub fn text(&self, text: &str) -> String {
        // Overlapping matches are joined, so that the rest of a secret that
        // overlaps another does not stay behind.
        let mut ranges: Vec<(usize, usize)> = self
            .heads
            .find_overlapping_iter(text)
            .map(|found| {
                let form = &self.forms[found.pattern().as_usize()];
                (found.start(), found.start() + common(form, &text[found.start()..]))
            })
            .collect();
        for quoted in &self.quoted {
            ranges.extend(text.match_indices(quoted.as_str()).map(|(at, found)| (at + 1, at + found.len() - 1)));
        }
        ranges.sort_unstable();
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        let mut ranges = ranges.into_iter().peekable();
        while let Some((start, mut end)) = ranges.next() {
            while let Some((_, further)) = ranges.next_if(|(next, _)| *next < end) {
                end = end.max(further);
            }
            // A form is whole UTF-8 text, so both ends are character boundaries.
            let (Some(before), Some(secret)) = (text.get(done..start), text.get(start..end)) else { continue };
            out.push_str(before);
            out.push_str(&self.mask(secret));
            done = end;
        }
        out.push_str(text.get(done..).unwrap_or_default());
        out
    }

    /// `value` with every secret masked, in keys as well; `last-applied-configuration` is never shown.
    pub fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Number(number) => {
                let (plain, masked) = (number.to_string(), self.text(&number.to_string()));
                if plain == masked { value.clone() } else { Value::String(masked) }
            }
            Value::Array(items) => Value::Array(items.iter().map(|item| self.value(item)).collect()),
            Value::Object(fields) => {
                let show = |(name, below): (&String, &Value)| {
                    let below = if name == LAST_APPLIED { HIDDEN.into() } else { self.value(below) };
                    (self.text(name), below)
                };
                Value::Object(fields.iter().map(show).collect())
            }
            other => other.clone(),
        }
    }

    /// A whole manifest as it may be shown.
    pub fn manifest(&self, manifest: &Manifest) -> Value {
        self.object(&manifest.body)
    }

    /// A whole object as it may be shown, without `managedFields`: `data` and `stringData` of a Secret masked whatever they hold.
    pub fn object(&self, object: &Value) -> Value {
        let mut shown = self.value(object);
        if let Some(metadata) = shown.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        if is_secret(object) {
            for part in ["data", "stringData"] {
                if let (Some(from), Some(to)) = (object.get(part), shown.get_mut(part)) {
                    *to = self.masked(from);
                }
            }
        }
        shown
    }

    /// The value at `path` of an object, as it may be shown.
    pub(super) fn field(&self, object: &Value, path: &[Step], value: &Value) -> Value {
        let secret_part = |step: &Step| matches!(step, Step::Field(name) if name == "data" || name == "stringData");
        if path.is_empty() {
            self.object(value)
        } else if is_secret(object) && secret_part(&path[0]) {
            self.masked(value)
        } else if path_text(path).contains(LAST_APPLIED) {
            HIDDEN.into()
        } else {
            self.value(value)
        }
    }

    /// A Secret's field masked whatever it holds; a base64 value and its plain
    /// text have the same mask.
    fn masked(&self, value: &Value) -> Value {
        match value {
            Value::Object(fields) => Value::Object(
                fields.iter().map(|(name, below)| (name.clone(), self.masked(below))).collect::<Map<_, _>>(),
            ),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.masked(item)).collect()),
            Value::String(text) => match STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
                Some(plain) => Value::String(self.mask(&plain)),
                None => Value::String(self.mask(text)),
            },
            Value::Null => Value::Null,
            other => Value::String(self.mask(&other.to_string())),
        }
    }

    fn mask(&self, secret: &str) -> String {
        format!("<redacted {}>", &keyed(&self.key, secret.as_bytes())[..8])
    }
}

/// Whether `object` is a core Secret.
pub(super) fn is_secret(object: &Value) -> bool {
    object.get("kind").and_then(Value::as_str) == Some("Secret")
        && object.get("apiVersion").and_then(Value::as_str) == Some("v1")
}

/// The plain values of a Secret: decoded `data`, `stringData`, and what
/// `last-applied-configuration` holds of both.
fn collect(secret: &Value, values: &mut BTreeSet<Vec<u8>>) {
    for text in texts(secret, "data") {
        match STANDARD.decode(text.trim()) {
            Ok(bytes) => values.insert(bytes),
            Err(_) => values.insert(text.into_bytes()),
        };
    }
    values.extend(texts(secret, "stringData").into_iter().map(String::into_bytes));
    let annotation = secret.pointer("/metadata/annotations").and_then(|all| all.get(LAST_APPLIED));
    if let Some(before) = annotation.and_then(Value::as_str).and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        collect(&json_without_annotations(before), values);
    }
}

fn json_without_annotations(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("annotations");
    }
    object
}

fn texts(secret: &Value, part: &str) -> Vec<String> {
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    secret.get(part).and_then(Value::as_object).map(|map| map.values().filter_map(scalar).collect()).unwrap_or_default()
}

/// What is searched for: a long secret is known by how it begins, and masked as
/// far as the text goes on like it, so that a cut quotation is masked as well.
fn head(form: &str) -> &str {
    let mut end = form.len().min(HEAD);
    while !form.is_char_boundary(end) {
        end -= 1;
    }
    &form[..end]
}

/// For how many bytes, up to a character's end, `text` goes on like `form`.
fn common(form: &str, text: &str) -> usize {
    let mut end = form.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
    while !form.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// Every way `value` may be written: plain, base64 in four alphabets (with and
/// without a newline at the end), URL-, JSON- and hex-escaped, and its lines.
fn forms_of(value: &[u8], forms: &mut BTreeSet<String>, quoted: &mut Vec<String>) {
    let trimmed = value.strip_suffix(b"\n").unwrap_or(value);
    if trimmed.is_empty() {
        return;
    }
    let text = std::str::from_utf8(trimmed).ok();
    if text.is_some_and(|text| PUBLIC.contains(&text)) {
        return;
    }
    let mut found = BTreeSet::new();
    for bytes in [trimmed, value, &[trimmed, b"\n"].concat()] {
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
            found.insert(engine.encode(bytes));
        }
    }
    if trimmed.len() <= LONG {
        let hexes = [("", false), ("", true), ("\\x", false), ("\\x", true)];
        found.extend(hexes.map(|(prefix, upper)| hex(trimmed, prefix, upper)));
        found.extend([percent(trimmed, false), percent(trimmed, true), percent(trimmed, false).replace("%20", "+")]);
    }
    if let Some(text) = text {
        found.insert(text.to_owned());
        found.extend(escaped(text));
        found.extend(text.lines().map(str::trim).filter(|line| line.len() >= LINE).map(str::to_owned));
    }
    for form in found {
        if form.len() >= SHORT && (trimmed.len() >= SHORT || form.contains("\\x")) {
            forms.insert(form);
        } else if form.len() >= SHORT || text == Some(form.as_str()) {
            quoted.extend([format!("\"{form}\""), format!("'{form}'")]);
        }
    }
}

/// As JSON writes it, as Go's encoder does with `<`, `>` and `&`, and once more
/// inside another JSON string.
fn escaped(text: &str) -> Vec<String> {
    let json = |text: &str| {
        let quoted = Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let once = json(text);
    let go = once.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    vec![json(&once), json(&go), once, go]
}

fn hex(bytes: &[u8], prefix: &str, upper: bool) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = if upper { write!(out, "{prefix}{byte:02X}") } else { write!(out, "{prefix}{byte:02x}") };
        out
    })
}

fn percent(bytes: &[u8], lower: bool) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            let _ = if lower { write!(out, "%{byte:02x}") } else { write!(out, "%{byte:02X}") };
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn secret(data: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": data})
    }

    fn redactor(values: &[&str]) -> Redactor {
        let data = values.iter().enumerate().map(|(at, value)| (format!("k{at}"), json!(value))).collect();
        Redactor::new(b"key", [&secret(Value::Object(data))]).expect("few secrets")
    }

    #[test]
    fn a_secret_is_masked_in_every_form_it_is_written_in() {
        let value = "p@ss \"w\u{f6}rd\" & <more>";
        let redactor = redactor(&[value]);
        let base64 = STANDARD.encode(value);
        for form in [
            value.to_owned(),
            base64.clone(),
            base64.trim_end_matches('=').to_owned(),
            URL_SAFE.encode(value),
            STANDARD.encode(format!("{value}\n")),
            serde_json::to_string(value).expect("a string")[1..].trim_end_matches('"').to_owned(),
            "p%40ss%20%22w%C3%B6rd%22%20%26%20%3Cmore%3E".to_owned(),
            "p%40ss+%22w%C3%B6rd%22+%26+%3Cmore%3E".to_owned(),
            hex(value.as_bytes(), "", false),
            hex(value.as_bytes(), "\\x", false),
            "p@ss \\\"w\u{f6}rd\\\" \\u0026 \\u003cmore\\u003e".to_owned(),
        ] {
            let shown = redactor.text(&format!("before {form} after"));
            assert!(shown.starts_with("before <redacted ") && shown.ends_with("> after"), "{form}: {shown}");
        }
    }

    #[test]
    fn short_values_are_masked_in_quotes_only_and_public_words_never() {
        let redactor = redactor(&["1", "abc", "true"]);
        assert_eq!(redactor.text("replicas: 1, abcdef, true"), "replicas: 1, abcdef, true");
        let shown = redactor.text("Invalid value: \"abc\": must be '1'");
        assert!(!shown.contains("abc") && !shown.contains("'1'"), "{shown}");
    }

    #[test]
    fn overlapping_secrets_leave_nothing_behind() {
        let shown = redactor(&["abcdef", "defghi"]).text("xx abcdefghi yy");
        assert!(shown.starts_with("xx <redacted ") && shown.ends_with("> yy"), "{shown}");
        assert_eq!(shown.matches("redacted").count(), 1);
    }

    #[test]
    fn a_file_is_masked_by_its_lines_and_a_cut_quotation_as_far_as_it_goes() {
        let key = format!("-----BEGIN KEY-----\n{}\n{}\n", "A1b2C3d4".repeat(8), "Zz9Yy8Xx".repeat(8));
        let redactor = redactor(&[&key]);
        let shown = redactor.text(&key.replace('\n', "\n    "));
        assert!(!shown.contains("A1b2") && !shown.contains("Zz9Y"), "{shown}");
        let cut = &STANDARD.encode(&key)[..100];
        let shown = redactor.text(&format!("got {cut}..."));
        assert!(shown.starts_with("got <redacted ") && shown.ends_with(">..."), "{shown}");
    }

    #[test]
    fn the_mask_tells_a_change_and_the_key_hides_the_value() {
        let of = |key: &[u8], value: &str| {
            let object = secret(json!({"password": value}));
            let redactor = Redactor::new(key, [&object]).expect("one secret");
            redactor.object(&object)["stringData"]["password"].clone()
        };
        assert_eq!(of(b"a", "secret-1"), of(b"a", "secret-1"));
        assert_ne!(of(b"a", "secret-1"), of(b"a", "secret-2"));
        assert_ne!(of(b"a", "secret-1"), of(b"b", "secret-1"));
    }

    #[test]
    fn numbers_keys_and_last_applied_are_masked() {
        let redactor = redactor(&["20261124"]);
        let object = json!({"port": 20_261_124, "20261124": 1, "metadata": {"annotations": {LAST_APPLIED: "{}"}}});
        let shown = redactor.object(&object);
        assert!(!shown.to_string().contains("20261124"), "{shown}");
        assert_eq!(shown["metadata"]["annotations"][LAST_APPLIED], HIDDEN);
    }

    #[test]
    fn what_last_applied_holds_of_a_secret_is_a_secret() {
        let before = secret(json!({"password": "earlier-password"})).to_string();
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"annotations": {LAST_APPLIED: before}}});
        let redactor = Redactor::new(b"key", [&object]).expect("one secret");
        assert!(!redactor.text("x earlier-password y").contains("earlier"));
    }

    /// The text outside the masks, which are public.
    fn outside(shown: &str) -> String {
        let parts = shown.split("<redacted ").enumerate();
        let rest =
            parts.map(|(at, part)| if at == 0 { part } else { part.split_once('>').map_or(part, |(_, rest)| rest) });
        rest.collect::<Vec<_>>().join("\u{0}")
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_secret_is_left_in_any_text(
            secrets in prop::collection::vec("[!-~]{4,12}", 1..5),
            before in "[ -~]{0,20}",
            after in "[ -~]{0,20}",
            joined in any::<bool>(),
        ) {
            prop_assume!(secrets.iter().all(|secret| !PUBLIC.contains(&secret.as_str())));
            let values: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let middle = secrets.join(if joined { "" } else { " " });
            let shown = redactor(&values).text(&format!("{before}{middle}{after}"));
            for secret in &secrets {
                prop_assert!(!outside(&shown).contains(secret.as_str()), "{secret} in {shown}");
            }
        }

        #[test]
        fn text_without_secrets_is_unchanged(text in "[a-z ]{0,60}") {
            prop_assert_eq!(redactor(&["0000-1111"]).text(&text), text);
        }
    }
}
