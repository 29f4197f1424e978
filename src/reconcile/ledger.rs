//! Which drift lasts, since when, and what became of earlier drift.
//!
//! Kept in memory and bounded: the newest findings first. A finding counts once
//! however often it is seen again unchanged.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;

use crate::{
    difference::Difference,
    plan::{Action, Plan, Verb},
    resource::ObjectKey,
    status::DriftRecord,
};

/// How many findings are kept.
const KEPT: usize = 50;

/// The drift of one environment.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    lasting: BTreeMap<ObjectKey, DriftRecord>,
    ended: VecDeque<DriftRecord>,
}

impl Ledger {
    /// Takes in a plan; answers the newly found differences.
    pub(super) fn update<'a>(&mut self, plan: &'a Plan, now: Timestamp) -> Vec<(&'a ObjectKey, &'a Difference)> {
        let drifting: BTreeMap<&ObjectKey, &Action> =
            plan.actions.iter().filter(|action| action.is_drift()).map(|action| (&action.key, action)).collect();
        // Of what could not be looked at nothing new is known.
        let unseen: BTreeSet<&ObjectKey> = plan
            .actions
            .iter()
            .filter(|action| matches!(action.verb, Verb::Wait { .. }))
            .map(|action| &action.key)
            .collect();
        let ended = |key: &&ObjectKey| !drifting.contains_key(*key) && !unseen.contains(*key);
        let gone: Vec<ObjectKey> = self.lasting.keys().filter(ended).cloned().collect();
        for key in gone {
            self.end(&key, "gone");
        }
        let mut found = Vec::new();
        for (key, action) in drifting {
            let known = self.lasting.get(key);
            for difference in &action.differences {
                if known.is_none_or(|record| !record.differences.iter().any(|old| same_field(old, difference))) {
                    found.push((key, difference));
                }
            }
            let since = known.map_or(now, |record| record.found);
            let record =
                DriftRecord { found: since, key: key.clone(), differences: action.differences.clone(), ended: None };
            self.lasting.insert(key.clone(), record);
        }
        found
    }

    /// Notes that the drift of an object was undone; false when none was known.
    pub(super) fn corrected(&mut self, key: &ObjectKey) -> bool {
        self.end(key, "corrected")
    }

    /// When the oldest drift that lasts was found.
    pub(super) fn first_seen(&self) -> Option<Timestamp> {
        self.lasting.values().map(|record| record.found).min()
    }

    /// The newest findings, those that last first.
    pub(super) fn recent(&self) -> Vec<DriftRecord> {
        self.lasting.values().chain(self.ended.iter()).take(KEPT).cloned().collect()
    }

    fn end(&mut self, key: &ObjectKey, how: &str) -> bool {
        let Some(mut record) = self.lasting.remove(key) else { return false };
        record.ended = Some(how.to_owned());
        self.ended.push_front(record);
        self.ended.truncate(KEPT);
        true
    }
}

fn same_field(old: &Difference, new: &Difference) -> bool {
    old.path == new.path && old.class == new.class && old.live == new.live
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        consequence::Consequence,
        difference::DriftClass,
        plan::{Cause, Precondition},
        revision::Revision,
    };

    fn plan(drift: bool) -> Plan {
        let difference = Difference {
            path: "spec.replicas".into(),
            class: DriftClass::Changed,
            live: Some(3.into()),
            desired: Some(1.into()),
            writer: None,
        };
        let key =
            ObjectKey { kind: "Deployment".into(), group: "apps".into(), namespace: "d".into(), name: "redis".into() };
        let action = Action {
            key,
            verb: if drift { Verb::Update } else { Verb::Unchanged },
            cause: if drift { Cause::Drift } else { Cause::Steady },
            differences: if drift { vec![difference] } else { Vec::new() },
            consequence: Consequence::default(),
            precondition: Precondition::default(),
            take_over: None,
            ignored: Vec::new(),
            stated: None,
        };
        Plan {
            revision: Revision::try_from("a".repeat(40)).expect("an id"),
            actions: vec![action],
            warnings: Vec::new(),
        }
    }

    #[test]
    fn drift_counts_once_and_is_remembered_after_it_ended() {
        let mut ledger = Ledger::default();
        let first = Timestamp::from_second(100).expect("in range");
        let drifted = plan(true);
        assert_eq!(ledger.update(&drifted, first), [(&drifted.actions[0].key, &drifted.actions[0].differences[0])]);
        assert!(ledger.update(&plan(true), Timestamp::from_second(200).expect("in range")).is_empty());
        let mut unseen = plan(false);
        unseen.actions[0].verb = Verb::Wait { reason: "no answer".to_owned() };
        assert!(ledger.update(&unseen, first).is_empty());
        assert!(ledger.update(&plan(true), first).is_empty(), "an unseen object has not changed");
        assert_eq!(ledger.first_seen(), Some(first));
        let key = plan(true).actions[0].key.clone();
        assert!(ledger.corrected(&key) && !ledger.corrected(&key));
        assert!(ledger.update(&plan(false), first).is_empty());
        assert_eq!((ledger.first_seen(), ledger.recent().len()), (None, 1));
        assert_eq!(ledger.recent()[0].ended.as_deref(), Some("corrected"));
        assert_eq!(ledger.update(&plan(true), first).len(), 1, "the same drift again is a new finding");
    }
}
