//! The texts that say what the chart does: the table of values in its README and
//! the plain manifests are made from the chart, and kept equal here. With
//! `UPDATE_DOCUMENTS=1` a run writes them anew.

use std::{env, fmt::Write, fs, path::Path};

use serde_json::Value;

use super::{
    rendering::{name_of, render, root},
    yaml,
};

/// Compares `text` with the file, or writes it there when asked to.
fn keep_equal(path: &Path, text: &str) {
    if env::var_os("UPDATE_DOCUMENTS").is_some() {
        fs::write(path, text).expect("the document is written");
        return;
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == text,
        "{} is not what the chart says; UPDATE_DOCUMENTS=1 cargo test --test chart writes it anew",
        path.display()
    );
}

#[test]
fn the_manifests_are_the_rendered_chart() {
    let folder = root().join("deploy/manifests/redis");
    let rendered = render(&["--namespace", "project-template"]).expect("the defaults render");
    let mut expected = Vec::new();
    for (document, object) in rendered.text.split("---\n").skip(1).zip(&rendered.objects) {
        let kind = object["kind"].as_str().expect("a kind");
        let file = match name_of(object).as_str() {
            "Service/redis" => "service.yaml".to_owned(),
            "Service/redis-read" => "service-read.yaml".to_owned(),
            "PersistentVolumeClaim/redis-pvc" => "pvc.yaml".to_owned(),
            _ => format!("{}.yaml", kind.to_lowercase()),
        };
        let text: String =
            document.lines().filter(|line| !managed_by_helm(line)).fold(String::new(), |mut text, line| {
                let _ = writeln!(text, "{line}");
                text
            });
        keep_equal(&folder.join(&file), &text);
        expected.push(file);
    }
    let mut found: Vec<_> = fs::read_dir(&folder)
        .expect("the folder")
        .map(|e| e.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "{}", folder.display());
}

/// Lines that say that helm made the object, which is untrue of a plain manifest.
fn managed_by_helm(line: &str) -> bool {
    ["# Source: ", "helm.sh/chart: ", "app.kubernetes.io/managed-by: "]
        .iter()
        .any(|word| line.trim_start().starts_with(word))
}

#[test]
fn the_table_of_values_is_the_schema() {
    let defaults: Value = yaml("charts/redis/values.yaml");
    let text = fs::read_to_string(root().join("charts/redis/values.schema.json")).expect("the schema");
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    let mut table = "| value | default | meaning |\n|---|---|---|\n".to_owned();
    rows(&schema, &schema, "", Some(&defaults), &mut table);
    let path = root().join("charts/redis/README.md");
    let readme = fs::read_to_string(&path).expect("the README");
    let (before, rest) = readme.split_once("<!-- values -->\n").expect("a mark before the table");
    let (_, after) = rest.split_once("<!-- end of values -->\n").expect("a mark after the table");
    keep_equal(&path, &format!("{before}<!-- values -->\n{table}<!-- end of values -->\n{after}"));
}

/// A line for each value that has no values below it; a value without a
/// description fails.
fn rows(schema: &Value, node: &Value, path: &str, default: Option<&Value>, table: &mut String) {
    for (key, child) in node["properties"].as_object().into_iter().flatten() {
        let target = child["$ref"].as_str().map_or(child, |name| {
            schema.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("{name} is not defined"))
        });
        let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let description = child["description"].as_str().or(target["description"].as_str());
        let description = description.unwrap_or_else(|| panic!("{name} has no description"));
        let default = default.and_then(|default| default.get(key));
        if target["properties"].is_object()
            && default.and_then(Value::as_object).is_none_or(|default| !default.is_empty())
        {
            rows(schema, target, &name, default, table);
            continue;
        }
        let shown = default.map_or_else(String::new, |value| format!("`{value}`"));
        let _ = writeln!(table, "| `{name}` | {} | {} |", shown.replace('|', "\\|"), description.replace('|', "\\|"));
    }
}
