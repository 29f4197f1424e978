//! When to look again: periods spread by ten percent, and a growing pause after failures.

use std::time::Duration;

/// `period` ± 10 %, so that many daemons do not ask in step.
pub(super) fn jittered(period: Duration) -> Duration {
    period.mul_f64(rand::random_range(0.9..1.1))
}

/// A pause that doubles with each failure in a row, up to a minute, spread.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(60);

    /// The pause before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let pause = Self::FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(Self::LONGEST);
        self.failures = self.failures.saturating_add(1);
        jittered(pause)
    }

    /// Forgets the failures.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
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
}
