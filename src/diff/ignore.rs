//! What ignore rules leave of a comparison and of an apply.
//!
//! An ignored field keeps its live value: it is no longer stated where somebody
//! else owns it, and stated as it is where nobody else does, since not stating
//! it would remove it.

use serde_json::Value;

use super::{
    compare,
    fields::{Step, path_text},
    lists::{ListKind, Lists},
    managers::{self, ManagerEntry},
};
use crate::{
    ignore::{FieldPattern, IgnoreRule},
    resource::Manifest,
};

/// An object as it is compared and applied under the rules.
#[derive(Clone, Debug)]
pub struct Spared {
    /// What is stated.
    pub manifest: Manifest,
    /// The live object, in which ignored fields have no foreign owner.
    pub live: Value,
    /// The paths of the fields that would be differences without the rules.
    pub hidden: Vec<String>,
}

/// Applies `rules` to `desired` and the `live` object; `None` without a rule for it.
pub fn spare(desired: &Manifest, live: &Value, rules: &[IgnoreRule]) -> Option<Spared> {
    let rules: Vec<&IgnoreRule> = rules.iter().filter(|rule| rule.covers(&desired.key)).collect();
    if rules.is_empty() {
        return None;
    }
    let mut spared = Spared { manifest: desired.clone(), live: live.clone(), hidden: Vec::new() };
    let entries = managers::entries(live);
    let (lists, path, found) = (Lists::of([live]), Vec::new(), Vec::new());
    let mut search = Search { rules: &rules, entries: &entries, lists, path, found };
    search.walk(&desired.body, false);
    for path in &search.found {
        keep_live(&mut spared, desired, live, &entries, path);
    }
    hide_foreign(&mut spared, desired, &rules, entries);
    spared.hidden.sort();
    spared.hidden.dedup();
    Some(spared)
}

/// Finds the leaves that Git states and the rules ignore: ownership is decided
/// leaf by leaf.
struct Search<'a> {
    rules: &'a [&'a IgnoreRule],
    entries: &'a [ManagerEntry],
    lists: Lists,
    path: Vec<Step>,
    found: Vec<Vec<Step>>,
}

impl Search<'_> {
    fn walk(&mut self, value: &Value, within: bool) {
        let steps = self.steps(value);
        let ignored = within || self.rules.iter().any(|rule| ignores(rule, self.entries, &self.path, steps.is_none()));
        let Some(steps) = steps else {
            if ignored {
                self.found.push(self.path.clone());
            }
            return;
        };
        for (step, below) in steps {
            self.path.push(step);
            if !is_identity(&self.path) {
                self.walk(below, ignored);
            }
            self.path.pop();
        }
    }

    /// What is below `value`; `None` for a leaf. An atomic list is one.
    fn steps<'v>(&self, value: &'v Value) -> Option<Vec<(Step, &'v Value)>> {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                Some(fields.iter().map(|(name, below)| (Step::field(name), below)).collect())
            }
            Value::Array(items) if !items.is_empty() => {
                let kind = self.lists.kind(&self.path, &[value]);
                let steps = items.iter().enumerate().map(|(index, item)| (kind.step(index, item), item));
                (kind != ListKind::Atomic).then(|| steps.collect())
            }
            _ => None,
        }
    }
}

fn is_identity(path: &[Step]) -> bool {
    match path {
        [Step::Field(top)] => top == "apiVersion" || top == "kind",
        [Step::Field(top), Step::Field(name)] => top == "metadata" && (name == "name" || name == "namespace"),
        _ => false,
    }
}

/// Whether the rule is about the field at `path`. A rule with a manager alone is
/// about the leaves that the manager owns.
fn ignores(rule: &IgnoreRule, entries: &[ManagerEntry], path: &[Step], leaf: bool) -> bool {
    let named = rule.fields.iter().any(|pattern| is_at(pattern, path));
    let of_manager = |manager: &String| {
        entries.iter().any(|entry| entry.writer.manager == *manager && !entry.is_ours() && entry.fields.touches(path))
    };
    match &rule.manager {
        None => named,
        Some(manager) if rule.fields.is_empty() => leaf && of_manager(manager),
        Some(manager) => named && of_manager(manager),
    }
}

fn is_at(pattern: &FieldPattern, path: &[Step]) -> bool {
    pattern.parts().len() == path.len() && pattern.parts().iter().zip(path).all(|(part, step)| is_step(part, step))
}

fn is_step(part: &str, step: &Step) -> bool {
    let plain = |json: &String| json.trim_matches('"') == part;
    part == "*"
        || match step {
            Step::Field(name) => name == part,
            Step::Index(index) => part.parse() == Ok(*index),
            Step::Member(json) => plain(json),
            Step::Key(keys) => keys.values().any(plain),
        }
}

fn keep_live(spared: &mut Spared, desired: &Manifest, live: &Value, entries: &[ManagerEntry], path: &[Step]) {
    let stated = path.iter().try_fold(&desired.body, |value, step| step.of(value));
    let held = path.iter().try_fold(live, |value, step| step.of(value));
    let owned_by_others = entries.iter().any(|entry| !entry.is_ours() && entry.fields.touches(path));
    let value = held.filter(|_| !owned_by_others).cloned();
    if stated != held {
        spared.hidden.push(path_text(path));
    }
    put(&mut spared.manifest.body, path, value);
}

/// Sets or removes what is at `path`; a path that leads nowhere changes nothing.
fn put(object: &mut Value, path: &[Step], value: Option<Value>) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut at = object;
    for step in parents {
        let Some(next) = step_into(at, step) else { return };
        at = next;
    }
    match (last, at, value) {
        (Step::Field(name), Value::Object(fields), Some(value)) => drop(fields.insert(name.clone(), value)),
        (Step::Field(name), Value::Object(fields), None) => drop(fields.remove(name)),
        (step, list @ Value::Array(_), Some(value)) => {
            if let Some(item) = step_into(list, step) {
                *item = value;
            }
        }
        (Step::Key(keys), Value::Array(items), None) => items.retain(|item| !Step::matches(keys, item)),
        _ => {}
    }
}

fn step_into<'a>(value: &'a mut Value, step: &Step) -> Option<&'a mut Value> {
    match step {
        Step::Field(name) => value.get_mut(name),
        Step::Index(index) => value.get_mut(index),
        Step::Member(json) => value.as_array_mut()?.iter_mut().find(|item| item.to_string() == *json),
        Step::Key(keys) => value.as_array_mut()?.iter_mut().find(|item| Step::matches(keys, item)),
    }
}

/// Takes the ignored fields that Git does not state out of the foreign entries.
fn hide_foreign(spared: &mut Spared, desired: &Manifest, rules: &[&IgnoreRule], mut entries: Vec<ManagerEntry>) {
    let before = compare::undeclared_fields(desired, &spared.live);
    let all = entries.clone();
    for entry in entries.iter_mut().filter(|entry| entry.is_foreign()) {
        for path in entry.fields.paths() {
            let covered = (1..=path.len())
                .any(|length| rules.iter().any(|rule| ignores(rule, &all, &path[..length], length == path.len())));
            if covered {
                entry.fields.remove(&path);
            }
        }
    }
    entries.retain(|entry| !entry.fields.is_empty());
    spared.live["metadata"]["managedFields"] = entries.iter().map(ManagerEntry::write).collect();
    let after = compare::undeclared_fields(desired, &spared.live);
    spared.hidden.extend(before.difference(&after).paths().iter().map(|path| path_text(path)));
}
