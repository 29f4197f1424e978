//! One supervised task: made again after a panic, ended by itself, and never
//! lost silently. What it does is the caller's.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::http::ProcessState;

/// How long a task may take to end: the write in hand, and the inventory's.
const GRACE: Duration = Duration::from_secs(12);
/// The pause before a task that panicked is made again.
const PAUSE: Duration = Duration::from_secs(1);
/// A task that panics so often without living for a minute in between is given
/// up, and the process is no longer healthy.
const LIVES: u32 = 5;
const LIFE: Duration = Duration::from_secs(60);

/// What a task's life depends on, and where its death is told.
pub(super) struct Life {
    pub(super) shutdown: CancellationToken,
    pub(super) process: watch::Sender<ProcessState>,
}

/// A supervised task that can be ended by itself.
pub(super) struct Task {
    stop: CancellationToken,
    handle: JoinHandle<()>,
}

impl Task {
    /// Runs what `make` makes until it ends by itself or is stopped. A panic is
    /// logged and it is made again; when it only panics, it is reported dead.
    pub(super) fn supervise(
        name: String,
        life: &Life,
        make: impl Fn(CancellationToken) -> BoxFuture<'static, ()> + Send + 'static,
    ) -> Self {
        let stop = life.shutdown.child_token();
        let (token, process) = (stop.clone(), life.process.clone());
        let handle = tokio::spawn(async move {
            let mut lives = LIVES;
            while !token.is_cancelled() {
                let born = Instant::now();
                if AssertUnwindSafe(make(token.clone())).catch_unwind().await.is_ok() {
                    return;
                }
                lives = if born.elapsed() < LIFE { lives - 1 } else { LIVES };
                if lives == 0 {
                    error!(task = %name, "the task panicked again and again and is given up");
                    process.send_modify(|state| state.dead_task = Some(name.clone()));
                    return;
                }
                error!(task = %name, "the task panicked and is started again");
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { stop, handle }
    }

    /// Ends the task; one that hangs is cut off, so that no second one runs beside it.
    pub(super) async fn end(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(GRACE, &mut self.handle).await.is_err() {
            warn!("a task did not end in time and is cut off");
            self.handle.abort();
            // The error says that it was cut off.
            let _cut_off = self.handle.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_only_panics_is_reported_dead() {
        let life = Life { shutdown: CancellationToken::new(), process: watch::Sender::default() };
        let mut process = life.process.subscribe();
        let _task = Task::supervise("doomed".to_owned(), &life, |_| async { panic!("planned") }.boxed());
        let dead = process.wait_for(|state| state.dead_task.is_some()).await.expect("it is told");
        assert_eq!(dead.dead_task.as_deref(), Some("doomed"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_hangs_is_cut_off() {
        let life = Life { shutdown: CancellationToken::new(), process: watch::Sender::default() };
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let task = Task::supervise("hanging".to_owned(), &life, move |_| {
            let held = Arc::clone(&held);
            async move {
                let _held = held;
                std::future::pending().await
            }
            .boxed()
        });
        task.end().await;
        assert_eq!(Arc::strong_count(&alive), 1, "nothing of it is left");
    }
}
