//! The commands, one file per verb: each builds inputs, calls the library and
//! prints.

pub mod folder;
pub mod lint;
pub mod template;
