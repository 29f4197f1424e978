//! When to look again: periods spread by ten percent, a growing pause after
//! failures, and a growing pause for an object that somebody keeps changing.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::resource::ObjectKey;

/// `period` ± 10 %, so that many daemons do not ask in step.
pub(super) fn jittered(period: Duration) -> Duration {
    period.mul_f64(rand::random_range(0.9..1.1))
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing is left to do until something changes.
    Settled,
    /// Something changed under our hands: a fresh look is due at once.
    Again,
    /// Something failed, is refused or waits: another try is due after a pause.
    Later,
    /// What is left to do is held back for so long.
    Held(Duration),
}

impl Outcome {
    /// The outcome when a further try is due at least later.
    pub(super) fn or_later(self) -> Self {
        if self == Self::Settled { Self::Later } else { self }
    }
}

/// When the next try of one environment is due.
#[derive(Debug, Default)]
pub(super) struct Pace {
    backoff: Backoff,
    due: Option<Instant>,
    /// The pass before asked for a look at once; two in a row get a pause.
    again: bool,
}

impl Pace {
    /// Takes in how a pass ended; answers when another is due by itself. A pass
    /// that a wake-up brought forward does not postpone the one that was due.
    pub(super) fn after(&mut self, outcome: Outcome, now: Instant) -> Option<Instant> {
        let again = std::mem::replace(&mut self.again, outcome == Outcome::Again);
        match outcome {
            Outcome::Settled => {
                self.backoff.reset();
                self.due = None;
            }
            Outcome::Again if !again => self.due = Some(now),
            Outcome::Held(pause) => self.due = Some(now + pause),
            Outcome::Again | Outcome::Later => {
                if self.due.is_none_or(|due| due <= now) {
                    self.due = Some(now + self.backoff.next());
                }
            }
        }
        self.due
    }
}

/// A pause that doubles with each failure in a row, up to a minute, spread.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(60);

    fn next(&mut self) -> Duration {
        let pause = Self::FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(Self::LONGEST);
        self.failures = self.failures.saturating_add(1);
        jittered(pause)
    }

    fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Spaces the corrections of an object that somebody keeps changing: the first
/// few are done at once, the next ones ever more slowly, up to a minute apart.
#[derive(Debug, Default)]
pub(super) struct Spacing {
    corrected: BTreeMap<ObjectKey, (u32, Instant)>,
}

impl Spacing {
    /// So many corrections are done at once.
    const FREE: u32 = 3;
    /// An object that was left alone for so long beyond its pause is forgotten.
    const CALM: Duration = Duration::from_secs(60);

    /// How long the object is still to be left.
    pub(super) fn hold(&self, key: &ObjectKey, now: Instant) -> Option<Duration> {
        let (times, last) = self.corrected.get(key)?;
        let left = Self::pause(*times).saturating_sub(now.saturating_duration_since(*last));
        (!left.is_zero()).then_some(left)
    }

    /// Notes a correction.
    pub(super) fn corrected(&mut self, key: &ObjectKey, now: Instant) {
        self.corrected
            .retain(|_, (times, last)| now.saturating_duration_since(*last) < Self::pause(*times) + Self::CALM);
        let (times, last) = self.corrected.entry(key.clone()).or_insert((0, now));
        *times = times.saturating_add(1);
        *last = now;
    }

    fn pause(times: u32) -> Duration {
        match times.checked_sub(Self::FREE) {
            None => Duration::ZERO,
            Some(more) => Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(more)).min(Backoff::LONGEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_and_stops_growing() {
        let mut backoff = Backoff::default();
        let first = backoff.next();
        assert!(first >= Duration::from_millis(450) && first <= Duration::from_millis(550), "{first:?}");
        let last = (0..40).map(|_| backoff.next()).last().expect("forty");
        assert!(last <= Duration::from_secs(66) && last >= Duration::from_secs(54), "{last:?}");
        backoff.reset();
        assert!(backoff.next() < Duration::from_secs(1));
    }

    #[test]
    fn a_conflict_gets_one_look_at_once_and_then_pauses() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.after(Outcome::Again, now), Some(now));
        assert!(pace.after(Outcome::Again, now) > Some(now), "a second in a row waits");
        assert_eq!(pace.after(Outcome::Settled, now), None);
        assert_eq!(pace.after(Outcome::Again, now), Some(now));
    }

    #[test]
    fn a_wake_up_does_not_postpone_the_next_try() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let due = pace.after(Outcome::Later, now);
        assert_eq!(pace.after(Outcome::Later, now + Duration::from_millis(1)), due);
    }

    #[test]
    fn corrections_of_one_object_are_spaced_and_forgotten() {
        let key =
            ObjectKey { kind: "Service".into(), group: String::new(), namespace: "d".into(), name: "redis".into() };
        let (mut spacing, now) = (Spacing::default(), Instant::now());
        for _ in 0..3 {
            assert_eq!(spacing.hold(&key, now), None);
            spacing.corrected(&key, now);
        }
        assert_eq!(spacing.hold(&key, now), Some(Duration::from_secs(1)));
        for _ in 0..20 {
            spacing.corrected(&key, now);
        }
        assert_eq!(spacing.hold(&key, now), Some(Duration::from_secs(60)));
        let later = now + Duration::from_secs(121);
        spacing.corrected(&key, later);
        assert_eq!(spacing.hold(&key, later), None);
    }
}
