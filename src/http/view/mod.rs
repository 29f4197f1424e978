//! The status in the words of the pages. Everything is text here; the
//! templates escape it and decide nothing.

mod environment;
mod redis;

use jiff::Timestamp;

pub(super) use environment::Environment;

use super::{HttpState, format};
use crate::status::Status;

/// How urgent something is. Pages show it as colour and as a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    Good,
    Busy,
    Warn,
    Bad,
}

impl Tone {
    /// The style's class.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }

    /// The same for those who do not see the colour.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Busy => "…",
            Self::Warn => "!",
            Self::Bad => "✕",
        }
    }
}

/// A short word with its urgency.
#[derive(Clone, Debug)]
pub(super) struct Badge {
    pub(super) tone: Tone,
    pub(super) text: String,
}

impl Badge {
    fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }
}

/// Something a person must know, with the whole text.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) tone: Tone,
    pub(super) title: String,
    pub(super) text: String,
    /// What to do, when it is known apart from the text.
    pub(super) remedy: Option<String>,
}

/// A moment: how long ago, and exactly.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) age: String,
    pub(super) exact: String,
}

impl Moment {
    fn new(time: Timestamp, now: Timestamp) -> Self {
        Self { age: format::age(time, now), exact: format!("{time:.0}") }
    }
}

/// What surrounds every page.
pub(super) struct Frame {
    pub(super) version: &'static str,
    pub(super) leader: bool,
    pub(super) notices: Vec<Notice>,
    pub(super) repositories: Vec<Repository>,
    pub(super) configuration: Option<Moment>,
    pub(super) rendered: String,
}

/// One repository, in the footer.
pub(super) struct Repository {
    pub(super) url: String,
    pub(super) last_success: Option<Moment>,
    pub(super) tone: Tone,
}

impl Frame {
    pub(super) fn new(state: &HttpState, status: &Status, now: Timestamp) -> Self {
        let process = state.process();
        let mut notices = Vec::new();
        if let Some(task) = process.dead_task {
            let text = format!("The task {task:?} has ended. What is shown here no longer changes.");
            notices.push(Notice {
                tone: Tone::Bad,
                title: "The daemon is not whole".to_owned(),
                text,
                remedy: Some("Restart the process; its log says why the task ended.".to_owned()),
            });
        }
        if let Some(error) = &status.configuration.error {
            notices.push(Notice {
                tone: Tone::Bad,
                title: "The configuration file is not in force".to_owned(),
                text: error.clone(),
                remedy: status.configuration.loaded.map(|loaded| {
                    format!("The one read {} ago stays in force until this is corrected.", format::age(loaded, now))
                }),
            });
        }
        for (url, repository) in &status.repositories {
            let Some(error) = &repository.error else { continue };
            let since = repository.last_success.map_or_else(
                || "since the daemon started".to_owned(),
                |time| format!("since {} ago", format::age(time, now)),
            );
            notices.push(Notice {
                tone: Tone::Bad,
                title: format!("Git is unreachable {since}"),
                text: format!("{url}\n{error}"),
                remedy: Some(format!(
                    "{} attempt(s) failed in a row. The last commit fetched stays in force, and drift is still handled.",
                    repository.consecutive_failures
                )),
            });
        }
        let repository = |(url, repository): (&String, &crate::status::RepositoryStatus)| Repository {
            url: url.clone(),
            last_success: repository.last_success.map(|time| Moment::new(time, now)),
            tone: if repository.error.is_some() { Tone::Bad } else { Tone::Good },
        };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            leader: process.leader,
            notices,
            repositories: status.repositories.iter().map(repository).collect(),
            configuration: status.configuration.loaded.map(|time| Moment::new(time, now)),
            rendered: format!("{now:.0}"),
        }
    }
}

/// The sentence at the top: what is well, what is not.
pub(super) fn headline(environments: &[Environment]) -> Badge {
    let count = |tone| environments.iter().filter(|environment| environment.tone == tone).count();
    let all = environments.len();
    let (bad, warn, busy) = (count(Tone::Bad), count(Tone::Warn), count(Tone::Busy));
    match (all, bad, warn, busy) {
        (0, ..) => Badge::new(Tone::Warn, "No environment is configured"),
        (_, 0, 0, 0) => Badge::new(Tone::Good, "Everything is as Git says"),
        (_, 0, 0, _) => Badge::new(Tone::Busy, format!("{busy} of {all} environments on the way")),
        (_, 0, ..) => Badge::new(Tone::Warn, format!("{warn} of {all} environments want a look")),
        _ => Badge::new(Tone::Bad, format!("{bad} of {all} environments need a person")),
    }
}
