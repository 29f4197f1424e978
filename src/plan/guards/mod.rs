//! What a plan refuses, each with what was found and what a person can do.
//!
//! Guards are pure. A fact that is unknown is never read as fine: where the API
//! server checks the same in its dry-run, the plan says that it did not check;
//! where nobody else does, the guard refuses.

mod password;
mod storage;

use crate::plan::Refusal;

pub(super) use password::password;
pub(super) use storage::{change, persistence, topology};

/// A refusal.
pub(super) fn refusal(guard: &str, message: impl Into<String>, remedy: impl Into<String>) -> Refusal {
    Refusal { guard: guard.to_owned(), message: message.into(), remedy: remedy.into() }
}

/// All refusals of one object as the one that its action carries.
pub(super) fn joined(refusals: Vec<Refusal>) -> Option<Refusal> {
    refusals.into_iter().reduce(|mut all, next| {
        let add = |text: &mut String, separator: &str, more: &str| {
            if !text.contains(more) {
                *text = format!("{text}{separator}{more}");
            }
        };
        add(&mut all.guard, ", ", &next.guard);
        add(&mut all.message, "; ", &next.message);
        add(&mut all.remedy, " ", &next.remedy);
        all
    })
}
