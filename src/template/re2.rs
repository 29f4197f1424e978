//! Translates Go's regular expressions into the `regex` crate's.
//!
//! The two share RE2's syntax; this covers where they part: Perl classes are
//! ASCII in Go, `\Q…\E` exists there, `{` may be a literal, and brackets inside
//! a class are literals.

/// The pattern for the `regex` crate, or why Go would refuse it.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = match c {
            '\\' => escape(&rest[1..], &mut out, false)?,
            '[' => class(&rest[1..], &mut out)?,
            '{' => repetition(rest, &mut out)?,
            '(' if rest.starts_with("(?") => group(&rest[2..], &mut out)?,
            '}' => {
                out.push_str("\\}");
                &rest[1..]
            }
            c => {
                out.push(c);
                &rest[c.len_utf8()..]
            }
        };
    }
    Ok(out)
}

const WORD: &str = "0-9A-Za-z_";
const SPACE: &str = "\\t\\n\\f\\r ";

/// One escape, after its backslash.
fn escape<'p>(rest: &'p str, out: &mut String, in_class: bool) -> Result<&'p str, String> {
    let c = rest.chars().next().ok_or("it ends in a backslash")?;
    let after = &rest[c.len_utf8()..];
    let set = match c.to_ascii_lowercase() {
        'd' => "0-9",
        'w' => WORD,
        's' => SPACE,
        _ => "",
    };
    match c {
        'd' | 'w' | 's' if in_class => out.push_str(set),
        'd' | 'w' | 's' => out.push_str(&format!("[{set}]")),
        'D' | 'W' | 'S' => out.push_str(&format!("[^{set}]")),
        'Q' if !in_class => {
            let (literal, after) = after.split_once("\\E").unwrap_or((after, ""));
            out.push_str(&regex::escape(literal));
            return Ok(after);
        }
        'b' if !in_class => out.push_str("(?-u:\\b)"),
        'B' if !in_class => out.push_str("(?-u:\\B)"),
        'A' | 'z' if !in_class => {
            out.push('\\');
            out.push(c);
        }
        'a' => out.push_str("\\x07"),
        'f' | 'n' | 'r' | 't' | 'v' | 'x' | 'p' | 'P' => {
            out.push('\\');
            out.push(c);
        }
        '0'..='7' => return octal(rest, out),
        c if c.is_ascii_punctuation() => {
            out.push('\\');
            out.push(c);
        }
        c => return Err(format!("unknown escape \\{c}")),
    }
    Ok(after)
}

fn octal<'p>(rest: &'p str, out: &mut String) -> Result<&'p str, String> {
    let end = rest.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
    if !rest.starts_with('0') && end < 2 {
        return Err(format!("back reference \\{}", &rest[..1]));
    }
    let value = u32::from_str_radix(&rest[..end], 8).map_err(|e| e.to_string())?;
    out.push_str(&format!("\\x{{{value:x}}}"));
    Ok(&rest[end..])
}

/// A character class, after its opening bracket.
fn class<'p>(mut rest: &'p str, out: &mut String) -> Result<&'p str, String> {
    out.push('[');
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    let mut first = true;
    loop {
        let c = rest.chars().next().ok_or("a class has no closing bracket")?;
        rest = match c {
            ']' if !first => {
                out.push(']');
                return Ok(&rest[1..]);
            }
            '\\' => escape(&rest[1..], out, true)?,
            '[' if rest.starts_with("[:") => {
                let end = rest.find(":]").ok_or("a named class is not closed")?;
                out.push_str(&rest[..end + 2]);
                &rest[end + 2..]
            }
            '[' | ']' | '&' | '~' => {
                out.push('\\');
                out.push(c);
                &rest[1..]
            }
            '-' if first || rest[1..].starts_with(']') || rest[1..].starts_with('-') => {
                out.push_str("\\-");
                &rest[1..]
            }
            c => {
                out.push(c);
                &rest[c.len_utf8()..]
            }
        };
        first = false;
    }
}

/// `{n,m}` when it is one, else a literal brace.
fn repetition<'p>(rest: &'p str, out: &mut String) -> Result<&'p str, String> {
    let body = rest[1..].split_once('}').map(|(body, _)| body);
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let valid = body.filter(|body| match body.split_once(',') {
        None => number(body),
        Some((low, high)) => number(low) && (high.is_empty() || number(high)),
    });
    let Some(body) = valid else {
        out.push_str("\\{");
        return Ok(&rest[1..]);
    };
    if body.split(',').any(|n| n.parse::<u32>().map_or(!n.is_empty(), |n| n > 1000)) {
        return Err(format!("the repetition {{{body}}} is above 1000"));
    }
    out.push_str(&format!("{{{body}}}"));
    Ok(&rest[body.len() + 2..])
}

/// A group's head, after `(?`.
fn group<'p>(rest: &'p str, out: &mut String) -> Result<&'p str, String> {
    out.push_str("(?");
    if rest.starts_with("P<") || rest.starts_with('<') {
        return Ok(rest);
    }
    let end = rest.find([':', ')']).ok_or("a group is not closed")?;
    if let Some(flag) = rest[..end].chars().find(|c| !"imsU-".contains(*c)) {
        return Err(format!("unknown group flag {flag:?}"));
    }
    out.push_str(&rest[..=end]);
    Ok(&rest[end + 1..])
}
