//! Keeps who may import whom, as `docs/architecture.md` draws it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Rooms of the core: pure, deterministic, without I/O.
const CORE: [&str; 7] = ["template", "values", "chart", "diff", "plan", "health", "redis"];
/// Rooms that talk to the outside. They never import each other.
const EDGES: [&str; 4] = ["git", "cluster", "probe", "http"];
/// Everybody may use these.
const SHARED: [&str; 2] = ["config", "telemetry"];
/// Rooms above all others.
const ENTRY: [&str; 2] = ["cli", "app"];
/// What the core must not touch, beside the edges.
const IMPURE: [&str; 12] = [
    "tokio",
    "kube::",
    "k8s_openapi",
    "git2",
    "ureq",
    "axum",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "SystemTime",
    "Timestamp::now",
];

/// What each core room may use of the core.
fn core_imports() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("template", &["values"][..]),
        ("values", &[][..]),
        ("chart", &["template", "values"][..]),
        ("diff", &[][..]),
        ("plan", &["diff", "redis"][..]),
        ("health", &["diff"][..]),
        ("redis", &[][..]),
    ])
}

struct Source {
    room: String,
    path: PathBuf,
    /// The code without comments, and without the tests at its end.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                let relative = path.strip_prefix(&root).expect("below src");
                let first = relative.components().next().expect("a part").as_os_str().to_string_lossy();
                let room = first.trim_end_matches(".rs").to_owned();
                let lines = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().lines();
                let code = lines.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
                found.push(Source { room, path, code });
            }
        }
    }
    assert!(found.len() > 40, "the sources were not found");
    found
}

/// The rooms a file names: `crate::room`, and the parts of `use crate::{ … }`.
fn imports(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("crate::") {
        rest = &rest[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0_usize;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => rooms.push(std::mem::take(&mut word)),
                    c if depth == 0 && !c.is_whitespace() => word.push(c),
                    _ => {}
                }
            }
            rooms.push(word);
        } else {
            rooms.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    rooms.iter().map(|room| room.split("::").next().unwrap_or_default().to_owned()).filter(|r| !r.is_empty()).collect()
}

#[test]
fn the_rooms_keep_their_walls() {
    let allowed = core_imports();
    let mut broken = Vec::new();
    for source in sources() {
        let room = source.room.as_str();
        for used in imports(&source.code) {
            let used = used.as_str();
            let forbidden = if CORE.contains(&room) {
                let own = used == room || allowed[room].contains(&used);
                !own && (CORE.contains(&used) || EDGES.contains(&used) || SHARED.contains(&used) || used == "reconcile")
                    || ENTRY.contains(&used)
            } else if EDGES.contains(&room) {
                (EDGES.contains(&used) && used != room)
                    || CORE.contains(&used) && !matches!((room, used), ("http" | "probe", "plan"))
                    || used == "reconcile"
                    || ENTRY.contains(&used)
            } else if SHARED.contains(&room) {
                EDGES.contains(&used) || used == "reconcile" || ENTRY.contains(&used)
            } else if room == "reconcile" {
                ENTRY.contains(&used)
            } else {
                false
            };
            if forbidden {
                broken.push(format!("{} uses {used}", source.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "walls are broken:\n{}", broken.join("\n"));
}

#[test]
fn the_core_is_pure() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| CORE.contains(&source.room.as_str())) {
        for word in IMPURE {
            if source.code.contains(word) {
                broken.push(format!("{} uses {word}", source.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "the core does I/O:\n{}", broken.join("\n"));
}

#[test]
fn only_the_entry_constructs_edges() {
    let constructors = ["Cluster::connect(", "Mirror::open(", "http::serve(", "Direct {"];
    let mut broken = Vec::new();
    for source in sources() {
        let free = ENTRY.contains(&source.room.as_str()) || EDGES.contains(&source.room.as_str());
        for constructor in constructors {
            if !free && source.code.contains(constructor) {
                broken.push(format!("{} calls {constructor}…", source.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "edges are built outside the entry:\n{}", broken.join("\n"));
}

#[test]
fn every_room_is_drawn() {
    let drawing = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md"))
        .expect("docs/architecture.md");
    let rooms: std::collections::BTreeSet<String> = sources().into_iter().map(|source| source.room).collect();
    let vocabulary =
        ["lib", "consequence", "desired", "difference", "ignore", "inventory", "live", "repository", "snapshot"];
    for room in rooms.iter().filter(|room| !vocabulary.contains(&room.as_str())) {
        let named = drawing.contains(&format!("`{room}/`")) || drawing.contains(&format!("`{room}.rs`"));
        assert!(named, "docs/architecture.md does not draw {room}");
    }
}
