//! Redis knowledge: what `INFO` says, what a topology looks like when
//! it is wrong, and where a workload's password comes from.
//!
//! Pure: the probe brings the replies, the cluster the objects.

mod info;
mod topology;
mod workload;

pub use info::parse_info;
pub use topology::assess;
pub use workload::{PASSWORD_KEYS, PasswordSource, desired_pods, password_source, port};
