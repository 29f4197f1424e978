//! The one status value, and the only place that changes it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    environment::Environment,
    status::{ConfigurationStatus, EnvironmentStatus, RedisStatus, RepositoryStatus, Status},
};

/// Publishes [`Status`] to every reader. Clones share it.
#[derive(Clone, Debug)]
pub struct Board {
    sender: Arc<watch::Sender<Arc<Status>>>,
}

impl Default for Board {
    fn default() -> Self {
        Self { sender: Arc::new(watch::Sender::new(Arc::default())) }
    }
}

impl Board {
    /// A reader that sees every later value.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Status>> {
        self.sender.subscribe()
    }

    /// The newest value.
    pub fn current(&self) -> Arc<Status> {
        Arc::clone(&self.sender.borrow())
    }

    /// Changes one environment; it appears when it was not there.
    pub fn environment(&self, name: &str, change: impl FnOnce(&mut EnvironmentStatus)) {
        self.change(|status| change(status.environments.entry(name.to_owned()).or_default()));
    }

    /// Fills in what the configuration says of an environment.
    pub fn describe(&self, environment: &Environment) {
        self.environment(environment.name.as_str(), |status| {
            status.name = environment.name.to_string();
            status.branch = environment.branch.to_string();
            status.namespace = environment.namespace.to_string();
            status.release = environment.release.to_string();
            status.drift_policy = environment.drift.to_string();
            status.throw_away = environment.throw_away;
        });
    }

    /// Drops an environment that left the configuration.
    pub fn remove_environment(&self, name: &str) {
        self.change(|status| {
            status.environments.remove(name);
        });
    }

    /// Replaces what is known of an environment's Redis.
    pub fn redis(&self, name: &str, redis: RedisStatus) {
        self.change(|status| {
            if let Some(environment) = status.environments.get_mut(name) {
                environment.redis = redis;
            }
        });
    }

    /// Changes one repository.
    pub fn repository(&self, url: &str, change: impl FnOnce(&mut RepositoryStatus)) {
        self.change(|status| change(status.repositories.entry(url.to_owned()).or_default()));
    }

    /// Drops repositories other than `url`.
    pub fn only_repository(&self, url: &str) {
        self.change(|status| status.repositories.retain(|known, _| known == url));
    }

    /// Changes what is known of the configuration file.
    pub fn configuration(&self, change: impl FnOnce(&mut ConfigurationStatus)) {
        self.change(|status| change(&mut status.configuration));
    }

    fn change(&self, change: impl FnOnce(&mut Status)) {
        self.sender.send_modify(|status| change(Arc::make_mut(status)));
    }
}
