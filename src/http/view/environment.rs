//! One environment in the words of the pages.

use jiff::Timestamp;

use super::{
    Badge, Moment, Notice, Tone,
    redis::{Pod, pods},
};
use crate::{
    consequence::Consequence,
    difference::Difference,
    http::format,
    resource::ObjectKey,
    status::{self, EnvironmentStatus, Health, SyncState},
};

/// From which age in seconds a comparison says nothing about now, as for the alert.
const COMPARISON_STALE: i64 = 300;

/// One environment.
pub(in crate::http) struct Environment {
    pub(in crate::http) name: String,
    pub(in crate::http) branch: String,
    pub(in crate::http) namespace: String,
    pub(in crate::http) release: String,
    pub(in crate::http) policy: String,
    pub(in crate::http) throw_away: bool,
    pub(in crate::http) tone: Tone,
    pub(in crate::http) sync: Badge,
    pub(in crate::http) badges: Vec<Badge>,
    pub(in crate::http) notices: Vec<Notice>,
    pub(in crate::http) applied: Option<Commit>,
    /// The tip, when it is not what is applied.
    pub(in crate::http) waiting: Option<Commit>,
    pub(in crate::http) drift: Vec<Drift>,
    pub(in crate::http) objects: Vec<Object>,
    pub(in crate::http) history: Vec<Past>,
    pub(in crate::http) pods_up: usize,
    pub(in crate::http) pods_desired: u32,
    pub(in crate::http) pods: Vec<Pod>,
    pub(in crate::http) last_comparison: Option<Moment>,
    pub(in crate::http) last_sync: Option<Moment>,
    pub(in crate::http) last_sync_took: Option<String>,
}

/// A commit.
pub(in crate::http) struct Commit {
    pub(in crate::http) revision: String,
    pub(in crate::http) short: String,
    pub(in crate::http) subject: String,
    pub(in crate::http) author: String,
    pub(in crate::http) time: Option<Moment>,
}

/// One field that differs.
pub(in crate::http) struct Drift {
    pub(in crate::http) object: String,
    pub(in crate::http) path: String,
    pub(in crate::http) class: &'static str,
    pub(in crate::http) live: String,
    pub(in crate::http) desired: String,
    pub(in crate::http) writer: Option<String>,
    pub(in crate::http) when: Option<Moment>,
}

/// One object.
pub(in crate::http) struct Object {
    pub(in crate::http) kind: String,
    pub(in crate::http) name: String,
    pub(in crate::http) namespace: String,
    pub(in crate::http) health: Badge,
    pub(in crate::http) message: String,
    pub(in crate::http) action: String,
    pub(in crate::http) drift: usize,
    pub(in crate::http) ignored: usize,
    pub(in crate::http) overridden: usize,
    pub(in crate::http) consequence: &'static str,
}

/// One finding of the past.
pub(in crate::http) struct Past {
    pub(in crate::http) found: Moment,
    pub(in crate::http) ended: Badge,
    pub(in crate::http) fields: Vec<Drift>,
}

impl Environment {
    pub(in crate::http) fn new(status: &EnvironmentStatus, now: Timestamp) -> Self {
        let drift: Vec<_> = status.objects.iter().flat_map(|object| fields(&object.key, &object.drift, now)).collect();
        let pods = pods(&status.redis, now);
        let pods_up = status.redis.pods.values().filter(|pod| pod.up).count();
        let sync = sync(&status.sync);
        let badges = badges(status, drift.len(), pods_up, now);
        let waiting = status
            .tip
            .as_ref()
            .filter(|tip| status.applied.as_ref().is_none_or(|applied| applied.revision != tip.revision));
        Self {
            tone: badges.iter().map(|badge| badge.tone).fold(sync.tone, Tone::max),
            name: status.name.clone(),
            branch: status.branch.clone(),
            namespace: status.namespace.clone(),
            release: status.release.clone(),
            policy: status.drift_policy.clone(),
            throw_away: status.throw_away,
            sync,
            badges,
            notices: notices(status),
            applied: status.applied.as_ref().map(|commit| Commit::new(commit, now)),
            waiting: waiting.map(|commit| Commit::new(commit, now)),
            drift,
            objects: status.objects.iter().map(Object::new).collect(),
            history: status.recent_drift.iter().map(|record| Past::new(record, now)).collect(),
            pods_up,
            pods_desired: status.redis.desired,
            pods,
            last_comparison: status.last_comparison.map(|time| Moment::new(time, now)),
            last_sync: status.last_sync.map(|time| Moment::new(time, now)),
            last_sync_took: status.last_sync_seconds.map(format::duration),
        }
    }
}

fn sync(state: &SyncState) -> Badge {
    let tone = match state {
        SyncState::Synced => Tone::Good,
        SyncState::Unknown | SyncState::Syncing => Tone::Busy,
        SyncState::Detached { .. } => Tone::Warn,
        SyncState::Failed { .. } | SyncState::Refused { .. } | SyncState::Partial { .. } => Tone::Bad,
    };
    Badge::new(tone, state.as_str())
}

fn badges(status: &EnvironmentStatus, drifted: usize, pods_up: usize, now: Timestamp) -> Vec<Badge> {
    let mut badges = Vec::new();
    if let Some(compared) = status.last_comparison
        && now.as_second() - compared.as_second() > COMPARISON_STALE
    {
        badges.push(Badge::new(Tone::Warn, format!("not compared for {}", format::age(compared, now))));
    }
    match drifted {
        0 if status.last_comparison.is_none() => badges.push(Badge::new(Tone::Busy, "not compared yet")),
        0 => badges.push(Badge::new(Tone::Good, "no drift")),
        1 => badges.push(Badge::new(Tone::Warn, "1 field drifts")),
        fields => badges.push(Badge::new(Tone::Warn, format!("{fields} fields drift"))),
    }
    let failed = status.objects.iter().any(|object| matches!(object.health, Health::Failed { .. } | Health::Missing));
    badges.push(match (status.ready, failed) {
        (true, _) => Badge::new(Tone::Good, "ready"),
        (false, true) => Badge::new(Tone::Bad, "not ready"),
        (false, false) => Badge::new(Tone::Busy, "not ready yet"),
    });
    let desired = status.redis.desired;
    if desired > 0 {
        let tone = match pods_up {
            up if up >= desired as usize => Tone::Good,
            0 => Tone::Bad,
            _ => Tone::Warn,
        };
        badges.push(Badge::new(tone, format!("Redis {pods_up}/{desired}")));
    }
    badges
}

fn notices(status: &EnvironmentStatus) -> Vec<Notice> {
    let notice = |tone, title: &str, text: &str, remedy: Option<&str>| Notice {
        tone,
        title: title.to_owned(),
        text: text.to_owned(),
        remedy: remedy.map(str::to_owned),
    };
    let mut notices = match &status.sync {
        SyncState::Unknown | SyncState::Synced | SyncState::Syncing => Vec::new(),
        SyncState::Failed { stage, message } => {
            let title = format!("The branch tip cannot be used ({stage}); what was applied before stays");
            vec![notice(Tone::Bad, &title, message, None)]
        }
        SyncState::Partial { message } => {
            vec![notice(Tone::Bad, "The commit is applied in part", message, None)]
        }
        SyncState::Detached { message } => {
            vec![notice(Tone::Warn, "Not managed at present; what runs is left alone", message, None)]
        }
        SyncState::Refused { refusals } => refusals
            .iter()
            .map(|refused| {
                let title = format!("Refused: {} ({})", refused.key, refused.refusal.guard);
                notice(Tone::Bad, &title, &refused.refusal.message, Some(&refused.refusal.remedy))
            })
            .collect(),
    };
    notices.extend(status.warnings.iter().map(|text| notice(Tone::Warn, "", text, None)));
    notices
}

fn fields<'a>(
    key: &'a ObjectKey,
    differences: &'a [Difference],
    now: Timestamp,
) -> impl Iterator<Item = Drift> + use<'a> {
    differences.iter().map(move |difference| {
        let writer = difference.writer.as_ref();
        let time = writer.and_then(|writer| writer.time.as_ref()).and_then(|time| time.parse().ok());
        Drift {
            object: format!("{}/{}", key.kind, key.name),
            path: if difference.path.is_empty() { "(the whole object)" } else { &difference.path }.to_owned(),
            class: difference.class.as_str(),
            live: format::value(difference.live.as_ref()),
            desired: format::value(difference.desired.as_ref()),
            writer: writer.map(|writer| match &*writer.subresource {
                "" => writer.manager.clone(),
                subresource => format!("{} ({subresource})", writer.manager),
            }),
            when: time.map(|time| Moment::new(time, now)),
        }
    })
}

impl Commit {
    fn new(commit: &status::Commit, now: Timestamp) -> Self {
        Self {
            revision: commit.revision.to_string(),
            short: commit.revision.short().to_owned(),
            subject: commit.subject.clone(),
            author: commit.author.clone(),
            time: commit.time.map(|time| Moment::new(time, now)),
        }
    }
}

impl Object {
    fn new(object: &status::ObjectStatus) -> Self {
        let (health, message) = match &object.health {
            Health::Current => (Badge::new(Tone::Good, "current"), ""),
            Health::InProgress { message } => (Badge::new(Tone::Busy, "in progress"), &**message),
            Health::Failed { message } => (Badge::new(Tone::Bad, "failed"), &**message),
            Health::Missing => (Badge::new(Tone::Bad, "missing"), ""),
        };
        Self {
            kind: object.key.kind.clone(),
            name: object.key.name.clone(),
            namespace: object.key.namespace.clone(),
            health,
            message: message.to_owned(),
            action: object.action.clone(),
            drift: object.drift.len(),
            ignored: object.ignored.len(),
            overridden: object.overridden.len(),
            consequence: match object.consequence {
                Consequence::Nothing => "",
                other => other.meaning(),
            },
        }
    }
}

impl Past {
    fn new(record: &status::DriftRecord, now: Timestamp) -> Self {
        let ended = match record.ended.as_deref() {
            None => Badge::new(Tone::Warn, "lasts"),
            Some(word @ "reported") => Badge::new(Tone::Warn, word),
            Some(word) => Badge::new(Tone::Good, word),
        };
        let fields = fields(&record.key, &record.differences, now).collect();
        Self { found: Moment::new(record.found, now), ended, fields }
    }
}
