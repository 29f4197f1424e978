//! Merging tables of values, with Helm's rules for `null`.

use serde_json::Value;

use super::Table;

/// Whether the value is a table.
pub fn is_table(value: &Value) -> bool {
    value.is_object()
}

/// Layers `over` onto `base`: tables merge, everything else is replaced.
pub fn merge_maps(mut base: Table, over: Table) -> Table {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Object(inner)), Value::Object(value)) => {
                *inner = merge_maps(std::mem::take(inner), value);
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
    base
}

/// Fills what `target` lacks from `source`. A `null` in `target` stays.
pub fn merge_tables(target: &mut Table, source: Table) {
    fill(target, source, true);
}

fn fill(target: &mut Table, source: Table, keep_nulls: bool) {
    for (key, value) in source {
        match target.get_mut(&key) {
            None => {
                target.insert(key, value);
            }
            Some(Value::Null) if !keep_nulls && !value.is_null() => {
                target.shift_remove(&key);
            }
            Some(Value::Object(inner)) => {
                if let Value::Object(value) = value {
                    fill(inner, value, keep_nulls);
                }
            }
            Some(_) => {}
        }
    }
}

/// One level of Helm's `coalesceValues`: the chart's own `defaults` under
/// `target`. `is_child` tells which keys hold the values of a dependency.
pub(crate) fn coalesce_over(target: &mut Table, defaults: &Table, keep_nulls: bool, is_child: impl Fn(&str) -> bool) {
    for (key, value) in defaults {
        match target.get_mut(key) {
            None => {
                target.insert(key.clone(), value.clone());
            }
            Some(Value::Null) if !keep_nulls => {
                target.shift_remove(key);
            }
            Some(Value::Object(inner)) => {
                if let Value::Object(value) = value {
                    fill(inner, value.clone(), keep_nulls || is_child(key));
                }
            }
            Some(_) => {}
        }
    }
}

/// Hands the `global` table of a parent down to a child's values; the parent's
/// entries win.
pub(crate) fn coalesce_globals(child: &mut Table, parent: &Table) {
    let mut globals = match child.get("global") {
        None => Table::new(),
        Some(Value::Object(globals)) => globals.clone(),
        Some(_) => return,
    };
    let from_parent = match parent.get("global") {
        None => Table::new(),
        Some(Value::Object(globals)) => globals.clone(),
        Some(_) => return,
    };
    for (key, value) in from_parent {
        match (value, globals.get(&key)) {
            (Value::Object(mut table), Some(Value::Object(known))) => {
                fill(&mut table, known.clone(), true);
                globals.insert(key, Value::Object(table));
            }
            (Value::Object(table), None) => {
                globals.insert(key, Value::Object(table));
            }
            (Value::Object(_), Some(_)) => {}
            (_, Some(Value::Object(_))) => {}
            (value, _) => {
                globals.insert(key, value);
            }
        }
    }
    child.insert("global".to_owned(), Value::Object(globals));
}

/// The table at a dotted path.
pub fn table<'t>(values: &'t Table, path: &str) -> Option<&'t Table> {
    path.split('.').try_fold(values, |at, part| at.get(part)?.as_object())
}
