//! YAML as Helm reads and writes it: YAML 1.1 scalars, duplicate keys won by
//! the last, keys turned into strings, and the layout of the Go emitter.
//!
//! Every node knows its line and column, so that errors can name the place in a
//! values file. No input makes it panic; depth and expansion are bounded.

mod compose;
mod emit;
mod read;
mod resolve;
mod scalar;
mod scan;

pub use emit::{Emitter, natural_sort};
pub use read::{Node, NodeKind, Numbers, YamlError, read, read_node};
pub use resolve::{Scalar, resolve};
