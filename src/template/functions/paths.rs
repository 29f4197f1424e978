//! Slash-separated paths (Go's `path`) and URLs.

use super::{
    Function, Outcome,
    Param::{Map as Dict, Str as Text},
    Refusal, kind_for_person, plain,
};
use crate::template::value::{Map, Str, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("base", &[Text], |c| Ok(Value::str(base(&c.text(0))))),
    plain("osBase", &[Text], |c| Ok(Value::str(base(&c.text(0))))),
    plain("dir", &[Text], |c| Ok(Value::str(dir(&c.text(0))))),
    plain("osDir", &[Text], |c| Ok(Value::str(dir(&c.text(0))))),
    plain("clean", &[Text], |c| Ok(Value::str(clean(&c.text(0))))),
    plain("osClean", &[Text], |c| Ok(Value::str(clean(&c.text(0))))),
    plain("ext", &[Text], |c| Ok(Value::str(ext(&c.text(0))))),
    plain("osExt", &[Text], |c| Ok(Value::str(ext(&c.text(0))))),
    plain("isAbs", &[Text], |c| Ok(Value::Bool(c.bytes(0).starts_with(b"/")))),
    plain("osIsAbs", &[Text], |c| Ok(Value::Bool(c.bytes(0).starts_with(b"/")))),
    plain("urlParse", &[Text], |c| url_parse(&c.text(0))),
    plain("urlJoin", &[Dict], |c| url_join(&c.map(0))),
];

/// The last element; `.` for nothing, `/` for slashes alone.
pub(crate) fn base(path: &str) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        Some("") | None => "/".to_owned(),
        Some(last) => last.to_owned(),
    }
}

fn dir(path: &str) -> String {
    clean(&path[..path.rfind('/').map_or(0, |at| at + 1)])
}

fn ext(path: &str) -> String {
    let last = &path[path.rfind('/').map_or(0, |at| at + 1)..];
    last.rfind('.').map_or("", |at| &last[at..]).to_owned()
}

fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

fn decode(text: &str) -> Result<String, Refusal> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
            let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
            out.push(byte.ok_or_else(|| Refusal::from(format!("{text:?} has a bad % escape")))?);
            rest = &tail[2..];
        } else {
            out.push(*first);
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn encode(text: &str, keep: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || keep.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn url_parse(url: &str) -> Outcome {
    if url.bytes().any(|b| b < b' ' || b == 0x7f) {
        return Err("the URL holds a control character".into());
    }
    let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (scheme, rest) = scheme(rest)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut parts = Parts { scheme, query: query.to_owned(), fragment: decode(fragment)?, ..Parts::default() };
    if let Some(after) = rest.strip_prefix("//") {
        let end = after.find('/').unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        parts.userinfo = user.to_owned();
        check_port(host)?;
        parts.host = decode(host)?;
        parts.path = decode(path)?;
    } else if !parts.scheme.is_empty() && !rest.starts_with('/') {
        parts.opaque = rest.to_owned();
    } else {
        if parts.scheme.is_empty() && rest.split('/').next().is_some_and(|first| first.contains(':')) {
            return Err("the first path segment of a URL must not hold a colon".into());
        }
        parts.path = decode(rest)?;
    }
    Ok(parts.into_value())
}

fn scheme(url: &str) -> Result<(String, &str), Refusal> {
    match url.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))) {
        Some(0) if url.starts_with(':') => Err("the URL has no scheme before its colon".into()),
        Some(at) if url[at..].starts_with(':') && url.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            Ok((url[..at].to_lowercase(), &url[at + 1..]))
        }
        _ => Ok((String::new(), url)),
    }
}

fn check_port(host: &str) -> Result<(), Refusal> {
    let after = host.rfind(']').map_or(host, |at| &host[at..]);
    match after.rsplit_once(':') {
        Some((_, port)) if !port.bytes().all(|b| b.is_ascii_digit()) => {
            Err(format!("{port:?} is not a port number").into())
        }
        _ => Ok(()),
    }
}

#[derive(Default)]
struct Parts {
    scheme: String,
    host: String,
    path: String,
    query: String,
    opaque: String,
    fragment: String,
    userinfo: String,
}

impl Parts {
    fn into_value(self) -> Value {
        let hostname = match self.host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address.to_owned(),
            None => self.host.split_once(':').map_or(self.host.clone(), |(name, _)| name.to_owned()),
        };
        let map = Map::new();
        for (key, text) in [
            ("scheme", self.scheme),
            ("host", self.host),
            ("hostname", hostname),
            ("path", self.path),
            ("query", self.query),
            ("opaque", self.opaque),
            ("fragment", self.fragment),
            ("userinfo", self.userinfo),
        ] {
            map.set(Str::from(key), Value::str(text));
        }
        Value::Map(map)
    }
}

fn url_join(map: &Map) -> Outcome {
    let part = |key: &str| -> Result<String, Refusal> {
        match map.get(key.as_bytes()) {
            None => Ok(String::new()),
            Some(Value::Str(text)) => Ok(text.text().into_owned()),
            Some(other) => Err(format!("{key} must be a string, found {}", kind_for_person(&other)).into()),
        }
    };
    let (scheme, host, path, userinfo) = (part("scheme")?, part("host")?, part("path")?, part("userinfo")?);
    let (query, opaque, fragment) = (part("query")?, part("opaque")?, part("fragment")?);
    let mut out = String::new();
    if !scheme.is_empty() {
        out.push_str(&scheme);
        out.push(':');
    }
    if opaque.is_empty() {
        let authority = !host.is_empty() || !userinfo.is_empty();
        if authority || (!scheme.is_empty() && path.starts_with("//")) {
            out.push_str("//");
            if !userinfo.is_empty() {
                out.push_str(&userinfo);
                out.push('@');
            }
            out.push_str(&host);
        }
        if authority && !path.is_empty() && !path.starts_with('/') {
            out.push('/');
        }
        out.push_str(&encode(&path, "/$&+,:;=@!'()*"));
    } else {
        out.push_str(&opaque);
    }
    if !query.is_empty() {
        out.push('?');
        out.push_str(&query);
    }
    if !fragment.is_empty() {
        out.push('#');
        out.push_str(&encode(&fragment, "/$&+,:;=?@!'()*"));
    }
    Ok(Value::str(out))
}
