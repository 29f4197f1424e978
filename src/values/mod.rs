//! Values of charts: read, layered, checked.

pub mod yaml;
