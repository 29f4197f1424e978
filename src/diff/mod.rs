//! What differs between Git and the cluster, field by field, and who wrote it.
//!
//! Differences come out masked: a [`Redactor`] holds the secrets of the pass.
//! Two comparisons make drift: the server's dry-run answer against the live
//! object, and `managedFields` for what others added. Nothing here knows API
//! defaults well enough to guess a difference that the server did not show.

pub mod fields;

mod compare;
mod digest;
mod ignore;
mod lists;
mod managers;
mod normal;
mod redact;
mod unions;

pub use compare::{compare, stated_differences, undeclared_fields};
pub use digest::{digest, live_digest};
pub use ignore::{Spared, spare};
pub use managers::{MANAGER, ManagerEntry, adopt_and_take_over, adoption, entries, is_owned, ours, take_over, unowned};
pub use normal::{normalise, quantity};
pub use redact::{Redactor, RedactorError};
pub use unions::union_leftovers;
