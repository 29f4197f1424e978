//! What becomes of each object that Git states.

use serde_json::Value;

use super::{
    Action, Cause, ENVIRONMENT_LABEL, Inputs, Precondition, Refusal, Verb,
    guards::{self, joined, refusal},
    order::{is_workload, rank},
    workload,
};
use crate::{
    consequence::Consequence,
    diff::{self, fields::FieldSet},
    difference::{Difference, DriftClass},
    environment::DriftPolicy,
    inventory::Entry,
    live::{LiveObject, Rejection, RejectionClass},
    resource::{Manifest, ObjectKey},
};

/// The actions for everything Git states, in the order of the apply.
pub(super) fn actions(inputs: &Inputs<'_>, warnings: &mut Vec<String>) -> Vec<Action> {
    let mut manifests: Vec<&Manifest> = inputs.desired.manifests.iter().collect();
    manifests.sort_by_key(|manifest| rank(&manifest.key.kind));
    let mut actions = Vec::with_capacity(manifests.len());
    for manifest in manifests {
        actions.push(action(inputs, manifest, warnings));
    }
    actions
}

/// The action for one object, as the ignore rules leave it.
fn action(inputs: &Inputs<'_>, manifest: &Manifest, warnings: &mut Vec<String>) -> Action {
    let pending = is_pending(inputs, manifest);
    let live = inputs.live.objects.get(&manifest.key).and_then(LiveObject::live);
    let Some(spared) = live.and_then(|live| diff::spare(manifest, live, &inputs.policy.ignore)) else {
        return Object::new(inputs, manifest, None, pending).action(warnings);
    };
    let mut action = Object::new(inputs, &spared.manifest, Some(&spared.live), pending).action(warnings);
    action.ignored = spared.hidden.iter().map(|path| inputs.redactor.text(path)).collect();
    action.stated = (spared.manifest != *manifest).then_some(spared.manifest);
    action
}

/// Whether Git wants something else than was last applied.
fn is_pending(inputs: &Inputs<'_>, manifest: &Manifest) -> bool {
    let digest = diff::digest(&manifest.body, inputs.salt);
    let entry = inputs.inventory.entries.get(&manifest.key);
    entry.and_then(|entry| entry.digest.as_deref()) != Some(digest.as_str())
}

/// `metadata.uid` and `resourceVersion` as observed.
pub(super) fn precondition(live: &Value) -> Precondition {
    let text = |pointer: &str| live.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    Precondition { uid: text("/metadata/uid"), resource_version: text("/metadata/resourceVersion") }
}

/// The other environment that `live` is labelled for.
pub(super) fn foreign_owner<'a>(inputs: &Inputs<'_>, live: &'a Value) -> Option<&'a str> {
    let owner = live.pointer("/metadata/labels").and_then(|labels| labels.get(ENVIRONMENT_LABEL))?.as_str()?;
    (!owner.is_empty() && owner != inputs.policy.environment).then_some(owner)
}

/// A claim in deletion that pods of one of `workloads` mount. Its deletion
/// ends when the pod does, and the data with it.
pub(super) fn claim_in_deletion<'a>(inputs: &Inputs<'a>, workloads: &[&Value]) -> Option<&'a ObjectKey> {
    let namespace = |object: &Value| object.pointer("/metadata/namespace").and_then(Value::as_str).map(str::to_owned);
    inputs.live.objects.iter().find_map(|(key, object)| {
        let doomed = key.kind == "PersistentVolumeClaim" && matches!(object, LiveObject::Terminating { .. });
        let mounted = |workload: &&Value| {
            workload::mounts(workload, &key.name) && namespace(workload).is_none_or(|name| name == key.namespace)
        };
        (doomed && workloads.iter().any(mounted)).then_some(key)
    })
}

/// The workload of the other kind and the same name, which stands for another
/// topology of the same store.
pub(super) fn twin(key: &ObjectKey) -> Option<ObjectKey> {
    let kind = match (key.group.as_str(), key.kind.as_str()) {
        ("apps", "Deployment") => "StatefulSet",
        ("apps", "StatefulSet") => "Deployment",
        _ => return None,
    };
    Some(ObjectKey { kind: kind.to_owned(), ..key.clone() })
}

/// One object that Git states, with what is known of it.
struct Object<'a> {
    inputs: &'a Inputs<'a>,
    manifest: &'a Manifest,
    /// The live object without what the ignore rules hide.
    seen: Option<&'a Value>,
    entry: Option<&'a Entry>,
    /// Git wants something else than was last applied.
    pending: bool,
}

impl<'a> Object<'a> {
    fn new(inputs: &'a Inputs<'a>, manifest: &'a Manifest, seen: Option<&'a Value>, pending: bool) -> Self {
        Self { inputs, manifest, seen, entry: inputs.inventory.entries.get(&manifest.key), pending }
    }

    fn action(&self, warnings: &mut Vec<String>) -> Action {
        let live = self.inputs.live.objects.get(&self.manifest.key);
        let mut action = match live {
            None => self.wait("it was not observed"),
            Some(LiveObject::Unreadable { reason }) => {
                self.wait(&format!("it could not be read: {}", self.inputs.redactor.text(reason)))
            }
            Some(LiveObject::Terminating { live }) => self.terminating(live, warnings),
            Some(LiveObject::Absent) => self.absent(),
            Some(LiveObject::Present { merged: None, .. }) => self.wait("it has no dry-run answer"),
            Some(LiveObject::Present { live, merged: Some(merged) }) => self.present(live, merged, warnings),
            Some(LiveObject::Rejected { live, error }) => self.rejected(live.as_ref(), error, warnings),
        };
        self.guard(&mut action, live.and_then(LiveObject::live), warnings);
        action
    }

    /// The guards that hold whatever the object's state; they decide about
    /// commits. Of what has been applied already they only warn: healing it
    /// must go on.
    fn guard(&self, action: &mut Action, live: Option<&Value>, warnings: &mut Vec<String>) {
        let mut refusals = Vec::new();
        if let Verb::Refused(refusal) = &action.verb {
            refusals.push(refusal.clone());
        }
        let stated: Vec<Refusal> =
            [self.duplicate(), guards::password(self.inputs.policy, self.manifest)].into_iter().flatten().collect();
        if self.pending {
            refusals.extend(stated);
        } else {
            warnings.extend(stated.iter().map(|refusal| format!("{}: {}", self.manifest.key, refusal.message)));
        }
        if let Some(refusal) = self.topology() {
            refusals.push(refusal);
        }
        if let Some(refusal) = joined(refusals) {
            action.verb = Verb::Refused(refusal);
        } else if action.verb.writes() && is_workload(&self.manifest.key.kind) {
            let workloads: Vec<&Value> = live.into_iter().chain([&self.manifest.body]).collect();
            if let Some(claim) = claim_in_deletion(self.inputs, &workloads) {
                action.verb =
                    Verb::Wait { reason: format!("{claim} is being deleted, and ending its pod would finish that") };
                action.take_over = None;
            }
        }
    }

    fn duplicate(&self) -> Option<Refusal> {
        let same = self.inputs.desired.manifests.iter().filter(|other| other.key == self.manifest.key);
        let sources: Vec<_> = same.map(|manifest| manifest.source.as_str()).collect();
        (sources.len() > 1).then(|| {
            refusal(
                "duplicate",
                format!("it is stated {} times, in {}", sources.len(), sources.join(" and ")),
                "Leave one of them in Git.",
            )
        })
    }

    fn topology(&self) -> Option<Refusal> {
        let other = twin(&self.manifest.key)?;
        let runs = self.inputs.live.objects.get(&other).is_some_and(|object| object.live().is_some());
        (runs && self.inputs.desired.get(&other).is_none()).then(|| guards::topology(&other, &self.manifest.key))
    }

    fn act(&self, verb: Verb, cause: Cause, differences: Vec<Difference>, precondition: Precondition) -> Action {
        let (key, consequence) = (self.manifest.key.clone(), Consequence::default());
        Action {
            key,
            verb,
            cause,
            differences,
            ignored: Vec::new(),
            consequence,
            precondition,
            take_over: None,
            stated: None,
        }
    }

    fn wait(&self, reason: &str) -> Action {
        self.act(Verb::Wait { reason: reason.to_owned() }, self.cause_of(false), Vec::new(), Precondition::default())
    }

    /// Why something differs, when nothing tells that somebody else changed it.
    fn cause_of(&self, differs: bool) -> Cause {
        match (self.pending, differs) {
            (true, _) => Cause::Commit,
            (false, true) => Cause::Drift,
            (false, false) => Cause::Steady,
        }
    }

    fn may_write(&self) -> bool {
        self.pending || self.corrects()
    }

    fn corrects(&self) -> bool {
        self.inputs.policy.drift == DriftPolicy::Correct
    }

    fn terminating(&self, live: &Value, warnings: &mut Vec<String>) -> Action {
        let key = &self.manifest.key;
        if key.kind == "PersistentVolumeClaim" {
            let since =
                live.pointer("/metadata/deletionTimestamp").and_then(Value::as_str).unwrap_or("an unknown time");
            warnings.push(format!(
                "CRITICAL: {key} is being deleted since {since}; its data is lost when its pod ends. \
                 Nothing that restarts the pod is done. Copy the data away now"
            ));
        }
        Action { cause: self.cause_of(true), ..self.wait("its deletion is in progress") }
    }

    fn absent(&self) -> Action {
        let whole = Difference {
            path: String::new(),
            class: DriftClass::Missing,
            live: None,
            desired: Some(self.inputs.redactor.object(&self.manifest.body)),
            writer: None,
        };
        let lost_claim =
            self.manifest.key.kind == "PersistentVolumeClaim" && self.entry.is_some_and(|entry| entry.uid.is_some());
        let verb = if lost_claim {
            Verb::Refused(refusal(
                "claim-missing",
                "the claim was applied before and is gone; a new one would be empty",
                "Restore the claim from a backup, or take it out of Git, let that be applied, and state it again to \
                 start empty.",
            ))
        } else if self.may_write() {
            Verb::Create
        } else {
            Verb::Report
        };
        self.act(verb, self.cause_of(true), vec![whole], Precondition::default())
    }

    /// Whether `live` is the very object that was applied.
    fn is_tracked(&self, live: &Value) -> bool {
        let uid = live.pointer("/metadata/uid").and_then(Value::as_str);
        uid.is_some() && self.entry.and_then(|entry| entry.uid.as_deref()) == uid
    }

    /// What refuses any write to `live`.
    fn change_refusals(&self, live: &Value, warnings: &mut Vec<String>) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        if let (false, Some(owner)) = (self.is_tracked(live), foreign_owner(self.inputs, live)) {
            refusals.push(refusal(
                "owner",
                format!("the object belongs to the environment {owner}"),
                format!(
                    "Give it another name here, or take it out of {owner} with {}: detach.",
                    super::PRUNE_ANNOTATION
                ),
            ));
        }
        let Inputs { cluster, redactor, .. } = self.inputs;
        refusals.extend(guards::change(self.manifest, live, cluster, redactor, warnings));
        if !self.inputs.policy.throw_away && is_workload(&self.manifest.key.kind) {
            refusals.extend(guards::persistence(self.manifest, live, self.inputs.redis));
        }
        refusals
    }

    fn present(&self, live: &Value, merged: &Value, warnings: &mut Vec<String>) -> Action {
        let seen = self.seen.unwrap_or(live);
        let mut differences = diff::compare(self.manifest, seen, merged, self.inputs.redactor);
        self.settle(&mut differences);
        let applies = differences
            .iter()
            .any(|d| matches!(d.class, DriftClass::Changed | DriftClass::Missing | DriftClass::Extra))
            || (self.pending || self.corrects()) && !diff::unowned(&self.manifest.body, live, merged).is_empty();
        let of_others = differences.iter().any(|d| matches!(d.class, DriftClass::Undeclared | DriftClass::Foreign));
        let removes = if self.corrects() && of_others {
            diff::undeclared_fields(self.manifest, seen)
        } else {
            FieldSet::default()
        };
        let drifts = differences.iter().any(|d| d.class != DriftClass::Overridden);
        let cause = self.cause(live, &differences, applies || drifts);
        self.note_identity(live, warnings);
        let mut action = self.act(Verb::Unchanged, cause, differences, precondition(live));
        if self.may_write() && (applies || !removes.is_empty()) {
            let refusals = self.change_refusals(live, warnings);
            if let Some(refusal) = joined(refusals) {
                action.verb = Verb::Refused(refusal);
            } else {
                action.verb = self.write_verb(live);
                action.take_over = self.take_over(live, &removes);
            }
        } else if drifts && !self.pending {
            action.verb = Verb::Report;
        } else if let (false, Some(_)) = (self.is_tracked(live), foreign_owner(self.inputs, live)) {
            action.verb = joined(self.change_refusals(live, warnings)).map_or(Verb::Unchanged, Verb::Refused);
        }
        action
    }

    /// What admission makes of every write of ours is shown, not fought.
    fn settle(&self, differences: &mut [Difference]) {
        let known = self.inputs.unstable.get(&self.manifest.key).map_or(&[][..], Vec::as_slice);
        for difference in differences {
            if known.iter().any(|known| known.path == difference.path && known.live == difference.live) {
                difference.class = DriftClass::Overridden;
            }
        }
    }

    fn write_verb(&self, live: &Value) -> Verb {
        if self.is_tracked(live) && diff::is_owned(live) { Verb::Update } else { Verb::Adopt }
    }

    fn take_over(&self, live: &Value, roots: &FieldSet) -> Option<Value> {
        if !self.corrects() || diff::is_owned(live) {
            diff::take_over(live, roots)
        } else {
            diff::adopt_and_take_over(live, roots)
        }
    }

    /// A commit, drift, or both: what others wrote tells.
    fn cause(&self, live: &Value, differences: &[Difference], differs: bool) -> Cause {
        let by_others = |d: &Difference| match d.class {
            DriftClass::Undeclared | DriftClass::Foreign => true,
            DriftClass::Changed | DriftClass::Extra => d.writer.is_some(),
            DriftClass::Missing | DriftClass::Overridden => false,
        };
        let applied = self.is_tracked(live) && self.entry.is_some_and(|entry| entry.digest.is_some());
        if self.pending && applied && differences.iter().any(by_others) {
            Cause::CommitOverDrift
        } else {
            self.cause_of(differs)
        }
    }

    /// Says what a person should know about whose object this was.
    fn note_identity(&self, live: &Value, warnings: &mut Vec<String>) {
        let key = &self.manifest.key;
        let known = self.entry.and_then(|entry| entry.uid.as_deref());
        if known.is_some() && !self.is_tracked(live) {
            let lost =
                if key.kind == "PersistentVolumeClaim" { "; the data of the old claim is not in it" } else { "" };
            warnings
                .push(format!("{key} is not the object that was applied: somebody deleted it and made another{lost}"));
        }
        let annotation =
            |name: &str| live.pointer("/metadata/annotations").and_then(|all| all.get(name)).and_then(Value::as_str);
        let release = annotation("meta.helm.sh/release-namespace").zip(annotation("meta.helm.sh/release-name"));
        if let (Some((namespace, name)), super::Fact::Known(releases)) = (release, &self.inputs.cluster.helm_releases) {
            let warning = format!(
                "the Helm release {name} in {namespace} still has its release Secret: `helm upgrade` or `helm uninstall` \
                 would act on objects that Git manages now"
            );
            if releases.contains(&(namespace.to_owned(), name.to_owned())) && !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }

    fn rejected(&self, live: Option<&Value>, error: &Rejection, warnings: &mut Vec<String>) -> Action {
        let made_before_it = match error.class {
            RejectionClass::NamespaceMissing => self.creates_namespace(),
            RejectionClass::KindUnknown => self.creates_kind(),
            _ => false,
        };
        if made_before_it {
            return self.absent();
        }
        let Some(live) = live else {
            let refused = self.refused_by_server(error);
            return self.act(refused, self.cause_of(true), Vec::new(), Precondition::default());
        };
        self.note_identity(live, warnings);
        let (roots, differences) = self.without_dry_run(live);
        let cause = self.cause(live, &differences, !differences.is_empty());
        let mut action = self.act(Verb::Report, cause, differences, precondition(live));
        if let Some(refusal) = joined(self.change_refusals(live, warnings)) {
            action.verb = Verb::Refused(refusal);
        } else if roots.is_empty() || !matches!(error.class, RejectionClass::Invalid | RejectionClass::Immutable) {
            action.verb = self.refused_by_server(error);
        } else if self.may_write() {
            let removes = if self.corrects() {
                diff::undeclared_fields(self.manifest, self.seen.unwrap_or(live))
            } else {
                FieldSet::default()
            };
            action.verb = self.write_verb(live);
            action.take_over = self.take_over(live, &roots.union(&removes));
        }
        action
    }

    /// The members of unions that stay behind and are not ours, and all that
    /// differs as far as it can be told without the server. An apply that is
    /// invalid only for such members is valid once they are ours; when they
    /// already are, the server had another reason.
    fn without_dry_run(&self, live: &Value) -> (FieldSet, Vec<Difference>) {
        let owned = diff::ours(live);
        let mut roots = FieldSet::default();
        for path in diff::union_leftovers(&self.manifest.body, live).paths() {
            if !owned.touches(&path) {
                roots.insert(&path);
            }
        }
        let seen = self.seen.unwrap_or(live);
        let differences = diff::stated_differences(self.manifest, seen, &roots, self.inputs.redactor);
        (roots, differences)
    }

    fn refused_by_server(&self, error: &Rejection) -> Verb {
        let (guard, remedy) = match error.class {
            RejectionClass::Invalid => ("invalid", "Correct the chart or its values; the message names the field."),
            RejectionClass::Immutable => (
                "immutable",
                "Put the old value back in Git, or recreate the object yourself if its loss is acceptable.",
            ),
            RejectionClass::Forbidden => (
                "forbidden",
                "Give the daemon's service account the right, or lift the quota or policy that forbids it.",
            ),
            RejectionClass::NamespaceMissing => ("namespace-missing", "Create the namespace, or state it in Git."),
            RejectionClass::KindUnknown => (
                "kind-unknown",
                "Install what serves this kind (its CustomResourceDefinition), or take the object out of Git.",
            ),
        };
        Verb::Refused(refusal(guard, self.inputs.redactor.text(&error.message), remedy))
    }

    fn creates_kind(&self) -> bool {
        let key = &self.manifest.key;
        let stated = |manifest: &Manifest| {
            let text = |pointer: &str| manifest.body.pointer(pointer).and_then(Value::as_str);
            manifest.key.kind == "CustomResourceDefinition"
                && text("/spec/group") == Some(key.group.as_str())
                && text("/spec/names/kind") == Some(key.kind.as_str())
        };
        self.inputs.desired.manifests.iter().any(stated)
    }

    fn creates_namespace(&self) -> bool {
        let stated = |manifest: &Manifest| {
            manifest.key.kind == "Namespace"
                && manifest.key.group.is_empty()
                && manifest.key.name == self.manifest.key.namespace
        };
        self.inputs.desired.manifests.iter().any(stated)
    }
}
