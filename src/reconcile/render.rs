//! stub
use crate::{cluster::Cluster, desired::DesiredState, environment::Environment, git::Mirror, revision::Revision};
use std::sync::Arc;
/// Why
#[derive(Clone, Debug)]
pub enum Unusable {
    /// a
    Detached(String),
    /// b
    Broken(String),
}
/// r
pub struct Renderer {}
impl Renderer {
    /// n
    pub fn new(_e: Environment, _c: Cluster, _m: Mirror) -> Self {
        Self {}
    }
    /// r
    pub async fn render(&mut self, _r: &Revision) -> Result<Arc<DesiredState>, Unusable> {
        Err(Unusable::Broken(String::new()))
    }
}
