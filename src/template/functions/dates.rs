//! Times and durations. The local zone is UTC, as it is in a container.

use std::any::Any as Anything;

use super::Function;

pub(super) const FUNCTIONS: &[Function] = &[];

/// The nanoseconds of a duration object.
pub(super) fn duration_nanos(_object: &dyn Anything) -> Option<i64> {
    None
}
