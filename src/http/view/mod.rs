//! The status in the words of the pages. Everything is text here; the
//! templates escape it and decide nothing.

mod environment;
mod redis;

use jiff::Timestamp;

pub(super) use environment::Environment;

use super::{HttpState, format};
use crate::status::{RepositoryStatus, Status};

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
        let notices = [process.dead_task.as_deref().map(dead_task), configuration(status, now)];
        let git = status.repositories.iter().filter_map(|(url, repository)| unreachable(url, repository, now));
        let repository = |(url, repository): (&String, &RepositoryStatus)| Repository {
            url: url.clone(),
            last_success: repository.last_success.map(|time| Moment::new(time, now)),
            tone: if repository.error.is_some() { Tone::Bad } else { Tone::Good },
        };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            leader: process.leader,
            notices: notices.into_iter().flatten().chain(git).collect(),
            repositories: status.repositories.iter().map(repository).collect(),
            configuration: status.configuration.loaded.map(|time| Moment::new(time, now)),
            rendered: format!("{now:.0}"),
        }
    }
}

fn dead_task(task: &str) -> Notice {
    Notice {
        tone: Tone::Bad,
        title: "The daemon is not whole".to_owned(),
        text: format!("The task {task:?} has ended. What is shown here may no longer change."),
        remedy: Some("Restart the process; its log says why the task ended.".to_owned()),
    }
}

fn configuration(status: &Status, now: Timestamp) -> Option<Notice> {
    let error = status.configuration.error.clone()?;
    let remedy = status
        .configuration
        .loaded
        .map(|loaded| format!("The one read {} ago stays in force until this is corrected.", format::age(loaded, now)));
    Some(Notice { tone: Tone::Bad, title: "The configuration file is not in force".to_owned(), text: error, remedy })
}

fn unreachable(url: &str, repository: &RepositoryStatus, now: Timestamp) -> Option<Notice> {
    let error = repository.error.as_ref()?;
    let since = repository
        .last_success
        .map_or_else(|| "since the daemon started".to_owned(), |time| format!("since {} ago", format::age(time, now)));
    let attempts = match repository.consecutive_failures {
        1 => "1 attempt".to_owned(),
        count => format!("{count} attempts"),
    };
    Some(Notice {
        tone: Tone::Bad,
        title: format!("Git is unreachable {since}"),
        text: format!("{url}\n{error}"),
        remedy: Some(format!(
            "{attempts} failed in a row. The last commit fetched stays in force, and drift is still handled."
        )),
    })
}

/// The sentence at the top: what is well, what is not. `git_answers` is false
/// while what Git says now may be newer than what is known.
pub(super) fn headline(environments: &[Environment], git_answers: bool) -> Badge {
    let tone = match environments.iter().map(|environment| environment.tone).max() {
        None => return Badge::new(Tone::Warn, "No environment is configured"),
        Some(Tone::Good) if git_answers => return Badge::new(Tone::Good, "Everything is as Git says"),
        Some(Tone::Good) => return Badge::new(Tone::Warn, "Everything is as Git last said"),
        Some(tone) => tone,
    };
    let mut text = String::new();
    for (tone, one, more) in [
        (Tone::Bad, "needs a person", "need a person"),
        (Tone::Warn, "wants a look", "want a look"),
        (Tone::Busy, "is on the way", "are on the way"),
    ] {
        let count = environments.iter().filter(|environment| environment.tone == tone).count();
        let verb = if count == 1 { one } else { more };
        match (count, text.is_empty()) {
            (0, _) => {}
            (1, true) => text = format!("1 environment {verb}"),
            (_, true) => text = format!("{count} environments {verb}"),
            (_, false) => text += &format!(", {count} {verb}"),
        }
    }
    Badge::new(tone, text)
}
