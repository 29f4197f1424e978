//! What a change means to the Redis behind it, as every reader names it.

use std::fmt;

use serde::Serialize;

/// What a change means to Redis, the least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Consequence {
    /// Redis does not notice.
    #[default]
    Nothing,
    /// Something takes effect while Redis runs.
    LiveSetting,
    /// Pods are replaced one after another.
    RollingRestart,
    /// Connections are cut, and clients may reach another server.
    Failover,
    /// Redis stops before it starts again: nobody is served meanwhile.
    Recreate,
    /// Another volume, or none, may be behind Redis afterwards.
    DataAtRisk,
}

impl Consequence {
    /// Every class, the least first.
    pub const ALL: [Self; 6] =
        [Self::Nothing, Self::LiveSetting, Self::RollingRestart, Self::Failover, Self::Recreate, Self::DataAtRisk];

    /// The word used in metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::LiveSetting => "live_setting",
            Self::RollingRestart => "rolling_restart",
            Self::Failover => "failover",
            Self::Recreate => "recreate",
            Self::DataAtRisk => "data_at_risk",
        }
    }

    /// What a person is told.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Nothing => "Redis does not notice",
            Self::LiveSetting => "live setting: it takes effect while Redis runs",
            Self::RollingRestart => "rolling restart: pods are replaced one after another",
            Self::Failover => "failover: connections are cut, and clients may reach another server",
            Self::Recreate => "recreate: Redis stops before it starts again",
            Self::DataAtRisk => "data at risk: another volume, or none, may be behind Redis afterwards",
        }
    }
}

impl fmt::Display for Consequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
