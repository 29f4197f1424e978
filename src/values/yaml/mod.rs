//! YAML as Helm reads and writes it: YAML 1.1 scalars, duplicate keys won by
//! the last, keys turned into strings, and the layout of the Go emitter.
//!
//! Reading goes through events of `libyaml-safer`; every node knows its line
//! and column, so that errors can name the place in a values file.

mod emit;
mod read;
mod resolve;

pub use emit::{Emitter, natural_sort};
pub use read::{Node, NodeKind, Numbers, YamlError, read, read_node};
pub use resolve::{Scalar, resolve};
