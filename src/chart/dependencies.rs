//! Which dependencies take part in a render, and with which values: aliases,
//! conditions, tags, imported values, and coalescing through the tree.

use serde_json::Value;

use super::{Chart, Dependency};
use crate::{
    template::semver::{Constraint, Version},
    values::{Table, coalesce_globals, coalesce_over, is_table, merge_tables, table},
};

/// Whether `version` satisfies the constraint; anything malformed does not.
pub(super) fn compatible(constraint: &str, version: &str) -> bool {
    match (Constraint::parse(constraint), Version::parse(version)) {
        (Ok(constraint), Ok(version)) => constraint.allows(&version),
        _ => false,
    }
}

/// A value that makes coalescing impossible.
#[derive(Debug, thiserror::Error)]
#[error("the value {0:?} belongs to the chart of that name and must be a table")]
pub struct NotATable(pub String);

/// Values for the whole tree below `chart`: its defaults and those of its
/// dependencies under what `given` says.
pub(super) fn coalesce(chart: &Chart, given: Table, keep_nulls: bool) -> Result<Table, NotATable> {
    let mut values = given;
    let is_child = |key: &str| chart.dependencies.iter().any(|child| child.metadata.name == key);
    coalesce_over(&mut values, &chart.values, keep_nulls, is_child);
    for child in &chart.dependencies {
        let name = &child.metadata.name;
        let mut inner = match values.get_mut(name) {
            None => Table::new(),
            Some(Value::Object(inner)) => std::mem::take(inner),
            Some(_) => return Err(NotATable(name.clone())),
        };
        coalesce_globals(&mut inner, &values);
        let inner = coalesce(child, inner, keep_nulls)?;
        values.insert(name.clone(), Value::Object(inner));
    }
    Ok(values)
}

/// The chart as this render uses it: without what is switched off, with
/// aliases applied and values imported.
pub(super) fn process(chart: &Chart, given: &Table, warnings: &mut Vec<String>) -> Result<Chart, NotATable> {
    let mut chart = chart.clone();
    select(&mut chart, given, "", warnings)?;
    import(&mut chart, warnings)?;
    Ok(chart)
}

fn select(chart: &mut Chart, given: &Table, path: &str, warnings: &mut Vec<String>) -> Result<(), NotATable> {
    let Some(mut wanted) = chart.metadata.dependencies.take() else { return Ok(()) };
    let declared = |child: &Chart| {
        wanted.iter().any(|want| want.name == child.metadata.name && compatible(&want.version, &child.metadata.version))
    };
    let (listed, mut children): (Vec<Chart>, Vec<Chart>) =
        std::mem::take(&mut chart.dependencies).into_iter().partition(|child| declared(child));
    for want in &mut wanted {
        let found = listed
            .iter()
            .chain(&children)
            .find(|child| child.metadata.name == want.name && compatible(&want.version, &child.metadata.version));
        if let Some(child) = found {
            let mut child = child.clone();
            if !want.alias.is_empty() {
                child.metadata.name.clone_from(&want.alias);
            }
            children.push(child);
        }
        if !want.alias.is_empty() {
            want.name.clone_from(&want.alias);
        }
        want.enabled = true;
    }
    chart.dependencies = children;
    let values = coalesce(chart, given.clone(), false)?;
    by_tags(&mut wanted, &values, warnings);
    by_conditions(&mut wanted, &values, path, warnings);
    let disabled = |name: &str| wanted.iter().any(|want| !want.enabled && want.name == name);
    chart.dependencies.retain(|child| !disabled(&child.metadata.name));
    for child in &mut chart.dependencies {
        let path = format!("{path}{}.", child.metadata.name);
        select(child, &values, &path, warnings)?;
    }
    let names: Vec<String> = wanted.iter().filter(|want| !want.enabled).map(|want| want.name.clone()).collect();
    wanted.retain(|want| !names.contains(&want.name));
    chart.metadata.dependencies = (!wanted.is_empty()).then_some(wanted);
    Ok(())
}

fn by_tags(wanted: &mut [Dependency], values: &Table, warnings: &mut Vec<String>) {
    let Some(tags) = table(values, "tags") else { return };
    for want in wanted {
        let (mut on, mut off) = (false, false);
        for tag in &want.tags {
            match tags.get(tag) {
                Some(Value::Bool(true)) => on = true,
                Some(Value::Bool(false)) => off = true,
                Some(_) => warnings.push(format!("tag {tag:?} of dependency {:?} is not true or false", want.name)),
                None => {}
            }
        }
        want.enabled = on || !off;
    }
}

fn by_conditions(wanted: &mut [Dependency], values: &Table, path: &str, warnings: &mut Vec<String>) {
    for want in wanted {
        for condition in want.condition.trim().split(',').filter(|c| !c.is_empty()) {
            let full = format!("{path}{condition}");
            let (holder, key) = match full.rsplit_once('.') {
                Some((holder, key)) => (table(values, holder), key),
                None => (Some(values), full.as_str()),
            };
            match holder.and_then(|holder| holder.get(key)).filter(|value| !is_table(value)) {
                Some(Value::Bool(enabled)) => {
                    want.enabled = *enabled;
                    break;
                }
                Some(_) => {
                    warnings.push(format!("condition {full:?} of dependency {:?} is not true or false", want.name))
                }
                None => {}
            }
        }
    }
}

/// Takes values that dependencies export into the defaults, innermost first.
fn import(chart: &mut Chart, warnings: &mut Vec<String>) -> Result<(), NotATable> {
    for child in &mut chart.dependencies {
        import(child, warnings)?;
    }
    let Some(wanted) = chart.metadata.dependencies.clone() else { return Ok(()) };
    let values = coalesce(chart, Table::new(), true)?;
    let mut imported = Table::new();
    for want in &wanted {
        for item in &want.import_values {
            let (child, parent) = match item {
                Value::String(name) => (format!("exports.{name}"), ".".to_owned()),
                Value::Object(pair) => {
                    let part = |key: &str| pair.get(key).and_then(Value::as_str).unwrap_or("<nil>").to_owned();
                    (part("child"), part("parent"))
                }
                _ => continue,
            };
            let path = format!("{}.{child}", want.name);
            match table(&values, &path) {
                Some(found) => merge_tables(&mut imported, nested(&parent, found.clone())),
                None => warnings.push(format!("import-values: there is no table {path:?} to import")),
            }
        }
    }
    let mut values = values;
    merge_tables(&mut values, imported);
    chart.values = values;
    Ok(())
}

/// `found` at the dotted path `parent`.
fn nested(parent: &str, found: Table) -> Table {
    if parent == "." {
        return found;
    }
    parent.split('.').rev().fold(found, |inner, part| {
        let mut outer = Table::new();
        outer.insert(part.to_owned(), Value::Object(inner));
        outer
    })
}

/// What a chart says it needs and does not have.
pub(super) fn missing(chart: &Chart) -> Vec<String> {
    let wanted = chart.metadata.dependencies.iter().flatten();
    let has = |name: &str| chart.dependencies.iter().any(|child| child.metadata.name == name);
    wanted.filter(|want| !has(&want.name)).map(|want| want.name.clone()).collect()
}
