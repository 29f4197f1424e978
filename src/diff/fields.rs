//! Sets of field paths in the `FieldsV1` form of `metadata.managedFields`.
//!
//! A path is a chain of [`Step`]s; a set is a tree of them. The form is the one
//! of sigs.k8s.io/structured-merge-diff: `f:<name>` a field, `k:<json>` a list
//! item by its keys, `v:<json>` a set member, `i:<n>` an index, `.` the node
//! itself. Unknown steps are dropped on reading: they name nothing we could state.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

/// One step of a field path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A field of an object.
    Field(String),
    /// The item of an associative list that has these keys; canonical JSON.
    Key(BTreeMap<String, String>),
    /// The member of a set; canonical JSON.
    Member(String),
    /// The item of a list at an index.
    Index(usize),
}

/// A set of field paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// Whether the path that leads here is itself in the set.
    member: bool,
    children: BTreeMap<Step, FieldSet>,
}

impl Step {
    /// The field `name`.
    pub fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }

    /// The key of a list item: the values of `keys` in `item`; `None` when the
    /// item has none of them.
    pub fn key_of(item: &Value, keys: &[String]) -> Option<Self> {
        let found: BTreeMap<_, _> =
            keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.to_string()))).collect();
        (!found.is_empty()).then_some(Self::Key(found))
    }

    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "f" => Some(Self::field(rest)),
            "v" => Some(Self::Member(serde_json::from_str::<Value>(rest).ok()?.to_string())),
            "i" => Some(Self::Index(rest.parse().ok()?)),
            "k" => {
                let keys: Map<String, Value> = serde_json::from_str(rest).ok()?;
                Some(Self::Key(keys.into_iter().map(|(name, value)| (name, value.to_string())).collect()))
            }
            _ => None,
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Member(json) => format!("v:{json}"),
            Self::Index(index) => format!("i:{index}"),
            Self::Key(keys) => {
                let pairs: Vec<_> =
                    keys.iter().map(|(name, json)| format!("{}:{json}", Value::from(name.as_str()))).collect();
                format!("k:{{{}}}", pairs.join(","))
            }
        }
    }

    /// What the step leads to in `value`. A key that the item leaves out is
    /// taken as defaulted when another one matches (`protocol` of a port).
    pub fn of<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        match self {
            Self::Field(name) => value.get(name),
            Self::Index(index) => value.get(index),
            Self::Member(json) => value.as_array()?.iter().find(|item| is_json(item, json)),
            Self::Key(keys) => value.as_array()?.iter().find(|item| Self::matches(keys, item)),
        }
    }

    /// Whether the list item `item` is the one with these keys.
    pub fn matches(keys: &BTreeMap<String, String>, item: &Value) -> bool {
        let mut matched = false;
        for (name, json) in keys {
            match item.get(name) {
                Some(found) if is_json(found, json) => matched = true,
                None if item.is_object() => {}
                _ => return false,
            }
        }
        matched
    }
}

impl fmt::Display for Step {
    /// As a person writes it: `.name`, `[redis]`, `[6379/TCP]`, `[0]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |json: &String| json.trim_matches('"').to_owned();
        match self {
            Self::Field(name) if name.contains(['.', '/', '[']) => write!(f, "[{name}]"),
            Self::Field(name) => write!(f, ".{name}"),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Member(json) => write!(f, "[{}]", plain(json)),
            Self::Key(keys) => {
                let values: Vec<_> = keys.values().map(plain).filter(|value| !value.is_empty()).collect();
                write!(f, "[{}]", values.join("/"))
            }
        }
    }
}

/// Whether `json` is the canonical form of `value`.
fn is_json(value: &Value, json: &str) -> bool {
    let text = value.to_string();
    text == json
}

/// A path as a person writes it: `spec.template.spec.containers[redis].image`.
pub fn path_text(path: &[Step]) -> String {
    let text: String = path.iter().map(Step::to_string).collect();
    text.strip_prefix('.').map_or(text.clone(), str::to_owned)
}

impl FieldSet {
    /// Reads a `fieldsV1` tree.
    pub fn from_fields_v1(tree: &Value) -> Self {
        let mut set = Self::default();
        let Some(tree) = tree.as_object() else { return set };
        for (name, below) in tree {
            if name == "." {
                set.member = true;
            } else if let Some(step) = Step::parse(name) {
                let mut child = Self::from_fields_v1(below);
                child.member |= child.children.is_empty();
                set.children.insert(step, child);
            }
        }
        set
    }

    /// The fields of a struct, lists as leaves: what an owner of all of `value` owns.
    pub fn of_struct(value: &Value) -> Self {
        let children = match value {
            Value::Object(fields) => {
                fields.iter().map(|(name, below)| (Step::field(name), Self::of_struct(below))).collect()
            }
            _ => BTreeMap::new(),
        };
        Self { member: true, children }
    }

    /// Writes a `fieldsV1` tree.
    pub fn to_fields_v1(&self) -> Value {
        let mut tree = Map::new();
        if self.member && !self.children.is_empty() {
            tree.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (step, child) in &self.children {
            tree.insert(step.write(), child.to_fields_v1());
        }
        Value::Object(tree)
    }

    /// Whether no path is in the set.
    pub fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Whether the path that leads to this node is in the set itself.
    pub fn is_member(&self) -> bool {
        self.member
    }

    /// The nodes one step further.
    pub fn children(&self) -> impl Iterator<Item = (&Step, &Self)> {
        self.children.iter()
    }

    /// The node at one further step.
    pub fn child(&self, step: &Step) -> Option<&Self> {
        self.children.get(step)
    }

    /// The node at `path`.
    pub fn at(&self, path: &[Step]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| node.child(step))
    }

    /// Whether `path` or anything below it is in the set.
    pub fn touches(&self, path: &[Step]) -> bool {
        self.at(path).is_some()
    }

    /// Whether `path`, something below it, or a leaf above it is in the set.
    pub fn covers(&self, path: &[Step]) -> bool {
        let mut node = self;
        for step in path {
            match node.child(step) {
                Some(child) => node = child,
                None => return node.member && node.children.is_empty(),
            }
        }
        true
    }

    /// Adds `path`.
    pub fn insert(&mut self, path: &[Step]) {
        self.node_mut(path).member = true;
    }

    /// Adds everything of `subtree`, which hangs at `path`.
    pub fn graft(&mut self, path: &[Step], subtree: &Self) {
        let node = self.node_mut(path);
        *node = node.union(subtree);
    }

    fn node_mut(&mut self, path: &[Step]) -> &mut Self {
        path.iter().fold(self, |node, step| node.children.entry(step.clone()).or_default())
    }

    /// Removes `path` and everything below it.
    pub fn remove(&mut self, path: &[Step]) {
        let Some((first, rest)) = path.split_first() else {
            *self = Self::default();
            return;
        };
        if let Some(child) = self.children.get_mut(first) {
            child.remove(rest);
            if child.is_empty() {
                self.children.remove(first);
            }
        }
    }

    /// The paths in either set.
    pub fn union(&self, other: &Self) -> Self {
        let mut result = self.clone();
        result.member |= other.member;
        for (step, child) in &other.children {
            let merged = result.children.get(step).map_or_else(|| child.clone(), |own| own.union(child));
            result.children.insert(step.clone(), merged);
        }
        result
    }

    /// The paths in this set and not in the other.
    pub fn difference(&self, other: &Self) -> Self {
        self.combine(other, |own, theirs| own && !theirs, true)
    }

    /// The paths in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |own, theirs| own && theirs, false)
    }

    fn combine(&self, other: &Self, member: fn(bool, bool) -> bool, keep_alone: bool) -> Self {
        let mut result = Self { member: member(self.member, other.member), children: BTreeMap::new() };
        for (step, child) in &self.children {
            let combined = match other.children.get(step) {
                Some(theirs) => child.combine(theirs, member, keep_alone),
                None if keep_alone => child.clone(),
                None => continue,
            };
            if !combined.is_empty() {
                result.children.insert(step.clone(), combined);
            }
        }
        result
    }

    /// Every path in the set, in order.
    pub fn paths(&self) -> Vec<Vec<Step>> {
        let mut found = Vec::new();
        self.collect(&mut Vec::new(), &mut found);
        found
    }

    fn collect(&self, path: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
        if self.member {
            found.push(path.clone());
        }
        for (step, child) in &self.children {
            path.push(step.clone());
            child.collect(path, found);
            path.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, prelude::*};
    use serde_json::json;

    use super::*;

    fn sets() -> impl Strategy<Value = FieldSet> {
        let step = prop_oneof![
            "[a-c]".prop_map(|name| Step::field(&name)),
            "[a-c]".prop_map(|name| Step::Key(BTreeMap::from([("name".to_owned(), Value::from(name).to_string())]))),
            "[a-c]".prop_map(|member| Step::Member(Value::from(member).to_string())),
            (0_usize..3).prop_map(Step::Index),
        ];
        // A set that is only its own root names no path of an object.
        let root = |set| FieldSet { member: false, children: BTreeMap::from([(Step::field("spec"), set)]) };
        let leaf = Just(FieldSet { member: true, children: BTreeMap::new() });
        leaf.prop_recursive(3, 24, 3, move |inner| {
            (any::<bool>(), btree_map(step.clone(), inner, 1..4))
                .prop_map(|(member, children)| FieldSet { member, children })
        })
        .prop_map(root)
    }

    #[test]
    fn paths_read_as_people_write_them() {
        let object = json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"redis\"}": {
                ".": {}, "f:image": {}, "f:ports": {"k:{\"containerPort\":6379,\"protocol\":\"TCP\"}": {".": {}}},
                "f:args": {"i:0": {}}}}}}},
            "f:metadata": {"f:annotations": {"f:a.b/c": {}}, "f:finalizers": {"v:\"x\"": {}}}, "?:unknown": {}});
        let paths: Vec<_> = FieldSet::from_fields_v1(&object).paths().iter().map(|path| path_text(path)).collect();
        assert_eq!(
            paths,
            [
                "metadata.annotations[a.b/c]",
                "metadata.finalizers[x]",
                "spec.template.spec.containers[redis]",
                "spec.template.spec.containers[redis].args[0]",
                "spec.template.spec.containers[redis].image",
                "spec.template.spec.containers[redis].ports[6379/TCP]",
            ]
        );
    }

    #[test]
    fn a_defaulted_key_may_be_left_out_of_an_item() {
        let ports = json!([{"containerPort": 6379, "protocol": "UDP"}, {"containerPort": 6379}]);
        let step = Step::parse("k:{\"containerPort\":6379,\"protocol\":\"TCP\"}").expect("a key");
        assert_eq!(step.of(&ports), Some(&json!({"containerPort": 6379})));
        let other = Step::parse("k:{\"containerPort\":6380,\"protocol\":\"TCP\"}").expect("a key");
        assert_eq!(other.of(&ports), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn reading_is_the_reverse_of_writing(set in sets()) {
            prop_assert_eq!(FieldSet::from_fields_v1(&set.to_fields_v1()), set);
        }

        #[test]
        fn sets_behave_as_sets_of_paths(a in sets(), b in sets()) {
            let paths = |set: &FieldSet| set.paths().into_iter().collect::<std::collections::BTreeSet<_>>();
            prop_assert_eq!(paths(&a.union(&b)), &paths(&a) | &paths(&b));
            prop_assert_eq!(paths(&a.difference(&b)), &paths(&a) - &paths(&b));
            prop_assert_eq!(paths(&a.intersection(&b)), &paths(&a) & &paths(&b));
            prop_assert!(a.difference(&a).is_empty());
        }

        #[test]
        fn a_removed_path_is_gone_with_everything_below(set in sets()) {
            for path in set.paths() {
                let mut rest = set.clone();
                rest.remove(&path);
                prop_assert!(!rest.touches(&path) || path.is_empty());
                prop_assert_eq!(rest.paths().iter().filter(|left| left.starts_with(&path)).count(), 0);
            }
        }

        #[test]
        fn anything_that_is_no_set_reads_as_one(text in "[fkvi.:{}\"a-c0-9]{0,12}") {
            let _ = FieldSet::from_fields_v1(&json!({ text.as_str(): {} })).to_fields_v1();
        }
    }
}
