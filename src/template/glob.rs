//! The globs of `.Files.Glob`: `*` stops at slashes, `**` does not, braces hold
//! alternatives.

use regex::Regex;

/// A test for paths. A malformed pattern matches everything, as in Helm.
pub(crate) fn glob(pattern: &str) -> impl Fn(&str) -> bool + use<> {
    let regex = translate(pattern).and_then(|translated| Regex::new(&translated).ok());
    move |path| regex.as_ref().is_none_or(|regex| regex.is_match(path))
}

fn translate(pattern: &str) -> Option<String> {
    let mut out = String::from("^(?s:");
    let mut chars = pattern.chars().peekable();
    let mut braces = 0;
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.peek() == Some(&'*') => {
                while chars.peek() == Some(&'*') {
                    chars.next();
                }
                out.push_str(".*");
            }
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '\\' => out.push_str(&regex::escape(&chars.next()?.to_string())),
            '{' => {
                braces += 1;
                out.push_str("(?:");
            }
            '}' if braces > 0 => {
                braces -= 1;
                out.push(')');
            }
            ',' if braces > 0 => out.push('|'),
            '[' => {
                out.push('[');
                if chars.peek() == Some(&'!') {
                    chars.next();
                    out.push('^');
                }
                loop {
                    match chars.next()? {
                        ']' => break,
                        '-' => out.push('-'),
                        c => out.push_str(&regex::escape(&c.to_string())),
                    }
                }
                out.push(']');
            }
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    out.push_str(")$");
    (braces == 0).then_some(out)
}
