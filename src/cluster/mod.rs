//! The Kubernetes API server as the daemon uses it: discovery, server-side apply
//! and its dry-run, watches into one store, the inventory, port-forwards.
//!
//! It decides nothing: it reads and writes what it is told, with a deadline on
//! every request, and names what failed.

mod client;
mod discovery;
mod error;
mod forward;
mod inventory;
mod objects;
pub mod watch;

pub use client::{Cluster, Connection, DEADLINE, FIELD_MANAGER, RequestObserver};
pub use discovery::{Discovery, Kind};
pub use error::ClusterError;
pub use inventory::{InventoryError, InventoryName, StoredInventory};
pub use objects::Mode;
