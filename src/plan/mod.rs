//! From desired, live, inventory and policy to an immutable [`Plan`].
//!
//! Pure: no clock, no network, no randomness. The same inputs give the same
//! plan, which the golden files under `tests/plan` keep. A plan never deletes a
//! claim, never acts on an object it could not read, and carries for each write
//! what must still hold when it arrives.

mod action;
mod consequence;
mod guards;
mod immutable;
mod inputs;
mod order;
mod planner;
mod prune;
mod text;
mod workload;

pub use action::{Action, Cause, Plan, Precondition, Refusal, Verb};
pub use immutable::{Immutable, hold};
pub use inputs::{ClusterFacts, ENVIRONMENT_LABEL, Fact, Inputs, PRUNE_ANNOTATION, Policy, RedisFacts, StorageClass};
pub use order::{is_workload, rank};
pub use text::render_text;

/// Plans one pass over one environment.
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    let mut warnings = Vec::new();
    let mut actions = planner::actions(inputs, &mut warnings);
    actions.extend(prune::actions(inputs, &mut warnings));
    consequence::classify(inputs, &mut actions);
    for stranger in &inputs.live.strangers {
        warnings.push(format!(
            "{stranger} carries the label of this environment and was not applied by it; it is left alone"
        ));
    }
    let warnings = warnings.iter().map(|warning| inputs.redactor.text(warning)).collect();
    Plan { revision: inputs.desired.revision.clone(), actions, warnings }
}
